/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/ask.h"
#include "tests/support/guard.h"

#include <stdio.h>

static struct guard guard;

static bool parse(const char *target, struct ask *out, struct err *e)
{
	return ask_parse(guard_put(&guard, str_from(target)), out, e);
}

/* ARGS: "name=value" decoded, separated by '|'. */
static const struct {
	const char *target, *path, *args;
} valid[] = {
	{"/", "/", ""},
	{"/a", "/a", ""},
	{"/a/b/c", "/a/b/c", ""},
	{"/a?", "/a", ""},
	{"/?x", "/", "x="},
	{"/a?x=1", "/a", "x=1"},
	{"/a?x=1&y=2", "/a", "x=1|y=2"},
	{"/a?x=", "/a", "x="},
	{"/a?x=b=c", "/a", "x=b=c"},
	{"/a?x=/b?c", "/a", "x=/b?c"},
	{"/a?x=a+b", "/a", "x=a+b"},
	{"/a?x=a%20b%26%3d", "/a", "x=a b&="},
	{"/a?x=..", "/a", "x=.."},
	{"/caf%C3%A9", "/caf\xC3\xA9", ""},
	{"/caf\xC3\xA9", "/caf\xC3\xA9", ""},
	{"/%41%5a", "/AZ", ""},
	{"/...", "/...", ""},
	{"/.a/b.", "/.a/b.", ""},
	{"/a:b;c=d", "/a:b;c=d", ""},
};

static const struct {
	const char *target, *says;
} invalid[] = {
	{"", "starts with"},
	{"a", "starts with"},
	{"*", "starts with"},
	{"http://x/a", "starts with"},
	{"?x=1", "starts with"},
	{"//", "empty segment"},
	{"//a", "empty segment"},
	{"/a/", "empty segment"},
	{"/a//b", "empty segment"},
	{"/.", "'.'"},
	{"/..", "'..'"},
	{"/a/../b", "'..'"},
	{"/a/%2e%2E/b", "'..'"},
	{"/a/%2e", "'.'"},
	{"/a%2fb", "escaped '/'"},
	{"/..%2f..%2fetc", "escaped '/'"},
	{"/a%", "hexadecimal"},
	{"/a%4", "hexadecimal"},
	{"/a%4g", "hexadecimal"},
	{"/a?x=%", "hexadecimal"},
	{"/a%00", "control"},
	{"/a%0a", "control"},
	{"/a%7f", "control"},
	{"/a%C2%80", "control"},
	{"/a%c3", "UTF-8"},
	{"/a%C0%AF", "UTF-8"},
	{"/a%ED%A0%80", "UTF-8"},
	{"/a\xFF", "UTF-8"},
	{"/a?x=\xFF", "UTF-8"},
	{"/a?%00=x", "control"},
	{"/a?x=1&x=2", "'x' is there twice"},
	{"/a?x=1&%78=2", "'x' is there twice"},
	{"/a?=1", "no name"},
	{"/a?&", "no name"},
	{"/a?x&&y", "no name"},
	{"/a?x&", "no name"},
};

static void print_args(const struct ask *q, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t k = 0; k < q->n_args; k++)
		used += (size_t)snprintf(out + used, cap - used, "%s%.*s=%.*s",
			k != 0 ? "|" : "", STR_ARG(q->arg[k].name),
			STR_ARG(q->arg[k].value));
}

static void test_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		char args[256];
		struct err e = {0};
		struct ask q;

		if (!parse(valid[i].target, &q, &e))
			fail_msg("%s: %s", valid[i].target, e.msg);
		print_args(&q, args, sizeof(args));
		if (!str_eq(q.path, str_from(valid[i].path)))
			fail_msg("%s: path %.*s", valid[i].target,
				STR_ARG(q.path));
		assert_string_equal(args, valid[i].args);
	}
}

static void test_invalid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		struct err e = {0};
		struct ask q;

		if (parse(invalid[i].target, &q, &e))
			fail_msg("%s was accepted", invalid[i].target);
		assert_int_equal(e.code, ERR_INPUT);
		if (strstr(e.msg, invalid[i].says) == NULL)
			fail_msg("%s: %s", invalid[i].target, e.msg);
		assert_int_equal(q.n_args, 0);
		assert_int_equal(q.path.n, 0);
	}
}

static void test_limits(void **state)
{
	char target[ASK_TARGET_MAX + 2];
	struct err e = {0};
	struct ask q;
	size_t n = 3;

	(void)state;
	memset(target, 'a', sizeof(target));
	target[0] = '/';
	assert_true(ask_parse(
		guard_put(&guard, (struct str){target, ASK_TARGET_MAX}), &q,
		&e));
	assert_int_equal(q.path.n, ASK_TARGET_MAX);
	assert_false(ask_parse(
		guard_put(&guard, (struct str){target, ASK_TARGET_MAX + 1}), &q,
		&e));
	(void)snprintf(target, sizeof(target), "/?");
	n = 2;
	for (unsigned i = 0; i < ASK_ARGS; i++)
		n += (size_t)snprintf(target + n, sizeof(target) - n, "%sa%u",
			i != 0 ? "&" : "", i);
	assert_true(parse(target, &q, &e));
	assert_int_equal(q.n_args, ASK_ARGS);
	(void)snprintf(target + n, sizeof(target) - n, "&b");
	assert_false(parse(target, &q, &e));
	assert_non_null(strstr(e.msg, "more than 24"));
}

static void test_args(void **state)
{
	static const char *const names[] = {"class", "limit"};
	struct err e = {0};
	struct ask q;

	(void)state;
	assert_true(parse("/a?class=meter&empty", &q, &e));
	assert_true(str_eq(ask_arg(&q, "class"), STR("meter")));
	assert_non_null(ask_arg(&q, "empty").p);
	assert_int_equal(ask_arg(&q, "empty").n, 0);
	assert_null(ask_arg(&q, "clas").p);
	assert_null(ask_arg(&q, "limit").p);
	assert_false(ask_only(&q, names, 2, &e));
	assert_string_equal(e.msg,
		"argument 'empty' is not known here; there are: class, "
		"limit");
	assert_false(ask_only(&q, NULL, 0, &e));
	assert_non_null(strstr(e.msg, "there are: none"));
	assert_true(parse("/a?limit=3&class=b", &q, &e));
	assert_true(ask_only(&q, names, 2, &e));
	assert_true(parse("/a", &q, &e));
	assert_true(ask_only(&q, NULL, 0, &e));
}

static void test_segment(void **state)
{
	struct str rest;
	struct err e;
	struct ask q;

	(void)state;
	assert_true(parse("/api/v1/devices/x/usage", &q, &e));
	assert_true(
		str_eq(ask_segment(&q, "/api/v1/devices/", &rest), STR("x")));
	assert_true(str_eq(rest, STR("/usage")));
	assert_int_equal(ask_segment(&q, "/api/v1/classes/", &rest).n, 0);
	assert_int_equal(
		ask_segment(&q, "/api/v1/devices/x/usage/", &rest).n, 0);
	assert_true(parse("/api/v1/devices/x", &q, &e));
	assert_true(
		str_eq(ask_segment(&q, "/api/v1/devices/", &rest), STR("x")));
	assert_int_equal(rest.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_segment),
	};
	int failed;

	guard_init(&guard, 4096);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
