/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client of /api/v1/tail may ask for, and which events that lets
 * through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/reason.h"
#include "feed/tail_filter.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)   (UINT32_C(1) << (n))

static bool parse(const char *query, struct tail_filter *f, struct err *e)
{
	static struct ask q;
	char target[ASK_TARGET_MAX + 1];

	(void)snprintf(target, sizeof(target), "/api/v1/tail%s", query);
	memset(&q, 0, sizeof(q));
	assert_true(ask_parse(str_from(target), &q, e));
	memset(f, 0x5A, sizeof(*f));
	memset(e, 0, sizeof(*e));
	return tail_filter_parse(&q, f, e);
}

static void test_defaults(void **state)
{
	struct tail_filter f;
	struct err e;

	(void)state;
	assert_true(parse("", &f, &e));
	/* Every type, and nothing that is none. */
	assert_int_equal(f.types, BIT(EVENT_TYPES) - 2);
	assert_int_equal(f.reasons, 0);
	assert_int_equal(f.counters_s, 0);
	assert_int_equal(f.last, 0);
	assert_false(f.resumes);
	assert_int_equal(f.devices.n, 0);
	assert_int_equal(f.classes.n, 0);
}

static void test_accepted(void **state)
{
	struct tail_filter f;
	struct err e;

	(void)state;
	assert_true(parse("?events=connect,refusal,connect", &f, &e));
	assert_int_equal(f.types, BIT(EVENT_CONNECT) | BIT(EVENT_REFUSAL));
	assert_true(parse("?events=all&reason=no_rule,size", &f, &e));
	assert_int_equal(f.reasons, BIT(REASON_NO_RULE) | BIT(REASON_SIZE));
	assert_true(parse("?events=none&counters=1s", &f, &e));
	assert_int_equal(f.types, 0);
	assert_int_equal(f.counters_s, 1);
	assert_true(parse("?counters=1m", &f, &e));
	assert_int_equal(f.counters_s, 60);
	assert_true(parse("?counters=off", &f, &e));
	assert_int_equal(f.counters_s, 0);
	assert_true(parse("?device=a-1,b%3A2&class=pump", &f, &e));
	assert_int_equal(f.devices.n, 2);
	assert_string_equal(f.devices.name[0], "a-1");
	assert_string_equal(f.devices.name[1], "b:2");
	assert_int_equal(f.classes.n, 1);
	assert_string_equal(f.classes.name[0], "pump");
	/* Twice is once: a round tells a device once. */
	assert_true(parse("?device=a,a,b,a&class=c,c", &f, &e));
	assert_int_equal(f.devices.n, 2);
	assert_int_equal(f.classes.n, 1);
	assert_true(parse("?last=4096", &f, &e));
	assert_int_equal(f.last, METER_EVENTS);
	assert_true(parse("?after=00c0ffee00c0ffee-1027", &f, &e));
	assert_true(f.resumes);
	assert_true(f.after.meter == UINT64_C(0x00c0ffee00c0ffee));
	assert_int_equal(f.after.n, 1027);
	assert_true(parse("?reason=qos&events=observed", &f, &e));
}

static const struct {
	const char *query, *place;
} refused[] = {
	{"?event=connect", NULL},
	{"?Events=connect", NULL},
	{"?limit=7", NULL},
	{"?events=", "events"},
	{"?events=connect,", "events"},
	{"?events=,connect", "events"},
	{"?events=connect,,refusal", "events"},
	{"?events=connects", "events"},
	{"?events=CONNECT", "events"},
	{"?events=connect%20", "events"},
	{"?events=connect,all", "events"},
	{"?events=connect,none", "events"},
	{"?events=lost", "events"},
	{"?events=none", "events"},
	{"?events=none&counters=off", "events"},
	{"?reason=", "reason"},
	{"?reason=no_rul", "reason"},
	{"?reason=no_rule,", "reason"},
	{"?reason=no_rule&events=connect,takeover", "reason"},
	{"?reason=no_rule&events=none&counters=1s", "reason"},
	{"?counters=", "counters"},
	{"?counters=0s", "counters"},
	{"?counters=61s", "counters"},
	{"?counters=2m", "counters"},
	{"?counters=1", "counters"},
	{"?counters=-1s", "counters"},
	{"?counters=on", "counters"},
	{"?counters=1000000000000000000000s", "counters"},
	{"?device=", "device"},
	{"?device=a,", "device"},
	{"?device=-a", "device"},
	{"?device=a/b", "device"},
	{"?device=%C3%A4", "device"},
	{"?class=a:b", "class"},
	{"?class=pump,,meter", "class"},
	{"?last=-1", "last"},
	{"?last=4097", "last"},
	{"?last=1.0", "last"},
	{"?last=", "last"},
	{"?after=", "after"},
	{"?after=00c0ffee00c0ffee", "after"},
	{"?after=00c0ffee00c0ffee-", "after"},
	{"?after=-7", "after"},
	{"?after=00c0ffee00c0ffe-7", "after"},
	{"?after=000c0ffee00c0ffee-7", "after"},
	{"?after=00C0FFEE00C0FFEE-7", "after"},
	{"?after=00c0ffee00c0ffeg-7", "after"},
	{"?after=00c0ffee00c0ffee-07", "after"},
	{"?after=00c0ffee00c0ffee-+7", "after"},
	{"?after=00c0ffee00c0ffee--7", "after"},
	{"?after=00c0ffee00c0ffee-7-8", "after"},
	{"?after=00c0ffee00c0ffee-7%20", "after"},
	{"?after=00c0ffee00c0ffee-18446744073709551616", "after"},
	{"?after=00c0ffee00c0ffee_7", "after"},
	{"?after=00c0ffee00c0ffee-7&last=1", "after"},
};

