/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each bound of core/policy.h: what is just within it passes, one more is
 * refused with its place. And the names of actions and verdicts, by which
 * tools ask and are answered.
 */
#include "core/policy.h"
#include "core/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 70

/* Refused with exactly this one error, or (PLACE NULL) compiled. */
static void judge(
	const struct policy_spec *spec, const char *place, const char *part)
{
	struct policy *p = NULL;
	struct errs errs = {0};

	if (policy_compile(spec, &p, &errs)) {
		policy_free(&p);
		if (place != NULL)
			fail_msg("compiled, want %s: %s", place, part);
		return;
	}
	assert_true(errs.n >= 1);
	if (place == NULL || errs.n != 1 ||
		strcmp(errs.e[0].place, place) != 0 ||
		strstr(errs.e[0].msg, part) == NULL)
		fail_msg("got %zu errors, first '%s: %s'", errs.n,
			errs.e[0].place, errs.e[0].msg);
}

static void judge_class(
	const struct class_spec *c, const char *place, const char *part)
{
	const struct policy_spec spec = {.classes = c, .n_classes = 1};

	judge(&spec, place, part);
}

/* MANY names: g00, g01, … */
static const struct str *names(void)
{
	static char text[MANY][4];
	static struct str list[MANY];

	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "g%02u", i % 100);
		list[i] = str_from(text[i]);
	}
	return list;
}

/* ------------------------------------------------------------------ groups */

static void judge_groups(
	const struct str *groups, size_t n, const char *place, const char *part)
{
	const struct rule_spec rule = {
		STR_INIT("a"), 2, false, POLICY_BYTES_MAX, groups, n};
	const struct class_spec c = {
		.name = STR_INIT("m"), .subscribe = &rule, .n_subscribe = 1};

	judge_class(&c, place, part);
}

static void test_groups(void **state)
{
	static const struct str bad[] = {STR_INIT("a/b"), STR_INIT("a+"),
		STR_INIT("#"), STR_INIT(""), STR_INIT("\xFF"), STR_INIT("a\0b"),
		STR_INIT("\x1F")};
	static const struct str good[] = {STR_INIT("a"), STR_INIT("$x"),
		STR_INIT("a b"), STR_INIT("\xC3\xA9")};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		judge_groups(&bad[i], 1, "classes.m.subscribe[0]",
			"shared[0] is not a group name");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		judge_groups(&good[i], 1, NULL, NULL);
	judge_groups(names(), POLICY_GROUPS_MAX, NULL, NULL);
	judge_groups(names(), POLICY_GROUPS_MAX + 1, "classes.m.subscribe[0]",
		"lists 65 groups, at most 64");
}

/* ------------------------------------------------------------- equal rules */

/* Two subscribe rules of one topic: the same only if all of it is. */
static void judge_two(
	const struct rule_spec *a, const struct rule_spec *b, const char *place)
{
	const struct rule_spec rules[] = {*a, *b};
	const struct class_spec c = {
		.name = STR_INIT("m"), .subscribe = rules, .n_subscribe = 2};

	judge_class(&c, place, "");
}

static void test_same_rule(void **state)
{
	static const struct str ab[] = {STR_INIT("a"), STR_INIT("b")};
	static const struct str ac[] = {STR_INIT("a"), STR_INIT("c")};
	const struct rule_spec one = {
		STR_INIT("t"), 2, false, POLICY_BYTES_MAX, ab, 2};
	struct rule_spec two = one;

	(void)state;
	judge_two(&one, &two, "classes.m.subscribe[1]");
	two.shared = ac;
	judge_two(&one, &two, NULL);
	two = one;
	two.n_shared = 1;
	judge_two(&one, &two, NULL);
	two = one;
	two.max_qos = 1;
	judge_two(&one, &two, NULL);
}

/* With another rule of that topic between them. */
static void test_same_rule_apart(void **state)
{
	const struct rule_spec rules[] = {
		{STR_INIT("t"), 1, false, 9, NULL, 0},
		{STR_INIT("t"), 2, false, 9, NULL, 0},
		{STR_INIT("t"), 1, true, 9, NULL, 0},
		{STR_INIT("t"), 1, false, 8, NULL, 0},
		{STR_INIT("t"), 1, false, 9, NULL, 0},
	};
	struct class_spec c = {
		.name = STR_INIT("m"), .publish = rules, .n_publish = 5};

	(void)state;
	judge_class(&c, "classes.m.publish[4]", "same as publish[0]");
	c.n_publish = 4;
	judge_class(&c, NULL, NULL);
}

/* -------------------------------------------------------- classes, includes */

static void test_classes(void **state)
{
	static struct class_spec classes[POLICY_CLASSES_MAX + 1];
	static char text[POLICY_CLASSES_MAX + 1][8];
	struct policy_spec spec = {
		.classes = classes, .n_classes = POLICY_CLASSES_MAX};

	(void)state;
	for (unsigned i = 0; i <= POLICY_CLASSES_MAX; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "c%05u", i % 100000);
		classes[i].name = str_from(text[i]);
	}
	judge(&spec, NULL, NULL);
	spec.n_classes++;
	judge(&spec, "classes", "1025 classes, at most 1024");
}

static void test_includes(void **state)
{
	struct class_spec classes[MANY] = {{.name = {NULL, 0}}};
	const struct policy_spec spec = {.classes = classes, .n_classes = MANY};
	const struct str *list = names();

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		classes[i].name = list[i];
	classes[0].include = list + 1;
	classes[0].n_include = POLICY_INCLUDES_MAX;
	judge(&spec, NULL, NULL);
	classes[0].n_include++;
	judge(&spec, "classes.g00.include", "includes 17 classes, at most 16");
}

static void test_limits(void **state)
{
	struct class_spec c = {.name = STR_INIT("m")};

	(void)state;
	for (int l = 0; l < LIMITS; l++) {
		uint64_t most = limit_most((enum limit)l);

		c.limits.max[l] = most;
		judge_class(&c, NULL, NULL);
		c.limits.max[l] = most + 1;
		judge_class(&c, "classes.m.limits", limit_key((enum limit)l));
		c.limits.max[l] = 0;
	}
}

/* ------------------------------------------------------------------- names */

static void test_names(void **state)
{
	static const enum action actions[] = {ACTION_CONNECT, ACTION_PUBLISH,
		ACTION_SUBSCRIBE, ACTION_RECEIVE};

	(void)state;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		assert_int_equal(action_find(str_from(action_name(actions[i]))),
			actions[i]);
	assert_string_equal(action_name((enum action)99), "none");
	assert_int_equal(action_find(STR("none")), ACTION_NONE);
	assert_int_equal(action_find(STR("Publish")), ACTION_NONE);
	assert_int_equal(action_find(STR("")), ACTION_NONE);
	assert_string_equal(verdict_name(VERDICT_ALLOWED), "allowed");
	assert_string_equal(verdict_name(VERDICT_OBSERVED), "observed");
	assert_string_equal(verdict_name(VERDICT_REFUSED), "refused");
	/* What is no verdict lets nothing pass. */
	assert_string_equal(verdict_name((enum verdict)99), "refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_same_rule),
		cmocka_unit_test(test_same_rule_apart),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
