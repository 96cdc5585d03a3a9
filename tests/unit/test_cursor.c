/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors: what was put in comes out, for the same request alone; nothing else
 * does.
 */
#include "feed/cursor.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ask *ask(const char *target)
{
	struct ask *q = calloc(1, sizeof(*q));
	struct err e;

	assert_non_null(q);
	if (!ask_parse(str_from(target), q, &e))
		fail_msg("%s: %s", target, e.msg);
	return q;
}

static uint32_t bind_of(const char *target)
{
	struct ask *q = ask(target);
	uint32_t bind = cursor_bind(q);

	free(q);
	return bind;
}

static void test_bind(void **state)
{
	static const char *const same[] = {"/d?class=a&q=b", "/d?q=b&class=a",
		"/d?q=b&limit=7&class=a", "/d?cursor=x&class=a&q=b&limit=1",
		"/d?class=%61&q=b"};
	static const char *const others[] = {"/d", "/e?class=a&q=b",
		"/d?class=b&q=a", "/d?class=a",
		"/d?class=a&q=", "/d?class=aq&=b", "/d?class=a&q=bb",
		"/d?clas=sa&q=b", "/d?class=a&q=b&sort=id", "/d?class=a&q=a"};
	uint32_t bind = bind_of(same[0]);

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_int_equal(bind_of(same[i]), bind);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct ask q = {0};
		struct err e;

		if (!ask_parse(str_from(others[i]), &q, &e))
			continue;
		if (cursor_bind(&q) == bind)
			fail_msg("%s is bound as %s", others[i], same[0]);
	}
}

static void test_round_trip(void **state)
{
	struct rng r = {3};

	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint8_t in[CURSOR_MAX], out[CURSOR_MAX];
		size_t n = rng_below(&r, CURSOR_MAX + 1), got = 0;
		uint32_t bind = (uint32_t)rng_next(&r);
		char text[CURSOR_TEXT];
		struct err e;

		for (size_t i = 0; i < n; i++)
			in[i] = (uint8_t)rng_next(&r);
		cursor_format(bind, in, n, text);
		assert_true(strlen(text) < CURSOR_TEXT);
		assert_int_equal(
			strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk"
				     "lmnopqrstuvwxyz0123456789-_"),
			strlen(text));
		assert_true(cursor_parse(str_from(text), bind, out, &got, &e));
		assert_int_equal(got, n);
		assert_memory_equal(in, out, n);
		assert_false(
			cursor_parse(str_from(text), bind + 1, out, &got, &e));
		assert_int_equal(e.code, ERR_INPUT);
		assert_string_equal(e.place, "cursor");
	}
}

/* One letter changed, lost or added: no cursor. */
static void test_changed(void **state)
{
	static const uint8_t in[] = "meter-0815";
	char text[CURSOR_TEXT], other[CURSOR_TEXT + 1];
	uint8_t out[CURSOR_MAX];
	struct err e;
	size_t n, got;

	(void)state;
	cursor_format(7, in, sizeof(in), text);
	n = strlen(text);
	for (size_t i = 0; i < n * 64; i++) {
		memcpy(other, text, sizeof(text));
		other[i / 64] = (char)(' ' + i % 64 + (i % 64 > 31 ? 27 : 0));
		if (strcmp(other, text) == 0)
			continue;
		assert_false(cursor_parse(str_from(other), 7, out, &got, &e));
	}
	for (size_t i = 0; i < n; i++)
		assert_false(
			cursor_parse((struct str){text, i}, 7, out, &got, &e));
	for (int c = 1; c < 256; c++) {
		memcpy(other, text, n);
		other[n] = (char)c;
		assert_false(cursor_parse(
			(struct str){other, n + 1}, 7, out, &got, &e));
	}
	memset(other, 'A', sizeof(other));
	for (size_t i = 0; i <= sizeof(other); i++)
		assert_false(
			cursor_parse((struct str){other, i}, 7, out, &got, &e));
}

static void test_numbers(void **state)
{
	static const uint64_t table[] = {
		0, 1, 255, 256, UINT64_C(1) << 53, UINT64_MAX};
	uint8_t p[8];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cursor_put(table[i], p);
		assert_int_equal(cursor_take(p), table[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
