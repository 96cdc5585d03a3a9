/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trie.h"

#include "core/level.h"
#include "core/policy.h"
#include "core/topic.h"
#include "core/trie_path.h"
#include "core/trie_private.h"

/* A node to visit, and what is left of the topic there. */
struct frame {
	const struct trie_node *node;
	struct level_cursor at;
	uint32_t depth;
};

/* The nodes yet to visit. trie_worst() bounds how many there can be. */
struct stack {
	size_t n;
	struct frame frame[TRIE_WORST_MAX];
};

static inline void push(struct stack *s, struct frame f)
{
	/* Beyond the bound nothing is pushed: what is not visited cannot
	 * allow. policy_compile() has refused such a policy. */
	if (f.node != NULL && s->n < TRIE_WORST_MAX)
		s->frame[s->n++] = f;
}

/* A topic and its end, and one level of it. */
struct view {
	const char *base, *end;
	const char *p;
	size_t n;
};

static inline bool device_is(const struct device *d, const char *p, size_t n)
{
	if (n != d->id_len || n == 0)
		return false;
	if (n >= 8)
		return bytes_equal8(p, d->id, n);
	return memcmp(p, d->id, n) == 0;
}

static inline bool pattern_match(const struct trie_pattern *p,
	const struct device *device, const struct view *level)
{
	size_t value;

	if (p->alone == VAR_DEVICE)
		return device_is(device, level->p, level->n);
	return pieces_match(p->pieces, p->n, device,
		(struct str){level->p, level->n}, &value);
}

/* True when the rule R, whose levels match, is as good as its template: the
 * same attribute has one value throughout, and bytes that only '+' or '#' let
 * through are valid. Other rules match bytes that were checked when the policy
 * and the device were. */
static bool rule_holds(
	const struct trie_rule *r, const struct device *d, struct str topic)
{
	return (!r->repeats || template_agrees(r->topic, d, topic)) &&
	       (!r->wild || topic_valid(topic));
}

static inline struct decision refuse(enum reason reason, uint32_t rule)
{
	return (struct decision){VERDICT_REFUSED, (uint8_t)reason, rule};
}

static inline struct decision allow(uint32_t rule)
{
	return (struct decision){VERDICT_ALLOWED, REASON_ALLOWED, rule};
}

/* A walk of trie_match. answer: the first rule that matched but for its
 * limits, until one allows. */
struct match {
	const struct trie *t;
	const struct device *d;
	const struct request *what;
	struct str topic;
	struct decision answer;
};

/* Tries the rules from R to END, which match the topic's levels. True when
 * one allows. */
static inline bool rules_allow(
	struct match *m, const struct trie_rule *r, const struct trie_rule *end)
{
	for (; r < end; r++) {
		enum reason reason = limits_reason(r, m->what);

		if (!rule_holds(r, m->d, m->topic))
			continue;
		if (reason == REASON_ALLOWED) {
			m->answer = allow(r->number);
			return true;
		}
		if (m->answer.reason == REASON_NO_RULE)
			m->answer = refuse(reason, r->number);
	}
	return false;
}

/* The child of X over LEVEL; further ones are pushed as NEXT, which is where
 * the topic goes on. NULL when there is none. '+' is the caller's. */
static inline const struct trie_node *child_of(const struct trie_node *x,
	const struct device *d, const struct view *level, struct frame next,
	struct stack *s)
{
	uint32_t i;

	next.node = NULL;
	if (x->slots != NULL)
		next.node = literal_child(
			x, (struct token){level->p, level->n,
				   token_head(level->base, level->end, level->p,
					   level->n)});
	for (i = 0; i < x->n_patterns; i++) {
		const struct trie_pattern *p = &x->patterns[i];

		if (!pattern_match(p, d, level))
			continue;
		push(s, next);
		next.node = p->node;
	}
	return next.node;
}

static struct frame match_start(const struct match *m)
{
	return (struct frame){m->t->root,
		level_cursor_at(m->topic.p, m->topic.p + m->topic.n), 0};
}

/* Takes F on to a child of its node, and pushes further ones. False when
 * there is none, or the topic ends here. WILD: '+' may match. */
static inline bool step(
	const struct match *m, struct frame *f, bool wild, struct stack *s)
{
	struct view level = {m->topic.p, m->topic.p + m->topic.n, NULL, 0};
	const struct trie_node *x = f->node;

	if (f->at.p == NULL)
		return false;
	level_take(&f->at, level.end, &level.p, &level.n);
	f->depth++;
	if (x->plus != NULL && wild)
		push(s, (struct frame){x->plus, f->at, f->depth});
	f->node = child_of(x, m->d, &level, *f, s);
	return f->node != NULL;
}

/* Walks the paths that the topic spells until a rule allows it. One path, as
 * there mostly is, never touches the stack. */
