/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/stream_private.h"
#include "tests/support/guard.h"

#include <stdio.h>
#include <stdlib.h>

static struct guard guard;

/* A client's frame with mask 1 2 3 4, in which a payload of zeros reads as
 * that. */
#define MASK "\x01\x02\x03\x04"

static const struct {
	const char *name;
	struct str in;
	enum frame_got got;
	unsigned why; /* or the kind of a whole one */
	struct str payload;
} frames[] = {
	{"empty text", STR_INIT("\x81\x80" MASK), FRAME_WHOLE, 1, {"", 0}},
	/* RFC 6455 §5.7: "a single-frame masked text message" */
	{"Hello", STR_INIT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
		FRAME_WHOLE, 1, STR_INIT("Hello")},
	{"first of two", STR_INIT("\x01\x81" MASK "\x01"), FRAME_WHOLE, 1,
		STR_INIT("\0")},
	{"continued", STR_INIT("\x80\x81" MASK "\x60"), FRAME_WHOLE, 0,
		STR_INIT("a")},
	{"binary", STR_INIT("\x82\x80" MASK), FRAME_WHOLE, 2, {"", 0}},
	{"ping", STR_INIT("\x89\x82" MASK "\x60\x60"), FRAME_WHOLE, 9,
		STR_INIT("ab")},
	{"pong", STR_INIT("\x8a\x80" MASK), FRAME_WHOLE, 10, {"", 0}},
	{"close", STR_INIT("\x88\x80" MASK), FRAME_WHOLE, 8, {"", 0}},
	{"nothing", STR_INIT(""), FRAME_PART, 0, {"", 0}},
	{"half a head", STR_INIT("\x81"), FRAME_PART, 0, {"", 0}},
	{"half a length", STR_INIT("\x81\xFE\x01"), FRAME_PART, 0, {"", 0}},
	{"half a mask", STR_INIT("\x81\x80\x01\x02\x03"), FRAME_PART, 0,
		{"", 0}},
	{"half a payload", STR_INIT("\x81\x82" MASK "\x01"), FRAME_PART, 0,
		{"", 0}},
	{"no mask",
		STR_INIT("\x81\x01"
			 "a"),
		FRAME_BAD, 1002, {"", 0}},
	{"RSV1", STR_INIT("\xC1\x80" MASK), FRAME_BAD, 1002, {"", 0}},
	{"RSV2, at its first byte", STR_INIT("\xA1"), FRAME_BAD, 1002, {"", 0}},
	{"RSV3", STR_INIT("\x91\x80" MASK), FRAME_BAD, 1002, {"", 0}},
	{"kind 3", STR_INIT("\x83\x80" MASK), FRAME_BAD, 1002, {"", 0}},
	{"kind 7", STR_INIT("\x87\x80" MASK), FRAME_BAD, 1002, {"", 0}},
	{"kind 11", STR_INIT("\x8B\x80" MASK), FRAME_BAD, 1002, {"", 0}},
	{"kind 15", STR_INIT("\x8F\x80" MASK), FRAME_BAD, 1002, {"", 0}},
	{"ping in parts", STR_INIT("\x09\x80" MASK), FRAME_BAD, 1002, {"", 0}},
	{"long ping", STR_INIT("\x89\xFE\x00\x7E" MASK), FRAME_BAD, 1002,
		{"", 0}},
	{"length not minimal", STR_INIT("\x81\xFE\x00\x7D" MASK), FRAME_BAD,
		1002, {"", 0}},
	{"4097 bytes", STR_INIT("\x81\xFE\x10\x01"), FRAME_BAD, 1009, {"", 0}},
	{"eight bytes of length", STR_INIT("\x81\xFF"), FRAME_BAD, 1009,
		{"", 0}},
};

static void test_frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct str in = guard_put(&guard, frames[i].in);
		enum stream_close why = STREAM_NORMAL;
		struct frame f = {0};
		size_t used = 0;
		enum frame_got got =
			frame_take(guard.map + guard.capacity - in.n, in.n, &f,
				&used, &why);

		if (got != frames[i].got)
			fail_msg("%s: %d", frames[i].name, got);
		if (got == FRAME_BAD)
			assert_int_equal(why, frames[i].why);
		if (got != FRAME_WHOLE)
			continue;
		assert_int_equal(used, in.n);
		assert_int_equal(f.kind, frames[i].why);
		if (!str_eq(f.payload, frames[i].payload))
			fail_msg(
				"%s: %.*s", frames[i].name, STR_ARG(f.payload));
	}
}

