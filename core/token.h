/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic levels as the trie compares them, cut out of a topic a machine word
 * at a time: eight or sixteen bytes cost what one would. No read leaves the
 * topic, whatever its length and place.
 */
#ifndef CORE_TOKEN_H
#define CORE_TOKEN_H

#include "core/str.h"

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline uint64_t load64(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* ------------------------------------------------------- where slashes are */

/* Bit i: byte i of the eight at P is '/'. */
static inline uint64_t slashes8(const char *p)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t x = load64(p) ^ ones * (uint64_t)'/';
	/* the top bit of each byte of x that is zero, exactly */
	uint64_t zero = ~(((x & ~(ones << 7)) + ~(ones << 7)) | x) & ones << 7;

	return (zero >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

#ifdef __SSE2__
/* Bit i: byte i of the sixteen at P is '/'. */
static inline uint64_t slashes16(const char *p)
{
	__m128i bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return (uint32_t)_mm_movemask_epi8(
		_mm_cmpeq_epi8(bytes, _mm_set1_epi8('/')));
}
#else
static inline uint64_t slashes16(const char *p)
{
	return slashes8(p) | slashes8(p + 8) << 8;
}
#endif

#define SLASH_WINDOW 64u /* bytes */

/* Bit i: byte i of the N bytes at P is '/'; 16 <= N <= SLASH_WINDOW. Parts
 * that overlap see the same slashes twice. */
static inline uint64_t slashes_long(const char *p, size_t n)
{
	uint64_t bits = slashes16(p) | slashes16(p + n - 16) << (n - 16);
	size_t i;

	if (n > 32)
		for (i = 16; i + 16 < n; i += 16)
			bits |= slashes16(p + i) << i;
	return bits;
}

/* The same for N <= SLASH_WINDOW. */
static inline uint64_t slashes(const char *p, size_t n)
{
	uint64_t bits = 0;
	size_t i;

	if (n >= 16)
		return slashes_long(p, n);
	if (n >= 8)
		return slashes8(p) | slashes8(p + n - 8) << (n - 8);
	for (i = 0; i < n; i++)
		bits |= (uint64_t)(p[i] == '/') << i;
	return bits;
}

/* --------------------------------------------------------- one after another */

/* What is left of a topic. p: the next level, NULL when none is left. bits:
 * the slashes from p on, as far as they are known, and one for the end. */
struct level_cursor {
	const char *p;
	uint64_t bits;
};

static inline size_t level_scan(const char *p, const char *end)
{
	const char *slash = memchr(p, '/', (size_t)(end - p));

	return (size_t)((slash != NULL ? slash : end) - p);
}

static inline struct level_cursor level_cursor_at(
	const char *p, const char *end)
{
	size_t left = (size_t)(end - p);

	if (left >= SLASH_WINDOW)
		return (struct level_cursor){p, slashes(p, SLASH_WINDOW)};
	return (struct level_cursor){p, slashes(p, left) | UINT64_C(1) << left};
}

/* Cuts the next level, of *n bytes at *p, off a topic that ends at END and has
 * one. */
static inline void level_take(
	struct level_cursor *c, const char *end, const char **p, size_t *n)
{
	*p = c->p;
	if (c->bits != 0) {
		*n = (size_t)__builtin_ctzll(c->bits);
		c->bits = c->bits >> *n >> 1;
	} else {
		*n = level_scan(c->p, end);
		c->bits = 0;
	}
	c->p = *p + *n + 1;
	if (*p + *n == end)
		c->p = NULL;
	else if (c->bits == 0)
		*c = level_cursor_at(c->p, end);
}

/* ------------------------------------------------------------- comparing one */

/* A level: its first eight bytes as a word, the first byte lowest, zero
 * padded. */
struct token {
	const char *p;
	size_t n;
	uint64_t head;
};

/* Ones for the first N bytes of a word. */
static inline uint64_t head_mask(size_t n)
{
	return n < 8 ? (UINT64_C(1) << 8 * n) - 1 : UINT64_MAX;
}

/* The head of the N bytes at P in readable memory [BASE, END). */
static inline uint64_t token_head(
	const char *base, const char *end, const char *p, size_t n)
{
	size_t left = (size_t)(end - p);
	uint64_t w = 0;
	size_t i;

	if (left >= 8)
		return load64(p) & head_mask(n);
	if (end - base >= 8 && left != 0)
		return load64(end - 8) >> (64 - 8 * left) & head_mask(n);
	for (i = n; i-- > 0;)
		w = w << 8 | (unsigned char)p[i];
	return w;
}

/* The token of a text that stands alone. */
static inline struct token token_of(struct str s)
{
	return (struct token){s.p, s.n, token_head(s.p, s.p + s.n, s.p, s.n)};
}

/* True when the N bytes at A and B are equal; N >= 8. */
static inline bool bytes_equal8(const char *a, const char *b, size_t n)
{
	size_t i;

	if (load64(a) != load64(b) || load64(a + n - 8) != load64(b + n - 8))
		return false;
	if (n <= 16)
		return true;
	for (i = 8; i + 8 < n; i += 8)
		if (load64(a + i) != load64(b + i))
			return false;
	return true;
}

static inline bool token_equal(const struct token *a, const struct token *b)
{
	return a->head == b->head && a->n == b->n &&
	       (a->n <= 8 || bytes_equal8(a->p, b->p, a->n));
}

#define TOKEN_HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* token_hash() of a token of at most eight bytes. */
static inline uint64_t token_hash8(uint64_t head, size_t n)
{
	return (head ^ n) * TOKEN_HASH_FACTOR;
}

/* A hash of the token's length and ends in the top bits, for tables that an
 * operator fills and a stranger only looks up in. */
static inline uint64_t token_hash(const struct token *t)
{
	uint64_t h = token_hash8(t->head, t->n);

	if (t->n > 8)
		h = (h ^ load64(t->p + t->n - 8)) * TOKEN_HASH_FACTOR;
	return h;
}

#endif
