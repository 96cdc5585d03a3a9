/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mosquitto's acl_file, read as the broker reads it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/acl_file.h"
#include "tests/support/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct guard guard;

static int setup(void **state)
{
	(void)state;
	guard_init(&guard, ACL_BYTES_MAX + 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guard_fini(&guard);
	return 0;
}

/* "user:access:topic:line" of every rule, with ';' between; a pattern's user
 * is "*". */
static void describe(const struct acl *a, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < a->n; i++) {
		const struct acl_rule *r = &a->rules[i];
		bool pattern = i >= a->first_pattern;
		struct str user = pattern ? STR("*") : a->users[r->user].name;
		int n = snprintf(out + used, cap - used, "%s%.*s:%d:%.*s:%u",
			i == 0 ? "" : ";", STR_ARG(user), r->access,
			STR_ARG(r->topic), r->line);

		assert_true(n > 0 && (size_t)n < cap - used);
		used += (size_t)n;
		if (!pattern)
			assert_true(i >= a->users[r->user].first &&
				    i < a->users[r->user].first +
						    a->users[r->user].n);
	}
}

static void test_reads(void **state)
{
	static const struct {
		struct str text;
		const char *expect;
	} cases[] = {
		{STR_INIT(""), ""},
		{STR_INIT("\n\r\n \t \n"), ""},
		{STR_INIT("# topic a"), ""},
		{STR_INIT("topic a"), ":3:a:1"},
		{STR_INIT("topic read a\n"), ":2:a:1"},
		{STR_INIT("topic write a\r\n"), ":1:a:1"},
		{STR_INIT("topic readwrite a \t"), ":3:a:1"},
		{STR_INIT("topic deny a"), ":0:a:1"},
		/* The one word of a topic line is its filter. */
		{STR_INIT("topic read"), ":3:read:1"},
		{STR_INIT("topic read   "), ":3:read:1"},
		{STR_INIT("  topic   read   a b  "), ":2:a b:1"},
		{STR_INIT("user u\ntopic a"), "u:3:a:2"},
		{STR_INIT("user  u v \ntopic a"), "u v:3:a:2"},
		{STR_INIT("user u"), ""},
		/* A pattern belongs to nobody; what denies comes first. */
		{STR_INIT("user u\npattern read a/%c\ntopic b"),
			"u:3:b:3;*:2:a/%c:2"},
		{STR_INIT("topic a\ntopic deny b\npattern c\npattern deny d"),
			":0:b:2;:3:a:1;*:0:d:4;*:3:c:3"},
		/* A user named twice is one. */
		{STR_INIT("user u\ntopic a\nuser v\ntopic b\nuser u\ntopic c"),
			"u:3:a:2;u:3:c:6;v:3:b:4"},
		{STR_INIT("user u\ntopic a\nuser u \ntopic deny c"),
			"u:0:c:4;u:3:a:2"},
		{STR_INIT("topic read $SYS/#"), ":2:$SYS/#:1"},
		{STR_INIT("topic %c/%u"), ":3:%c/%u:1"},
	};
	char said[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct acl a;
		struct err e = {0};

		if (!acl_file_parse(guard_put(&guard, cases[i].text), &a, &e))
			fail_msg("%zu: %s", i, e.msg);
		describe(&a, said, sizeof(said));
		assert_string_equal(said, cases[i].expect);
		acl_free(&a);
		assert_null(a.rules);
	}
}

static void test_refuses(void **state)
{
	static const struct {
		struct str text;
		uint32_t line;
		const char *say;
	} cases[] = {
		{STR_INIT("topics a"), 1, "user, topic or pattern"},
		{STR_INIT("\n  # no comment"), 2, "user, topic or pattern"},
		{STR_INIT("topic\ta"), 1, "control character"},
		{STR_INIT("Topic a"), 1, "user, topic or pattern"},
		{STR_INIT("topic"), 1, "filter is missing"},
		{STR_INIT("pattern "), 1, "filter is missing"},
		{STR_INIT("topic a b"), 1, "read, write, readwrite"},
		{STR_INIT("topic Read a"), 1, "read, write, readwrite"},
		{STR_INIT("topic reads a"), 1, "read, write, readwrite"},
		{STR_INIT("topic rea a"), 1, "read, write, readwrite"},
		{STR_INIT("user"), 1, "name is missing"},
		{STR_INIT("topic a\nuser  \n"), 2, "name is missing"},
		{STR_INIT("topic read a+"), 1, "not a valid filter"},
		{STR_INIT("topic read #/a"), 1, "not a valid filter"},
		{STR_INIT("pattern read a/%c#"), 1, "not a valid filter"},
		{STR_INIT("topic read a\tb"), 1, "control character"},
		{STR_INIT("user a\x01"), 1, "control character"},
		{STR_INIT("topic read a\0b"), 1, "control character"},
		{STR_INIT("user \xc3("), 1, "control character"},
		{STR_INIT("topic \x1b[31m"), 1, "control character"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct acl a = {.n = 7};
		struct err e = {0};

		if (acl_file_parse(guard_put(&guard, cases[i].text), &a, &e))
			fail_msg("%zu is taken", i);
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_equal(e.line, cases[i].line);
		if (strstr(e.msg, cases[i].say) == NULL)
			fail_msg("%zu: %s", i, e.msg);
		assert_int_equal(a.n, 7);
	}
}

/* N lines: LINE and a number. Given: free(). */
static char *many(size_t n, const char *line)
{
	char *p = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&p, &len);

	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "%s%zu\n", line, i);
	assert_int_equal(fclose(f), 0);
	return p;
}

static void check_limit(size_t max, const char *line, const char *say)
{
	for (size_t more = 0; more < 2; more++) {
		char *text = many(max + more, line);
		struct acl a = {.n = 0};
		struct err e = {0};
		bool ok = acl_file_parse(str_from(text), &a, &e);

		assert_int_equal(ok, more == 0);
		if (!ok) {
			assert_int_equal(e.line, max + 1);
			assert_non_null(strstr(e.msg, say));
		}
		acl_free(&a);
		free(text);
	}
}

static void test_limits(void **state)
{
	struct acl a = {.n = 0};
	struct err e = {0};
	char *text = malloc(ACL_BYTES_MAX + 1);

	(void)state;
	check_limit(ACL_RULES_MAX, "topic a", "more rules");
	/* users[0] is for clients without a name. */
	check_limit(ACL_USERS_MAX - 1, "user u", "more users");

	assert_non_null(text);
	memset(text, '#', ACL_BYTES_MAX + 1);
	assert_true(acl_file_parse(
		guard_put(&guard, (struct str){text, ACL_BYTES_MAX}), &a, &e));
	acl_free(&a);
	assert_false(acl_file_parse(
		guard_put(&guard, (struct str){text, ACL_BYTES_MAX + 1}), &a,
		&e));
	assert_non_null(strstr(e.msg, "4 MiB"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
