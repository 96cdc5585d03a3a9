/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments as values: each kind, what is taken, and what is refused with the
 * argument's name.
 */
#include "feed/args.h"
#include "io/meter_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1700000000)

/* One argument, x, with VALUE; NULL: none. */
static void give(struct ask *q, const char *value)
{
	memset(q, 0, sizeof(*q));
	if (value == NULL)
		return;
	q->n_args = 1;
	q->arg[0] = (struct ask_arg){STR("x"), str_from(value)};
}

static void check_refused(bool done, const struct err *e, const char *value)
{
	if (done)
		fail_msg("'%s' is taken", value);
	assert_int_equal(e->code, ERR_INPUT);
	assert_string_equal(e->place, "x");
	assert_true(e->msg[0] != '\0');
}

static void test_number(void **state)
{
	static const char *const bad[] = {"", "0", "11", "-1", "1.0", "1e1",
		" 1", "1 ", "+1", "0x1", "99999999999999999999"};
	struct ask q;
	struct err e;
	int64_t n = 77;

	(void)state;
	give(&q, NULL);
	assert_true(args_number(&q, "x", 1, 10, &n, &e));
	assert_int_equal(n, 77);
	give(&q, "10");
	assert_true(args_number(&q, "x", 1, 10, &n, &e));
	assert_int_equal(n, 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		give(&q, bad[i]);
		check_refused(args_number(&q, "x", 1, 10, &n, &e), &e, bad[i]);
	}
	assert_int_equal(n, 10);
}

static void test_truth(void **state)
{
	static const char *const bad[] = {
		"", "1", "0", "True", "yes", "true ", "falsefalse"};
	bool given = true, yes = false;
	struct ask q;
	struct err e;

	(void)state;
	give(&q, NULL);
	assert_true(args_truth(&q, "x", &given, &yes, &e));
	assert_false(given);
	give(&q, "true");
	assert_true(args_truth(&q, "x", &given, &yes, &e));
	assert_true(given && yes);
	give(&q, "false");
	assert_true(args_truth(&q, "x", &given, &yes, &e));
	assert_true(given && !yes);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		give(&q, bad[i]);
		check_refused(
			args_truth(&q, "x", &given, &yes, &e), &e, bad[i]);
	}
}

static void test_choice(void **state)
{
	static const char *const choices[] = {"asc", "desc"};
	static const char *const bad[] = {"", "ASC", "as", "ascc", "up"};
	size_t i = 9;
	struct ask q;
	struct err e;

	(void)state;
	give(&q, NULL);
	assert_true(args_choice(&q, "x", choices, 2, &i, &e));
	assert_int_equal(i, 9);
	give(&q, "desc");
	assert_true(args_choice(&q, "x", choices, 2, &i, &e));
	assert_int_equal(i, 1);
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		give(&q, bad[k]);
		check_refused(
			args_choice(&q, "x", choices, 2, &i, &e), &e, bad[k]);
		assert_non_null(strstr(e.msg, "asc, desc"));
	}
}

static void test_time(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} good[] = {
		{"0", 0},
		{"1700000001", 1700000001},
		{"2026-11-22T12:39:40Z", 1795351180},
		{"2026-11-22T13:39:40+01:00", 1795351180},
		{"2h", NOW - 7200},
		{"30s", NOW - 30},
		{"36500d", 0},
	};
	static const char *const bad[] = {"", "now", "-1", "-2h", "2 h", "1.5",
		"2026-11-22", "yesterday", "253402300800",
		"2026-13-01T00:00:00Z"};
	int64_t t = 5;
	struct ask q;
	struct err e;

	(void)state;
	give(&q, NULL);
	assert_true(args_time(&q, "x", NOW, &t, &e));
	assert_int_equal(t, 5);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		give(&q, good[i].text);
		if (!args_time(&q, "x", NOW, &t, &e))
			fail_msg("%s: %s", good[i].text, e.msg);
		assert_int_equal(t, good[i].want);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		give(&q, bad[i]);
		check_refused(args_time(&q, "x", NOW, &t, &e), &e, bad[i]);
	}
}

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_names(void **state)
{
	static const char *const bad[] = {
		"", " a", "a b", "-a", "a/b", "\xc3\xa9", (A32 A32 "a")};
	char id[DEVICE_ID_MAX + 1] = "?", class[CLASS_NAME_MAX + 1] = "?";
	bool given = true;
	struct ask q;
	struct err e;

	(void)state;
	give(&q, NULL);
	assert_true(args_id(&q, "x", id, &e));
	assert_string_equal(id, "");
	assert_true(args_class(&q, "x", &given, class, &e));
	assert_false(given);
	assert_string_equal(class, "");
	give(&q, "a:b.c");
	assert_true(args_id(&q, "x", id, &e));
	assert_string_equal(id, "a:b.c");
	check_refused(args_class(&q, "x", &given, class, &e), &e, "a:b.c");
	give(&q, "a.b-c");
	assert_true(args_class(&q, "x", &given, class, &e));
	assert_true(given);
	assert_string_equal(class, "a.b-c");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		give(&q, bad[i]);
		check_refused(args_id(&q, "x", id, &e), &e, bad[i]);
		check_refused(
			args_class(&q, "x", &given, class, &e), &e, bad[i]);
	}
}

static void test_counter(void **state)
{
	static const char *const bad[] = {
		"", "id", "Wills", "wills ", "wire_bytes", "refusals"};
	unsigned what = 99;
	struct ask q;
	struct err e;

	(void)state;
	give(&q, NULL);
	assert_true(args_counter(&q, "x", &what, &e));
	assert_int_equal(what, 99);
	for (unsigned i = 0; i < METER_COUNTS; i++) {
		give(&q, meter_count_name(i));
		assert_true(args_counter(&q, "x", &what, &e));
		assert_int_equal(what, i);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		give(&q, bad[i]);
		check_refused(args_counter(&q, "x", &what, &e), &e, bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_truth),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
