/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_gap.h"

#include "cli/output.h"
#include "core/device.h"
#include "core/explain.h"
#include "core/level.h"
#include "core/template.h"
#include "core/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT, RIGHT, SIDES };
enum { PUBLISH, SUBSCRIBE, DIRECTIONS };

/* A rule of one side, for the device. */
struct grant {
	uint32_t rule;
	const struct rule_spec *spec;
	struct str filter; /* given: free() its p */
};

struct grants {
	size_t n;
	struct grant *list;
};

struct policy_pair {
	const struct policy *policy[SIDES];
	struct grants of[SIDES][DIRECTIONS];
	struct device device;
	size_t marks; /* '<' at the start of a value */
};

#define MARKS_MAX 16u

/* ---------------------------------------------------------------- the device */

/* "<WORD>", with as many '<' as no template has in a row. */
static char *value(const struct policy_pair *x, const char *word, size_t n)
{
	char *text = need_memory(x->marks + n + 2, 1);

	memset(text, '<', x->marks);
	memcpy(text + x->marks, word, n);
	text[x->marks + n] = '>';
	return text;
}

static void note_marks(struct policy_pair *x, struct str topic)
{
	size_t in_a_row = 0;

	for (size_t i = 0; i < topic.n; i++) {
		in_a_row = topic.p[i] == '<' ? in_a_row + 1 : 0;
		if (in_a_row >= x->marks && x->marks < MARKS_MAX)
			x->marks = in_a_row + 1;
	}
}

static bool has_attr(const struct device *d, struct str name)
{
	for (size_t i = 0; i < d->n_attrs; i++) {
		if (str_eq(d->attrs[i].name, name))
			return true;
	}
	return false;
}

static void add_attr(struct policy_pair *x, struct str name)
{
	struct device *d = &x->device;
	struct attr *more;
	char word[ATTR_NAME_MAX + 8];

	if (has_attr(d, name))
		return;
	more = need_memory((size_t)d->n_attrs + 1, sizeof(*more));
	if (d->n_attrs != 0)
		memcpy(more, d->attrs, d->n_attrs * sizeof(*more));
	free(d->attrs);
	d->attrs = more;
	(void)snprintf(word, sizeof(word), "attr.%.*s", STR_ARG(name));
	more[d->n_attrs].name = name;
	more[d->n_attrs++].value = str_from(value(x, word, strlen(word)));
}

/* The attributes that TOPIC names; their names are views of it. */
static void add_attrs(struct policy_pair *x, struct str topic)
{
	struct levels cursor = levels_of(topic);
	struct str level;

	while (levels_next(&cursor, &level)) {
		struct piece pieces[PIECES_MAX];
		enum level_kind kind;
		size_t n = 0;

		if (!level_parse(level, &kind, pieces, &n, NULL))
			continue;
		for (size_t i = 0; kind == LEVEL_PATTERN && i < n; i++) {
			if (pieces[i].var == VAR_ATTR)
				add_attr(x, pieces[i].text);
		}
	}
}

static void copy_value(
	const struct policy_pair *x, const char *word, char *out, size_t cap)
{
	char *text = value(x, word, strlen(word));

	(void)snprintf(out, cap, "%s", text);
	free(text);
}

static void make_device(struct policy_pair *x, struct str class_name)
{
	struct device *d = &x->device;

	copy_value(x, "device", d->id, sizeof(d->id));
	d->id_len = (uint8_t)strlen(d->id);
	if (class_name.n != 0)
		(void)snprintf(d->class_name, sizeof(d->class_name), "%.*s",
			STR_ARG(class_name));
	else
		copy_value(x, "class", d->class_name, sizeof(d->class_name));
	for (unsigned k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		struct simid *id = &d->sim[k];

		id->kind = (uint8_t)k;
		copy_value(x, simid_name((enum simid_kind)k), id->digits,
			sizeof(id->digits));
		id->n = (uint8_t)strlen(id->digits);
	}
}

/* ------------------------------------------------------------------- the rules */