static void test_accept(void **state)
{
	char out[FRAME_ACCEPT];

	(void)state;
	/* RFC 6455 §1.3. */
	assert_true(frame_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), out));
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_false(frame_accept(STR(""), out));
	assert_false(frame_accept((struct str){NULL, 0}, out));
	assert_false(frame_accept(STR("dGhlIHNhbXBsZSBub25jZQ="), out));
	assert_false(frame_accept(STR("dGhlIHNhbXBsZSBub25jZQ==="), out));
	assert_false(frame_accept(STR("dGhlIHNhbXBsZSBub25jZQxx"), out));
	assert_false(frame_accept(STR("dGhlIHNhbXBsZSBub25j!Q=="), out));
	assert_false(frame_accept(STR("dGhlIHNhbXBsZSBub25jZ==="), out));
}

static void test_close_codes(void **state)
{
	static const struct {
		unsigned code;
		bool ok;
	} table[] = {
		{0, false},
		{999, false},
		{1000, true},
		{1003, true},
		{1004, false},
		{1005, false},
		{1006, false},
		{1007, true},
		{1014, true},
		{1015, false},
		{2999, false},
		{3000, true},
		{4999, true},
		{5000, false},
	};
	unsigned code;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char p[] = {
			(char)(table[i].code >> 8), (char)table[i].code, 'x'};

		assert_int_equal(frame_close_code((struct str){p, 3}, &code),
			table[i].ok);
		assert_int_equal(code, table[i].code);
	}
	assert_true(frame_close_code(STR(""), &code));
	assert_int_equal(code, 1005);
	assert_false(frame_close_code(STR("x"), &code));
}

/* Messages of every length around where its form changes. */
static void test_messages(void **state)
{
	static const size_t lengths[] = {0, 1, 125, 126, 127, 65535};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = lengths[i], head = n > 125 ? 4 : 2, begun;
		struct text out = {0};
		const uint8_t *p;

		text_add(&out, STR("before"));
		begun = stream_begin(&out);
		for (size_t k = 0; k < n; k++)
			text_add(&out, STR("x"));
		stream_end(&out, begun);
		assert_false(out.failed);
		assert_int_equal(out.n, 6 + head + n);
		p = (const uint8_t *)out.p + 6;
		assert_int_equal(p[0], 0x81);
		assert_int_equal(p[1], head == 4 ? 126 : n);
		if (head == 4)
			assert_int_equal(p[2] << 8 | p[3], n);
		assert_true(
			n == 0 || (p[head] == 'x' && p[head + n - 1] == 'x'));
		text_free(&out);
	}
}

static void test_message_too_long(void **state)
{
	struct text out = {0};
	size_t begun = stream_begin(&out);

	(void)state;
	text_fmt(&out, "%065536d", 0);
	stream_end(&out, begun);
	assert_true(out.failed);
	text_free(&out);
}

/* ------------------------------------------------------------------- a stream */

struct peer {
	struct stream *s;
	struct text out;
	const char *say; /* pulled once */
	char heard[64];
	int wakes, gone;
};

static void pull(struct stream *s, void *ctx, struct text *out)
{
	struct peer *p = ctx;
	size_t begun;

	assert_ptr_equal(s, p->s);
	if (p->say == NULL)
		return;
	begun = stream_begin(out);
	text_add(out, str_from(p->say));
	stream_end(out, begun);
	p->say = NULL;
}

static void message(struct stream *s, void *ctx, struct str text)
{
	struct peer *p = ctx;

	(void)s;
	(void)snprintf(p->heard, sizeof(p->heard), "%.*s", STR_ARG(text));
}

static void peer_gone(void *ctx)
{
	((struct peer *)ctx)->gone++;
}

static void wake(void *conn)
{
	((struct peer *)conn)->wakes++;
}

static const struct stream_hooks HOOKS = {pull, message, peer_gone};
static const struct stream_hooks MUTE = {pull, NULL, peer_gone};

static void peer_open(struct peer *p, const struct stream_hooks *hooks)
{
	*p = (struct peer){0};
	p->s = stream_new(hooks, p, wake, p);
	assert_non_null(p->s);
}

static void peer_close(struct peer *p)
{
	stream_free(&p->s);
	assert_int_equal(p->gone, 1);
	text_free(&p->out);
}

/* The client sends a frame: first byte FIRST, TEXT masked with zeros. */
static size_t sends(struct peer *p, unsigned first, struct str text)
{
	char frame[160] = {(char)first, (char)(0x80u | text.n)};

	memcpy(frame + 6, text.p, text.n);
	return stream_take(p->s, frame, text.n + 6);
}

