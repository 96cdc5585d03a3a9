/* SPDX-License-Identifier: Apache-2.0 */
#include "core/template.h"

#include "core/level.h"
#include "core/policy.h"
#include "core/topic.h"

static const struct {
	struct str name;
	enum variable var;
	enum simid_kind sim;
} variables[] = {
	{{"device", 6}, VAR_DEVICE, SIMID_NONE},
	{{"class", 5}, VAR_CLASS, SIMID_NONE},
	{{"iccid", 5}, VAR_ICCID, SIMID_ICCID},
	{{"imsi", 4}, VAR_IMSI, SIMID_IMSI},
	{{"imei", 4}, VAR_IMEI, SIMID_IMEI},
	{{"eid", 3}, VAR_EID, SIMID_EID},
};
#define N_VARIABLES (sizeof(variables) / sizeof(variables[0]))

static bool variable_parse(struct str name, struct piece *out, struct err *e)
{
	const struct str prefix = STR("attr.");
	size_t i;

	for (i = 0; i < N_VARIABLES; i++) {
		if (str_eq(variables[i].name, name)) {
			*out = (struct piece){variables[i].var, name};
			return true;
		}
	}
	if (name.n > prefix.n && memcmp(name.p, prefix.p, prefix.n) == 0) {
		struct str attr = {name.p + prefix.n, name.n - prefix.n};

		if (!attr_name_valid(attr))
			return err_set(e, ERR_INPUT,
				"'%.*s' is not an attribute name: a letter, "
				"then letters, digits, '_' or '-', at most %d",
				STR_ARG(attr), ATTR_NAME_MAX);
		*out = (struct piece){VAR_ATTR, attr};
		return true;
	}
	return err_set(e, ERR_INPUT,
		"unknown variable ${%.*s}; known: device, class, iccid, imsi, "
		"imei, eid, attr.NAME",
		STR_ARG(name));
}

/* Where "${" next stands in S, or NULL. */
static const char *find_variable(struct str s)
{
	const char *p = s.p, *end = s.p + s.n;

	while (end - p >= 2) {
		p = memchr(p, '$', (size_t)(end - p - 1));
		if (p == NULL || p[1] == '{')
			return p;
		p++;
	}
	return NULL;
}

/* Cuts the first piece off *rest. */
static bool piece_parse(struct str *rest, struct piece *out, struct err *e)
{
	const char *start = find_variable(*rest);
	const char *close;
	size_t n;

	if (start != rest->p) {
		n = start != NULL ? (size_t)(start - rest->p) : rest->n;
		*out = (struct piece){VAR_NONE, {rest->p, n}};
	} else {
		close = memchr(start, '}', rest->n);
		if (close == NULL)
			return err_set(e, ERR_INPUT,
				"'${' without '}' in the same level");
		n = (size_t)(close - start) + 1;
		if (!variable_parse((struct str){start + 2, n - 3}, out, e))
			return false;
	}
	rest->p += n;
	rest->n -= n;
	return true;
}

static bool pattern_parse(struct str level,
	struct piece pieces[static PIECES_MAX], size_t *n, struct err *e)
{
	size_t attrs = 0;

	for (*n = 0; level.n != 0; (*n)++) {
		if (*n == PIECES_MAX)
			return err_set(e, ERR_INPUT,
				"a level holds at most %d pieces of text and "
				"variables",
				PIECES_MAX);
		pieces[*n] = (struct piece){VAR_NONE, {NULL, 0}};
		if (!piece_parse(&level, &pieces[*n], e))
			return false;
		attrs += pieces[*n].var == VAR_ATTR;
	}
	if (attrs > 1)
		return err_set(e, ERR_INPUT,
			"a level holds at most one ${attr.…}: put the others "
			"into levels of their own");
	return true;
}

bool level_parse(struct str level, enum level_kind *kind,
	struct piece pieces[static PIECES_MAX], size_t *n, struct err *e)
{
	*n = 0;
	if (level.n == 1 && (level.p[0] == '+' || level.p[0] == '#')) {
		*kind = level.p[0] == '+' ? LEVEL_PLUS : LEVEL_HASH;
		return true;
	}
	if (level.n != 0 && memchr(level.p, '+', level.n) != NULL)
		return err_set(e, ERR_INPUT, "'+' must be a whole level");
	if (level.n != 0 && memchr(level.p, '#', level.n) != NULL)
		return err_set(
			e, ERR_INPUT, "'#' must be the whole last level");
	if (level.n == 0 || find_variable(level) == NULL) {
		*kind = LEVEL_LITERAL;
		return true;
	}
	*kind = LEVEL_PATTERN;
	return pattern_parse(level, pieces, n, e);
}

static bool share_refused(struct str t, struct err *e)
{
	struct str group, rest;

	if (share_split(t, &group, &rest) && group.n == 0)
		return true;
	return err_set(e, ERR_INPUT,
		"a rule is a plain filter: drop '$share/<group>/' and list "
		"the group in \"shared\"");
}

