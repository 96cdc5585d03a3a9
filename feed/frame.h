/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a WebSocket, and the key of its handshake. Pure.
 *
 * Source: RFC 6455 §5.2 (frames), §5.5 (control frames), §4.2.2 (the key).
 */
#ifndef FEED_FRAME_H
#define FEED_FRAME_H

#include "core/str.h"
#include "feed/stream.h"

#include <stdbool.h>
#include <stddef.h>

enum frame_kind {
	FRAME_CONTINUED = 0,
	FRAME_TEXT = 1,
	FRAME_BINARY = 2,
	FRAME_CLOSE = 8,
	FRAME_PING = 9,
	FRAME_PONG = 10,
};

struct frame {
	enum frame_kind kind;
	bool last; /* of its message */
	struct str payload;
};

enum frame_got {
	FRAME_PART = 0, /* not all of it is there yet */
	FRAME_WHOLE,
	FRAME_BAD, /* the connection must be closed: *why */
};

/*
 * The frame of a client that the N bytes at P begin with; *used is its length.
 * Its payload is unmasked in place, so a frame is taken once. Bad: no mask,
 * reserved bits or kinds, a length in more bytes than it takes, a control frame
 * that is long or cut in parts, more than STREAM_MESSAGE_MAX bytes.
 */
enum frame_got frame_take(char *p, size_t n, struct frame *out, size_t *used,
	enum stream_close *why);

/* What a close frame of the client says, 1005 when it says nothing; false: it
 * may not say that. */
bool frame_close_code(struct str payload, unsigned *code);

/* Adds a whole frame of the server's to OUT; at most 65535 bytes. */
void frame_add(struct text *out, enum frame_kind kind, struct str payload);
void frame_add_close(
	struct text *out, enum stream_close code, struct str reason);

/* What the handshake answers to KEY; false: it is no base64 of 16 bytes. */
#define FRAME_ACCEPT 29
bool frame_accept(struct str key, char out[static FRAME_ACCEPT]);

#endif
