/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_diff.h"

#include "cli/class_text.h"
#include "cli/policy_gap.h"
#include "core/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ the lines */

struct lines {
	size_t n, cap;
	struct diff_line *line;
};

static void lines_take(struct lines *t, struct diff_line line)
{
	if (t->n == t->cap) {
		size_t cap = t->cap != 0 ? 2 * t->cap : 16;
		struct diff_line *more = need_memory(cap, sizeof(*more));

		if (t->n != 0)
			memcpy(more, t->line, t->n * sizeof(*more));
		free(t->line);
		t->line = more;
		t->cap = cap;
	}
	t->line[t->n++] = line;
}

static void lines_free(struct diff_line *line, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(line[i].text);
		free(line[i].example);
	}
	free(line);
}

static int by_text(const void *a, const void *b)
{
	const struct diff_line *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static void lines_sort(struct lines *t)
{
	if (t->n != 0)
		qsort(t->line, t->n, sizeof(*t->line), by_text);
}

/* "WORD VALUE", for which EXAMPLE may stand. */
static void add_line(struct lines *t, const char *word, const char *value,
	const char *example)
{
	size_t n = strlen(word) + strlen(value) + 2;
	char *text = need_memory(n, 1);

	(void)snprintf(text, n, "%s %s", word, value);
	lines_take(t, (struct diff_line){text,
			      example != NULL ? need_copy(example) : NULL});
}

static void add(struct lines *t, const char *word, const char *value)
{
	add_line(t, word, value, NULL);
}

/* ------------------------------------------------- what is said beside rules */

static void add_limit(void *ctx, enum limit limit, uint64_t max)
{
	char key[40], value[24];

	(void)snprintf(key, sizeof(key), "limits.%s", limit_key(limit));
	(void)snprintf(value, sizeof(value), "%" PRIu64, max);
	add(ctx, key, value);
}

/* What a class says beside its rules. */
static void add_class(
	struct lines *t, const struct policy *p, const struct policy_class *c)
{
	char id[1200];

	for (size_t i = 0; explain_client_id(c, i, NULL, id, sizeof(id)) != 0;
		i++)
		add(t, "client_ids", id);
	for (unsigned k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		if ((explain_sim_require(c) >> k & 1) != 0)
			add(t, "sim.require", simid_name((enum simid_kind)k));
	}
	if (policy_class_on_deny(c) == ON_DENY_DISCONNECT)
		add(t, "on_deny", "disconnect");
	if (policy_class_observes(c))
		add(t, "mode", mode_text(true));
	else if (policy_observes(p, NULL) && !policy_observes(p, c))
		add(t, "mode", mode_text(false));
	class_limits_each(c, add_limit, t);
}

/* What a policy says of the whole broker. */
static void add_broker(struct lines *t, const struct policy *p)
{
	struct str unknown = policy_unknown(p);
	char class[CLASS_NAME_MAX + 1];

	if (!policy_observes(p, NULL))
		return;
	add(t, "mode", mode_text(true));
	add(t, "fallback", fallback_text(policy_fallback(p)));
	if (unknown.n == 0)
		return;
	(void)snprintf(class, sizeof(class), "%.*s", STR_ARG(unknown));
	add(t, "unknown.class", class);
}

/* Moves what A alone has into *only_a, and so for B. */
static void compare(struct lines a, struct lines b, struct lines *only_a,
	struct lines *only_b)
{
	size_t i = 0, k = 0;

	lines_sort(&a);
	lines_sort(&b);
	while (i < a.n || k < b.n) {
		int order = i == a.n   ? 1
			    : k == b.n ? -1
				       : by_text(&a.line[i], &b.line[k]);

		if (order < 0) {
			lines_take(only_a, a.line[i++]);
		} else if (order > 0) {
			lines_take(only_b, b.line[k++]);
		} else {
			free(a.line[i++].text);
			free(b.line[k++].text);
		}
	}
	free(a.line);
	free(b.line);
}

/* ------------------------------------------------------------------- the rules */

struct rule_lines {
	const char *word;
	struct lines *lines;
};

static void add_rule(void *ctx, const char *rule, const char *example)
{
	const struct rule_lines *r = ctx;

	add_line(r->lines, r->word, rule, example);
}

static void add_rules(
	const struct policy_pair *x, struct lines *lost, struct lines *gained)
{
	static const enum action actions[] = {ACTION_PUBLISH, ACTION_SUBSCRIBE};

	for (size_t i = 0; i < 2; i++) {
		struct rule_lines gone = {action_name(actions[i]), lost};
		struct rule_lines new = {action_name(actions[i]), gained};

		policy_pair_lost(x, actions[i], add_rule, &gone);
		policy_pair_gained(x, actions[i], add_rule, &new);
	}
}

/* --------------------------------------------------------------- the classes */

struct two {
	const struct policy *old, *new;
};

/* Appends what became of class NAME, if anything did; both are NULL for the
 * quarantine. */
static void diff_class(struct policy_diff *d, const struct two *p,
	struct str name, const struct policy_class *before,
	const struct policy_class *after)
{
	bool quarantine = before == NULL && after == NULL;
	struct policy_pair *x =
		policy_pair_new(p->old, before, p->new, after, quarantine);
	struct lines old = {0}, new = {0}, lost = {0}, gained = {0};
	struct class_diff *c = &d->classes[d->n];

	if (before != NULL)
		add_class(&old, p->old, before);
	if (after != NULL)
		add_class(&new, p->new, after);
	compare(old, new, &lost, &gained);
	add_rules(x, &lost, &gained);
	policy_pair_free(&x);
	lines_sort(&lost);
	lines_sort(&gained);
	if (!quarantine && (before == NULL || after == NULL))
		c->change = before == NULL ? CLASS_ADDED : CLASS_REMOVED;
	else if (lost.n == 0 && gained.n == 0)
		return;
	c->name = need_memory(name.n + 1, 1);
	memcpy(c->name, name.p, name.n);
	c->gained = gained.line;
	c->n_gained = gained.n;
	c->lost = lost.line;
	c->n_lost = lost.n;
	d->n++;
}

/* The same for the whole broker. */
static void diff_broker(struct policy_diff *d, const struct two *p)
{
	struct lines old = {0}, new = {0}, lost = {0}, gained = {0};
	struct class_diff *c = &d->classes[d->n];

	add_broker(&old, p->old);
	add_broker(&new, p->new);
	compare(old, new, &lost, &gained);
	if (lost.n == 0 && gained.n == 0)
		return;
	c->name = need_copy(POLICY_DIFF_BROKER);
	c->gained = gained.line;
	c->n_gained = gained.n;
	c->lost = lost.line;
	c->n_lost = lost.n;
	d->n++;
}

static int by_name(const void *a, const void *b)
{
	const struct class_diff *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void policy_diff_make(const struct policy *old, const struct policy *new,
	struct policy_diff *out)
{
	const struct two p = {old, new};
	size_t n_old = policy_n_classes(old), n_new = policy_n_classes(new);
	struct policy_diff d = {0};

	d.classes = need_memory(n_old + n_new + 2, sizeof(*d.classes));
	for (size_t i = 0; i < n_old; i++) {
		const struct policy_class *c = policy_class_at(old, i);

		diff_class(&d, &p, policy_class_name(c), c,
			policy_class_find(new, policy_class_name(c)));
	}
	for (size_t i = 0; i < n_new; i++) {
		const struct policy_class *c = policy_class_at(new, i);

		if (policy_class_find(old, policy_class_name(c)) == NULL)
			diff_class(&d, &p, policy_class_name(c), NULL, c);
	}
	if (d.n != 0)
		qsort(d.classes, d.n, sizeof(*d.classes), by_name);
	diff_class(&d, &p, STR("quarantine"), NULL, NULL);
	diff_broker(&d, &p);
	*out = d;
}

void policy_diff_fini(struct policy_diff *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->classes[i].name);
		lines_free(d->classes[i].gained, d->classes[i].n_gained);
		lines_free(d->classes[i].lost, d->classes[i].n_lost);
	}
	free(d->classes);
	*d = (struct policy_diff){.n = 0};
}

