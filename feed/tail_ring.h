/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest messages of /api/v1/tail, each written once, for all clients.
 *
 * Messages are numbered from 0 as they are added. A client has the number of
 * the one that it gets next, and nothing waits for it: what is written over
 * before it came is what it has missed. Memory is bounded by the two limits.
 */
#ifndef FEED_TAIL_RING_H
#define FEED_TAIL_RING_H

#include "core/err.h"
#include "feed/tail_filter.h"

#define TAIL_RING_ENTRIES METER_EVENTS /* a power of two */
#define TAIL_RING_BYTES   (2u << 20)
#define TAIL_MESSAGE_MAX  4096u /* bytes of a message */

/* One message. Strings are in the ring: lent until the next add. */
struct tail_message {
	struct str text;
	bool is_event; /* else a notice, which is for everybody */
	struct tail_key key;
	struct tail_cursor cursor; /* of an event */
};

struct tail_ring;

MUST bool tail_ring_new(struct tail_ring **out, struct err *e);
void tail_ring_free(struct tail_ring **r);

/* Adds M, its strings copied; the oldest go as far as there must be room. A
 * text above TAIL_MESSAGE_MAX is not added. */
void tail_ring_add(struct tail_ring *r, const struct tail_message *m);

/* Numbers of the oldest message held, and of the one that will be added next;
 * equal: none is held. */
uint64_t tail_ring_first(const struct tail_ring *r);
uint64_t tail_ring_next(const struct tail_ring *r);

/* Message N, from first to before next. */
struct tail_message tail_ring_at(const struct tail_ring *r, uint64_t n);

#endif
