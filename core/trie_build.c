/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trie_private.h"

#include "core/level.h"
#include "core/policy.h"

#include <stdlib.h>

/*
 * Rules are sorted level by level, so that those below one node lie together
 * and a node is made from a range of them.
 */
struct build {
	struct trie *t;
	struct levels *cursor; /* by rule: what is left below this node */
	struct str *level;     /* by rule: its level at this node */
	size_t cap_nodes, cap_slots, cap_patterns;
};

/* The rules [begin, end), whose first levels are the same. */
struct range {
	size_t begin, end;
};

static int rule_cmp(const void *pa, const void *pb)
{
	const struct trie_rule *a = pa, *b = pb;
	struct levels ca = levels_of(a->topic), cb = levels_of(b->topic);
	struct str la, lb;

	for (;;) {
		bool more_a = levels_next(&ca, &la);
		bool more_b = levels_next(&cb, &lb);
		int c;

		if (!more_a || !more_b) {
			if (more_a != more_b)
				return more_a ? 1 : -1;
			return (a->number > b->number) -
			       (a->number < b->number);
		}
		c = str_cmp(la, lb);
		if (c != 0)
			return c;
	}
}

/* Room for N more of SIZE bytes each in *items, of which there are LEN. */
static bool reserve(
	void **items, size_t size, size_t len, size_t *cap, size_t n)
{
	size_t want = len + n;
	size_t new_cap = *cap != 0 ? *cap : 16;
	void *p;

	if (want <= *cap)
		return true;
	while (new_cap < want)
		new_cap *= 2;
	if (new_cap > UINT32_MAX / 2)
		return false;
	p = realloc(*items, new_cap * size);
	if (p == NULL)
		return false;
	memset((char *)p + *cap * size, 0, (new_cap - *cap) * size);
	*items = p;
	*cap = new_cap;
	return true;
}

static bool node_add(struct build *b, uint32_t *out)
{
	void *nodes = b->t->nodes;

	if (!reserve(&nodes, sizeof(*b->t->nodes), b->t->n_nodes, &b->cap_nodes,
		    1))
		return false;
	b->t->nodes = nodes;
	*out = (uint32_t)b->t->n_nodes++;
	return true;
}

static enum level_kind kind_of(
	struct str level, struct piece pieces[static PIECES_MAX], size_t *n)
{
	enum level_kind kind = LEVEL_LITERAL;

	/* template_check() has accepted it: what cannot be parsed, cannot
	 * be here, and as a literal would match its own text only. */
	if (!level_parse(level, &kind, pieces, n, NULL))
		return LEVEL_LITERAL;
	return kind;
}

/* The rules from BEGIN on whose level at this node is the same. */
static size_t group_end(const struct build *b, size_t begin, size_t end)
{
	size_t i = begin + 1;

	while (i < end && str_eq(b->level[i], b->level[begin]))
		i++;
	return i;
}

/* Moves the cursors of R one level on; returns how many had none left. */
static size_t advance(struct build *b, struct range r)
{
	size_t i, ended = 0;

	for (i = r.begin; i < r.end; i++)
		if (!levels_next(&b->cursor[i], &b->level[i]))
			ended++;
	return ended;
}

/* A table of twice as many slots as R has literal levels, so that a look-up
 * always meets an empty one. */
static bool slots_add(struct build *b, struct range r, uint32_t node)
{
	struct trie *t = b->t;
	struct piece pieces[PIECES_MAX];
	void *slots = t->slots;
	size_t literals = 0, size = 1, n, i;

	for (i = r.begin; i < r.end; i = group_end(b, i, r.end))
		literals += kind_of(b->level[i], pieces, &n) == LEVEL_LITERAL;
	if (literals == 0)
		return true;
	while (size < 2 * literals)
		size *= 2;
	if (!reserve(
		    &slots, sizeof(*t->slots), t->n_slots, &b->cap_slots, size))
		return false;
	t->slots = slots;
	t->nodes[node].slots = (uint32_t)t->n_slots;
	t->nodes[node].mask = (uint32_t)size - 1;
	t->nodes[node].literals = (uint32_t)literals;
	t->n_slots += size;
	return true;
}

static void slot_put(
	struct build *b, uint32_t node, struct str text, uint32_t child)
{
	struct trie_node *x = &b->t->nodes[node];
	struct trie_slot *table = &b->t->slots[x->slots];
	struct token token = token_of(text);
	size_t i = token_hash(&token) & x->mask;

	while (table[i].node != 0)
		i = (i + 1) & x->mask;
	table[i] = (struct trie_slot){token, child};
}

/* Makes room for R's patterns side by side: walks try them in turn. */
static bool patterns_add(struct build *b, struct range r, uint32_t node)
{
	struct trie *t = b->t;
	struct piece pieces[PIECES_MAX];
	void *patterns = t->patterns;
	size_t count = 0, n, i;

	for (i = r.begin; i < r.end; i = group_end(b, i, r.end))
		count += kind_of(b->level[i], pieces, &n) == LEVEL_PATTERN;
	if (!reserve(&patterns, sizeof(*t->patterns), t->n_patterns,
		    &b->cap_patterns, count))
		return false;
	t->patterns = patterns;
	t->nodes[node].patterns = (uint32_t)t->n_patterns;
	t->n_patterns += count;
	return true;
}