static bool match_walk(struct match *m)
{
	struct frame f = match_start(m);
	bool wild = *m->topic.p != '$';
	struct stack s;

	s.n = 0;
	for (;;) {
		const struct trie_node *x = f.node;

		if (x->hashes != NULL && wild &&
			rules_allow(m, x->hashes, x->hashes_end))
			return true;
		if (f.at.p == NULL && rules_allow(m, x->ends, x->ends_end))
			return true;
		if (!step(m, &f, wild, &s)) {
			if (s.n == 0)
				return false;
			f = s.frame[--s.n];
		}
		wild = true;
	}
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

/* Pushes the children of F's node over the level there. */
static void push_children(
	const struct match *m, struct stack *s, const struct frame *f)
{
	struct frame next = *f;

	if (step(m, &next, f->depth != 0 || *m->topic.p != '$', s))
		push(s, next);
}

/* The nearest rule to a topic that no rule matches: a second walk, so that
 * allowed ones pay nothing for it. */
static uint32_t match_nearest(const struct match *m)
{
	struct nearest best = {0, RULE_NONE, false};
	struct stack s;

	s.n = 0;
	push(&s, match_start(m));
	while (s.n != 0) {
		struct frame f = s.frame[--s.n];

		nearest_note(&best, f.node, f.depth, false);
		if (f.at.p != NULL)
			push_children(m, &s, &f);
	}
	return best.number;
}

/* What trie_match() does when the fast path does not say yes. */
static __attribute__((noinline)) struct decision match_slow(
	const struct trie *t, const struct device *d,
	const struct request *what)
{
	struct match m = {t, d, what, what->topic,
		{VERDICT_REFUSED, REASON_NO_RULE, RULE_NONE}};

	if (m.topic.n != 0 && match_walk(&m))
		return m.answer;
	if (!topic_valid(m.topic))
		return refuse(REASON_MALFORMED, RULE_NONE);
	if (m.answer.reason == REASON_NO_RULE)
		m.answer.rule = match_nearest(&m);
	return m.answer;
}

struct decision trie_match(const struct trie *t, const struct device *d,
	const struct request *what)
{
	const struct trie_rule *r = match_path(t, d, what);

	if (r != NULL)
		return allow(r->number);
	return match_slow(t, d, what);
}

/*
 * A walk of trie_cover. fixed: the levels before a trailing '#', or all.
 * For a filter with '#', every length n from `least` on must be matched: bit n
 * of `exact` says that a rule of n levels does, and all lengths from `open` on
 * are by a '#' rule.
 */
struct cover {
	struct match m; /* topic: the filter */
	struct str group;
	uint8_t qos;
	uint32_t fixed, least;
	bool hash;
	uint64_t exact;
	uint32_t open;
	struct nearest nearest;
	struct decision limit; /* a rule that matched but for its limits */
	uint32_t number;       /* the rule that covers, when one does */
};

static bool group_served(const struct trie_rule *r, struct str group)
{
	uint16_t i;

	for (i = 0; i < r->n_shared; i++)
		if (str_eq(r->shared[i], group))
			return true;
	return group.n == 0;
}

/* The first rule from R to END that serves the query; NULL if none. */
static const struct trie_rule *rules_serve(
	struct cover *c, const struct trie_rule *r, const struct trie_rule *end)
{
	for (; r < end; r++) {
		if (!group_served(r, c->group))
			continue;
		if (r->repeats &&
			!template_agrees(r->topic, c->m.d, c->m.topic))
			continue;
		if (c->qos <= r->max_qos)
			return r;
		if (c->limit.reason == REASON_NO_RULE)
			c->limit = refuse(REASON_QOS, r->number);
	}
	return NULL;
}

/* Notes what the rules at X, DEPTH levels down, match. */
static void cover_node(
	struct cover *c, const struct trie_node *x, uint32_t depth, bool wild)
{
	const struct trie_rule *r =
		wild ? rules_serve(c, x->hashes, x->hashes_end) : NULL;

	if (r != NULL && depth < c->open) {
		c->open = depth;
		c->number = r->number;
	}
	if (depth < c->fixed)
		return;
	r = rules_serve(c, x->ends, x->ends_end);
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
	while (x->plus != NULL) {
		x = x->plus;
		cover_node(c, x, ++depth, true);
	}
}

/* A '+' of the filter follows '+' alone, too. */
static void cover_plus(
	const struct cover *c, struct stack *s, const struct frame *f)
{
	struct frame next = *f;
	const char *p;
	size_t n;

	level_take(&next.at, c->m.topic.p + c->m.topic.n, &p, &n);
	next.node = f->node->plus;
	next.depth++;
	push(s, next);
}

static void cover_walk(struct cover *c)
{
	const char *end = c->m.topic.p + c->m.topic.n;
	struct stack s;

	s.n = 0;
	push(&s, match_start(&c->m));
	while (s.n != 0) {
		struct frame f = s.frame[--s.n];
		bool plus = f.at.p != NULL && f.at.p != end && *f.at.p == '+';
		bool last = c->hash && f.depth == c->fixed;

		cover_node(c, f.node, f.depth,
			f.depth != 0 || *c->m.topic.p != '$');
		nearest_note(&c->nearest, f.node, f.depth, plus || last);
		if (last)
			cover_fresh(c, f.node, f.depth);
		else if (plus)
			cover_plus(c, &s, &f);
		else if (f.depth < c->fixed)
			push_children(&c->m, &s, &f);
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

struct decision trie_cover(const struct trie *t, const struct device *d,
	struct str filter, struct str group, uint8_t qos)
{
	struct cover c = {.m = {.t = t, .d = d, .topic = filter},
		.group = group,
		.qos = qos,
		.hash = filter.p[filter.n - 1] == '#',
		.open = UINT32_MAX,
		.nearest = {0, RULE_NONE, false},
		.limit = refuse(REASON_NO_RULE, RULE_NONE),
		.number = RULE_NONE};

	c.fixed = (uint32_t)levels_count(filter) - c.hash;
	c.least = c.fixed != 0 ? c.fixed : 1;
	/* "/#": its g_1 would be the empty topic, which nobody can publish */
	if (c.hash && c.fixed == 1 && filter.p[0] == '/')
		c.least = 2;
	cover_walk(&c);
	if (covered(&c))
		return allow(
			!c.hash || c.open <= c.least ? c.number : RULE_NONE);
	if (c.limit.reason != REASON_NO_RULE)
		return c.limit;
	return refuse(c.nearest.wild ? REASON_FILTER_TOO_WIDE : REASON_NO_RULE,
		c.nearest.number);
}
