/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One topic level as the trie compares it: its first eight bytes as a word,
 * zero padded, and its length. Reading a word never leaves the topic, and a
 * level of up to eight bytes is compared in two instructions.
 */
#ifndef CORE_TOKEN_H
#define CORE_TOKEN_H

#include "core/str.h"

#include <stdint.h>

struct token {
	const char *p;
	size_t n;
	uint64_t head;
};

static inline uint64_t load64(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* Up to eight bytes from P, below END, zero padded; the byte at P lowest.
 * BASE <= P is the start of readable memory. */
static inline uint64_t word_at(const char *base, const char *p, const char *end)
{
	size_t left = (size_t)(end - p);
	uint64_t w = 0;

	if (left >= 8)
		return load64(p);
	if (end - base >= 8)
		return left != 0 ? load64(end - 8) >> (8 * (8 - left)) : 0;
	while (left-- > 0)
		w = w << 8 | (unsigned char)p[left];
	return w;
}

/* The lowest byte of W that is '/': its top bit set; 0 if there is none. Bits
 * above the lowest may be set falsely. */
static inline uint64_t slash_mask(uint64_t w)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t x = w ^ ones * (uint64_t)'/';

	return (x - ones) & ~x & ones << 7;
}

/* The level that starts at P in the text [BASE, END). */
static inline struct token token_at(
	const char *base, const char *p, const char *end)
{
	uint64_t head = word_at(base, p, end);
	uint64_t mask = slash_mask(head);
	const char *q = p;
	uint64_t w = head;

	if (mask != 0) {
		unsigned bits = (unsigned)__builtin_ctzll(mask) & ~7u;

		head &= ~(~UINT64_C(0) << bits);
		return (struct token){p, bits / 8, head};
	}
	while (mask == 0 && end - q > 8) {
		q += 8;
		w = word_at(base, q, end);
		mask = slash_mask(w);
	}
	q = mask != 0 ? q + (unsigned)__builtin_ctzll(mask) / 8 : end;
	return (struct token){p, (size_t)(q - p), head};
}

/* The token of a whole text that stands alone. */
static inline struct token token_of(struct str s)
{
	return (struct token){
		s.p, s.n, s.n != 0 ? word_at(s.p, s.p, s.p + s.n) : 0};
}

/* True when the N bytes at A and B are equal; N >= 8. */
static inline bool bytes_equal8(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i + 8 < n; i += 8)
		if (load64(a + i) != load64(b + i))
			return false;
	return load64(a + n - 8) == load64(b + n - 8);
}

static inline bool token_equal(const struct token *a, const struct token *b)
{
	return a->head == b->head && a->n == b->n &&
	       (a->n <= 8 || bytes_equal8(a->p, b->p, a->n));
}

/* A hash of all the token's bytes, for tables that an operator fills and a
 * stranger only looks up in. */
static inline uint64_t token_hash(const struct token *t)
{
	const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t h = (t->head ^ t->n) * k;
	size_t i;

	for (i = 8; i < t->n; i += 8)
		h = ((h >> 29) ^ h ^ word_at(t->p, t->p + i, t->p + t->n)) * k;
	return h >> 32;
}

#endif
