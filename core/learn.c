/* SPDX-License-Identifier: Apache-2.0 */
#include "core/learn.h"

#include "core/learn_private.h"
#include "core/learn_template.h"
#include "core/topic.h"

#include <stdlib.h>

const char *learn_why_name(enum learn_why w)
{
	static const char *const names[] = {
		[LEARN_RULE] = "rule",
		[LEARN_FEW] = "few",
		[LEARN_HASH] = "hash",
		[LEARN_RETAIN] = "retain",
		[LEARN_BROKER] = "broker",
		[LEARN_ODD] = "odd",
	};

	return names[w];
}

static int by_pointer(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order =
		str_cmp(str_from(x->o->device->id), str_from(y->o->device->id));

	return order != 0 ? order : str_cmp(x->o->topic, y->o->topic);
}

/* Why no rule can be made of R; LEARN_RULE: one can. */
static enum learn_why unfit(const struct row *r)
{
	if (r->o->topic.n == 0 || r->o->topic.p[0] == '$')
		return LEARN_BROKER;
	if (is_variable(r->o->topic) ||
		levels_count(r->o->topic) > POLICY_LEVELS_MAX)
		return LEARN_ODD;
	return LEARN_RULE;
}

static bool make_rows(
	const struct observation *o, size_t n, struct row *row, size_t *devices)
{
	for (size_t i = 0; i < n; i++)
		row[i].o = &o[i];
	qsort(row, n, sizeof *row, by_pointer);
	*devices = 0;
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || !str_eq(str_from(row[i].o->device->id),
				      str_from(row[i - 1].o->device->id)))
			++*devices;
		row[i].device = (uint32_t)*devices;
		row[i].text = learn_template(row[i].o->topic, row[i].o->device);
		if (row[i].text == NULL)
			return false;
		row[i].rest = levels_of(str_from(row[i].text));
	}
	return true;
}

static bool is_unfit(const struct row *r)
{
	return unfit(r) != LEARN_RULE;
}

static bool is_publish(const struct row *r)
{
	return r->o->action == ACTION_PUBLISH;
}

/* True when another rule allows all that rule I does. Of two that say the same
 * the later one is needless. */
static bool is_needless(const struct learned_set *s, size_t i)
{
	const struct learned *a = &s->item[i];
	struct str topic = str_from(a->topic);

	for (size_t k = 0; k < s->n; k++) {
		const struct learned *b = &s->item[k];
		struct str other = str_from(b->topic);

		if (k == i || b->why != LEARN_RULE || b->action != a->action ||
			b->qos < a->qos || (a->retain && !b->retain) ||
			!filter_covered(topic, &other, 1))
			continue;
		if (k < i || !filter_covered(other, &topic, 1))
			return true;
	}
	return false;
}

static int by_item(const void *a, const void *b)
{
	const struct learned *x = a, *y = b;
	int order = (x->why != LEARN_RULE) - (y->why != LEARN_RULE);

	if (order == 0)
		order = (int)x->action - (int)y->action;
	if (order == 0)
		order = str_cmp(str_from(x->topic), str_from(y->topic));
	return order != 0 ? order : (int)x->why - (int)y->why;
}

static void finish(struct learned_set *s)
{
	size_t n = 0;

	if (s->n != 0)
		qsort(s->item, s->n, sizeof *s->item, by_item);
	for (size_t i = 0; i < s->n; i++) {
		/* Marked as none, so that no later one goes by it. */
		if (s->item[i].why != LEARN_RULE || !is_needless(s, i)) {
			s->n_rules += s->item[i].why == LEARN_RULE;
			continue;
		}
		s->item[i].why = LEARN_FEW;
		free(s->item[i].topic);
		s->item[i].topic = NULL;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->item[i].topic != NULL)
			s->item[n++] = s->item[i];
	s->n = n;
}

/* All of them: what no rule can say, then each action by itself. */
static void learn_all(struct learner *l, struct row *row, size_t n)
{
	size_t odd = learn_pick(row, n, is_unfit, l->spare), publish;

	for (size_t i = 0; i < odd; i++)
		(void)learn_note(
			l, str_from(row[i].text), &row[i], 1, unfit(&row[i]));
	row += odd;
	n -= odd;
	publish = learn_pick(row, n, is_publish, l->spare);
	learn_rows(l, row, publish, 0, 0);
	learn_rows(l, row + publish, n - publish, 0, 0);
}

bool learn(const struct observation *o, size_t n,
	const struct learn_options *options, struct learned_set *out,
	struct err *e)
{
	struct learned_set set = {0};
	struct learner l = {.options = *options, .out = &set};
	struct row *row = calloc(n + 1, sizeof *row);

	l.spare = calloc(n + 1, sizeof *l.spare);
	l.mark = calloc(n + 1, sizeof *l.mark);
	if (row == NULL || l.spare == NULL || l.mark == NULL ||
		!make_rows(o, n, row, &set.devices)) {
		l.no_memory = true;
	} else {
		l.least = (set.devices * options->share_pct + 99) / 100;
		if (l.least < 2)
			l.least = set.devices < 2 ? 1 : 2;
		learn_all(&l, row, n);
	}
	for (size_t i = 0; row != NULL && i < n; i++)
		free(row[i].text);
	free(row);
	free(l.spare);
	free(l.mark);
	if (l.no_memory) {
		learned_fini(&set);
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	}
	finish(&set);
	*out = set;
	return true;
}

void learned_fini(struct learned_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->item[i].topic);
	free(s->item);
	*s = (struct learned_set){0};
}