static void pattern_put(struct build *b, uint32_t node,
	const struct piece pieces[static PIECES_MAX], size_t n)
{
	struct trie_node *x = &b->t->nodes[node];
	struct trie_pattern *p = &b->t->patterns[x->patterns + x->n_patterns];

	memcpy(p->pieces, pieces, n * sizeof(pieces[0]));
	p->n = (uint8_t)n;
	p->alone = n == 1 ? (uint8_t)pieces[0].var : VAR_NONE;
	x->n_patterns++;
}

static uint32_t lowest(const struct build *b, struct range r)
{
	uint32_t first = RULE_NONE;
	size_t i;

	for (i = r.begin; i < r.end; i++)
		if (b->t->rules[i].number < first)
			first = b->t->rules[i].number;
	return first;
}

/* What the children of a node cost: at most one literal's, all the others. */
struct cost {
	uint64_t literal, others;
};

static bool node_build(
	struct build *b, struct range r, uint32_t *out, uint64_t *worst);

/* Makes the child of NODE for the group R, all of whose levels are one. */
static bool child_build(
	struct build *b, uint32_t node, struct range r, struct cost *cost)
{
	struct piece pieces[PIECES_MAX];
	struct str text = b->level[r.begin];
	size_t n;
	enum level_kind kind = kind_of(text, pieces, &n);
	uint64_t worst = 0;
	uint32_t child, at = 0;

	if (kind == LEVEL_HASH) {
		b->t->nodes[node].hashes = (uint32_t)r.begin;
		b->t->nodes[node].n_hashes = (uint32_t)(r.end - r.begin);
		return true;
	}
	if (kind == LEVEL_PATTERN) {
		at = b->t->nodes[node].patterns + b->t->nodes[node].n_patterns;
		pattern_put(b, node, pieces, n);
	}
	if (!node_build(b, r, &child, &worst))
		return false;
	if (kind == LEVEL_PATTERN)
		b->t->patterns[at].node = child;
	else if (kind == LEVEL_PLUS)
		b->t->nodes[node].plus = child;
	else
		slot_put(b, node, text, child);
	if (kind != LEVEL_LITERAL)
		cost->others += worst;
	else if (worst > cost->literal)
		cost->literal = worst;
	return true;
}

static bool node_build(
	struct build *b, struct range r, uint32_t *out, uint64_t *worst)
{
	struct cost cost = {0, 0};
	struct range below = {r.begin + advance(b, r), r.end};
	struct trie_node *x;
	uint64_t rules;
	size_t i, end;

	if (!node_add(b, out))
		return false;
	x = &b->t->nodes[*out];
	x->first = lowest(b, r);
	x->ends = (uint32_t)r.begin;
	x->n_ends = (uint32_t)(below.begin - r.begin);
	if (!slots_add(b, below, *out) || !patterns_add(b, below, *out))
		return false;
	for (i = below.begin; i < below.end; i = end) {
		end = group_end(b, i, below.end);
		if (!child_build(b, *out, (struct range){i, end}, &cost))
			return false;
	}
	x = &b->t->nodes[*out];
	rules = (uint64_t)x->n_ends + x->n_hashes;
	*worst = (rules > 1 ? rules : 1) + cost.literal + cost.others;
	return true;
}

static bool build_all(struct trie *t)
{
	struct build b = {.t = t};
	uint32_t root;
	size_t i;
	bool ok = false;

	b.cursor = calloc(t->n_rules + 1, sizeof(*b.cursor));
	b.level = calloc(t->n_rules + 1, sizeof(*b.level));
	if (b.cursor != NULL && b.level != NULL) {
		for (i = 0; i < t->n_rules; i++)
			b.cursor[i] = levels_of(t->rules[i].topic);
		ok = node_build(
			&b, (struct range){0, t->n_rules}, &root, &t->worst);
	}
	free(b.cursor);
	free(b.level);
	return ok;
}

struct trie *trie_new(const struct trie_rule *rules, size_t n)
{
	struct trie *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->rules = calloc(n + 1, sizeof(*t->rules));
	t->n_rules = n;
	if (t->rules == NULL) {
		trie_free(&t);
		return NULL;
	}
	if (n != 0) {
		memcpy(t->rules, rules, n * sizeof(*rules));
		qsort(t->rules, n, sizeof(*rules), rule_cmp);
	}
	if (!build_all(t))
		trie_free(&t);
	return t;
}

void trie_free(struct trie **t)
{
	if (*t == NULL)
		return;
	free((*t)->nodes);
	free((*t)->slots);
	free((*t)->patterns);
	free((*t)->rules);
	free(*t);
	*t = NULL;
}

uint64_t trie_worst(const struct trie *t)
{
	return t->worst;
}
