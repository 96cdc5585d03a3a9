/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is answered: a status, headers, and a body that is there as a whole or
 * comes piece by piece; or a WebSocket. Pure: nothing here knows of sockets.
 */
#ifndef FEED_ANSWER_H
#define FEED_ANSWER_H

#include "core/err.h"
#include "feed/text.h"

struct stream_hooks; /* feed/stream.h */

/* What is left of a body. */
enum answer_more {
	ANSWER_END = 0, /* nothing: it is whole */
	ANSWER_MORE,    /* BODY has something, or will at the next call */
	ANSWER_BROKEN,  /* it cannot be ended well: the connection is cut */
};

#define ANSWER_STEP_BYTES 65536u /* a piece is about so long at most */
#define ANSWER_STEP_MS    5      /* and is made in so much time */

struct answer {
	unsigned status;          /* RFC 9110 §15; 0 becomes 200 */
	const char *content_type; /* static; NULL becomes application/json */
	const char *allow;        /* static; for 405 */
	const char *challenge;    /* static; WWW-Authenticate, for 401 */
	unsigned retry_after_s;   /* for 429 and 503; 0: none */
	bool close;               /* the connection ends after it */
	struct text body;         /* the body, or its first piece */
	/*
	 * Not NULL: the body goes on. Called when BODY has been sent and was
	 * cleared, to put the next piece there: at most ANSWER_STEP_BYTES and
	 * ANSWER_STEP_MS, so that nobody else waits for it. What it put there is
	 * sent whatever it returns but ANSWER_BROKEN.
	 */
	enum answer_more (*more)(struct answer *a);
	/* Not NULL: the connection becomes a WebSocket of these hooks, and ctx
	 * theirs. Of a request that asks for none the server makes a 426. */
	const struct stream_hooks *stream;
	void *ctx;               /* more's */
	void (*drop)(void *ctx); /* frees it; NULL: nothing to free */
};

/* A failure as application/problem+json (RFC 9457): type, title, status,
 * detail. What BODY held is dropped, and ctx. */
void answer_problem(struct answer *a, unsigned status, const char *detail_fmt,
	...) __attribute__((format(printf, 3, 4)));

/* The same of an error: ERR_INPUT 400, ERR_NOT_FOUND 404, ERR_CONFLICT 409,
 * ERR_ENVIRONMENT 503; its place is told. */
void answer_err(struct answer *a, const struct err *e);

/* The words of a status: "Not Found". Static. */
const char *answer_reason(unsigned status);

/* Frees all of it; zeroed is what is left. */
void answer_free(struct answer *a);

#endif
