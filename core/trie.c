/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trie.h"

#include "core/level.h"
#include "core/policy.h"
#include "core/topic.h"
#include "core/trie_private.h"

/* A node to visit, and the level of the topic that its children stand for;
 * NULL when the topic has no more. */
struct frame {
	uint32_t node;
	uint32_t depth;
	const char *p;
};

/* The nodes yet to visit. trie_worst() bounds how many there can be. */
struct stack {
	size_t n;
	struct frame frame[TRIE_WORST_MAX];
};

static inline void push(
	struct stack *s, uint32_t node, uint32_t depth, const char *p)
{
	/* Beyond the bound nothing is pushed: what is not visited cannot
	 * allow. policy_compile() has refused such a policy. */
	if (node != 0 && s->n < TRIE_WORST_MAX)
		s->frame[s->n++] = (struct frame){node, depth, p};
}

static inline uint32_t literal_child(const struct trie *t,
	const struct trie_node *x, const struct token *level)
{
	const struct trie_slot *table;
	size_t i;

	if (x->literals == 0)
		return 0;
	table = &t->slots[x->slots];
	i = token_hash(level) & x->mask;
	while (table[i].node != 0 && !token_equal(&table[i].text, level))
		i = (i + 1) & x->mask;
	return table[i].node;
}

static inline bool device_is(const struct device *d, const struct token *level)
{
	if (level->n != d->id_len || level->n == 0)
		return false;
	if (level->n >= 8)
		return bytes_equal8(level->p, d->id, level->n);
	return memcmp(level->p, d->id, level->n) == 0;
}

static inline bool pattern_match(const struct trie_pattern *p,
	const struct device *device, const struct token *level)
{
	size_t value;

	if (p->alone == VAR_DEVICE)
		return device_is(device, level);
	return pieces_match(p->pieces, p->n, device,
		(struct str){level->p, level->n}, &value);
}

static inline const char *after(const struct token *level, const char *end)
{
	return level->p + level->n == end ? NULL : level->p + level->n + 1;
}

/* Pushes the children of X that LEVEL leads to. WILD: '+' may match it. */
static inline void push_children(struct stack *s, const struct trie *t,
	const struct trie_node *x, const struct trie_query *q,
	const struct frame *f, bool wild)
{
	const char *end = q->topic.p + q->topic.n;
	struct token level = token_at(q->topic.p, f->p, end);
	const char *next = after(&level, end);
	uint32_t i;

	if (wild)
		push(s, x->plus, f->depth + 1, next);
	for (i = 0; i < x->n_patterns; i++) {
		const struct trie_pattern *p = &t->patterns[x->patterns + i];

		if (pattern_match(p, q->device, &level))
			push(s, p->node, f->depth + 1, next);
	}
	push(s, literal_child(t, x, &level), f->depth + 1, next);
}

static enum reason limits_reason(
	const struct trie_rule *r, const struct trie_query *q)
{
	if (q->any_limit)
		return REASON_ALLOWED;
	if (q->qos > r->max_qos)
		return REASON_QOS;
	if (q->retain && !r->retain)
		return REASON_RETAIN;
	if (q->payload_len > r->max_bytes)
		return REASON_SIZE;
	return REASON_ALLOWED;
}

/*
 * Tries the N rules at BEGIN, which match the topic. True when one allows.
 * A rule without wildcards matches bytes that were checked when the policy
 * and the device were; only '+' and '#' let a topic's own bytes through.
 */
static bool rules_allow(const struct trie *t, const struct trie_query *q,
	uint32_t begin, uint32_t n, struct trie_answer *a)
{
	uint32_t i;

	for (i = begin; i < begin + n; i++) {
		const struct trie_rule *r = &t->rules[i];
		enum reason reason = limits_reason(r, q);

		if (r->repeats &&
			!template_agrees(r->topic, q->device, q->topic))
			continue;
		if (reason == REASON_ALLOWED && r->wild &&
			!topic_valid(q->topic))
			return false;
		if (reason == REASON_ALLOWED || a->reason == REASON_NO_RULE)
			*a = (struct trie_answer){reason, r->number};
		if (reason == REASON_ALLOWED)
			return true;
	}
	return false;
}

