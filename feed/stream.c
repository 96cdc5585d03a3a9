/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/stream.h"

#include "feed/stream_private.h"

#include <stdlib.h>
#include <time.h>

static int64_t now_ms(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct stream *stream_new(const struct stream_hooks *hooks, void *ctx,
	void (*wake)(void *conn), void *conn)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->hooks = hooks;
	s->ctx = ctx;
	s->wake = wake;
	s->conn = conn;
	s->heard_ms = now_ms();
	return s;
}

void stream_free(struct stream **s)
{
	if (*s == NULL)
		return;
	(*s)->hooks->gone((*s)->ctx);
	text_free(&(*s)->message);
	free(*s);
	*s = NULL;
}

/* --------------------------------------------------------------- for its server */

void stream_wake(struct stream *s)
{
	s->wake(s->conn);
}

void stream_close(struct stream *s, enum stream_close code, const char *reason)
{
	if (s->code == 0) {
		s->code = code;
		s->reason = reason;
	}
	stream_wake(s);
}

int64_t stream_stuck_ms(const struct stream *s)
{
	return s->given_ms != 0 ? now_ms() - s->given_ms : 0;
}

/* ---------------------------------------------------------------- to the client */

bool stream_fill(struct stream *s, struct text *out)
{
	size_t before = out->n;

	s->given_ms = 0;
	if (s->said_close)
		return false;
	if (s->pong) {
		frame_add(out, FRAME_PONG, (struct str){s->ping, s->ping_len});
		s->pong = false;
	}
	if (s->ask) {
		frame_add(out, FRAME_PING, STR(""));
		s->ask = false;
	}
	if (s->code == 0)
		s->hooks->pull(s, s->ctx, out);
	if (s->code != 0) {
		frame_add_close(out, s->code, str_from(s->reason));
		s->said_close = true;
	}
	if (out->n != before)
		s->given_ms = now_ms();
	return true;
}

bool stream_alive(struct stream *s)
{
	int64_t now = now_ms();

	if (s->said_close || now - s->heard_ms > STREAM_SILENT_MS ||
		stream_stuck_ms(s) > STREAM_SILENT_MS)
		return false;
	if (now - s->heard_ms < STREAM_ASK_MS ||
		now - s->asked_ms < STREAM_ASK_MS)
		return true;
	s->ask = true;
	s->asked_ms = now;
	stream_wake(s);
	return true;
}

/* -------------------------------------------------------------- from the client */

static void fail(struct stream *s, enum stream_close code, const char *why)
{
	stream_close(s, code, why);
}

/* "To respond to the most recently processed Ping frame" is enough: §5.5.3. */
static void take_control(struct stream *s, const struct frame *f)
{
	unsigned code = 0;

	if (f->kind == FRAME_PING) {
		s->pong = true;
		s->ping_len = (uint8_t)f->payload.n;
		memcpy(s->ping, f->payload.p, f->payload.n);
		stream_wake(s);
	} else if (f->kind == FRAME_CLOSE) {
		s->heard_close = true;
		if (frame_close_code(f->payload, &code))
			stream_close(s, STREAM_NORMAL, "");
		else
			fail(s, STREAM_PROTOCOL, "no such close code");
	}
}

/* A part of a message, or all of it. */
static void take_data(struct stream *s, const struct frame *f)
{
	bool first = f->kind != FRAME_CONTINUED;

	if (first == s->open) {
		fail(s, STREAM_PROTOCOL, "a message within another");
		return;
	}
	if (f->kind == FRAME_BINARY || s->hooks->message == NULL) {
		fail(s, STREAM_UNSUPPORTED, "messages are not taken here");
		return;
	}
	text_add(&s->message, f->payload);
	s->open = !f->last;
	if (s->message.n > STREAM_MESSAGE_MAX || ++s->parts > STREAM_PARTS)
		fail(s, STREAM_TOO_BIG, "the message is too long");
	if (!f->last || s->code != 0)
		return;
	s->hooks->message(s, s->ctx, (struct str){s->message.p, s->message.n});
	text_free(&s->message);
	s->parts = 0;
}

size_t stream_take(struct stream *s, char *p, size_t n)
{
	enum stream_close why = STREAM_PROTOCOL;
	size_t at = 0, used = 0;
	struct frame f;

	s->heard_ms = now_ms();
	while (s->code == 0) {
		enum frame_got got =
			frame_take(p + at, n - at, &f, &used, &why);

		if (got == FRAME_PART)
			return at;
		if (got == FRAME_BAD) {
			fail(s, why, "malformed frame");
			break;
		}
		at += used;
		if (f.kind >= FRAME_CLOSE)
			take_control(s, &f);
		else
			take_data(s, &f);
	}
	return n; /* what follows is of no interest */
}
