/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy_check.h"

#include "core/template.h"
#include "core/utf8.h"

#include <stdlib.h>

struct check {
	const struct policy_spec *spec;
	struct errs *errs;
	size_t class;
};

void policy_check_place(struct err *e, const struct policy_spec *spec, size_t i)
{
	if (i == spec->n_classes)
		(void)err_at(e, "quarantine");
	else if (class_name_valid(spec->classes[i].name))
		(void)err_at(e, "classes.%.*s", STR_ARG(spec->classes[i].name));
	else
		(void)err_at(e, "classes");
}

/* Sets E's place to KEY of the class at hand, and [I] unless it is the whole
 * key (SIZE_MAX). */
static void place(
	const struct check *c, struct err *e, const char *key, size_t i)
{
	char class[ERR_PLACE_MAX];

	if (e == NULL)
		return;
	policy_check_place(e, c->spec, c->class);
	memcpy(class, e->place, sizeof(class));
	if (i == SIZE_MAX)
		(void)err_at(e, "%s.%s", class, key);
	else
		(void)err_at(e, "%s.%s[%zu]", class, key, i);
}

static bool group_valid(struct str g)
{
	size_t i;

	for (i = 0; i < g.n; i++)
		if (g.p[i] == '/' || g.p[i] == '+' || g.p[i] == '#')
			return false;
	return g.n != 0 && utf8_valid(g);
}

static void rule_check(
	struct check *c, const struct rule_spec *r, const char *key, size_t i)
{
	struct err e = {0};
	size_t k;

	if (!template_check(r->topic, &e)) {
		struct err *out = errs_next(c->errs);

		if (out != NULL)
			*out = e;
		place(c, out, key, i);
	}
	for (k = 0; k < r->n_shared; k++) {
		struct err *out;

		if (group_valid(r->shared[k]))
			continue;
		out = errs_next(c->errs);
		(void)err_set(out, ERR_INPUT,
			"shared[%zu] is not a group name: one level without "
			"'/', '+' or '#'",
			k);
		place(c, out, key, i);
	}
	if (r->n_shared > POLICY_GROUPS_MAX) {
		struct err *out = errs_next(c->errs);

		(void)err_set(out, ERR_INPUT, "lists %zu groups, at most %d",
			r->n_shared, POLICY_GROUPS_MAX);
		place(c, out, key, i);
	}
	if (r->max_qos > 2) {
		struct err *out = errs_next(c->errs);

		(void)err_set(out, ERR_INPUT, "max_qos must be 0, 1 or 2");
		place(c, out, key, i);
	}
}

struct ranked {
	const struct rule_spec *rule;
	size_t index;
};

static int number_cmp(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int groups_cmp(const struct rule_spec *a, const struct rule_spec *b)
{
	int c = number_cmp(a->n_shared, b->n_shared);
	size_t i;

	for (i = 0; c == 0 && i < a->n_shared; i++)
		c = str_cmp(a->shared[i], b->shared[i]);
	return c;
}

/* 0: the same rule. */
static int rule_cmp(const struct rule_spec *a, const struct rule_spec *b)
{
	int c = str_cmp(a->topic, b->topic);

	if (c == 0)
		c = number_cmp(a->max_qos, b->max_qos);
	if (c == 0)
		c = number_cmp(a->retain, b->retain);
	if (c == 0)
		c = number_cmp(a->max_bytes, b->max_bytes);
	return c != 0 ? c : groups_cmp(a, b);
}

static int ranked_cmp(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int c = rule_cmp(x->rule, y->rule);

	return c != 0 ? c : number_cmp(x->index, y->index);
}

/* Each rule that repeats an earlier one of its list. Equal rules are
 * neighbours once sorted. */
static void duplicates_check(struct check *c, const struct rule_spec *rules,
	size_t n, const char *key)
{
	struct ranked *sorted = calloc(n + 1, sizeof(*sorted));
	size_t i;

	if (sorted == NULL) {
		(void)err_set(
			errs_next(c->errs), ERR_ENVIRONMENT, "out of memory");
		return;
	}
	for (i = 0; i < n; i++)
		sorted[i] = (struct ranked){&rules[i], i};
	qsort(sorted, n, sizeof(*sorted), ranked_cmp);
	for (i = 1; i < n; i++) {
		struct err *e;

		if (rule_cmp(sorted[i - 1].rule, sorted[i].rule) != 0)
			continue;
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT, "is the same as %s[%zu]: drop one",
			key, sorted[i - 1].index);
		place(c, e, key, sorted[i].index);
	}
	free(sorted);
}