/* The nearest rule so far, and how deep its node lies. */
struct nearest {
	uint32_t depth, number;
	bool wild; /* the request's own wildcard went no further there */
};

static void nearest_note(
	struct nearest *best, const struct trie_node *x, uint32_t depth, bool w)
{
	if (best->number != RULE_NONE && depth < best->depth)
		return;
	if (best->number != RULE_NONE && depth == best->depth) {
		best->wild = best->wild || w;
		if (x->first < best->number)
			best->number = x->first;
		return;
	}
	*best = (struct nearest){depth, x->first, w};
}

/* The nearest rule to a topic that no rule matches: a second walk, so that
 * allowed ones pay nothing for it. */
static struct trie_answer match_nearest(
	const struct trie *t, const struct trie_query *q)
{
	bool dollar = q->topic.p[0] == '$';
	struct nearest best = {0, RULE_NONE, false};
	struct stack s;

	s.n = 1;
	s.frame[0] = (struct frame){0, 0, q->topic.p};
	while (s.n != 0) {
		struct frame f = s.frame[--s.n];
		const struct trie_node *x = &t->nodes[f.node];

		nearest_note(&best, x, f.depth, false);
		if (f.p != NULL)
			push_children(&s, t, x, q, &f, f.depth != 0 || !dollar);
	}
	return (struct trie_answer){REASON_NO_RULE, best.number};
}

struct trie_answer trie_match(const struct trie *t, const struct trie_query *q)
{
	struct trie_answer a = {REASON_NO_RULE, RULE_NONE};
	bool dollar = q->topic.n != 0 && q->topic.p[0] == '$';
	struct stack s;

	s.n = 1;
	s.frame[0] = (struct frame){0, 0, q->topic.p};
	while (s.n != 0 && q->topic.n != 0) {
		struct frame f = s.frame[--s.n];
		const struct trie_node *x = &t->nodes[f.node];
		bool wild = f.depth != 0 || !dollar;

		if (x->n_hashes != 0 && wild &&
			rules_allow(t, q, x->hashes, x->n_hashes, &a))
			return a;
		if (f.p != NULL)
			push_children(&s, t, x, q, &f, wild);
		else if (x->n_ends != 0 &&
			 rules_allow(t, q, x->ends, x->n_ends, &a))
			return a;
	}
	if (!topic_valid(q->topic))
		return (struct trie_answer){REASON_MALFORMED, RULE_NONE};
	return a.reason == REASON_NO_RULE ? match_nearest(t, q) : a;
}

/*
 * A walk of trie_cover. fixed: the levels before a trailing '#', or all.
 * For a filter with '#', every length n from `least` on must be matched: bit n
 * of `exact` says that a rule of n levels does, and all lengths from `open` on
 * are by a '#' rule.
 */
struct cover {
	const struct trie *t;
	const struct trie_query *q;
	uint32_t fixed, least;
	bool hash;
	uint64_t exact;
	uint32_t open;
	struct nearest nearest;
	struct trie_answer limit; /* a rule that matched but for its limits */
	uint32_t number;          /* the rule that covers, when one does */
};

static bool group_served(const struct trie_rule *r, struct str group)
{
	uint16_t i;

	for (i = 0; i < r->n_shared; i++)
		if (str_eq(r->shared[i], group))
			return true;
	return group.n == 0;
}

/* The first of N rules at BEGIN that serves the query; NULL if none. */
static const struct trie_rule *rules_serve(
	struct cover *c, uint32_t begin, uint32_t n)
{
	uint32_t i;

