/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations, times and numbers, as people write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "io/values.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} table[] = {
		{"30s", 30},
		{"15m", 900},
		{"2h", 7200},
		{"7d", 604800},
		{"0s", 0},
		{"007s", 7},
		{"36600d", DURATION_MAX_S},
		{"36601d", -1},
		{"9999999999s", -1},
		{"99999999999s", -1},
		{"99999999999999999999s", -1},
		{"", -1},
		{"s", -1},
		{"30", -1},
		{"30 s", -1},
		{" 30s", -1},
		{"30s ", -1},
		{"-30s", -1},
		{"+30s", -1},
		{"1.5h", -1},
		{"1h30m", -1},
		{"30S", -1},
		{"30w", -1},
		{"0x10s", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t got = -7;
		struct err e = {.code = ERR_NONE};
		bool done = duration_parse(str_from(table[i].text), &got, &e);

		print_message("'%s'\n", table[i].text);
		assert_int_equal(done, table[i].want >= 0);
		assert_int_equal(got, done ? table[i].want : -7);
		assert_int_equal(e.code, done ? ERR_NONE : ERR_INPUT);
	}
}

static void test_time_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} table[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2000-02-29T12:00:00Z", 951825600},
		{"2026-11-22T12:39:40Z", 1795351180},
		{"2026-11-22t12:39:40z", 1795351180},
		{"2026-11-22 12:39:40Z", 1795351180},
		{"2026-11-22T12:39:40.999Z", 1795351180},
		{"2026-11-22T14:39:40+02:00", 1795351180},
		{"2026-11-22T07:09:40-05:30", 1795351180},
		{"2016-12-31T23:59:60Z", 1483228800},
		{"9999-12-31T23:59:59Z", 253402300799},
		{"2038-01-19T03:14:08Z", 2147483648},
		{"2100-03-01T00:00:00Z", 4107542400},
		{"2100-02-29T00:00:00Z", -1},
		{"2025-02-29T00:00:00Z", -1},
		{"1969-12-31T23:59:59Z", -1},
		{"1970-01-01T00:00:00+00:01", -1},
		{"9999-12-31T23:59:59-00:01", -1},
		{"2026-11-22T12:39:40", -1},
		{"2026-11-22", -1},
		{"2026-11-22T12:39Z", -1},
		{"2026-11-22T24:00:00Z", -1},
		{"2026-11-22T12:60:00Z", -1},
		{"2026-11-22T12:39:61Z", -1},
		{"2026-13-01T00:00:00Z", -1},
		{"2026-00-01T00:00:00Z", -1},
		{"2026-04-31T00:00:00Z", -1},
		{"2026-04-00T00:00:00Z", -1},
		{"2026-4-01T00:00:00Z", -1},
		{"26-04-01T00:00:00Z", -1},
		{"2026-11-22T12:39:40.Z", -1},
		{"2026-11-22T12:39:40+2:00", -1},
		{"2026-11-22T12:39:40+0200", -1},
		{"2026-11-22T12:39:40+24:00", -1},
		{"2026-11-22T12:39:40Zx", -1},
		{" 2026-11-22T12:39:40Z", -1},
		{"1795351180", -1},
		{"", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t got = -7;
		struct err e = {.code = ERR_NONE};
		bool done = time_parse(str_from(table[i].text), &got, &e);

		print_message("'%s'\n", table[i].text);
		assert_int_equal(done, table[i].want >= 0);
		assert_int_equal(got, done ? table[i].want : -7);
		assert_int_equal(e.code, done ? ERR_NONE : ERR_INPUT);
	}
}

static void test_time_format(void **state)
{
	char text[TIME_TEXT];

	(void)state;
	time_format(951825600, text);
	assert_string_equal(text, "2000-02-29T12:00:00Z");
	time_format(-5, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	time_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	/* What is written is read back: a step that is prime to everything. */
	for (int64_t t = 0; t <= 253402300799; t += 86399 * 101 + 17) {
		int64_t back = -1;
		struct err e;

		time_format(t, text);
		assert_true(time_parse(str_from(text), &back, &e));
		assert_int_equal(back, t);
	}
}

static void test_duration_format(void **state)
{
	static const struct {
		int64_t s;
		const char *want;
	} table[] = {
		{0, "0s"},
		{-3, "0s"},
		{59, "59s"},
		{60, "1m"},
		{61, "1m1s"},
		{3600, "1h"},
		{3661, "1h1m"},
		{86400, "1d"},
		{90061, "1d1h"},
		{86401, "1d"},
	};
	char text[DURATION_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		duration_format(table[i].s, text);
		assert_string_equal(text, table[i].want);
	}
	duration_format(INT64_MAX, text);
	assert_non_null(strchr(text, 'd'));
}

static void test_number(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} table[] = {
		{"1", 1},
		{"100", 100},
		{"007", 7},
		{"0", -1},
		{"101", -1},
		{"", -1},
		{"-1", -1},
		{"+1", -1},
		{"1 ", -1},
		{"1x", -1},
		{"0x1", -1},
		{"99999999999999999999999", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t got = -7;
		struct err e = {.code = ERR_NONE};
		bool done = number_parse(
			"-n", str_from(table[i].text), 1, 100, &got, &e);

		assert_int_equal(done, table[i].want >= 0);
		assert_int_equal(got, done ? table[i].want : -7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_time_parse),
		cmocka_unit_test(test_time_format),
		cmocka_unit_test(test_duration_format),
		cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