static struct grants list_rules(const struct policy *p,
	const struct policy_class *c, enum action action)
{
	struct grants g = {.n = 0};
	uint32_t *rules = explain_rules(p, c, action, &g.n);

	if (rules == NULL)
		rules = need_memory(SIZE_MAX, 1); /* ends the program */
	g.list = need_memory(g.n + 1, sizeof(*g.list));
	for (size_t i = 0; i < g.n; i++) {
		g.list[i].rule = rules[i];
		g.list[i].spec = explain_rule(p, rules[i]);
	}
	free(rules);
	return g;
}

static void expand(const struct policy_pair *x, struct grants *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct str topic = g->list[i].spec->topic, missing;
		size_t n = explain_expand(
			topic, &x->device, false, NULL, 0, &missing);
		char *text = need_memory(n + 1, 1);

		(void)explain_expand(
			topic, &x->device, false, text, n + 1, &missing);
		g->list[i].filter = (struct str){text, n};
	}
}

struct policy_pair *policy_pair_new(const struct policy *a,
	const struct policy_class *ac, const struct policy *b,
	const struct policy_class *bc, bool quarantine)
{
	struct policy_pair *x = need_memory(1, sizeof(*x));
	const struct policy_class *c[SIDES] = {ac, bc};
	struct str name = {NULL, 0};

	x->marks = 1;
	x->policy[LEFT] = a;
	x->policy[RIGHT] = b;
	for (int s = LEFT; s < SIDES; s++) {
		if (c[s] == NULL && !quarantine)
			continue;
		if (c[s] != NULL)
			name = policy_class_name(c[s]);
		x->of[s][PUBLISH] =
			list_rules(x->policy[s], c[s], ACTION_PUBLISH);
		x->of[s][SUBSCRIBE] =
			list_rules(x->policy[s], c[s], ACTION_SUBSCRIBE);
	}
	for (int i = 0; i < SIDES * DIRECTIONS; i++) {
		const struct grants *g = &x->of[i / DIRECTIONS][i % DIRECTIONS];

		for (size_t k = 0; k < g->n; k++)
			note_marks(x, g->list[k].spec->topic);
	}
	make_device(x, name);
	for (int i = 0; i < SIDES * DIRECTIONS; i++) {
		struct grants *g = &x->of[i / DIRECTIONS][i % DIRECTIONS];

		for (size_t k = 0; k < g->n; k++)
			add_attrs(x, g->list[k].spec->topic);
		expand(x, g);
	}
	return x;
}

/* Given out as const by struct str, taken back here. */
static void text_free(struct str s)
{
	union {
		const char *in;
		char *out;
	} p = {s.p};

	free(p.out);
}

void policy_pair_free(struct policy_pair **x)
{
	struct policy_pair *y = *x;

	if (y == NULL)
		return;
	*x = NULL;
	for (int i = 0; i < SIDES * DIRECTIONS; i++) {
		struct grants *g = &y->of[i / DIRECTIONS][i % DIRECTIONS];

		for (size_t k = 0; k < g->n; k++)
			text_free(g->list[k].filter);
		free(g->list);
	}
	for (size_t i = 0; i < y->device.n_attrs; i++)
		text_free(y->device.attrs[i].value);
	free(y->device.attrs);
	free(y);
}

/* --------------------------------------------------------------------- the gap */

static bool serves(const struct rule_spec *r, struct str group)
{
	for (size_t i = 0; i < r->n_shared; i++) {
		if (str_eq(r->shared[i], group))
			return true;
	}
	return group.n == 0;
}

/* R lets through at least what WANT does, of the topics it matches. */
static bool as_wide(const struct rule_spec *r, const struct rule_spec *want,
	bool publish, struct str group)
{
	if (r->max_qos < want->max_qos || !serves(r, group))
		return false;
	return !publish || (r->max_bytes >= want->max_bytes &&
				   (r->retain || !want->retain));
}

