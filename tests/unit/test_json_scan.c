/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_scan(): a table of texts with the error they must give, and random
 * token sequences against a second implementation. Every text ends at a guard
 * page.
 */
#include "io/json_path.h"
#include "io/json_scan.h"
#include "tests/support/guard.h"
#include "tests/support/json_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct guard guard;

#define TEXT_MAX ((size_t)4096)

/* A literal that may hold NUL bytes. */
#define T(literal)                                                             \
	{                                                                      \
		literal, sizeof(literal) - 1                                   \
	}

static void test_accepts(void **state)
{
	static const struct str TEXTS[] = {
		T("{}"),
		T("[]"),
		T(" \t\r\n[ ] \n"),
		T("\"\""),
		T("true"),
		T("null"),
		T("0"),
		T("-0"),
		T("[-1,10,9007199254740992,-9007199254740992]"),
		T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\uFfFf\""),
		T("\"\\ud83d\\ude00\""),
		T("\"\x7f \xC2\x80 \xEF\xBF\xBF \xF4\x8F\xBF\xBF\""),
		T("{\"a\":1,\"A\":1,\"\":1,\"a \":1}"),
		T("[{\"a\":1},{\"a\":{\"a\":[{\"a\":1}]}}]"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct err e = {0};

		if (!json_scan(guard_put(&guard, TEXTS[i]), TEXT_MAX, &e))
			fail_msg("%s: %s", TEXTS[i].p, e.msg);
		assert_true(json_oracle_check(TEXTS[i]));
	}
}

struct refusal {
	struct str text;
	uint32_t line, col;
	const char *place, *msg; /* msg: its start */
};

static void check_refusals(const struct refusal *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct refusal *c = &cases[i];
		struct err e = {0};

		if (json_scan(guard_put(&guard, c->text), TEXT_MAX, &e))
			fail_msg("accepted: %s", c->text.p);
		if (e.code != ERR_INPUT || e.line != c->line ||
			e.col != c->col || strcmp(e.place, c->place) != 0 ||
			strncmp(e.msg, c->msg, strlen(c->msg)) != 0)
			fail_msg("%s: got %u:%u: %s: %s", c->text.p, e.line,
				e.col, e.place, e.msg);
		assert_false(json_oracle_check(c->text));
	}
}

static void test_refuses_grammar(void **state)
{
	static const struct refusal CASES[] = {
		{T(""), 1, 1, "", "a value expected, but the text ends"},
		{T(" \n "), 2, 2, "", "a value expected, but the text ends"},
		{T("{} x"), 1, 4, "", "the end of the text expected, not 'x'"},
		{T("{}{}"), 1, 3, "", "the end of the text expected, not '{'"},
		{T("{}\0"), 1, 3, "", "the end of the text expected, not byte"},
		{T("nullx"), 1, 5, "", "the end of the text expected"},
		{T("tru"), 1, 1, "", "a value expected, not 't'"},
		{T("True"), 1, 1, "", "a value expected, not 'T'"},
		{T("NaN"), 1, 1, "", "a value expected, not 'N'"},
		{T("'a'"), 1, 1, "", "a value expected, not '''"},
		{T("\f1"), 1, 1, "", "a value expected, not byte 0x0C"},
		{T("\xC2\xA0"
		   "1"),
			1, 1, "", "a value expected, not byte 0xC2"},
		{T("[1,]"), 1, 4, "[1]", "a value expected, not ']'"},
		{T("[,1]"), 1, 2, "[0]", "a value expected, not ','"},
		{T("[1 2]"), 1, 4, "[0]", "',' or ']' expected, not '2'"},
		{T("[1}"), 1, 3, "[0]", "',' or ']' expected, not '}'"},
		{T("[1"), 1, 3, "[0]", "',' or ']' expected, but the text"},
		{T("{\"a\":1,}"), 1, 8, "", "a key in double quotes expected"},
		{T("{\"a\" 1}"), 1, 6, "a", "':' after the key expected"},
		{T("{\"a\":1 \"b\":2}"), 1, 8, "a", "',' or '}' expected"},
		{T("{\"a\":1]"), 1, 7, "a", "',' or '}' expected, not ']'"},
		{T("{a:1}"), 1, 2, "", "a key in double quotes expected"},
		{T("{1:1}"), 1, 2, "", "a key in double quotes expected"},
		{T("{\"a\":"), 1, 6, "a", "a value expected, but the text"},
		{T("{"), 1, 2, "", "a key in double quotes expected, but"},
		{T("["), 1, 2, "[0]", "a value expected, but the text ends"},
		{T("[\n[1,\n x]]"), 3, 2, "[0][1]", "a value expected"},
		{T("{\"a\":{\"b c\":[0,x]}}"), 1, 16, "a[\"b c\"][1]",
			"a value expected, not 'x'"},
	};

	(void)state;
	check_refusals(CASES, sizeof(CASES) / sizeof(CASES[0]));
}

