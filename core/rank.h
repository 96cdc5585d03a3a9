/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first few of many, without sorting the rest. Pure.
 */
#ifndef CORE_RANK_H
#define CORE_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rank {
	uint32_t *kept; /* CAP of them (kept); a heap, its root the last */
	size_t n, cap;
	/* True when A comes before B. A total order. */
	bool (*before)(const void *ctx, uint32_t a, uint32_t b);
	const void *ctx; /* kept */
};

/* Offers ITEM. One comparison for most that do not belong to the first. */
void rank_offer(struct rank *r, uint32_t item);

/* Puts kept[] in order, the first first. Nothing may be offered after it. */
void rank_order(struct rank *r);

#endif