static void test_refused(void **state)
{
	char long_name[DEVICE_ID_MAX + 32];
	struct tail_filter f, untouched;
	struct err e;

	(void)state;
	memset(&untouched, 0x5A, sizeof(untouched));
	for (size_t i = 0; i < COUNT(refused); i++) {
		if (parse(refused[i].query, &f, &e))
			fail_msg("accepted: %s", refused[i].query);
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_not_equal(e.msg[0], '\0');
		if (refused[i].place != NULL)
			assert_string_equal(e.place, refused[i].place);
		assert_memory_equal(&f, &untouched, sizeof(f));
	}
	(void)snprintf(long_name, sizeof(long_name), "?device=%0*d",
		DEVICE_ID_MAX + 1, 7);
	assert_false(parse(long_name, &f, &e));
	assert_string_equal(e.place, "device");
	long_name[strlen(long_name) - 1] = '\0';
	assert_true(parse(long_name, &f, &e));
}

static void test_names_are_bounded(void **state)
{
	char query[1024] = "?device=d";
	struct tail_filter f;
	struct err e;
	size_t n = strlen(query);

	(void)state;
	for (size_t i = 1; i < TAIL_NAMES; i++)
		n += (size_t)snprintf(query + n, sizeof(query) - n, ",d%zu", i);
	assert_true(parse(query, &f, &e));
	assert_int_equal(f.devices.n, TAIL_NAMES);
	assert_string_equal(f.devices.name[TAIL_NAMES - 1], "d31");
	(void)snprintf(query + n, sizeof(query) - n, ",more");
	assert_false(parse(query, &f, &e));
	assert_string_equal(e.place, "device");
}

/* -------------------------------------------------------------------- cursor */

static void test_cursor_round_trip(void **state)
{
	static const struct tail_cursor rows[] = {{0, 0}, {1, 0}, {0, 1},
		{UINT64_C(0x123456789abcdef0), 4096}, {UINT64_MAX, UINT64_MAX}};
	char text[TAIL_CURSOR_TEXT];
	struct tail_cursor c;
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		tail_cursor_format(rows[i], text);
		assert_true(tail_cursor_parse(str_from(text), &c, &e));
		assert_true(c.meter == rows[i].meter && c.n == rows[i].n);
	}
	assert_string_equal(text, "ffffffffffffffff-18446744073709551615");
	assert_false(tail_cursor_parse((struct str){NULL, 0}, &c, &e));
	assert_false(tail_cursor_parse(
		(struct str){"0000000000000000-1\0", 19}, &c, &e));
}

/* ------------------------------------------------------------------ matching */

static const struct {
	const char *query;
	struct tail_key key;
	bool fits;
} matches[] = {
	{"", {EVENT_CONNECT, 0, STR_INIT("a"), STR_INIT("c")}, true},
	{"", {EVENT_POLICY, 0, STR_INIT(""), STR_INIT("")}, true},
	{"", {EVENT_NONE, 0, STR_INIT("a"), STR_INIT("c")}, false},
	{"?events=connect", {EVENT_CONNECT, 0, STR_INIT("a"), STR_INIT("c")},
		true},
	{"?events=connect", {EVENT_DISCONNECT, 0, STR_INIT("a"), STR_INIT("c")},
		false},
	{"?events=none&counters=1s",
		{EVENT_CONNECT, 0, STR_INIT("a"), STR_INIT("c")}, false},
	{"?device=a,b", {EVENT_CONNECT, 0, STR_INIT("b"), STR_INIT("c")}, true},
	{"?device=a,b", {EVENT_CONNECT, 0, STR_INIT("ab"), STR_INIT("c")},
		false},
	{"?device=a,b", {EVENT_POLICY, 0, STR_INIT(""), STR_INIT("")}, false},
	{"?device=a&class=c", {EVENT_CONNECT, 0, STR_INIT("a"), STR_INIT("c")},
		true},
	{"?device=a&class=d", {EVENT_CONNECT, 0, STR_INIT("a"), STR_INIT("c")},
		false},
	{"?class=d", {EVENT_CONNECT, 0, STR_INIT("a"), STR_INIT("")}, false},
	{"?reason=qos",
		{EVENT_REFUSAL, REASON_QOS, STR_INIT("a"), STR_INIT("c")},
		true},
	{"?reason=qos",
		{EVENT_OBSERVED, REASON_QOS, STR_INIT("a"), STR_INIT("c")},
		true},
	{"?reason=qos",
		{EVENT_REFUSAL, REASON_SIZE, STR_INIT("a"), STR_INIT("c")},
		false},
	/* A connect has no reason, whatever the byte is. */
	{"?reason=unavailable",
		{EVENT_CONNECT, 0, STR_INIT("a"), STR_INIT("c")}, false},
	/* What is no reason is not shifted by. */
	{"?reason=unavailable",
		{EVENT_REFUSAL, 32, STR_INIT("a"), STR_INIT("c")}, false},
	{"?reason=unavailable",
		{EVENT_REFUSAL, 255, STR_INIT("a"), STR_INIT("c")}, false},
	{"?events=refusal", {EVENT_REFUSAL, 255, STR_INIT("a"), STR_INIT("c")},
		true},
};

static void test_matching(void **state)
{
	struct tail_filter f;
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(matches); i++) {
		assert_true(parse(matches[i].query, &f, &e));
		if (tail_filter_event(&f, &matches[i].key) != matches[i].fits)
			fail_msg("row %zu, '%s'", i, matches[i].query);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names_are_bounded),
		cmocka_unit_test(test_cursor_round_trip),
		cmocka_unit_test(test_matching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
