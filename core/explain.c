/* SPDX-License-Identifier: Apache-2.0 */
#include "core/explain.h"

#include "core/explain_private.h"
#include "core/level.h"
#include "core/policy_private.h"
#include "core/template.h"
#include "core/trie_private.h"

#include <stdlib.h>

/* ----------------------------------------------------------- writing text */

static void put_number(struct writer *w, uint32_t number)
{
	char digits[10];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	put(w, (struct str){digits + i, sizeof(digits) - i});
}

/* S as a JSON string. Templates and groups hold no control character. */
static void put_json(struct writer *w, struct str s)
{
	size_t i;

	put(w, STR("\""));
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			put(w, STR("\\"));
		put(w, (struct str){&s.p[i], 1});
	}
	put(w, STR("\""));
}

/* --------------------------------------------------------- where they part */

/* True when LEVEL, the I-th from 1 of a topic or filter, is matched by the
 * template's RULE there, whatever stands elsewhere. */
static bool level_matches(struct str rule, const struct device *device,
	struct str level, uint32_t i)
{
	struct piece pieces[PIECES_MAX];
	enum level_kind kind;
	size_t n, value;

	if (!level_parse(rule, &kind, pieces, &n, NULL))
		return false;
	switch (kind) {
	case LEVEL_PLUS:
		if (str_eq(level, STR("#")))
			return false;
		return i != 1 || level.n == 0 || level.p[0] != '$';
	case LEVEL_HASH:
		return i != 1 || level.n == 0 || level.p[0] != '$';
	case LEVEL_PATTERN:
		return pieces_match(pieces, n, device, level, &value);
	case LEVEL_LITERAL:
		break;
	}
	return str_eq(rule, level);
}

/* The text from the start of WHOLE to the end of its level LEVEL. */
static struct str up_to(struct str whole, struct str level)
{
	size_t n = level.n;

	if (whole.n != 0)
		n += (size_t)(level.p - whole.p);
	/* An empty last level is a view of no bytes outside the text. */
	return (struct str){whole.p, n <= whole.n ? n : whole.n};
}

void explain_level(struct str template, const struct device *device,
	struct str topic, struct explain_level *out)
{
	struct levels a = levels_of(template), b = levels_of(topic);
	bool repeats = template_repeats(template);
	uint32_t i;

	for (i = 1;; i++) {
		struct explain_level at = {.level = i};

		at.rule_ends = !levels_next(&a, &at.rule);
		at.topic_ends = !levels_next(&b, &at.topic);
		*out = (struct explain_level){.level = 0};
		if (at.rule_ends && at.topic_ends)
			return;
		if (!at.rule_ends && str_eq(at.rule, STR("#")) &&
			(at.topic_ends ||
				level_matches(at.rule, device, at.topic, i)))
			return;
		*out = at;
		if (at.rule_ends || at.topic_ends ||
			!level_matches(at.rule, device, at.topic, i))
			return;
		out->other_value = true;
		if (repeats && !template_agrees(up_to(template, at.rule),
				       device, up_to(topic, at.topic)))
			return;
	}
}

/* ----------------------------------------------------------------- expand */

static struct str simid_piece(
	const struct simid *id, bool mask, char masked[static SIMID_MAX + 1])
{
	if (id->kind == SIMID_NONE)
		return (struct str){NULL, 0};
	if (!mask)
		return (struct str){id->digits, id->n};
	return (struct str){masked, simid_mask(id, masked)};
}

/* The one value of a variable that is no attribute; empty when missing. */
static struct str variable_text(enum variable var, const struct device *d,
	bool mask, char masked[static SIMID_MAX + 1])
{
	switch (var) {
	case VAR_DEVICE:
		return (struct str){d->id, d->id_len};
	case VAR_CLASS:
		return str_from(d->class_name);
	case VAR_ICCID:
		return simid_piece(&d->sim[SIMID_ICCID], mask, masked);
	case VAR_IMSI:
		return simid_piece(&d->sim[SIMID_IMSI], mask, masked);
	case VAR_IMEI:
		return simid_piece(&d->sim[SIMID_IMEI], mask, masked);
	case VAR_EID:
		return simid_piece(&d->sim[SIMID_EID], mask, masked);
	case VAR_NONE:
	case VAR_ATTR:
		break;
	}
	return (struct str){NULL, 0};
}

static size_t attr_count(const struct device *d, struct str name)
{
	size_t n = 0;
	uint16_t i;

	for (i = 0; i < d->n_attrs; i++)
		n += str_eq(d->attrs[i].name, name);
	return n;
}

/* False: the device has no such attribute. */
static bool put_attr(struct writer *w, const struct device *d, struct str name)
{
	size_t n = attr_count(d, name), done = 0;
	uint16_t i;

	if (n > 1)
		put(w, STR("{"));
	for (i = 0; i < d->n_attrs; i++) {
		if (!str_eq(d->attrs[i].name, name))
			continue;
		if (done++ != 0)
			put(w, STR("|"));
		put(w, d->attrs[i].value);
	}
	if (n > 1)
		put(w, STR("}"));
	return n != 0;
}

