/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket, as its connection sees it: bytes in, bytes out.
 */
#ifndef FEED_STREAM_PRIVATE_H
#define FEED_STREAM_PRIVATE_H

#include "feed/frame.h"
#include "feed/stream.h"

#define STREAM_LOOK_S    2     /* how often it is looked at, */
#define STREAM_ASK_MS    20000 /* and pinged when it is silent */
#define STREAM_SILENT_MS 60000 /* without a sign of life: it is dead */
#define STREAM_PARTS     64u   /* frames of a message */

struct stream {
	const struct stream_hooks *hooks;
	void *ctx;
	void (*wake)(void *conn); /* stream_fill is to be called */
	void *conn;
	enum stream_close code; /* not 0: it is to end with that */
	const char *reason;     /* static */
	bool said_close, heard_close;
	bool ask;  /* a ping is to be sent */
	bool pong; /* and the answer to one */
	uint8_t ping_len;
	char ping[125];
	bool open; /* a message has begun */
	unsigned parts;
	struct text message;
	int64_t heard_ms; /* of a clock that does not jump */
	int64_t asked_ms;
	int64_t given_ms; /* since when OUT is there to be taken; 0: it is not */
};

/* HOOKS are kept, CTX is taken. NULL: no memory, and CTX is the caller's. */
struct stream *stream_new(const struct stream_hooks *hooks, void *ctx,
	void (*wake)(void *conn), void *conn);
void stream_free(struct stream **s);

/* All of the last has left: adds what comes next to the empty OUT. False: the
 * stream has ended. */
bool stream_fill(struct stream *s, struct text *out);

/* Takes what it can of the N bytes at P, in place, and returns how many. */
size_t stream_take(struct stream *s, char *p, size_t n);

/* Each STREAM_LOOK_S. False: the client is dead. */
bool stream_alive(struct stream *s);

#endif