static void test_refuses_strings(void **state)
{
	static const struct refusal CASES[] = {
		{T("\"abc"), 1, 1, "", "this string has no closing quote"},
		{T("\"a\\\""), 1, 1, "", "this string has no closing quote"},
		{T("\"\\"), 1, 3, "", "one of \" \\ / b f n r t u after \\"},
		{T("\"\\x41\""), 1, 3, "", "one of \" \\ / b f n r t u after"},
		{T("\"\\\0\""), 1, 3, "", "one of \" \\ / b f n r t u after"},
		{T("\"\\u12"), 1, 6, "", "a hexadecimal digit expected, but"},
		{T("\"\\u12g4\""), 1, 6, "", "a hexadecimal digit expected"},
		{T("\"\\u+123\""), 1, 4, "", "a hexadecimal digit expected"},
		{T("\"\\U0041\""), 1, 3, "", "one of"},
		{T("[\"a\\u0000b\"]"), 1, 4, "[0]", "\\u0000 is not allowed"},
		{T("\"\\ud800\""), 1, 2, "", "a surrogate without its other"},
		{T("\"\\ud800x\""), 1, 2, "", "a surrogate without its other"},
		{T("\"\\ud800\\n\""), 1, 2, "", "a surrogate without its"},
		{T("\"\\ud800\\ud800\""), 1, 2, "", "a surrogate without"},
		{T("\"\\udc00\\ud800\""), 1, 2, "", "a surrogate without"},
		{T("\"\\ud83d\\u"), 1, 10, "", "a hexadecimal digit expected"},
		{T("\"a\tb\""), 1, 3, "", "a control character must be"},
		{T("\"a\nb\""), 1, 3, "", "a control character must be"},
		{T("\"a\0b\""), 1, 3, "", "a control character must be"},
		{T("{\"\x01\":1}"), 1, 3, "", "a control character must be"},
		{T("\"\x80\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xC0\x80\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xC1\xBF\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xC3\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xE0\x9F\xBF\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xE2\x82\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xE2\x82"), 1, 2, "", "not valid UTF-8"},
		{T("\"\xED\xA0\x80\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xF0\x8F\xBF\xBF\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xF0\x9F\x98"), 1, 2, "", "not valid UTF-8"},
		{T("\"\xF4\x90\x80\x80\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xF5\x80\x80\x80\""), 1, 2, "", "not valid UTF-8"},
		{T("\"\xFF\""), 1, 2, "", "not valid UTF-8"},
		{T("\xEF\xBB\xBF{}"), 1, 1, "", "the text starts with a byte"},
		{T("{}\xEF\xBB\xBF"), 1, 3, "", "the end of the text expected"},
	};

	(void)state;
	check_refusals(CASES, sizeof(CASES) / sizeof(CASES[0]));
}

static void test_refuses_numbers(void **state)
{
	static const struct refusal CASES[] = {
		{T("-"), 1, 2, "", "a digit expected, but the text ends"},
		{T("-a"), 1, 2, "", "a digit expected, not 'a'"},
		{T("+1"), 1, 1, "", "a value expected, not '+'"},
		{T(".5"), 1, 1, "", "a value expected, not '.'"},
		{T("01"), 1, 1, "", "a number must not start with 0"},
		{T("-00"), 1, 1, "", "a number must not start with 0"},
		{T("0x10"), 1, 2, "", "the end of the text expected"},
		{T("1.5"), 1, 1, "", "write a whole number"},
		{T("1.0"), 1, 1, "", "write a whole number"},
		{T("1."), 1, 1, "", "write a whole number"},
		{T("1e2"), 1, 1, "", "write a whole number"},
		{T("1E400"), 1, 1, "", "write a whole number"},
		{T("0e0"), 1, 1, "", "write a whole number"},
		{T("9007199254740993"), 1, 1, "", "the number is out of range"},
		{T("-9007199254740993"), 1, 1, "", "the number is out of"},
		{T("18446744073709551617"), 1, 1, "", "the number is out of"},
		{T("{\"n\":[0,99999999999999999999999999999999999999999999]}"),
			1, 9, "n[1]", "the number is out of range"},
	};

	(void)state;
	check_refusals(CASES, sizeof(CASES) / sizeof(CASES[0]));
}

static void test_refuses_keys_twice(void **state)
{
	static const char MSG[] = "this key comes twice in its object; keep";
	static const struct refusal CASES[] = {
		{T("{\"a\":1,\"a\":1}"), 1, 8, "a", MSG},
		{T("{\"a\":1,\n\"\\u0061\":1}"), 2, 1, "a", MSG},
		{T("{\"\xC3\xA9\":1,\"\\u00E9\":1}"), 1, 9, "[\"\\u00e9\"]",
			MSG},
		{T("{\"\xF0\x9F\x98\x80\":1,\"\\uD83D\\uDE00\":1}"), 1, 11,
			"[\"\\ud83d\\ude00\"]", MSG},
		{T("{\"\":1,\"\":1}"), 1, 7, "[\"\"]", MSG},
		{T("{\"a\":{\"b\":1,\"c\":{},\"b\":[]}}"), 1, 20, "a.b", MSG},
		/* the first one that repeats, and the inner object first */
		{T("{\"z\":1,\"b\":1,\"a\":1,\"b\":1,\"a\":1}"), 1, 20, "b",
			MSG},
		{T("{\"a\":1,\"a\":{\"x\":1,\"x\":1}}"), 1, 19, "a.x", MSG},
		{T("[{\"k\":1},{\"k\":1,\"k\":1}]"), 1, 17, "[1].k", MSG},
	};

	(void)state;
	check_refusals(CASES, sizeof(CASES) / sizeof(CASES[0]));
}

