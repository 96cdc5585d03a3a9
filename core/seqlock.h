/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sequence lock for one writer and any number of readers in shared memory:
 * odd while the writer is at it.
 *
 * Without fences, so that thread sanitizers understand it: the payload is
 * stored with release and loaded with acquire. Whoever sees one word of a
 * store therefore sees that its sequence is odd.
 */
#ifndef CORE_SEQLOCK_H
#define CORE_SEQLOCK_H

#include "core/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEQLOCK_TRIES 64 /* of a reader, before it gives up */

/* Odd, also after a writer that died inside a store. */
static inline uint32_t seqlock_open(_Atomic uint32_t *seq)
{
	uint32_t odd = atomic_load_explicit(seq, memory_order_relaxed) | 1u;

	atomic_store_explicit(seq, odd, memory_order_relaxed);
	return odd;
}

static inline void seqlock_close(_Atomic uint32_t *seq, uint32_t odd)
{
	atomic_store_explicit(seq, odd + 1, memory_order_release);
}

/* What a read begins with; odd: the writer is at it. */
static inline uint32_t seqlock_begin(const _Atomic uint32_t *seq)
{
	return atomic_load_explicit(seq, memory_order_acquire);
}

/* True when all that was loaded since seqlock_begin() gave BEGUN is of one
 * store. */
static inline bool seqlock_whole(const _Atomic uint32_t *seq, uint32_t begun)
{
	return (begun & 1u) == 0 &&
	       atomic_load_explicit(seq, memory_order_relaxed) == begun;
}

/* Stores N words that hold the bytes of S, cut or zero padded. */
static inline void words_store(_Atomic uint64_t *word, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t w = 0;
		size_t at = i * sizeof w;

		if (at < s.n) {
			size_t left = s.n - at;

			memcpy(&w, s.p + at, left < sizeof w ? left : sizeof w);
		}
		atomic_store_explicit(&word[i], w, memory_order_release);
	}
}

/* Loads N words into the 8 * N bytes of OUT. */
static inline void words_load(const _Atomic uint64_t *word, size_t n, void *out)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t w =
			atomic_load_explicit(&word[i], memory_order_acquire);

		memcpy((char *)out + i * sizeof w, &w, sizeof w);
	}
}

#endif
