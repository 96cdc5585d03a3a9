/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request and its answer, of which the body goes out piece by piece. Pure.
 */
#ifndef FEED_EXCHANGE_H
#define FEED_EXCHANGE_H

#include "feed/access.h"
#include "feed/answer.h"
#include "feed/reply.h"

struct exchange {
	struct http_head head; /* lies in what the connection has read */
	struct ask ask;
	struct access_id id;
	struct answer answer;
	enum reply_body how;
	bool bare;      /* HEAD: no body is sent */
	bool close;     /* the connection ends after it */
	bool body_left; /* to be sent */
	bool asked;     /* more was */
	bool broken;    /* it cannot be ended well */
};

/* The answer is there: how it goes out is settled, and its head added to OUT.
 * LAST: the connection ends after it whatever was asked for. */
void exchange_begin(struct exchange *x, bool last, struct text *out);

/* The next piece of the body is there, or there is none: it takes no time. */
bool exchange_is_made(const struct exchange *x);

/* The next piece into the empty *OUT. *end: nothing is left. False: the answer
 * cannot be ended well. */
MUST bool exchange_next(struct exchange *x, struct text *out, bool *end);

/* *x may be NULL; becomes NULL. */
void exchange_free(struct exchange **x);

#endif