static void test_depth(void **state)
{
	char text[2 * (JSON_DEPTH_MAX + 1)];
	struct err e = {0};

	(void)state;
	for (size_t depth = 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
		struct str s = {text, 2 * depth};

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		s = guard_put(&guard, s);
		assert_int_equal(
			json_scan(s, TEXT_MAX, &e), depth <= JSON_DEPTH_MAX);
		assert_int_equal(json_oracle_check(s), depth <= JSON_DEPTH_MAX);
	}
	assert_int_equal(e.col, JSON_DEPTH_MAX + 1);
}

static void test_size(void **state)
{
	struct err e = {0};

	(void)state;
	assert_true(json_scan(guard_put(&guard, STR("[1]")), 3, &e));
	assert_false(json_scan(guard_put(&guard, STR("[1]")), 2, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_string_equal(e.msg, "the text has 3 bytes; at most 2 are read");
	assert_false(json_scan((struct str){NULL, 0}, 2, &e));
	assert_false(json_scan(STR("["), 2, NULL));
	assert_false(json_scan(STR("[[]"), 1, NULL));
}

/* More keys than the first allocation holds; only the last one repeats. */
static void test_many_keys(void **state)
{
	static char text[64 * 1024];
	struct err e = {0};
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 3000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%c\"k%d\":0",
			i == 0 ? '{' : ',', i);
	(void)snprintf(text + n, sizeof(text) - n, "}");
	assert_true(json_scan((struct str){text, n + 1}, SIZE_MAX, &e));
	(void)snprintf(text + n, sizeof(text) - n, ",\"k1234\":0}");
	assert_false(json_scan(str_from(text), SIZE_MAX, &e));
	assert_int_equal(e.col, n + 2);
	assert_string_equal(e.place, "k1234");
}

/* xorshift64: the same sequence on every run. */
static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void test_random_tokens(void **state)
{
	static const struct str TOKENS[] = {T("{"), T("}"), T("["), T("]"),
		T(","), T(":"), T("\"a\""), T("\"\\u0061\""), T("\"b\""),
		T("\""), T("\\"), T("\\u"), T("d83d"), T("\\ude00"), T("0"),
		T("1"), T("-"), T("."), T("e"), T("9007199254740992"),
		T("true"), T("null"), T(" "), T("\n"), T("\xC3\xA9"), T("\xE2"),
		T("{\"a\":"), T(",\"b\":"), T("[1,")};
	uint64_t seed = 0x9E3779B97F4A7C15u;
	char text[256];
	size_t accepted = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct str s = {text, 0};
		size_t tokens = 1 + next_random(&seed) % 12;

		for (size_t k = 0; k < tokens; k++) {
			const struct str *t =
				&TOKENS[next_random(&seed) %
					(sizeof(TOKENS) / sizeof(TOKENS[0]))];

			memcpy(text + s.n, t->p, t->n);
			s.n += t->n;
		}
		accepted += json_oracle_check(guard_put(&guard, s));
	}
	/* Else the comparison says little. */
	assert_true(accepted > 1000);
}

static void test_path(void **state)
{
	struct json_path path = {0};
	char long_key[2 * JSON_PATH_KEY_MAX];
	struct str key = {long_key, sizeof(long_key)};

	(void)state;
	json_path_key(&path, STR("classes"), JSON_DECODED);
	json_path_key(&path, STR("a.b_c:9-$"), JSON_DECODED);
	json_path_index(&path, 12);
	assert_string_equal(path.text, "classes.a.b_c:9-$[12]");
	json_path_cut(&path, strlen("classes"));
	json_path_key(&path, STR("\"\\\x1b\x7f\xC2\x9B"), JSON_DECODED);
	assert_string_equal(
		path.text, "classes[\"\\\"\\\\\\u001b\\u007f\\u009b\"]");
	json_path_cut(&path, 0);
	json_path_key(&path, STR("\\u0061\\n"), JSON_RAW);
	assert_string_equal(path.text, "[\"a\\u000a\"]");
	/* A long key is cut, and so is a long path, never in an escape. */
	memset(long_key, 1, sizeof(long_key));
	for (int i = 0; i < 8; i++)
		json_path_key(&path, key, JSON_DECODED);
	assert_true(path.n < sizeof(path.text));
	assert_int_equal(strlen(path.text), path.n);
}

static int setup(void **state)
{
	(void)state;
	guard_init(&guard, TEXT_MAX);
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
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses_grammar),
		cmocka_unit_test(test_refuses_strings),
		cmocka_unit_test(test_refuses_numbers),
		cmocka_unit_test(test_refuses_keys_twice),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_random_tokens),
		cmocka_unit_test(test_path),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
