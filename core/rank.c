/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rank.h"

static void swap(uint32_t *a, uint32_t *b)
{
	uint32_t t = *a;

	*a = *b;
	*b = t;
}

/* Moves the item at I of the N towards the leaves, until both below it come
 * before it. */
static void sink(struct rank *r, size_t i, size_t n)
{
	for (size_t below; (below = 2 * i + 1) < n; i = below) {
		if (below + 1 < n &&
			r->before(r->ctx, r->kept[below], r->kept[below + 1]))
			below++;
		if (!r->before(r->ctx, r->kept[i], r->kept[below]))
			return;
		swap(&r->kept[i], &r->kept[below]);
	}
}

static void rise(struct rank *r, size_t i)
{
	while (i != 0) {
		size_t above = (i - 1) / 2;

		if (!r->before(r->ctx, r->kept[above], r->kept[i]))
			return;
		swap(&r->kept[i], &r->kept[above]);
		i = above;
	}
}

void rank_offer(struct rank *r, uint32_t item)
{
	if (r->n < r->cap) {
		r->kept[r->n] = item;
		rise(r, r->n++);
	} else if (r->n != 0 && r->before(r->ctx, item, r->kept[0])) {
		r->kept[0] = item;
		sink(r, 0, r->n);
	}
}

void rank_order(struct rank *r)
{
	for (size_t n = r->n; n > 1; n--) {
		swap(&r->kept[0], &r->kept[n - 1]);
		sink(r, 0, n - 1);
	}
}
