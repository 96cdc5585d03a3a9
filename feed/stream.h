/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket, as who serves it sees it: text messages out, when the client can
 * take them, and text messages in.
 *
 * Pull-based: nothing is queued for a client. It is asked for messages when the
 * last ones have left, so a slow one is asked less often.
 *
 * A handler makes one by answer.stream and answer.ctx (feed/answer.h); with
 * hooks->gone, or with answer.drop if it never came to be, ctx ends.
 */
#ifndef FEED_STREAM_H
#define FEED_STREAM_H

#include "core/str.h"
#include "feed/text.h"

#include <stdbool.h>
#include <stdint.h>

struct stream; /* the server's; lent until gone */

/* RFC 6455 §7.4.1. */
enum stream_close {
	STREAM_NORMAL = 1000,
	STREAM_GOING_AWAY = 1001,
	STREAM_PROTOCOL = 1002,
	STREAM_UNSUPPORTED = 1003,
	STREAM_INVALID = 1007,
	STREAM_POLICY = 1008,
	STREAM_TOO_BIG = 1009,
	STREAM_TRY_LATER = 1013,
};

#define STREAM_MESSAGE_MAX 4096u /* bytes of a message from the client */

struct stream_hooks {
	/*
	 * The client can take something: add at most about ANSWER_STEP_BYTES of
	 * messages to OUT, each begun by stream_begin and ended by stream_end, in
	 * at most ANSWER_STEP_MS. Nothing added: it is not asked again before
	 * stream_wake. Something added: it is asked again when that has left.
	 */
	void (*pull)(struct stream *s, void *ctx, struct text *out);
	/* A whole message of the client. NULL: a message closes it (1003). */
	void (*message)(struct stream *s, void *ctx, struct str text);
	/* It has ended, whyever: ctx is to be freed. The last call. */
	void (*gone)(void *ctx);
};

/* A text message in OUT, whose bytes are added to OUT between these two. */
size_t stream_begin(struct text *out);
void stream_end(struct text *out, size_t begun);

/* Asks for pull at the next turn of the loop. */
void stream_wake(struct stream *s);
/* Ends it with a close frame after what was added; nothing is pulled any more.
 * REASON is static, at most 123 bytes. Of two calls the first counts. */
void stream_close(struct stream *s, enum stream_close code, const char *reason);
/* How long the client has not taken what was added, in ms; 0: it has. */
int64_t stream_stuck_ms(const struct stream *s);

#endif