/* The number of levels of a topic that G grants and OTHER does not; 0: none. */
static size_t gap(const struct grant *g, const struct grants *other,
	bool publish, struct str group)
{
	struct str *rules = need_memory(other->n + 1, sizeof(*rules));
	size_t n = 0, levels;

	for (size_t i = 0; i < other->n; i++) {
		if (as_wide(other->list[i].spec, g->spec, publish, group))
			rules[n++] = other->list[i].filter;
	}
	levels = filter_gap(g->filter, rules, n);
	free(rules);
	return levels;
}

/* G's filter as a topic of N levels, into OUT, which has room. */
static size_t write_topic(
	const struct policy_pair *x, const struct grant *g, size_t n, char *out)
{
	struct levels cursor = levels_of(g->filter);
	char *any = value(x, "any", 3);
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		struct str level = {NULL, 0};
		bool more = levels_next(&cursor, &level);
		bool wild = !more ||
			    (level.n == 1 &&
				    (level.p[0] == '+' || level.p[0] == '#'));
		struct str text = wild ? str_from(any) : level;

		if (i != 0)
			out[used++] = '/';
		memcpy(out + used, text.p, text.n);
		used += text.n;
	}
	free(any);
	return used;
}

#define EXAMPLE_MORE 200u /* bytes of what stands behind or before a topic */

/* "m/<device>/<any>, QoS 1, retained, 512 bytes". Given: free(). */
static char *example(const struct policy_pair *x, const struct grant *g,
	size_t levels, bool publish, struct str group)
{
	const struct rule_spec *r = g->spec;
	size_t cap =
		g->filter.n + levels * (MARKS_MAX + 8) + group.n + EXAMPLE_MORE;
	char *text = need_memory(cap, 1);
	size_t n = 0;

	if (group.n != 0)
		n = (size_t)snprintf(text, cap, "$share/%.*s/", STR_ARG(group));
	n += write_topic(x, g, levels, text + n);
	n += (size_t)snprintf(text + n, cap - n, ", QoS %u", r->max_qos);
	if (publish && r->retain)
		n += (size_t)snprintf(text + n, cap - n, ", retained");
	if (publish && r->max_bytes != POLICY_BYTES_MAX)
		(void)snprintf(
			text + n, cap - n, ", %" PRIu32 " bytes", r->max_bytes);
	return text;
}

/* An example of what G grants and OTHER does not, or NULL. Given: free(). */
static char *find_gap(const struct policy_pair *x, const struct grant *g,
	const struct grants *other, bool publish)
{
	const struct rule_spec *r = g->spec;
	struct str group = {NULL, 0};
	size_t levels = gap(g, other, publish, group);

	for (size_t i = 0; levels == 0 && !publish && i < r->n_shared; i++) {
		group = r->shared[i];
		levels = gap(g, other, publish, group);
	}
	return levels != 0 ? example(x, g, levels, publish, group) : NULL;
}

static void compare(const struct policy_pair *x, int side, enum action action,
	void (*each)(void *ctx, const char *rule, const char *example),
	void *ctx)
{
	bool publish = action == ACTION_PUBLISH;
	int direction = publish ? PUBLISH : SUBSCRIBE;
	const struct grants *mine = &x->of[side][direction];
	const struct grants *other = &x->of[SIDES - 1 - side][direction];

	for (size_t i = 0; i < mine->n; i++) {
		const struct grant *g = &mine->list[i];
		char *text = find_gap(x, g, other, publish), *json;
		size_t n;

		if (text == NULL)
			continue;
		n = explain_rule_json(x->policy[side], g->rule, NULL, 0);
		json = need_memory(n + 1, 1);
		(void)explain_rule_json(x->policy[side], g->rule, json, n + 1);
		each(ctx, json, text);
		free(json);
		free(text);
	}
}

void policy_pair_lost(const struct policy_pair *x, enum action action,
	void (*each)(void *ctx, const char *rule, const char *example),
	void *ctx)
{
	compare(x, LEFT, action, each, ctx);
}

void policy_pair_gained(const struct policy_pair *x, enum action action,
	void (*each)(void *ctx, const char *rule, const char *example),
	void *ctx)
{
	compare(x, RIGHT, action, each, ctx);
}