bool template_check(struct str t, struct err *e)
{
	struct levels cursor = levels_of(t);
	struct piece pieces[PIECES_MAX];
	enum level_kind kind = LEVEL_LITERAL;
	struct str level;
	size_t n;

	if (t.n == 0)
		return err_set(e, ERR_INPUT, "an empty topic matches nothing");
	if (t.n > POLICY_TEMPLATE_MAX)
		return err_set(e, ERR_INPUT,
			"a topic template has at most %d bytes, this has %zu",
			POLICY_TEMPLATE_MAX, t.n);
	if (levels_count(t) > POLICY_LEVELS_MAX)
		return err_set(e, ERR_INPUT,
			"a topic template has at most %d levels, this has %zu",
			POLICY_LEVELS_MAX, levels_count(t));
	while (levels_next(&cursor, &level)) {
		if (kind == LEVEL_HASH)
			return err_set(
				e, ERR_INPUT, "'#' must be the last level");
		if (!level_parse(level, &kind, pieces, &n, e))
			return false;
	}
	if (!filter_valid(t))
		return err_set(e, ERR_INPUT,
			"holds a control character, or is not valid UTF-8");
	return share_refused(t, e);
}

/* What VAR is for DEVICE; empty when it has none. */
static struct str variable_value(enum variable var, const struct device *device)
{
	const struct simid *sim;
	size_t i;

	if (var == VAR_DEVICE)
		return (struct str){device->id, device->id_len};
	if (var == VAR_CLASS)
		return str_from(device->class_name);
	for (i = 0; i < N_VARIABLES; i++)
		if (variables[i].var == var)
			break;
	sim = &device->sim[i < N_VARIABLES ? variables[i].sim : SIMID_NONE];
	return (struct str){sim->digits, sim->kind != SIMID_NONE ? sim->n : 0};
}

/* Drops VALUE, which must not be empty, off the front of *rest. */
static bool take(struct str *rest, struct str value)
{
	if (value.n == 0 || value.n > rest->n ||
		memcmp(rest->p, value.p, value.n) != 0)
		return false;
	rest->p += value.n;
	rest->n -= value.n;
	return true;
}

/* True when LEVEL is the pieces with VALUE for the attribute. */
static bool pieces_equal(const struct piece *pieces, size_t n,
	const struct device *device, struct str value, struct str level)
{
	size_t i;

	for (i = 0; i < n; i++) {
		enum variable var = pieces[i].var;
		struct str part = var == VAR_NONE ? pieces[i].text
				  : var == VAR_ATTR
					  ? value
					  : variable_value(var, device);

		/* A value that could reach out of its level cannot enter the
		 * registry; if one did, it matches nothing. */
		if (var == VAR_ATTR && !attr_value_valid(part))
			return false;
		if (!take(&level, part))
			return false;
	}
	return level.n == 0;
}

bool pieces_match(const struct piece *pieces, size_t n,
	const struct device *device, struct str level, size_t *value)
{
	const struct piece *attr = NULL;
	size_t i;

	for (i = 0; i < n; i++)
		if (pieces[i].var == VAR_ATTR)
			attr = &pieces[i];
	*value = SIZE_MAX;
	if (attr == NULL)
		return pieces_equal(
			pieces, n, device, (struct str){NULL, 0}, level);
	for (i = 0; i < device->n_attrs && i < DEVICE_ATTRS_MAX; i++) {
		if (!str_eq(device->attrs[i].name, attr->text))
			continue;
		if (pieces_equal(
			    pieces, n, device, device->attrs[i].value, level)) {
			*value = i;
			return true;
		}
	}
	return false;
}

/* The attribute that LEVEL names, or an empty name. */
static struct str level_attr(
	struct str level, struct piece pieces[static PIECES_MAX], size_t *n)
{
	enum level_kind kind;
	size_t i;

	if (level_parse(level, &kind, pieces, n, NULL))
		for (i = 0; i < *n; i++)
			if (pieces[i].var == VAR_ATTR)
				return pieces[i].text;
	return (struct str){NULL, 0};
}

bool template_repeats(struct str template)
{
	struct levels a = levels_of(template), b;
	struct piece pieces[PIECES_MAX];
	struct str level, other;
	size_t n;

	while (levels_next(&a, &level)) {
		struct str name = level_attr(level, pieces, &n);

		b = a;
		while (name.n != 0 && levels_next(&b, &other))
			if (str_eq(name, level_attr(other, pieces, &n)))
				return true;
	}
	return false;
}

bool template_agrees(
	struct str template, const struct device *device, struct str topic)
{
	struct levels a = levels_of(template), b = levels_of(topic);
	size_t chosen[POLICY_LEVELS_MAX];
	struct piece pieces[PIECES_MAX];
	struct str level, text;
	size_t n_chosen = 0, n, value, i;

	while (levels_next(&a, &level) && levels_next(&b, &text)) {
		if (level_attr(level, pieces, &n).n == 0)
			continue;
		if (!pieces_match(pieces, n, device, text, &value) ||
			n_chosen == POLICY_LEVELS_MAX)
			return false;
		for (i = 0; i < n_chosen; i++)
			if (chosen[i] != value &&
				str_eq(device->attrs[chosen[i]].name,
					device->attrs[value].name))
				return false;
		chosen[n_chosen++] = value;
	}
	return true;
}
