/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_diff.h"

#include "cli/class_text.h"
#include "core/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------- what a class grants, as texts */

struct texts {
	size_t n, cap;
	char **text;
};

static void texts_take(struct texts *t, char *text)
{
	if (t->n == t->cap) {
		size_t cap = t->cap != 0 ? 2 * t->cap : 16;
		char **more = need_memory(cap, sizeof(*more));

		if (t->n != 0)
			memcpy(more, t->text, t->n * sizeof(*more));
		free(t->text);
		t->text = more;
		t->cap = cap;
	}
	t->text[t->n++] = text;
}

static void texts_free(char **text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(text[i]);
	free(text);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "WORD VALUE" */
static void add(struct texts *t, const char *word, const char *value)
{
	size_t n = strlen(word) + strlen(value) + 2;
	char *text = need_memory(n, 1);

	(void)snprintf(text, n, "%s %s", word, value);
	texts_take(t, text);
}

static void add_rules(struct texts *t, const struct policy *p,
	const struct policy_class *c, enum action action)
{
	size_t n = 0;
	uint32_t *rules = explain_rules(p, c, action, &n);

	if (rules == NULL)
		rules = need_memory(1, sizeof(*rules)); /* ends the program */
	for (size_t i = 0; i < n; i++) {
		size_t len = explain_rule_json(p, rules[i], NULL, 0);
		char *json = need_memory(len + 1, 1);

		(void)explain_rule_json(p, rules[i], json, len + 1);
		add(t, action_name(action), json);
		free(json);
	}
	free(rules);
}

static void add_limit(void *ctx, enum limit limit, uint64_t max)
{
	char key[40], value[24];

	(void)snprintf(key, sizeof(key), "limits.%s", limit_key(limit));
	(void)snprintf(value, sizeof(value), "%" PRIu64, max);
	add(ctx, key, value);
}

/* What is not a rule; C is not the quarantine. */
static void add_class(struct texts *t, const struct policy_class *c)
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
	class_limits_each(c, add_limit, t);
}

/* All that P says of class C (NULL: the quarantine), sorted. */
static struct texts texts_of(
	const struct policy *p, const struct policy_class *c)
{
	struct texts t = {0};

	add_rules(&t, p, c, ACTION_PUBLISH);
	add_rules(&t, p, c, ACTION_SUBSCRIBE);
	if (c != NULL)
		add_class(&t, c);
	if (t.n != 0)
		qsort(t.text, t.n, sizeof(*t.text), by_text);
	return t;
}

/* ------------------------------------------------------------------ comparing */

/* Moves what A alone has into *only_a, and so for B. */
static void compare(struct texts a, struct texts b, struct texts *only_a,
	struct texts *only_b)
{
	size_t i = 0, k = 0;

	while (i < a.n || k < b.n) {
		int order = i == a.n   ? 1
			    : k == b.n ? -1
				       : strcmp(a.text[i], b.text[k]);

		if (order < 0) {
			texts_take(only_a, a.text[i++]);
		} else if (order > 0) {
			texts_take(only_b, b.text[k++]);
		} else {
			free(a.text[i++]);
			free(b.text[k++]);
		}
	}
	free(a.text);
	free(b.text);
}

/* Appends what became of one class, if anything did. A side is NULL where it
 * has no such class. */
static void diff_class(struct policy_diff *d, struct str name,
	enum class_change change, struct texts before, struct texts after)
{
	struct texts gained = {0}, lost = {0};
	struct class_diff *c;

	compare(before, after, &lost, &gained);
	if (change == CLASS_CHANGED && gained.n == 0 && lost.n == 0)
		return;
	c = &d->classes[d->n++];
	c->name = need_memory(name.n + 1, 1);
	memcpy(c->name, name.p, name.n);
	c->change = change;
	c->gained = gained.text;
	c->n_gained = gained.n;
	c->lost = lost.text;
	c->n_lost = lost.n;
}

static int by_name(const void *a, const void *b)
{
	const struct class_diff *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void policy_diff_make(const struct policy *old, const struct policy *new,
	struct policy_diff *out)
{
	const struct texts none = {0};
	size_t n_old = policy_n_classes(old), n_new = policy_n_classes(new);
	struct policy_diff d = {0};

	d.classes = need_memory(n_old + n_new + 1, sizeof(*d.classes));
	for (size_t i = 0; i < n_old; i++) {
		const struct policy_class *c = policy_class_at(old, i);
		struct str name = policy_class_name(c);
		const struct policy_class *other = policy_class_find(new, name);

		diff_class(&d, name,
			other != NULL ? CLASS_CHANGED : CLASS_REMOVED,
			texts_of(old, c),
			other != NULL ? texts_of(new, other) : none);
	}
	for (size_t i = 0; i < n_new; i++) {
		const struct policy_class *c = policy_class_at(new, i);

		if (policy_class_find(old, policy_class_name(c)) == NULL)
			diff_class(&d, policy_class_name(c), CLASS_ADDED, none,
				texts_of(new, c));
	}
	qsort(d.classes, d.n, sizeof(*d.classes), by_name);
	diff_class(&d, STR("quarantine"), CLASS_CHANGED, texts_of(old, NULL),
		texts_of(new, NULL));
	*out = d;
}

void policy_diff_fini(struct policy_diff *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->classes[i].name);
		texts_free(d->classes[i].gained, d->classes[i].n_gained);
		texts_free(d->classes[i].lost, d->classes[i].n_lost);
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

static void print_texts(const char *sign, char *const *text, size_t n)
{
	for (size_t i = 0; i < n && output_ok(); i++) {
		(void)printf("  %s ", sign);
		print_text(stdout, text[i]);
		(void)putchar('\n');
	}
}

void policy_diff_print(const struct policy_diff *d)
{
	for (size_t i = 0; i < d->n && output_ok(); i++) {
		const struct class_diff *c = &d->classes[i];

		(void)printf("%s %s\n", c->name, change_names[c->change]);
		print_texts("-", c->lost, c->n_lost);
		print_texts("+", c->gained, c->n_gained);
	}
}

static void json_texts(cJSON *o, const char *key, char *const *text, size_t n)
{
	cJSON *list = json_array(o, key);

	for (size_t i = 0; i < n; i++)
		json_push(list, cJSON_CreateString(text[i]));
}

void policy_diff_json(cJSON *o, const struct policy_diff *d)
{
	cJSON *list = json_array(o, "changes");

	for (size_t i = 0; i < d->n; i++) {
		const struct class_diff *c = &d->classes[i];
		cJSON *item = json_new();

		json_str(item, "class", c->name);
		json_str(item, "change", change_names[c->change]);
		json_texts(item, "lost", c->lost, c->n_lost);
		json_texts(item, "gained", c->gained, c->n_gained);
		json_push(list, item);
	}
}
