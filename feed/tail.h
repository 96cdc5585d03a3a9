/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens, as it happens, for the clients of GET /api/v1/tail.
 *
 * Pull-based: what the meter says is written once, into a ring for all
 * (feed/tail_ring.h). A client is where it stands in that ring and in its round
 * over the devices' counters, and nothing more: no message waits for it. One
 * that is slow is told how much it has missed; a stuck one costs less than any
 * other, until its socket is closed.
 *
 *	tail_read(t, …);     often: the meter's new events go into the ring
 *	tail_wake(t, …);     after it: who has something to get is asked for
 *	tail_next(c, …);     by its socket: the next messages
 *
 * Nothing here knows of sockets.
 */
#ifndef FEED_TAIL_H
#define FEED_TAIL_H

#include "core/err.h"
#include "feed/tail_filter.h"
#include "feed/tail_ring.h"
#include "feed/text.h"
#include "feed/watch.h"

#define TAIL_CLIENTS_MAX  512u
#define TAIL_HEARTBEAT_MS 15000 /* of silence, before one says so */
#define TAIL_BEAT_MS      50    /* between looks for new events */
/* So many clients have their turn between two calls of tail_wake, and each gets
 * so much, and looks at so much to find it: a beat takes some 2 ms, and others
 * have their turn after it. */
#define TAIL_TURNS      16u
#define TAIL_TURN_BYTES (32u << 10)
#define TAIL_TURN_LOOKS (16u << 10)
#define TAIL_READ_MAX   1024u /* events of one call of tail_read */

/* Now, on two clocks. */
struct tail_now {
	int64_t s;  /* Unix time */
	int64_t ms; /* does not jump */
};

/* How who sends what tail_next adds is reached. */
struct tail_socket {
	void (*wake)(void *ctx); /* tail_next is to be called soon */
	bool (*busy)(void *ctx); /* what was sent has not been taken */
};

struct tail_client;

struct tail {
	const struct watch *watch; /* kept */
	struct tail_ring *ring;
	struct text scratch; /* a message in the making */
	/* What was read last of the meter. */
	uint32_t epoch;
	bool begun;
	int64_t read_ms;           /* when */
	uint64_t meter;            /* its identity */
	uint64_t cursor;           /* of its event that is read next */
	struct tail_cursor newest; /* of the last event read */
	bool has_newest;
	enum broker_state state;
	uint64_t generation;
	/* They stand in a ring; this one is the next to have a turn. */
	struct tail_client *clients;
	size_t n_clients;
	size_t given; /* bytes, since the last beat */
};

/* *out is given: tail_free, when all clients have left. */
MUST bool tail_new(const struct watch *w, struct tail **out, struct err *e);
void tail_free(struct tail **t);

/*
 * Takes the meter's new events into the ring, and what became of the broker.
 * To be called before each watch_look too, so that what was written last into a
 * meter that is replaced is read. True: there are more.
 */
bool tail_read(struct tail *t, struct tail_now now);

/* Begins a beat: gives a turn to some of those who have something to get, and
 * wakes them. Returns how many; while it is any, the next beat should come
 * soon. */
unsigned tail_wake(struct tail *t, struct tail_now now);

/* A client of filter F (copied), reached by S (kept) with CTX. NULL: no memory,
 * or there are TAIL_CLIENTS_MAX. Given: tail_leave. */
struct tail_client *tail_join(struct tail *t, const struct tail_filter *f,
	struct tail_now now, const struct tail_socket *s, void *ctx);
void tail_leave(struct tail_client **c);

/*
 * Adds C's next messages to OUT, each between stream_begin and stream_end.
 * Nothing added: there is nothing for it now, or it is not its turn.
 */
void tail_next(struct tail_client *c, struct tail_now now, struct text *out);

#endif
