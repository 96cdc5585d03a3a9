/* SPDX-License-Identifier: Apache-2.0 */
#include "core/spread.h"

#define FINE_BITS 4

_Static_assert(SPREAD_FINE == 1u << FINE_BITS, "bins by the leading bits");

/* The bin of AMOUNT: its highest bit, and the FINE_BITS below it. */
static unsigned bin_of(uint64_t amount)
{
	unsigned top;

	if (amount < SPREAD_FINE)
		return (unsigned)amount;
	top = 63u - (unsigned)__builtin_clzll(amount);
	return (top - FINE_BITS + 1) * SPREAD_FINE +
	       (unsigned)(amount >> (top - FINE_BITS)) - SPREAD_FINE;
}

/* The highest amount of a bin. */
static uint64_t bin_end(unsigned bin)
{
	unsigned shift = bin / SPREAD_FINE;

	if (shift <= 1)
		return bin;
	shift--;
	return ((uint64_t)(bin % SPREAD_FINE + SPREAD_FINE + 1) << shift) - 1;
}

void spread_add(struct spread *s, uint64_t amount)
{
	uint32_t *bin = &s->bin[bin_of(amount)];

	if (*bin == UINT32_MAX)
		return;
	(*bin)++;
	s->n++;
}

uint64_t spread_of_rest(const struct spread *s, unsigned permille)
{
	uint64_t below = 0, want;
	unsigned i = 0;

	if (s->n <= 1)
		return 0;
	/* The sum of bins is below 2^42. */
	want = ((s->n - 1) * permille + 999) / 1000;
	while (i < SPREAD_BINS - 1 && below + s->bin[i] < want)
		below += s->bin[i++];
	return bin_end(i);
}