/* --------------------------------------------------------------------- output */

static const char *const change_names[] = {
	[CLASS_CHANGED] = "changed",
	[CLASS_ADDED] = "added",
	[CLASS_REMOVED] = "removed",
};

static void print_lines(
	const char *sign, const struct diff_line *line, size_t n)
{
	for (size_t i = 0; i < n && output_ok(); i++) {
		(void)printf("  %s ", sign);
		print_text(stdout, line[i].text);
		if (line[i].example != NULL) {
			(void)printf("\n      %s ",
				sign[0] == '+' ? "now:" : "no longer:");
			print_text(stdout, line[i].example);
		}
		(void)putchar('\n');
	}
}

void policy_diff_print(const struct policy_diff *d)
{
	for (size_t i = 0; i < d->n && output_ok(); i++) {
		const struct class_diff *c = &d->classes[i];

		(void)printf("%s %s\n", c->name, change_names[c->change]);
		print_lines("-", c->lost, c->n_lost);
		print_lines("+", c->gained, c->n_gained);
	}
}

/* The texts as KEY, the examples into EXAMPLES. */
static void json_lines(cJSON *o, cJSON *examples, const char *key,
	const struct diff_line *line, size_t n)
{
	cJSON *list = json_array(o, key), *item;

	for (size_t i = 0; i < n; i++) {
		json_push(list, cJSON_CreateString(line[i].text));
		if (line[i].example == NULL)
			continue;
		item = json_new();
		json_str(item, "change", key);
		json_str(item, "rule", line[i].text);
		json_str(item, "example", line[i].example);
		json_push(examples, item);
	}
}

void policy_diff_json(cJSON *o, const struct policy_diff *d)
{
	cJSON *list = json_array(o, "changes");

	for (size_t i = 0; i < d->n; i++) {
		const struct class_diff *c = &d->classes[i];
		cJSON *one = json_new(), *examples;

		json_str(one, "class", c->name);
		json_str(one, "change", change_names[c->change]);
		examples = cJSON_CreateArray();
		json_lines(one, examples, "lost", c->lost, c->n_lost);
		json_lines(one, examples, "gained", c->gained, c->n_gained);
		cJSON_AddItemToObject(one, "examples", examples);
		json_push(list, one);
	}
}
