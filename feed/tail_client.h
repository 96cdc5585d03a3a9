/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client of the tail: where it stands. For feed/tail.c and its kin alone.
 */
#ifndef FEED_TAIL_CLIENT_H
#define FEED_TAIL_CLIENT_H

#include "feed/tail.h"

/* A round over the devices, to say what each has counted. */
struct tail_round {
	bool on;
	bool some;      /* one came to its end: what has not changed is known */
	int64_t due_ms; /* when the next should begin */
	int64_t t_s;    /* when this one did */
	uint32_t epoch; /* of the watch; under another, all is new */
	uint32_t since; /* watch.done that the client has seen */
	uint32_t done;  /* watch.done when the round began */
	uint32_t at;    /* the next slot, or name of the filter */
	uint32_t told;  /* devices, in this round */
};

struct tail_client {
	struct tail *tail; /* kept */
	struct tail_client *next, *previous;
	const struct tail_socket *socket; /* kept */
	void *ctx;
	struct tail_filter filter;
	bool turn; /* it may have something at this beat */
	bool greeted;
	bool gap;            /* where it wanted to go on is gone, and */
	uint64_t gap_events; /* so many events are, 0: not known */
	uint64_t at;         /* the number in the ring of what it gets next */
	struct tail_cursor passed; /* the newest event that was looked at */
	bool has_passed;
	int64_t said_ms; /* when something was last added for it */
	struct tail_round round;
};

/* True when C has something to get. */
bool tail_client_due(const struct tail_client *c, int64_t now_ms);

/* What one tail_next may add and look at yet. */
struct tail_room {
	size_t end;   /* out->n where it ends */
	size_t looks; /* at a slot's mark; some ns */
};

#define TAIL_LOOK_TEXT 16u /* looks that one at names costs */

static inline void tail_looked(struct tail_room *room, size_t looks)
{
	room->looks -= looks < room->looks ? looks : room->looks;
}

/* The next messages about counters (feed/tail_round.c). */
void tail_round_next(struct tail_client *c, struct tail_now now,
	struct tail_room *room, struct text *out);
bool tail_round_due(const struct tail_client *c, int64_t now_ms);

/* Begins a message of that type in OUT; its members are added; ends it. */
size_t tail_say(struct text *out, const char *type);
void tail_said(struct text *out, size_t begun);

#endif
