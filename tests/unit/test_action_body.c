/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an action comes with, read from JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/action_body.h"
#include "tests/support/guard.h"

#include <stdio.h>

#define NOW INT64_C(1700000000)

static struct guard guard;

static struct ask asked(const char *body, const char *type)
{
	return (struct ask){.body = guard_put(&guard, str_from(body)),
		.content_type = str_from(type)};
}

static const struct {
	const char *body, *reason;
	int64_t until_s;
} valid[] = {
	{"", "", 0},
	{"{}", "", 0},
	{" { } ", "", 0},
	{"{\"reason\": \"odd\"}", "odd", 0},
	{"{\"reason\": \"\"}", "", 0},
	{"{\"reason\": \"caf\\u00e9\"}", "caf\xC3\xA9", 0},
	{"{\"for_s\": 1}", "", NOW + 1},
	{"{\"for_s\": 315360000}", "", NOW + 315360000},
	{"{\"until_s\": 1700000001}", "", NOW + 1},
	{"{\"until_s\": 1700000060, \"reason\": \"x\"}", "x", NOW + 60},
};

static const struct {
	const char *body, *place, *says;
} invalid[] = {
	{"[]", "", "object"},
	{"1", "", "object"},
	{"null", "", "object"},
	{"{", "", ""},
	{"{}x", "", ""},
	{"\xEF\xBB\xBF{}", "", ""},
	{"{\"reason\": \"\xff\"}", "reason", "UTF-8"},
	{"{\"reason\": \"a\\u0000b\"}", "reason", ""},
	{"{\"reason\": \"a\\nb\"}", "reason", "control characters"},
	{"{\"reason\": 1}", "reason", "string"},
	{"{\"reason\": null}", "reason", "string"},
	{"{\"reason\": \"a\", \"reason\": \"b\"}", "reason", ""},
	{"{\"reasons\": \"a\"}", "reasons", "reason"},
	{"{\"for_s\": 0}", "for_s", ""},
	{"{\"for_s\": -1}", "for_s", ""},
	{"{\"for_s\": 1.5}", "for_s", ""},
	{"{\"for_s\": 1e2}", "for_s", ""},
	{"{\"for_s\": \"2h\"}", "for_s", "number"},
	{"{\"for_s\": 315360001}", "for_s", ""},
	{"{\"until_s\": 1700000000}", "until_s", ""},
	{"{\"until_s\": 0}", "until_s", ""},
	{"{\"until_s\": 9007199254740993}", "until_s", ""},
	{"{\"for_s\": 1, \"until_s\": 1700000001}", "", "not both"},
	{"{\"device\": \"x\"}", "device", ""},
};

static void test_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		struct ask q = asked(valid[i].body, "application/json");
		struct action_body b;
		struct err e = {0};

		if (!action_body_read(&q, NOW, &b, &e))
			fail_msg("%s: %s", valid[i].body, e.msg);
		assert_string_equal(b.reason, valid[i].reason);
		assert_int_equal(b.until_s, valid[i].until_s);
	}
}

static void test_invalid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		struct ask q = asked(invalid[i].body, "application/json");
		struct action_body b = {.until_s = 77};
		struct err e = {0};

		if (action_body_read(&q, NOW, &b, &e))
			fail_msg("taken: %s", invalid[i].body);
		if (e.code != ERR_INPUT ||
			strcmp(e.place, invalid[i].place) != 0 ||
			strstr(e.msg, invalid[i].says) == NULL)
			fail_msg("%s: %s: %s", invalid[i].body, e.place, e.msg);
		assert_int_equal(b.until_s, 77);
	}
}

static void test_reason_length(void **state)
{
	char body[512];
	struct action_body b;
	struct err e;

	(void)state;
	for (int n = STATUS_REASON_MAX; n <= STATUS_REASON_MAX + 1; n++) {
		struct ask q;

		(void)snprintf(
			body, sizeof(body), "{\"reason\": \"%0*d\"}", n, 0);
		q = asked(body, "application/json");
		assert_int_equal(action_body_read(&q, NOW, &b, &e),
			n == STATUS_REASON_MAX);
	}
	assert_string_equal(e.place, "reason");
}

static void test_none(void **state)
{
	static const char *const taken[] = {"", "{}"};
	static const char *const refused[] = {
		"{\"reason\": \"x\"}", "[]", "{", "{\"for_s\": 1}"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ask q = asked(taken[i], "application/json");

		assert_true(action_body_none(&q, &e));
	}
	for (size_t i = 0; i < 4; i++) {
		struct ask q = asked(refused[i], "application/json");

		if (action_body_none(&q, &e))
			fail_msg("taken: %s", refused[i]);
		assert_int_equal(e.code, ERR_INPUT);
	}
}

static void test_type(void **state)
{
	static const struct {
		const char *type, *body;
		bool want;
	} cases[] = {
		{"application/json", "{}", true},
		{"Application/JSON; charset=utf-8", "{}", true},
		{"application/json ;x=y", "{}", true},
		{"", "", true},
		{"text/plain", "", true},
		{"", "{}", false},
		{"text/plain", "{}", false},
		{"application/jsonx", "{}", false},
		{"application/jso", "{}", false},
		{"application/x-www-form-urlencoded", "{}", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ask q = asked(cases[i].body, cases[i].type);

		if (action_body_typed(&q) != cases[i].want)
			fail_msg("%s", cases[i].type);
	}
}

static int setup(void **state)
{
	(void)state;
	guard_init(&guard, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guard_fini(&guard);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_reason_length),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_type),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
