/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: requests read, answers written, one at a time.
 *
 *     HEAD ──► BODY ──► ANSWER ──► HEAD …
 *       └────────┴──────► │ ──► LINGER   after a refusal, or "close"
 *                         └───► STREAM   a WebSocket (feed/stream.h)
 *
 * What may take long, a request answered and a piece of an answer made, waits for
 * its turn when others have had the time of this one (feed/turns.h).
 *
 * Each state has a time in which it must come on. While an answer is under way
 * nothing is read: what the client sends meanwhile waits in the kernel. Memory
 * of an idle connection is this struct.
 */
#ifndef FEED_CONN_H
#define FEED_CONN_H

#include "feed/access.h"
#include "feed/answer.h"
#include "feed/http.h"

#include <libwebsockets.h>

/* lws_container_of, by way of void: its own cast may raise the alignment, says
 * clang. */
#define OWNER_OF(p, type, member)                                              \
	((type *)(void *)((char *)(p)-offsetof(type, member)))

struct feed;
struct exchange;
struct stream;
struct turns;

enum conn_state {
	CONN_HEAD = 0, /* a request is awaited, or has begun */
	CONN_BODY,     /* its head is there */
	CONN_ANSWER,   /* being written */
	CONN_STREAM,   /* a WebSocket */
	CONN_LINGER,   /* said all; what still comes in is dropped */
};

struct conn {
	struct feed *feed;
	struct turns *turns;
	struct lws *wsi;    /* NULL: not open */
	lws_dll2_t all;     /* in the server's list */
	lws_dll2_t waiting; /* in the list of those that wait for a turn */
	lws_sorted_usec_list_t timer;
	enum conn_state state;
	bool stopping;       /* ends after this answer */
	bool deaf;           /* nothing is read */
	uint8_t address[16]; /* of the peer; IPv4 mapped */
	struct text in;      /* read, and not understood yet */
	size_t need;         /* bytes of IN that are the request */
	struct exchange *x;  /* the request under way */
	struct stream *stream;
	struct access_id id; /* of whom the stream is */
	struct text out;     /* being written, from out_at on */
	size_t out_at;
	size_t dropped; /* while lingering */
};

/* What all connections of a server share: kept. */
struct conn_home {
	struct feed *feed;
	struct turns *turns;
};

/* Opens the zeroed *C. */
void conn_open(struct conn *c, const struct conn_home *home, struct lws *wsi,
	const uint8_t address[static 16]);

/* These return false when the connection is to be closed. */
bool conn_read(struct conn *c, struct str bytes);
bool conn_write(struct conn *c);

/* Its turn has come (turns_wait). */
void conn_go_on(struct conn *c);

/* An answer of it is being made, piece by piece. */
bool conn_is_long(const struct conn *c);

/* Ends it: at once when it is idle, or when the answer under way has left. */
void conn_stop(struct conn *c);

/* It is gone. Fine when it was never open. */
void conn_close(struct conn *c);

#endif
