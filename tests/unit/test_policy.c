/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE(t)                                                                \
	{                                                                      \
		.topic = {(t), sizeof(t) - 1}, .max_qos = 1,                   \
		.max_bytes = POLICY_BYTES_MAX                                  \
	}

static struct policy *compile(const struct class_spec *classes, size_t n)
{
	struct policy_spec spec = {.classes = classes, .n_classes = n};
	struct policy *p = NULL;
	struct errs errs = {0};

	if (!policy_compile(&spec, &p, &errs))
		fail_msg("%s: %s", errs.e[0].place, errs.e[0].msg);
	return p;
}

/* The only error of a policy of these classes. */
static void refused(const struct class_spec *classes, size_t n,
	const char *place, const char *part)
{
	struct policy_spec spec = {.classes = classes, .n_classes = n};
	struct policy *p = NULL;
	struct errs errs = {0};

	assert_false(policy_compile(&spec, &p, &errs));
	assert_null(p);
	assert_int_equal(errs.n, 1);
	if (strcmp(errs.e[0].place, place) != 0 ||
		strstr(errs.e[0].msg, part) == NULL)
		fail_msg("got '%s: %s', want '%s: …%s…'", errs.e[0].place,
			errs.e[0].msg, place, part);
}

static void test_empty(void **state)
{
	struct policy *p = compile(NULL, 0);
	struct class_spec bare = {.name = STR("bare")};

	(void)state;
	assert_int_equal(policy_n_classes(p), 0);
	assert_null(policy_class_find(p, STR("bare")));
	policy_free(&p);
	assert_null(p);
	policy_free(&p);
	p = compile(&bare, 1);
	assert_non_null(policy_class_find(p, STR("bare")));
	assert_null(policy_class_find(p, STR("bar")));
	assert_null(policy_class_find(p, STR("bare2")));
	policy_free(&p);
}

static void test_places(void **state)
{
	const struct rule_spec rules[] = {RULE("a"), RULE("b/${device}")};
	const struct class_spec classes[] = {
		{.name = STR("zebra"), .publish = rules, .n_publish = 2},
		{.name = STR("ant"), .subscribe = rules, .n_subscribe = 2},
	};
	char place[RULE_PLACE_MAX];
	struct policy *p = compile(classes, 2);

	(void)state;
	assert_int_equal(policy_n_classes(p), 2);
	assert_true(
		str_eq(policy_class_name(policy_class_at(p, 0)), STR("zebra")));
	policy_rule_place(p, 1, place);
	assert_string_equal(place, "classes.zebra.publish[1]");
	policy_rule_place(p, 2, place);
	assert_string_equal(place, "classes.ant.subscribe[0]");
	assert_true(str_eq(policy_rule_topic(p, 3), STR("b/${device}")));
	assert_int_equal(policy_rule_place(p, 4, place), 0);
	assert_int_equal(policy_rule_place(p, RULE_NONE, place), 0);
	assert_int_equal(policy_rule_topic(p, 4).n, 0);
	policy_free(&p);
}

static void test_refused_rules(void **state)
{
	const struct rule_spec bad[] = {RULE("a"), RULE("b+")};
	const struct rule_spec twice[] = {RULE("a"), RULE("b"), RULE("a")};
	const struct str group = STR("a/b");
	struct rule_spec shared = RULE("a");
	struct rule_spec qos = RULE("a");
	struct class_spec c = {.name = STR("m")};

	(void)state;
	c.publish = bad;
	c.n_publish = 2;
	refused(&c, 1, "classes.m.publish[1]", "'+' must be a whole level");
	c.publish = twice;
	c.n_publish = 3;
	refused(&c, 1, "classes.m.publish[2]", "same as publish[0]");
	c.n_publish = 0;
	shared.shared = &group;
	shared.n_shared = 1;
	c.subscribe = &shared;
	c.n_subscribe = 1;
	refused(&c, 1, "classes.m.subscribe[0]", "not a group name");
	qos.max_qos = 3;
	c.subscribe = &qos;
	refused(&c, 1, "classes.m.subscribe[0]", "max_qos must be");
}

static void test_refused_names(void **state)
{
	static const char *const ids[] = {"", "x", "${device}x", "${device}-",
		"${device}.a", "${device}${device}", "${device}*",
		"${device}/*x", "${device}/+", "${device}/#", "a${device}",
		"${device}/\x01", "${imei}"};
	struct class_spec two[2] = {{.name = STR("m")}, {.name = STR("m")}};
	struct class_spec c = {.name = STR("a b")};
	struct str include = STR("nobody");
	size_t i;

	(void)state;
	refused(&c, 1, "classes", "not a class name");
	refused(two, 2, "classes.m", "two classes 'm'");
	c.name = STR("m");
	c.include = &include;
	c.n_include = 1;
	refused(&c, 1, "classes.m.include[0]", "there is no class 'nobody'");
	c.n_include = 0;
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct str id = str_from(ids[i]);

		c.client_ids = &id;
		c.n_client_ids = 1;
		refused(&c, 1, "classes.m.client_ids[0]", "");
	}
}

static void test_include_circle(void **state)
{
	const struct str a = STR("a"), b = STR("b"), c = STR("c");
	struct class_spec classes[3] = {
		{.name = a, .include = &b, .n_include = 1},
		{.name = b, .include = &c, .n_include = 1},
		{.name = c},
	};
	struct policy *p = compile(classes, 3);

	(void)state;
	policy_free(&p);
	classes[2].include = &a;
	classes[2].n_include = 1;
	refused(classes, 3, "classes.a.include", "in a circle");
	classes[2].include = &c;
	refused(classes, 3, "classes.a.include", "in a circle");
}