	for (i = begin; i < begin + n; i++) {
		const struct trie_rule *r = &c->t->rules[i];

		if (!group_served(r, c->q->group))
			continue;
		if (r->repeats &&
			!template_agrees(r->topic, c->q->device, c->q->topic))
			continue;
		if (c->q->qos <= r->max_qos)
			return r;
		if (c->limit.reason == REASON_NO_RULE)
			c->limit = (struct trie_answer){REASON_QOS, r->number};
	}
	return NULL;
}

/* Notes what the rules at X, DEPTH levels down, match. */
static void cover_node(
	struct cover *c, const struct trie_node *x, uint32_t depth, bool wild)
{
	const struct trie_rule *r =
		wild ? rules_serve(c, x->hashes, x->n_hashes) : NULL;

	if (r != NULL && depth < c->open) {
		c->open = depth;
		c->number = r->number;
	}
	if (depth < c->fixed)
		return;
	r = rules_serve(c, x->ends, x->n_ends);
	if (r != NULL) {
		c->exact |= UINT64_C(1) << depth;
		if (!c->hash)
			c->number = r->number;
	}
}

/* A fresh level follows '+' alone: the rules below X that match longer g_n. */
static void cover_fresh(
	struct cover *c, const struct trie_node *x, uint32_t depth)
{
	while (x->plus != 0) {
		x = &c->t->nodes[x->plus];
		cover_node(c, x, ++depth, true);
	}
}

static void cover_walk(struct cover *c)
{
	const struct trie_query *q = c->q;
	bool dollar = q->topic.p[0] == '$';
	struct stack s;

	s.n = 1;
	s.frame[0] = (struct frame){0, 0, q->topic.p};
	while (s.n != 0) {
		struct frame f = s.frame[--s.n];
		const struct trie_node *x = &c->t->nodes[f.node];
		bool wild = f.depth != 0 || !dollar;
		bool plus = f.p != NULL && f.p != q->topic.p + q->topic.n &&
			    *f.p == '+';
		bool last = c->hash && f.depth == c->fixed;

		cover_node(c, x, f.depth, wild);
		nearest_note(&c->nearest, x, f.depth, plus || last);
		if (last)
			cover_fresh(c, x, f.depth);
		else if (plus)
			push(&s, x->plus, f.depth + 1,
				f.depth + 1 == c->fixed ? NULL : f.p + 2);
		else if (f.depth < c->fixed)
			push_children(&s, c->t, x, q, &f, wild);
	}
}

static bool covered(const struct cover *c)
{
	uint32_t n;

	if (!c->hash)
		return c->open <= c->fixed ||
		       (c->fixed <= POLICY_LEVELS_MAX &&
			       (c->exact >> c->fixed & 1) != 0);
	if (c->open == UINT32_MAX)
		return false;
	for (n = c->least; n < c->open; n++)
		if ((c->exact >> n & 1) == 0)
			return false;
	return true;
}

struct trie_answer trie_cover(const struct trie *t, const struct trie_query *q)
{
	struct cover c = {.t = t, .q = q, .open = UINT32_MAX};
	uint32_t levels = (uint32_t)levels_count(q->topic);

	c.hash = q->topic.p[q->topic.n - 1] == '#';
	c.fixed = c.hash ? levels - 1 : levels;
	c.least = c.fixed != 0 ? c.fixed : 1;
	/* "/#": its g_1 would be the empty topic, which nobody can publish */
	if (c.hash && c.fixed == 1 && q->topic.p[0] == '/')
		c.least = 2;
	c.limit = (struct trie_answer){REASON_NO_RULE, RULE_NONE};
	c.number = RULE_NONE;
	c.nearest.number = RULE_NONE;
	cover_walk(&c);
	if (covered(&c))
		return (struct trie_answer){REASON_ALLOWED,
			!c.hash || c.open <= c.least ? c.number : RULE_NONE};
	if (c.limit.reason != REASON_NO_RULE)
		return c.limit;
	return (struct trie_answer){
		c.nearest.wild ? REASON_FILTER_TOO_WIDE : REASON_NO_RULE,
		c.nearest.number};
}