/* What the stream sends then is EXPECT. */
static void assert_sent(struct peer *p, struct str expect)
{
	text_clear(&p->out);
	assert_true(stream_fill(p->s, &p->out));
	assert_int_equal(p->out.n, expect.n);
	if (expect.n != 0)
		assert_memory_equal(p->out.p, expect.p, expect.n);
}

static void assert_closed(struct peer *p, unsigned code)
{
	text_clear(&p->out);
	assert_true(stream_fill(p->s, &p->out));
	assert_int_equal((uint8_t)p->out.p[0], 0x88);
	assert_int_equal(
		(uint8_t)p->out.p[2] << 8 | (uint8_t)p->out.p[3], code);
	text_clear(&p->out);
	assert_false(stream_fill(p->s, &p->out));
	assert_int_equal(p->out.n, 0);
	assert_false(stream_alive(p->s));
}

static void test_talk(void **state)
{
	struct peer p;

	(void)state;
	peer_open(&p, &HOOKS);
	assert_sent(&p, STR(""));
	assert_true(stream_stuck_ms(p.s) == 0);
	p.say = "hello";
	assert_sent(&p, STR("\x81\x05hello"));
	assert_int_equal(sends(&p, 0x81, STR("one")), 9);
	assert_string_equal(p.heard, "one");
	(void)sends(&p, 0x01, STR("a"));
	(void)sends(&p, 0x89, STR("ping"));
	(void)sends(&p, 0x00, STR("b"));
	(void)sends(&p, 0x80, STR("c"));
	assert_string_equal(p.heard, "abc");
	assert_int_equal(p.wakes, 1);
	p.say = "x";
	assert_sent(&p, STR("\x8A\x04ping\x81\x01x"));
	assert_true(stream_alive(p.s));
	assert_sent(&p, STR(""));
	p.s->heard_ms -= STREAM_ASK_MS;
	assert_true(stream_alive(p.s));
	assert_sent(&p, STR("\x89\x00"));
	assert_true(stream_alive(p.s));
	assert_sent(&p, STR(""));
	(void)sends(&p, 0x8A, STR(""));
	assert_sent(&p, STR(""));
	p.s->heard_ms -= STREAM_SILENT_MS + 1;
	assert_false(stream_alive(p.s));
	p.say = "never";
	stream_close(p.s, STREAM_GOING_AWAY, "ends");
	stream_close(p.s, STREAM_POLICY, "later");
	assert_closed(&p, 1001);
	peer_close(&p);
}

static void test_bad_clients(void **state)
{
	struct peer p;

	(void)state;
	peer_open(&p, &HOOKS);
	(void)sends(&p, 0x80, STR("no beginning"));
	assert_closed(&p, 1002);
	peer_close(&p);
	peer_open(&p, &HOOKS);
	(void)sends(&p, 0x01, STR("a"));
	(void)sends(&p, 0x81, STR("b"));
	assert_closed(&p, 1002);
	assert_string_equal(p.heard, "");
	peer_close(&p);
	peer_open(&p, &HOOKS);
	(void)sends(&p, 0x82, STR("binary"));
	assert_closed(&p, 1003);
	peer_close(&p);
	peer_open(&p, &MUTE);
	(void)sends(&p, 0x81, STR("text"));
	assert_closed(&p, 1003);
	peer_close(&p);
	peer_open(&p, &HOOKS);
	(void)sends(&p, 0x88,
		STR("\x03\xE8"
		    "bye"));
	assert_closed(&p, 1000);
	peer_close(&p);
	peer_open(&p, &HOOKS);
	(void)sends(&p, 0x88, STR("\x03\xED"));
	assert_closed(&p, 1002);
	peer_close(&p);
}

/* A message in parts without end, of bytes and of none. */
static void test_endless(void **state)
{
	char part[100] = {0};
	struct peer p;

	(void)state;
	peer_open(&p, &HOOKS);
	(void)sends(&p, 0x01, STR(""));
	for (int i = 0; i < 100 && p.s->code == 0; i++)
		(void)sends(&p, 0x00, (struct str){part, sizeof(part)});
	assert_true(p.s->message.n <= STREAM_MESSAGE_MAX + sizeof(part));
	assert_closed(&p, 1009);
	peer_close(&p);
	peer_open(&p, &HOOKS);
	(void)sends(&p, 0x01, STR(""));
	for (unsigned i = 0; i < STREAM_PARTS; i++)
		(void)sends(&p, 0x00, STR(""));
	assert_closed(&p, 1009);
	peer_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_close_codes),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_message_too_long),
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_bad_clients),
		cmocka_unit_test(test_endless),
	};
	int failed;

	guard_init(&guard, 4096);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
