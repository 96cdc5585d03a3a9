/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of two rules of one list is needless. A rule that is called so and is
 * not would be deleted, and a right with it: each limit has its case.
 */
#include "core/policy.h"
#include "core/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOBODY RULE_NONE

struct found {
	uint32_t by[2]; /* by which each of the two is covered */
	size_t n;
};

static void note(void *ctx, uint32_t rule, uint32_t by)
{
	struct found *f = ctx;

	assert_true(rule < 2 && by < 2 && rule != by);
	assert_int_equal(f->by[rule], NOBODY);
	f->by[rule] = by;
	f->n++;
}

static struct found ask(const struct class_spec *classes, size_t n)
{
	const struct policy_spec spec = {.classes = classes, .n_classes = n};
	struct found f = {{NOBODY, NOBODY}, 0};
	struct policy *p = NULL;
	struct errs errs = {0};

	if (!policy_compile(&spec, &p, &errs))
		fail_msg("%s: %s", errs.e[0].place, errs.e[0].msg);
	policy_redundant(p, note, &f);
	policy_free(&p);
	return f;
}

/* ----------------------------------------------------------- publish rules */

#define MOST POLICY_BYTES_MAX

static const struct {
	const char *name;
	struct rule_spec rule[2];
	uint32_t by[2];
} publish_cases[] = {
	{"apart",
		{{STR_INIT("a"), 1, false, MOST, NULL, 0},
			{STR_INIT("b"), 1, false, MOST, NULL, 0}},
		{NOBODY, NOBODY}},
	{"wider after",
		{{STR_INIT("a/b"), 1, false, MOST, NULL, 0},
			{STR_INIT("a/+"), 1, false, MOST, NULL, 0}},
		{1, NOBODY}},
	{"wider before",
		{{STR_INIT("a/#"), 1, false, MOST, NULL, 0},
			{STR_INIT("a/b"), 1, false, MOST, NULL, 0}},
		{NOBODY, 0}},
	{"wider, but a lower QoS",
		{{STR_INIT("a/b"), 2, false, MOST, NULL, 0},
			{STR_INIT("a/+"), 1, false, MOST, NULL, 0}},
		{NOBODY, NOBODY}},
	{"wider, but no retain",
		{{STR_INIT("a/b"), 1, true, MOST, NULL, 0},
			{STR_INIT("a/+"), 1, false, MOST, NULL, 0}},
		{NOBODY, NOBODY}},
	{"wider, both retain",
		{{STR_INIT("a/b"), 1, true, MOST, NULL, 0},
			{STR_INIT("a/+"), 1, true, MOST, NULL, 0}},
		{1, NOBODY}},
	{"wider, but fewer bytes",
		{{STR_INIT("a/b"), 1, false, 10, NULL, 0},
			{STR_INIT("a/+"), 1, false, 9, NULL, 0}},
		{NOBODY, NOBODY}},
	{"wider, as many bytes",
		{{STR_INIT("a/b"), 1, false, 9, NULL, 0},
			{STR_INIT("a/+"), 1, false, 9, NULL, 0}},
		{1, NOBODY}},
	{"equal but for a name",
		{{STR_INIT("a/${device}"), 1, false, MOST, NULL, 0},
			{STR_INIT("a/${class}"), 1, false, MOST, NULL, 0}},
		{NOBODY, NOBODY}},
	{"a variable under a wildcard",
		{{STR_INIT("a/${attr.x}/b"), 1, false, MOST, NULL, 0},
			{STR_INIT("a/+/#"), 1, false, MOST, NULL, 0}},
		{1, NOBODY}},
	{"the same topics twice, the later one goes",
		{{STR_INIT("a/#"), 1, false, MOST, NULL, 0},
			{STR_INIT("a/#"), 1, false, MOST - 1, NULL, 0}},
		{NOBODY, 0}},
};

static void test_publish(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(publish_cases) / sizeof(publish_cases[0]);
		i++) {
		const struct class_spec c = {.name = STR_INIT("m"),
			.publish = publish_cases[i].rule,
			.n_publish = 2};
		struct found f = ask(&c, 1);

		if (f.by[0] != publish_cases[i].by[0] ||
			f.by[1] != publish_cases[i].by[1])
			fail_msg("%s: %u, %u", publish_cases[i].name, f.by[0],
				f.by[1]);
	}
}

/* ---------------------------------------------------------- shared groups */

static void check_groups(const struct str *first, size_t n_first,
	const struct str *second, size_t n_second, uint32_t want)
{
	const struct rule_spec rules[2] = {
		{STR_INIT("a/b"), 2, false, MOST, first, n_first},
		{STR_INIT("a/+"), 2, false, MOST, second, n_second},
	};
	const struct class_spec c = {
		.name = STR_INIT("m"), .subscribe = rules, .n_subscribe = 2};
	struct found f = ask(&c, 1);

	assert_int_equal(f.by[0], want);
	assert_int_equal(f.by[1], NOBODY);
}

static void test_groups(void **state)
{
	const struct str ab[] = {STR_INIT("a"), STR_INIT("b")};
	const struct str bca[] = {STR_INIT("b"), STR_INIT("c"), STR_INIT("a")};

	(void)state;
	check_groups(NULL, 0, NULL, 0, 1);
	check_groups(NULL, 0, ab, 2, 1);
	check_groups(ab, 2, bca, 3, 1);
	check_groups(ab, 2, NULL, 0, NOBODY);
	check_groups(bca, 3, ab, 2, NOBODY);
	check_groups(ab, 1, bca, 2, NOBODY);
}

/* Another list's rule makes nothing needless: other devices, another right. */
static void test_lists(void **state)
{
	const struct rule_spec narrow[] = {
		{STR_INIT("a/b"), 0, false, 1, NULL, 0}};
	const struct rule_spec wide[] = {
		{STR_INIT("#"), 2, true, MOST, NULL, 0}};
	const struct class_spec both = {.name = STR_INIT("m"),
		.publish = narrow,
		.n_publish = 1,
		.subscribe = wide,
		.n_subscribe = 1};
	const struct class_spec two[] = {
		{.name = STR_INIT("m"), .publish = narrow, .n_publish = 1},
		{.name = STR_INIT("n"), .publish = wide, .n_publish = 1}};

	(void)state;
	assert_int_equal(ask(&both, 1).n, 0);
	assert_int_equal(ask(two, 2).n, 0);
}

/* ------------------------------------------------------------- the reasons */

static void test_reasons(void **state)
{
	(void)state;
	for (unsigned a = 0; a < REASON_COUNT; a++) {
		const char *name = reason_name((enum reason)a);

		assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz_") ==
			    strlen(name));
		assert_true(strlen(reason_text((enum reason)a)) > 0);
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(
				name, reason_name((enum reason)b));
	}
	/* What is no reason reads as one that denies. */
	assert_string_equal(
		reason_name((enum reason)REASON_COUNT), "unavailable");
	assert_string_equal(reason_name((enum reason)0x7FFF), "unavailable");
	assert_string_equal(reason_text((enum reason)REASON_COUNT),
		reason_text(REASON_UNAVAILABLE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
