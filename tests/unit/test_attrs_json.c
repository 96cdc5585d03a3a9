/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/attrs_json.h"
#include "tests/support/guard.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name, *text, *canonical;
} valid[] = {
	{"none", "{}", "{}"},
	{"white space", " \t\r\n{ } \n", "{}"},
	{"one", "{\"a\":\"b\"}", "{\"a\":\"b\"}"},
	{"sorted by name", "{\"b\":\"1\",\"a\":\"2\",\"B\":\"3\"}",
		"{\"B\":\"3\",\"a\":\"2\",\"b\":\"1\"}"},
	{"array, order kept", "{\"a\":[\"z\",\"y\"]}", "{\"a\":[\"z\",\"y\"]}"},
	{"array of one", "{\"a\":[\"z\"]}", "{\"a\":\"z\"}"},
	{"escapes", "{\"\\u0061\":\"\\u00e9\\\"\\\\\"}",
		"{\"a\":\"\xc3\xa9\\\"\\\\\"}"},
	{"a backslash, then u0000", "{\"a\":\"\\\\u0000\"}",
		"{\"a\":\"\\\\u0000\"}"},
	{"surrogate pair", "{\"a\":\"\\ud83d\\ude00\"}",
		"{\"a\":\"\xf0\x9f\x98\x80\"}"},
	{"16 values",
		"{\"a\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
		"\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\"]}",
		"{\"a\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
		"\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\"]}"},
	{"name of 32 bytes", "{\"a2345678901234567890123456789012\":\"b\"}",
		"{\"a2345678901234567890123456789012\":\"b\"}"},
};

/* STR for a static table. */
#define LIT(s)                                                                 \
	{                                                                      \
		(s), sizeof(s) - 1                                             \
	}

static const struct {
	const char *name;
	struct str text;
} invalid[] = {
	{"empty", LIT("")},
	{"white space only", LIT("  ")},
	{"array", LIT("[]")},
	{"string", LIT("\"a\"")},
	{"null", LIT("null")},
	{"byte order mark", LIT("\xef\xbb\xbf{}")},
	{"trailing brace", LIT("{}}")},
	{"trailing value", LIT("{} {}")},
	{"trailing NUL", LIT("{}\0")},
	{"unfinished", LIT("{\"a\":\"b\"")},
	{"unfinished string", LIT("{\"a\":\"b")},
	{"trailing comma", LIT("{\"a\":\"b\",}")},
	{"no value", LIT("{\"a\"}")},
	{"number", LIT("{\"a\":1}")},
	{"true", LIT("{\"a\":true}")},
	{"null value", LIT("{\"a\":null}")},
	{"object value", LIT("{\"a\":{}}")},
	{"empty array", LIT("{\"a\":[]}")},
	{"number in array", LIT("{\"a\":[\"b\",1]}")},
	{"array in array", LIT("{\"a\":[[\"b\"]]}")},
	{"name twice", LIT("{\"a\":\"b\",\"a\":\"c\"}")},
	{"name twice, escaped", LIT("{\"a\":\"b\",\"\\u0061\":\"c\"}")},
	{"value twice", LIT("{\"a\":[\"b\",\"c\",\"b\"]}")},
	{"17 values",
		LIT("{\"a\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\","
		    "\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\","
		    "\"17\"]}")},
	{"\\u0000 in a value", LIT("{\"a\":\"b\\u0000c\"}")},
	{"\\u0000 in a name", LIT("{\"a\\u0000\":\"b\"}")},
	{"raw NUL", LIT("{\"a\":\"b\0c\"}")},
	{"raw newline in a value", LIT("{\"a\":\"b\nc\"}")},
	{"escaped newline", LIT("{\"a\":\"b\\nc\"}")},
	{"vertical tab outside", LIT("{\v}")},
	{"lone surrogate", LIT("{\"a\":\"\\ud83d\"}")},
	{"invalid UTF-8", LIT("{\"a\":\"\xc3\"}")},
	{"empty value", LIT("{\"a\":\"\"}")},
	{"a level more", LIT("{\"a\":\"b/c\"}")},
	{"wildcard +", LIT("{\"a\":\"+\"}")},
	{"wildcard #", LIT("{\"a\":\"x#\"}")},
	{"$ first", LIT("{\"a\":\"$SYS\"}")},
	{"escaped slash", LIT("{\"a\":\"b\\u002fc\"}")},
	{"empty name", LIT("{\"\":\"b\"}")},
	{"name starts with a digit", LIT("{\"1a\":\"b\"}")},
	{"name with a dot", LIT("{\"a.b\":\"c\"}")},
	{"name of 33 bytes",
		LIT("{\"a23456789012345678901234567890123\":\"b\"}")},
	{"single quotes", LIT("{'a':'b'}")},
	{"comment", LIT("{/**/}")},
};

static struct guard guard;