static void put_piece(struct writer *w, const struct piece *piece,
	const struct device *d, bool mask, struct str *missing)
{
	char masked[SIMID_MAX + 1];
	struct str value;

	if (piece->var == VAR_NONE) {
		put(w, piece->text);
		return;
	}
	if (piece->var == VAR_ATTR) {
		if (put_attr(w, d, piece->text))
			return;
		/* "attr." stands before the name, in the template. */
		*missing = (struct str){piece->text.p - 5, piece->text.n + 5};
		put_variable(w, "", *missing);
		return;
	}
	value = variable_text(piece->var, d, mask, masked);
	if (value.n != 0) {
		put(w, value);
		return;
	}
	*missing = piece->text;
	put_variable(w, "", piece->text);
}

size_t explain_expand(struct str text, const struct device *device, bool mask,
	char *out, size_t cap, struct str *missing)
{
	struct levels cursor = levels_of(text);
	struct writer w = {out, cap, 0};
	struct piece pieces[PIECES_MAX];
	enum level_kind kind;
	struct str level;
	size_t n, i, count = 0;

	*missing = (struct str){NULL, 0};
	while (levels_next(&cursor, &level)) {
		if (count++ != 0)
			put(&w, STR("/"));
		if (!level_parse(level, &kind, pieces, &n, NULL) ||
			kind != LEVEL_PATTERN) {
			put(&w, level);
			continue;
		}
		for (i = 0; i < n; i++)
			put_piece(&w, &pieces[i], device, mask, missing);
	}
	return finish(&w);
}

/* -------------------------------------------------------- rules as written */

const struct rule_spec *explain_rule(const struct policy *p, uint32_t rule)
{
	return rule < p->n_rules ? &p->rules[rule].spec : NULL;
}

static void put_shared(
	struct writer *w, const struct rule_spec *r, struct str group)
{
	size_t i;

	put(w, STR(", \"shared\": ["));
	for (i = 0; i < r->n_shared; i++) {
		if (i != 0)
			put(w, STR(", "));
		put_json(w, r->shared[i]);
	}
	if (group.n != 0) {
		if (r->n_shared != 0)
			put(w, STR(", "));
		put_json(w, group);
	}
	put(w, STR("]"));
}

void explain_put_rule(struct writer *w, const struct rule_spec *r, bool publish,
	struct str group)
{
	bool qos = r->max_qos != (publish ? 1 : 2);
	bool shared = r->n_shared != 0 || group.n != 0;
	bool size = publish && r->max_bytes != POLICY_BYTES_MAX;

	if (!qos && !shared && !size && !r->retain) {
		put_json(w, r->topic);
		return;
	}
	put(w, STR("{\"topic\": "));
	put_json(w, r->topic);
	if (qos) {
		put(w, STR(", \"max_qos\": "));
		put_number(w, r->max_qos);
	}
	if (r->retain)
		put(w, STR(", \"retain\": true"));
	if (size) {
		put(w, STR(", \"max_bytes\": "));
		put_number(w, r->max_bytes);
	}
	if (shared)
		put_shared(w, r, group);
	put(w, STR("}"));
}

size_t explain_rule_json(
	const struct policy *p, uint32_t rule, char *out, size_t cap)
{
	struct writer w = {out, cap, 0};

	if (rule < p->n_rules)
		explain_put_rule(&w, &p->rules[rule].spec,
			p->rules[rule].direction == DIRECTION_PUBLISH,
			(struct str){NULL, 0});
	return finish(&w);
}

static int number_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

uint32_t *explain_rules(const struct policy *p, const struct policy_class *c,
	enum action action, size_t *n)
{
	const struct trie *t =
		(c != NULL ? c : &p->classes[p->n_classes])
			->trie[action == ACTION_PUBLISH ? DIRECTION_PUBLISH
							: DIRECTION_SUBSCRIBE];
	uint32_t *out = calloc(t->n_rules + 1, sizeof(*out));
	size_t i;

	if (out == NULL)
		return NULL;
	for (i = 0; i < t->n_rules; i++)
		out[i] = t->rules[i].number;
	qsort(out, t->n_rules, sizeof(*out), number_cmp);
	*n = t->n_rules;
	return out;
}

size_t explain_client_id(const struct policy_class *c, size_t i,
	const struct device *device, char *out, size_t cap)
{
	struct writer w = {out, cap, 0};

	if (i >= c->n_client_ids)
		return finish(&w);
	put(&w, device != NULL ? (struct str){device->id, device->id_len}
			       : STR("${device}"));
	put(&w, c->client_ids[i].suffix);
	if (c->client_ids[i].open)
		put(&w, STR("*"));
	return finish(&w);
}

unsigned explain_sim_require(const struct policy_class *c)
{
	return c->sim_require;
}
