/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path of trie_match(): a topic whose way through the trie forks
 * nowhere. It only ever says yes; whatever it does not know, match_walk() in
 * trie.c finds out. For trie.c alone, which shares the look-up of a child.
 */
#ifndef CORE_TRIE_PATH_H
#define CORE_TRIE_PATH_H

#include "core/trie_private.h"

static inline const struct trie_slot *next_slot(
	const struct trie_node *x, const struct trie_slot *slot)
{
	return x->slots + ((size_t)(slot - x->slots + 1) & x->mask);
}

/* The child of X over TOKEN, of more than eight bytes. */
static inline const struct trie_node *long_child(
	const struct trie_node *x, struct token token)
{
	const struct trie_slot *slot =
		x->slots + (token_hash(&token) >> x->shift);

	while (!token_equal(&slot->text, &token)) {
		if (slot->node == NULL)
			return NULL;
		slot = next_slot(x, slot);
	}
	return slot->node;
}

/* The child of X over TOKEN, or NULL. X has literal children. */
static inline const struct trie_node *literal_child(
	const struct trie_node *x, struct token token)
{
	const struct trie_slot *slot;

	if (token.n > 8)
		return long_child(x, token);
	slot = x->slots + (token_hash8(token.head, token.n) >> x->shift);
	while (slot->text.head != token.head || slot->text.n != token.n) {
		if (slot->node == NULL)
			return NULL;
		slot = next_slot(x, slot);
	}
	return slot->node;
}

static inline enum reason limits_reason(
	const struct trie_rule *r, const struct request *what)
{
	if (what->action == ACTION_RECEIVE)
		return REASON_ALLOWED;
	if (what->qos > r->max_qos)
		return REASON_QOS;
	if (what->retain && !r->retain)
		return REASON_RETAIN;
	if (what->payload_len > r->max_bytes)
		return REASON_SIZE;
	return REASON_ALLOWED;
}

/* A topic of these lengths has its slashes in one word, and room for whole
 * loads of its levels. */
#define PATH_MIN 16u
#define PATH_MAX (SLASH_WINDOW - 1)

/* head_mask() by look-up: for levels of a topic of at most PATH_MAX bytes. */
#define ONES8                                                                  \
	UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,            \
		UINT64_MAX, UINT64_MAX, UINT64_MAX
static const uint64_t path_masks[SLASH_WINDOW] = {0, 0xff, 0xffff, 0xffffff,
	0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, ONES8,
	ONES8, ONES8, ONES8, ONES8, ONES8, ONES8};

/* token_head() of a topic of PATH_MIN to PATH_MAX bytes that ends eight bytes
 * after LAST. */
static inline uint64_t path_head(const char *p, size_t n, const char *last)
{
	uint64_t w = p <= last ? load64(p)
			       : load64(last) >> (8 * (size_t)(p - last) & 63);

	return w & path_masks[n];
}

/* True when the N bytes at P are D's id. */
static inline bool path_device(
	const struct device *d, const char *p, size_t n, const char *last)
{
	if (n != d->id_len)
		return false;
	if (n >= 8)
		return bytes_equal8(p, d->id, n);
	return path_head(p, n, last) == (load64(d->id) & path_masks[n]);
}

/*
 * The rule that allows WHAT, when the path to it forks nowhere: what most
 * topics that devices publish and receive meet, at a third of the price. NULL
 * says nothing: match_walk() finds out.
 */
static inline const struct trie_rule *match_path(const struct trie *t,
	const struct device *d, const struct request *what)
{
	const struct trie_node *x = t->root;
	const char *p = what->topic.p, *last = p + what->topic.n - 8;
	uint64_t bits;
	unsigned n;

	if (what->topic.n - PATH_MIN > PATH_MAX - PATH_MIN)
		return NULL;
	bits = slashes_long(p, what->topic.n) | UINT64_C(1) << what->topic.n;
	do {
		n = (unsigned)__builtin_ctzll(bits);
		if (x->shape == SHAPE_LITERALS) {
			x = literal_child(
				x, (struct token){p, n, path_head(p, n, last)});
			if (x == NULL)
				return NULL;
		} else if (x->shape == SHAPE_DEVICE &&
			   path_device(d, p, n, last)) {
			x = x->patterns->node;
		} else {
			return NULL;
		}
		p += n + 1;
		bits = bits >> n >> 1;
	} while (bits != 0);
	/* No '+', '#' or attribute led here, so rule_holds(). */
	if (x->ends == x->ends_end ||
		limits_reason(x->ends, what) != REASON_ALLOWED)
		return NULL;
	return x->ends;
}

#endif
