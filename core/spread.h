/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How amounts are spread: quantiles of any number of them in a fixed size, by
 * counting in bins that grow with the amount. Pure.
 *
 * A bin's highest amount is at most 1/16 above its lowest; up to 31 each amount
 * has a bin of its own.
 */
#ifndef CORE_SPREAD_H
#define CORE_SPREAD_H

#include <stdint.h>

#define SPREAD_FINE 16u /* bins from one power of two to the next */
#define SPREAD_BINS (SPREAD_FINE + 60u * SPREAD_FINE)

struct spread {     /* zeroed: nothing yet */
	uint64_t n; /* amounts */
	uint32_t bin[SPREAD_BINS];
};

/* Counts AMOUNT: up to UINT32_MAX in one bin. */
void spread_add(struct spread *s, uint64_t amount);

/*
 * What PERMILLE (1 to 1000) of the amounts do not exceed, were the greatest of
 * them left out: not below the smallest such amount, and less than 1/16 above
 * it. 0 when there is no other. Cost: a walk over the bins.
 *
 * So each amount that is far above the others can be held against them alone.
 */
uint64_t spread_of_rest(const struct spread *s, unsigned permille);

#endif
