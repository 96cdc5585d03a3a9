/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_tail.h"

#include "feed/feed.h"
#include "feed/server.h"
#include "feed/stream.h"
#include "feed/tail.h"

#include <stdlib.h>

/* A client, and the WebSocket that it is reached by. */
struct tailing {
	struct feed *feed;
	struct tail_client *client;
	struct stream *stream; /* NULL: not yet */
};

/* ------------------------------------------------------------ for the tail */

static void wake(void *ctx)
{
	struct tailing *x = ctx;

	stream_wake(x->stream);
}

static bool busy(void *ctx)
{
	const struct tailing *x = ctx;

	return x->stream == NULL || stream_stuck_ms(x->stream) != 0;
}

static const struct tail_socket SOCKET = {wake, busy};

/* ---------------------------------------------------------- for the stream */

static void pull(struct stream *s, void *ctx, struct text *out)
{
	struct tailing *x = ctx;

	if (x->stream == NULL) {
		x->stream = s;
		server_beat(x->feed->server);
	}
	tail_next(x->client, feed_now(), out);
}

static void gone(void *ctx)
{
	struct tailing *x = ctx;

	tail_leave(&x->client);
	free(x);
}

static const struct stream_hooks HOOKS = {.pull = pull, .gone = gone};

void api_tail(struct feed *f, const struct ask *q, struct answer *a)
{
	struct tail_filter filter;
	struct tailing *x;
	struct err e;

	if (!tail_filter_parse(q, &filter, &e)) {
		answer_err(a, &e);
		return;
	}
	x = calloc(1, sizeof(*x));
	if (x != NULL)
		x->client = tail_join(f->tail, &filter, feed_now(), &SOCKET, x);
	if (x == NULL || x->client == NULL) {
		free(x);
		answer_problem(a, 503,
			"%u clients tail already; try again later",
			TAIL_CLIENTS_MAX);
		a->retry_after_s = 10;
		return;
	}
	x->feed = f;
	a->stream = &HOOKS;
	a->ctx = x;
	a->drop = gone;
}
