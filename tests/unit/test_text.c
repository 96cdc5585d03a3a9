/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/text.h"
#include "io/json_scan.h"
#include "tests/support/guard.h"

static struct guard guard;

static const struct {
	const char *name;
	struct str in;
	const char *out;
} strings[] = {
	{"empty", STR_INIT(""), "\"\""},
	{"plain", STR_INIT("meter-7"), "\"meter-7\""},
	{"quotes", STR_INIT("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
	{"short escapes", STR_INIT("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
	{"control", STR_INIT("\x01\x1f\x7f"), "\"\\u0001\\u001f\\u007f\""},
	{"NUL", STR_INIT("a\0b"), "\"a\\u0000b\""},
	{"two bytes", STR_INIT("\xC3\xA9"), "\"\xC3\xA9\""},
	{"three bytes", STR_INIT("\xE2\x82\xAC"), "\"\xE2\x82\xAC\""},
	{"four bytes", STR_INIT("\xF0\x9F\x98\x80"), "\"\xF0\x9F\x98\x80\""},
	{"replacement", STR_INIT("\xEF\xBF\xBD"), "\"\xEF\xBF\xBD\""},
	{"lone continuation",
		STR_INIT("a\x80"
			 "b"),
		"\"a\xEF\xBF\xBD"
		"b\""},
	{"cut", STR_INIT("a\xC3"), "\"a\xEF\xBF\xBD\""},
	{"overlong", STR_INIT("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
	{"surrogate", STR_INIT("\xED\xA0\x80"),
		"\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
	{"FE FF", STR_INIT("\xFE\xFF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
};

static void test_strings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		struct text t = {0};

		json_text(&t, NULL, guard_put(&guard, strings[i].in));
		assert_false(t.failed);
		if (strcmp(t.p, strings[i].out) != 0)
			fail_msg("%s: %s", strings[i].name, t.p);
		text_free(&t);
	}
}

/* Whatever the bytes: what is written is JSON of that one string. */
static void test_all_bytes(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 65536; n++) {
		char bytes[] = {(char)(n >> 8), (char)n, 'x'};
		struct text t = {0};
		struct err e = {0};

		json_open(&t, NULL, '[');
		json_text(&t, NULL, guard_put(&guard, (struct str){bytes, 3}));
		json_close(&t, ']');
		/* json_scan refuses \u0000, which a NUL becomes. */
		if (bytes[0] != '\0' && bytes[1] != '\0' &&
			!json_scan((struct str){t.p, t.n}, 64, &e))
			fail_msg("%04x: %s: %s", n, t.p, e.msg);
		text_free(&t);
	}
}

static void test_members(void **state)
{
	struct text t = {0};

	(void)state;
	json_open(&t, NULL, '{');
	json_text(&t, "a", STR("b"));
	json_number(&t, "n", INT64_MIN);
	json_count(&t, "u", UINT64_MAX);
	json_open(&t, "empty", '[');
	json_close(&t, ']');
	json_open(&t, "list", '[');
	json_open(&t, NULL, '{');
	json_close(&t, '}');
	json_number(&t, NULL, 1);
	json_truth(&t, NULL, true);
	json_null(&t, NULL);
	json_close(&t, ']');
	json_truth(&t, "f", false);
	json_close(&t, '}');
	json_line_end(&t);
	json_open(&t, NULL, '{');
	json_close(&t, '}');
	json_line_end(&t);
	assert_string_equal(t.p,
		"{\"a\":\"b\",\"n\":-9223372036854775808,"
		"\"u\":18446744073709551615,\"empty\":[],"
		"\"list\":[{},1,true,null],\"f\":false}\n{}\n");
	assert_int_equal(strlen(t.p), t.n);
	text_clear(&t);
	assert_int_equal(t.n, 0);
	json_number(&t, NULL, 7);
	assert_string_equal(t.p, "7");
	text_free(&t);
	text_free(&t);
}

static void test_growth(void **state)
{
	struct text t = {0};

	(void)state;
	text_add(&t, STR(""));
	assert_string_equal(t.p, "");
	for (unsigned i = 0; i < 100000; i++)
		text_fmt(&t, "%05u", i);
	assert_int_equal(t.n, 500000);
	assert_memory_equal(t.p + 499990, "9999899999", 11);
	text_free(&t);
}

/* After memory ran out nothing is added, and nothing is lost of what is
 * there. */
static void test_too_much(void **state)
{
	struct text t = {0};

	(void)state;
	text_add(&t, STR("abc"));
	text_add(&t, (struct str){"", SIZE_MAX / 2});
	assert_true(t.failed);
	text_add(&t, STR("def"));
	json_number(&t, "n", 1);
	assert_string_equal(t.p, "abc");
	text_clear(&t);
	assert_false(t.failed);
	text_add(&t, STR("x"));
	assert_string_equal(t.p, "x");
	text_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_all_bytes),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_too_much),
	};
	int failed;

	guard_init(&guard, 4096);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
