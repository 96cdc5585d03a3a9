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

#define CHUNK_SIZE ((size_t)16 * 1024)

/* N zeroed items of SIZE bytes that live as long as the trie; NULL when out of
 * memory. */
static void *trie_alloc(struct trie *t, size_t n, size_t size)
{
	size_t want = (n * size + 15) / 16 * 16;
	size_t room = want > CHUNK_SIZE ? want : CHUNK_SIZE;
	struct trie_chunk *chunk;
	void *p;

	if (want > t->n_free) {
		chunk = calloc(1, 16 + room);
		if (chunk == NULL)
			return NULL;
		chunk->next = t->chunks;
		t->chunks = chunk;
		t->free = (char *)chunk + 16;
		t->n_free = room;
	}
	p = t->free;
	t->free += want;
	t->n_free -= want;
	return p;
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

/* How many groups of R are of KIND at this node. */
static size_t count_kind(
	const struct build *b, struct range r, enum level_kind kind)
{
	struct piece pieces[PIECES_MAX];
	size_t count = 0, n, i;

	for (i = r.begin; i < r.end; i = group_end(b, i, r.end))
		count += kind_of(b->level[i], pieces, &n) == kind;
	return count;
}

/* A node in the making: its tables, writable still. */
struct making {
	struct trie_node *node;
	struct trie_slot *slots;
	struct trie_pattern *patterns;
	/* what its children cost: at most one literal's, all the others' */
	uint64_t literal, others;
};

/* A table of at least four times as many slots as R has literal levels: a
 * look-up always meets an empty one, and mostly soon. */
static bool slots_make(struct build *b, struct range r, struct making *m)
{
	size_t literals = count_kind(b, r, LEVEL_LITERAL);
	size_t size = 4;
	uint8_t shift = 62;

	if (literals == 0)
		return true;
	while (size < 4 * literals) {
		size *= 2;
		shift--;
	}
	m->slots = trie_alloc(b->t, size, sizeof(*m->slots));
	m->node->slots = m->slots;
	m->node->mask = (uint32_t)size - 1;
	m->node->shift = shift;
	return m->slots != NULL;
}

/* False: no room was made, so nothing was counted. */
static bool slot_put(
	struct making *m, struct str text, const struct trie_node *child)
{
	struct token token = token_of(text);
	size_t i = token_hash(&token) >> m->node->shift;

	if (m->slots == NULL)
		return false;
	while (m->slots[i].node != NULL)
		i = (i + 1) & m->node->mask;
	m->slots[i] = (struct trie_slot){token, child};
	return true;
}

static bool patterns_make(struct build *b, struct range r, struct making *m)
{
	size_t n = count_kind(b, r, LEVEL_PATTERN);

	if (n == 0)
		return true;
	m->patterns = trie_alloc(b->t, n, sizeof(*m->patterns));
	m->node->patterns = m->patterns;
	return m->patterns != NULL;
}

static bool pattern_put(struct making *m,
	const struct piece pieces[static PIECES_MAX], size_t n,
	const struct trie_node *child)
{
	struct trie_pattern *p;

	if (m->patterns == NULL)
		return false;
	p = &m->patterns[m->node->n_patterns++];
	memcpy(p->pieces, pieces, n * sizeof(pieces[0]));
	p->n = (uint8_t)n;
	p->alone = n == 1 ? (uint8_t)pieces[0].var : VAR_NONE;
	p->node = child;
	return true;
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

static const struct trie_node *node_build(
	struct build *b, struct range r, uint64_t *worst);

/* Makes the child of M for the group R, all of whose levels are one. */
static bool child_build(struct build *b, struct making *m, struct range r)
{
	struct piece pieces[PIECES_MAX];
	struct str text = b->level[r.begin];
	const struct trie_node *child;
	uint64_t worst = 0;
	size_t n;
	enum level_kind kind = kind_of(text, pieces, &n);

	if (kind == LEVEL_HASH) {
		m->node->hashes = b->t->rules + r.begin;
		m->node->hashes_end = b->t->rules + r.end;
		return true;
	}
	child = node_build(b, r, &worst);
	if (child == NULL)
		return false;
	if (kind == LEVEL_PLUS)
		m->node->plus = child;
	else if (kind == LEVEL_PATTERN ? !pattern_put(m, pieces, n, child)
				       : !slot_put(m, text, child))
		return false;
	if (kind != LEVEL_LITERAL)
		m->others += worst;
	else if (worst > m->literal)
		m->literal = worst;
	return true;
}

static enum trie_shape shape_of(const struct trie_node *x)
{
	if (x->hashes != NULL || x->plus != NULL)
		return SHAPE_MIXED;
	if (x->slots != NULL)
		return x->n_patterns == 0 ? SHAPE_LITERALS : SHAPE_MIXED;
	return x->n_patterns == 1 && x->patterns->alone == VAR_DEVICE
		       ? SHAPE_DEVICE
		       : SHAPE_MIXED;
}

/* The node for the rules R; NULL when out of memory. */
static const struct trie_node *node_build(
	struct build *b, struct range r, uint64_t *worst)
{
	struct range below = {r.begin + advance(b, r), r.end};
	struct making m = {
		.node = trie_alloc(b->t, 1, sizeof(struct trie_node))};
	size_t i, end;

	if (m.node == NULL || !slots_make(b, below, &m) ||
		!patterns_make(b, below, &m))
		return NULL;
	m.node->first = lowest(b, r);
	m.node->ends = b->t->rules + r.begin;
	m.node->ends_end = b->t->rules + below.begin;
	for (i = below.begin; i < below.end; i = end) {
		end = group_end(b, i, below.end);
		if (!child_build(b, &m, (struct range){i, end}))
			return NULL;
	}
	m.node->shape = (uint8_t)shape_of(m.node);
	i = (size_t)(m.node->ends_end - m.node->ends) +
	    (size_t)(m.node->hashes_end - m.node->hashes);
	*worst = (i > 1 ? i : 1) + m.literal + m.others;
	return m.node;
}

static bool build_all(struct trie *t)
{
	struct build b = {.t = t};
	size_t i;

	b.cursor = calloc(t->n_rules + 1, sizeof(*b.cursor));
	b.level = calloc(t->n_rules + 1, sizeof(*b.level));
	if (b.cursor != NULL && b.level != NULL) {
		for (i = 0; i < t->n_rules; i++)
			b.cursor[i] = levels_of(t->rules[i].topic);
		t->root = node_build(
			&b, (struct range){0, t->n_rules}, &t->worst);
	}
	free(b.cursor);
	free(b.level);
	return t->root != NULL;
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
	struct trie_chunk *chunk, *next;

	if (*t == NULL)
		return;
	for (chunk = (*t)->chunks; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free((*t)->rules);
	free(*t);
	*t = NULL;
}

uint64_t trie_worst(const struct trie *t)
{
	return t->worst;
}
