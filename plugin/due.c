/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/due.h"

#include <stdlib.h>

void due_fini(struct due *d)
{
	free(d->heap);
	*d = (struct due){0};
}

/* Positions count from 1, so that 0 in a binding means: not in the heap. */
static void place(struct due *d, size_t at, struct binding *b)
{
	d->heap[at - 1] = b;
	b->due_at = at;
}

static void up(struct due *d, size_t at, struct binding *b)
{
	while (at > 1 && d->heap[at / 2 - 1]->due_s > b->due_s) {
		place(d, at, d->heap[at / 2 - 1]);
		at /= 2;
	}
	place(d, at, b);
}

static void down(struct due *d, size_t at, struct binding *b)
{
	for (size_t child = at * 2; child <= d->n; child = at * 2) {
		if (child < d->n &&
			d->heap[child]->due_s < d->heap[child - 1]->due_s)
			child++;
		if (d->heap[child - 1]->due_s >= b->due_s)
			break;
		place(d, at, d->heap[child - 1]);
		at = child;
	}
	place(d, at, b);
}

bool due_put(struct due *d, struct binding *b)
{
	due_remove(d, b);
	if (d->n == d->cap) {
		size_t cap = d->cap != 0 ? d->cap * 2 : 64;
		struct binding **heap =
			realloc(d->heap, cap * sizeof(struct binding *));

		if (heap == NULL)
			return false;
		d->heap = heap;
		d->cap = cap;
	}
	d->n++;
	up(d, d->n, b);
	return true;
}

void due_remove(struct due *d, struct binding *b)
{
	size_t at = b->due_at;
	struct binding *last;

	if (at == 0)
		return;
	b->due_at = 0;
	last = d->heap[d->n - 1];
	d->n--;
	if (last == b)
		return;
	if (at > 1 && d->heap[at / 2 - 1]->due_s > last->due_s)
		up(d, at, last);
	else
		down(d, at, last);
}

struct binding *due_take(struct due *d, int64_t now_s)
{
	struct binding *b = d->n != 0 ? d->heap[0] : NULL;

	if (b == NULL || b->due_s > now_s)
		return NULL;
	due_remove(d, b);
	return b;
}