static void test_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		struct attr *attrs = NULL;
		char *bytes = NULL, *out = NULL;
		uint16_t n = 99;
		struct err e = {0};

		if (!attrs_json_parse(
			    guard_put(&guard, str_from(valid[i].text)), &attrs,
			    &n, &bytes, &e) ||
			!attrs_json_format(attrs, n, &out, &e))
			fail_msg("%s: %s", valid[i].name, e.msg);
		if (out == NULL || strcmp(out, valid[i].canonical) != 0)
			fail_msg("%s is not in canonical form", valid[i].name);
		assert_true((n == 0) == (attrs == NULL));
		free(attrs);
		free(bytes);
		free(out);
	}
}

static void test_invalid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		struct attr *attrs = NULL;
		char *bytes = NULL;
		uint16_t n = 99;
		struct err e = {0};

		if (attrs_json_parse(guard_put(&guard, invalid[i].text), &attrs,
			    &n, &bytes, &e))
			fail_msg("%s was accepted", invalid[i].name);
		if (e.code != ERR_INPUT || e.msg[0] == '\0')
			fail_msg("%s: code %d", invalid[i].name, e.code);
		assert_null(attrs);
		assert_null(bytes);
		assert_int_equal(n, 99);
	}
}

/* N attributes of one value each. */
static struct str many(char *text, size_t cap, int n)
{
	size_t used = 1;

	text[0] = '{';
	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, cap - used,
			"%s\"a%d\":\"b\"", i != 0 ? "," : "", i);
	text[used++] = '}';
	return (struct str){text, used};
}

static void test_limits(void **state)
{
	char text[2048], *huge, *bytes = NULL;
	struct attr *attrs = NULL;
	struct err e;
	uint16_t n = 0;

	(void)state;
	assert_true(attrs_json_parse(
		many(text, sizeof(text), 64), &attrs, &n, &bytes, &e));
	assert_int_equal(n, 64);
	free(attrs);
	free(bytes);
	assert_false(attrs_json_parse(
		many(text, sizeof(text), 65), &attrs, &n, &bytes, &e));
	assert_int_equal(e.code, ERR_INPUT);
	huge = malloc(ATTRS_JSON_MAX + 1);
	assert_non_null(huge);
	memset(huge, ' ', ATTRS_JSON_MAX + 1);
	memcpy(huge, "{}", 2);
	assert_true(attrs_json_parse(
		(struct str){huge, ATTRS_JSON_MAX}, &attrs, &n, &bytes, &e));
	assert_int_equal(n, 0);
	assert_false(attrs_json_parse((struct str){huge, ATTRS_JSON_MAX + 1},
		&attrs, &n, &bytes, &e));
	free(huge);
}

/* Whatever a device may have, at its longest, is read back. */
static void test_longest(void **state)
{
	char value[ATTR_VALUES_MAX][ATTR_VALUE_MAX + 1];
	struct attr in[DEVICE_ATTRS_MAX], *attrs = NULL;
	char *out = NULL, *bytes = NULL;
	struct err e = {0};
	uint16_t n = 0;

	(void)state;
	for (int i = 0; i < ATTR_VALUES_MAX; i++) {
		memset(value[i], '"', ATTR_VALUE_MAX);
		(void)snprintf(value[i], 3, "%02d", i);
		value[i][2] = '\\';
		value[i][ATTR_VALUE_MAX] = '\0';
	}
	for (size_t i = 0; i < DEVICE_ATTRS_MAX; i++) {
		static const char *const names[] = {"d", "c", "b", "a"};

		in[i].name = str_from(names[i % 4]);
		in[i].value = str_from(value[i / 4]);
	}
	if (!attrs_json_format(in, DEVICE_ATTRS_MAX, &out, &e) ||
		!attrs_json_parse(str_from(out), &attrs, &n, &bytes, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(n, DEVICE_ATTRS_MAX);
	assert_true(str_eq(attrs[0].name, STR("a")));
	assert_true(str_eq(attrs[0].value, in[3].value));
	assert_true(str_eq(attrs[63].value, in[60].value));
	free(out);
	free(attrs);
	free(bytes);
}

static void test_format_refuses(void **state)
{
	const struct attr bad[][2] = {
		{{STR("a"), STR("b")}, {STR("a"), STR("b")}},
		{{STR("a"), STR("b")}, {STR("a"), STR("x/y")}},
		{{STR("a"), STR("b")}, {STR("a b"), STR("c")}},
		{{STR("a"), STR("b")}, {STR("c"), {NULL, 0}}},
		{{STR("a"), STR("b")}, {STR("c"), STR("d\0e")}},
	};
	struct attr many_values[ATTR_VALUES_MAX + 1];
	char digits[ATTR_VALUES_MAX + 1][4];
	char *out = NULL;
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(attrs_json_format(bad[i], 2, &out, &e));
		assert_int_equal(e.code, ERR_INPUT);
		assert_null(out);
	}
	for (int i = 0; i <= ATTR_VALUES_MAX; i++) {
		(void)snprintf(digits[i], sizeof(digits[i]), "%d", i);
		many_values[i] = (struct attr){STR("a"), str_from(digits[i])};
	}
	assert_false(
		attrs_json_format(many_values, ATTR_VALUES_MAX + 1, &out, &e));
	assert_null(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_format_refuses),
	};
	int failed;

	guard_init(&guard, 4096);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