static void rules_check(struct check *c, const struct rule_spec *rules,
	size_t n, const char *key)
{
	size_t i;

	if (n > POLICY_RULES_MAX) {
		struct err *e = errs_next(c->errs);

		(void)err_set(e, ERR_INPUT, "has %zu rules, at most %d", n,
			POLICY_RULES_MAX);
		place(c, e, key, SIZE_MAX);
		return;
	}
	for (i = 0; i < n; i++)
		rule_check(c, &rules[i], key, i);
	duplicates_check(c, rules, n, key);
}

static bool id_byte(char c)
{
	return device_id_valid((struct str){(const char[]){'a', c}, 2});
}

/* True for what a client id may not hold behind ${device}: wildcards, and
 * what looks like another variable. */
static bool client_id_bars(char c)
{
	return c == '+' || c == '#' || c == '{' || c == '}';
}

/*
 * `${device}`, or that and literal text that starts with a byte no device id
 * has, so that one device's client ids never equal another's; '*' only last.
 */
static bool client_id_check(struct str id, struct err *e)
{
	const struct str device = STR("${device}");
	struct str rest;
	size_t i;

	if (id.n < device.n || memcmp(id.p, device.p, device.n) != 0)
		return err_set(e, ERR_INPUT,
			"a client id starts with ${device}, so that no device "
			"can take another's session");
	rest = (struct str){id.p + device.n, id.n - device.n};
	if (rest.n == 0)
		return true;
	if (id_byte(rest.p[0]) || rest.p[0] == '*' || rest.p[0] == '$')
		return err_set(e, ERR_INPUT,
			"after ${device} comes a character that no device id "
			"has, such as '/' or '~'");
	for (i = 0; i < rest.n; i++)
		if (client_id_bars(rest.p[i]) ||
			(rest.p[i] == '*' && i + 1 != rest.n))
			return err_set(e, ERR_INPUT,
				"'%c' cannot stand here; a '*' may end the "
				"client id",
				rest.p[i]);
	if (!utf8_valid(rest))
		return err_set(e, ERR_INPUT,
			"holds a control character, or is not valid UTF-8");
	return true;
}

static void client_ids_check(struct check *c, const struct class_spec *s)
{
	size_t i;

	for (i = 0; i < s->n_client_ids; i++) {
		struct err e = {0};
		struct err *out;

		if (client_id_check(s->client_ids[i], &e))
			continue;
		out = errs_next(c->errs);
		if (out != NULL)
			*out = e;
		place(c, out, "client_ids", i);
	}
}

static size_t class_index(const struct policy_spec *spec, struct str name)
{
	size_t i;

	for (i = 0; i < spec->n_classes; i++)
		if (str_eq(spec->classes[i].name, name))
			break;
	return i;
}

/* A depth-first search's view of a class. */
enum colour {
	UNSEEN = 0,
	OPEN, /* on the path at hand */
	DONE,
};

/* True when no include below class I leads back onto the path to it. */
static bool includes_end(
	const struct policy_spec *spec, size_t i, enum colour *colour)
{
	const struct class_spec *s = &spec->classes[i];
	size_t k;

	if (colour[i] != UNSEEN)
		return colour[i] == DONE;
	colour[i] = OPEN;
	for (k = 0; k < s->n_include; k++)
		if (!includes_end(
			    spec, class_index(spec, s->include[k]), colour))
			return false;
	colour[i] = DONE;
	return true;
}