/* Sixteen classes, each including all that come after it: 2^15 paths lead to
 * the last, each rule is taken once. */
static void test_include_diamond(void **state)
{
	static char names[16][3];
	struct str list[16];
	struct class_spec classes[16] = {{.name = {NULL, 0}}};
	const struct rule_spec rule = RULE("a/+");
	struct policy *p;
	size_t i;

	(void)state;
	for (i = 0; i < 16; i++) {
		(void)snprintf(
			names[i], sizeof(names[i]), "c%c", (char)('a' + i));
		list[i] = str_from(names[i]);
		classes[i] = (struct class_spec){.name = list[i],
			.include = list + i + 1,
			.n_include = 15 - i,
			.publish = &rule,
			.n_publish = 1};
	}
	p = compile(classes, 16);
	/* the same topic sixteen times, at one node */
	assert_int_equal(
		policy_class_worst(policy_class_find(p, STR("ca"))), 18);
	policy_free(&p);
}

/* {a, +}^L, which is 2^L rules: a topic of L levels "a" reaches 2^(L+1) - 1
 * nodes. Static. */
static const struct rule_spec *worst_rules(unsigned levels)
{
	static char text[64][16];
	static struct rule_spec rules[64];
	unsigned i, k;

	for (i = 0; i < 1u << levels; i++) {
		char *out = text[i];

		for (k = 0; k < levels; k++) {
			*out++ = (i >> k & 1) != 0 ? 'a' : '+';
			*out++ = '/';
		}
		rules[i] =
			(struct rule_spec){.topic = {text[i], 2 * levels - 1},
				.max_qos = 1,
				.max_bytes = POLICY_BYTES_MAX};
	}
	return rules;
}

static void test_worst(void **state)
{
	struct class_spec c = {.name = STR("m")};
	unsigned levels;

	(void)state;
	for (levels = 1; levels < 6; levels++) {
		struct policy *p;

		c.publish = worst_rules(levels);
		c.n_publish = (size_t)1 << levels;
		p = compile(&c, 1);
		assert_int_equal(policy_class_worst(policy_class_at(p, 0)),
			(2u << levels) - 1);
		policy_free(&p);
	}
	c.publish = worst_rules(6);
	c.n_publish = 64;
	refused(&c, 1, "classes.m", "could visit 127 nodes");
}

static void test_many_errors(void **state)
{
	struct rule_spec rules[40];
	struct class_spec c = {
		.name = STR("m"), .publish = rules, .n_publish = 40};
	struct policy_spec spec = {.classes = &c, .n_classes = 1};
	struct policy *p = NULL;
	struct errs errs = {0};
	size_t i;

	(void)state;
	for (i = 0; i < 40; i++)
		rules[i] = (struct rule_spec)RULE("a+");
	assert_false(policy_compile(&spec, &p, &errs));
	assert_int_equal(errs.n, ERRS_MAX);
	assert_true(errs.more);
	assert_string_equal(errs.e[19].place, "classes.m.publish[19]");
}

struct pairs {
	uint32_t rule[8], by[8];
	size_t n;
};

static void note(void *ctx, uint32_t rule, uint32_t by)
{
	struct pairs *p = ctx;

	p->rule[p->n] = rule;
	p->by[p->n++] = by;
}

static void test_redundant(void **state)
{
	struct rule_spec rules[] = {RULE("a/+"), RULE("a/b"), RULE("a/#"),
		RULE("x/${device}"), RULE("x/+"), RULE("q")};
	const struct class_spec c = {
		.name = STR("m"), .publish = rules, .n_publish = 6};
	struct pairs pairs = {{0}, {0}, 0};
	struct policy *p;

	(void)state;
	rules[4].max_qos = 0; /* narrower than x/${device} */
	p = compile(&c, 1);
	policy_redundant(p, note, &pairs);
	assert_int_equal(pairs.n, 2);
	assert_int_equal(pairs.rule[0], 0);
	assert_int_equal(pairs.by[0], 2);
	assert_int_equal(pairs.rule[1], 1);
	assert_int_equal(pairs.by[1], 0);
	policy_free(&p);
}

/* Which classes may have QoS 2 messages in a session: MQTT 3.1.1 §4.3.3, the
 * receiver keeps them until PUBREL, which asks nobody. */
static void test_qos2(void **state)
{
	struct rule_spec rules[] = {RULE("a"), RULE("b")};
	struct rule_spec two[] = {RULE("a"), RULE("b")};
	const struct class_spec classes[] = {
		{.name = STR("none")},
		{.name = STR("one"), .publish = rules, .n_publish = 2},
		{.name = STR("two"), .publish = two, .n_publish = 2},
		{.name = STR("heard"), .subscribe = two, .n_subscribe = 2},
		{.name = STR("watched"), .observe = true},
	};
	static const bool expect[] = {false, false, true, false, true};
	struct policy *p;
	size_t i;

	(void)state;
	two[1].max_qos = 2;
	p = compile(classes, 5);
	for (i = 0; i < 5; i++)
		assert_int_equal(policy_class_qos2(
					 policy_class_find(p, classes[i].name)),
			expect[i]);
	policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_refused_rules),
		cmocka_unit_test(test_refused_names),
		cmocka_unit_test(test_include_circle),
		cmocka_unit_test(test_include_diamond),
		cmocka_unit_test(test_worst),
		cmocka_unit_test(test_many_errors),
		cmocka_unit_test(test_redundant),
		cmocka_unit_test(test_qos2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
