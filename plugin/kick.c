/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/kick.h"

void kick_add(struct kick_queue *q, struct outcomes *o, struct binding *b,
	int64_t change)
{
	if ((b->state != BINDING_CONNECTED && b->state != BINDING_GUEST) ||
		b->superseded || b->kicked)
		return;
	if (b->kick_queued) {
		/* One disconnect serves all who ask; the first change that
		 * asked counts it, and changes are reported in order. */
		if (b->kick_change == 0 && change != 0) {
			b->kick_change = change;
			outcome_wait(o, change);
		}
		return;
	}
	b->kick_queued = true;
	b->kick_change = change;
	b->kick_prev = q->last;
	b->kick_next = NULL;
	if (q->last != NULL)
		q->last->kick_next = b;
	else
		q->first = b;
	q->last = b;
	q->n++;
	outcome_wait(o, change);
}

void kick_forget(struct kick_queue *q, struct outcomes *o, struct binding *b,
	bool closed)
{
	if (!b->kick_queued)
		return;
	if (b->kick_prev != NULL)
		b->kick_prev->kick_next = b->kick_next;
	else
		q->first = b->kick_next;
	if (b->kick_next != NULL)
		b->kick_next->kick_prev = b->kick_prev;
	else
		q->last = b->kick_prev;
	b->kick_prev = b->kick_next = NULL;
	b->kick_queued = false;
	q->n--;
	outcome_done(o, b->kick_change, closed);
	b->kick_change = 0;
}

uint32_t kick_run(struct kick_queue *q, struct outcomes *o,
	const struct kicker *by, uint64_t budget_ns)
{
	uint64_t start;
	uint32_t ended = 0;

	if (q->first == NULL)
		return 0;
	start = by->now_ns();
	while (q->first != NULL) {
		struct binding *b = q->first;
		int64_t change = b->kick_change;
		bool closed;

		/* Out of the queue first, with its change still waiting: B may
		 * be gone when the call returns. */
		b->kick_change = 0;
		b->kicked = true;
		kick_forget(q, o, b, false);
		closed = by->kick(b->client_id);
		outcome_done(o, change, closed);
		ended += closed;
		if (by->now_ns() - start >= budget_ns)
			break;
	}
	return ended;
}