static void cycles_check(struct check *c)
{
	enum colour *colour = calloc(c->spec->n_classes + 1, sizeof(*colour));
	struct err *e;

	if (colour == NULL) {
		(void)err_set(
			errs_next(c->errs), ERR_ENVIRONMENT, "out of memory");
		return;
	}
	for (c->class = 0; c->class < c->spec->n_classes; c->class ++) {
		if (includes_end(c->spec, c->class, colour))
			continue;
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT,
			"the classes include one another "
			"in a circle");
		place(c, e, "include", SIZE_MAX);
		break;
	}
	free(colour);
}

static void includes_check(struct check *c, const struct class_spec *s)
{
	struct err *e;
	size_t i;

	for (i = 0; i < s->n_include; i++) {
		if (class_index(c->spec, s->include[i]) < c->spec->n_classes)
			continue;
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT, "there is no class '%.*s'",
			STR_ARG(s->include[i]));
		place(c, e, "include", i);
	}
}

static void limits_check(struct check *c, const struct class_spec *s)
{
	struct err *e;
	int l;

	for (l = 0; l < LIMITS; l++) {
		if (s->limits.max[l] <= limit_most((enum limit)l))
			continue;
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT, "%s is at most %llu",
			limit_key((enum limit)l),
			(unsigned long long)limit_most((enum limit)l));
		place(c, e, "limits", SIZE_MAX);
	}
}

static void class_check(struct check *c, const struct class_spec *s)
{
	limits_check(c, s);
	rules_check(c, s->publish, s->n_publish, "publish");
	rules_check(c, s->subscribe, s->n_subscribe, "subscribe");
	client_ids_check(c, s);
	includes_check(c, s);
}

static void name_check(struct check *c, const struct class_spec *s)
{
	struct err *e;

	if (!class_name_valid(s->name)) {
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT,
			"'%.*s' is not a class name: a letter or digit, then "
			"letters, digits, '.', '_' or '-', at most %d",
			STR_ARG(s->name), CLASS_NAME_MAX);
		policy_check_place(e, c->spec, c->class);
	} else if (class_index(c->spec, s->name) != c->class) {
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT, "there are two classes '%.*s'",
			STR_ARG(s->name));
		policy_check_place(e, c->spec, c->class);
	}
}

/* What the whole broker does. A key that means nothing while it enforces is a
 * fault: whoever reads it would believe it. */
static void broker_check(struct check *c)
{
	const struct policy_spec *s = c->spec;
	struct err *e;

	if (!s->observe && s->has_fallback) {
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT,
			"means something with \"mode\": \"observe\" only; "
			"remove the key");
		(void)err_at(e, "fallback");
	}
	if (!s->observe && s->unknown.p != NULL) {
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT,
			"an unregistered certificate is taken in with "
			"\"mode\": \"observe\" only; remove the key");
		(void)err_at(e, "unknown");
	}
	if (s->observe && s->unknown.p != NULL &&
		class_index(s, s->unknown) == s->n_classes) {
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT, "there is no class '%.*s'",
			STR_ARG(s->unknown));
		(void)err_at(e, "unknown.class");
	}
}

void policy_check(const struct policy_spec *spec, struct errs *errs)
{
	struct check c = {spec, errs, 0};
	struct err *e;

	if (spec->n_classes > POLICY_CLASSES_MAX) {
		e = errs_next(errs);
		(void)err_set(e, ERR_INPUT, "%zu classes, at most %d",
			spec->n_classes, POLICY_CLASSES_MAX);
		(void)err_at(e, "classes");
		return;
	}
	for (; c.class < spec->n_classes; c.class ++) {
		const struct class_spec *s = &spec->classes[c.class];

		name_check(&c, s);
		if (s->n_include > POLICY_INCLUDES_MAX) {
			e = errs_next(errs);
			(void)err_set(e, ERR_INPUT,
				"includes %zu classes, "
				"at most %d",
				s->n_include, POLICY_INCLUDES_MAX);
			place(&c, e, "include", SIZE_MAX);
			continue;
		}
		class_check(&c, s);
	}
	class_check(&c, &spec->quarantine);
	broker_check(&c);
	if (errs->n == 0)
		cycles_check(&c);
}
