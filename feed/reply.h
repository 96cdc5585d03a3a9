/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP/1.1 answer, and the pieces of a body. Pure.
 */
#ifndef FEED_REPLY_H
#define FEED_REPLY_H

#include "feed/answer.h"

#include <stdbool.h>
#include <stdint.h>

/* How a body is ended. */
enum reply_body {
	REPLY_LENGTH = 0, /* its length is told before */
	REPLY_CHUNKED,    /* by a last, empty chunk */
	REPLY_CLOSE,      /* by the end of the connection: HTTP/1.0 */
};

/* Adds the head of A, whose body ends as HOW says, to OUT. NOW_S: Unix time.
 * CLOSE: says that the connection ends. */
void reply_head(const struct answer *a, enum reply_body how, bool close,
	int64_t now_s, struct text *out);

/* Adds the answer that makes a connection a WebSocket. ACCEPT: frame_accept()'s
 * of the client's key. */
void reply_upgrade(struct text *out, const char *accept);

/* Adds PIECE as one chunk; an empty one adds nothing. */
void reply_chunk(struct text *out, struct str piece);
/* Adds the last chunk. */
void reply_last_chunk(struct text *out);

/* True when an answer of STATUS has a body: RFC 9110 §6.4.1. */
bool reply_has_body(unsigned status);

#endif
