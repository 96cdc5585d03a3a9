/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir explain says of a refusal: the level that differs, templates with
 * a device's values, rules as a policy has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/explain_fixture.h"

#include <stdlib.h>

/* ----------------------------------------------------------------- levels */

static const struct {
	const char *template, *topic;
	uint32_t level;                 /* 0: no difference */
	const char *rule_at, *topic_at; /* NULL: it ends there */
} levels[] = {
	{"a/b", "a/b", 0, NULL, NULL},
	{"a/+", "a/b", 0, NULL, NULL},
	{"a/#", "a", 0, NULL, NULL},
	{"a/#", "a/b/c", 0, NULL, NULL},
	{"a/#", "a/#", 0, NULL, NULL},
	{"a/+/#", "a/+", 0, NULL, NULL},
	{"pay/${device}/x", "pay/till-7/x", 0, NULL, NULL},
	{"p-${device}/#", "p-till-7", 0, NULL, NULL},
	{"${attr.zone}/b", "south/b", 0, NULL, NULL},
	{"${attr.zone}/x/${attr.zone}", "south/x/south", 0, NULL, NULL},
	{"$SYS/#", "$SYS/x", 0, NULL, NULL},
	{"a/", "a/", 0, NULL, NULL},
	{"a/b", "a/c", 2, "b", "c"},
	{"a/b", "x/b", 1, "a", "x"},
	{"a/b/c", "a/b", 3, "c", NULL},
	{"a/b", "a/b/c", 3, NULL, "c"},
	{"a", "a/", 2, NULL, ""},
	{"a/", "a", 2, "", NULL},
	{"a/+", "a/#", 2, "+", "#"},
	{"a/b", "a/+", 2, "b", "+"},
	{"a/+/+", "a/#", 2, "+", "#"},
	{"+", "$SYS", 1, "+", "$SYS"},
	{"#", "$SYS/x", 1, "#", "$SYS"},
	{"pay/${device}/x", "pay/till-8/x", 2, "${device}", "till-8"},
	{"pay/${device}/x", "pay/+/x", 2, "${device}", "+"},
	{"${iccid}", "x", 1, "${iccid}", "x"},
	{"${attr.none}/b", "south/b", 1, "${attr.none}", "south"},
	{"${attr.zone}/x/${attr.zone}", "south/x/north", 3, "${attr.zone}",
		"north"},
	{"${attr.zone}/x/${attr.zone}/y", "south/x/north/y", 3, "${attr.zone}",
		"north"},
};

static void same_level(
	const char *what, bool ends, struct str is, const char *expect)
{
	if (ends != (expect == NULL) ||
		(!ends && !str_eq(is, str_from(expect))))
		fail_msg("%s: '%.*s', not '%s'", what, STR_ARG(is),
			expect != NULL ? expect : "(end)");
}

static void test_levels(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		struct explain_level at;

		explain_level(str_from(levels[i].template), &till,
			str_from(levels[i].topic), &at);
		if (at.level != levels[i].level)
			fail_msg("%s against %s: level %u, not %u",
				levels[i].topic, levels[i].template, at.level,
				levels[i].level);
		if (at.level == 0)
			continue;
		same_level(levels[i].template, at.rule_ends, at.rule,
			levels[i].rule_at);
		same_level(levels[i].topic, at.topic_ends, at.topic,
			levels[i].topic_at);
	}
}

static void test_other_value(void **state)
{
	struct explain_level at;

	(void)state;
	explain_level(STR("${attr.zone}/${attr.zone}"), &till,
		STR("south/north"), &at);
	assert_true(at.other_value);
	explain_level(STR("${attr.zone}/${attr.zone}"), &till,
		STR("south/west"), &at);
	assert_false(at.other_value);
}

/* ----------------------------------------------------------------- expand */

static const struct {
	const char *text;
	bool mask;
	const char *expect, *missing;
} expansions[] = {
	{"pay/+/#", false, "pay/+/#", ""},
	{"pay/${device}/${class}", false, "pay/till-7/till", ""},
	{"${imsi}/x", false, "234150123456789/x", ""},
	{"${imsi}/x", true, "234150*******89/x", ""},
	{"${imei}/${eid}", false,
		"356638061234511/89049032123451234512345678901235", ""},
	{"${attr.site}", false, "s9", ""},
	{"a/z-${attr.zone}/b", false, "a/z-{north|south}/b", ""},
	{"a/${iccid}/b", false, "a/${iccid}/b", "iccid"},
	{"a/x${attr.none}/b", false, "a/x${attr.none}/b", "attr.none"},
	{"", false, "", ""},
	{"a//", false, "a//", ""},
};

static void test_expand(void **state)
{
	struct str missing;
	char out[64];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(expansions) / sizeof(expansions[0]); i++) {
		n = explain_expand(str_from(expansions[i].text), &till,
			expansions[i].mask, out, sizeof(out), &missing);
		assert_string_equal(out, expansions[i].expect);
		assert_int_equal(n, strlen(out));
		assert_true(str_eq(missing, str_from(expansions[i].missing)));
	}
	n = explain_expand(
		STR("pay/${device}"), &till, false, out, 6, &missing);
	assert_int_equal(n, 10);
	assert_string_equal(out, "pay/t");
	assert_int_equal(explain_expand(STR("${device}"), &till, false, NULL, 0,
				 &missing),
		6);
}

/* ------------------------------------------------------- rules and classes */

static void test_rules(void **state)
{
	static const struct str groups[] = {{"g", 1}, {"h", 1}};
	struct rule_spec pub[3] = {rule("a"), rule("c/#"), rule("b")};
	struct rule_spec sub[1] = {rule("d")};
	struct policy *p;
	uint32_t *rules;
	char out[128];
	size_t n;

	(void)state;
	pub[1].max_qos = 0;
	pub[1].retain = true;
	pub[1].max_bytes = 9;
	sub[0].max_qos = 2;
	sub[0].shared = groups;
	sub[0].n_shared = 2;
	p = compile(pub, 3, sub, 1);
	rules = explain_rules(p, policy_class_at(p, 0), ACTION_PUBLISH, &n);
	assert_non_null(rules);
	assert_int_equal(n, 3);
	assert_int_equal(rules[0], 0);
	assert_int_equal(rules[2], 2);
	(void)explain_rule_json(p, rules[0], out, sizeof(out));
	assert_string_equal(out, "\"a\"");
	(void)explain_rule_json(p, rules[1], out, sizeof(out));
	assert_string_equal(out, "{\"topic\": \"c/#\", \"max_qos\": 0, "
				 "\"retain\": true, \"max_bytes\": 9}");
	free(rules);
	rules = explain_rules(p, policy_class_at(p, 0), ACTION_RECEIVE, &n);
	assert_non_null(rules);
	assert_int_equal(n, 1);
	(void)explain_rule_json(p, rules[0], out, sizeof(out));
	assert_string_equal(
		out, "{\"topic\": \"d\", \"shared\": [\"g\", \"h\"]}");
	free(rules);
	rules = explain_rules(p, NULL, ACTION_PUBLISH, &n);
	assert_non_null(rules);
	assert_int_equal(n, 0);
	free(rules);
	assert_int_equal(explain_rule_json(p, RULE_NONE, out, sizeof(out)), 0);
	assert_string_equal(out, "");
	assert_null(explain_rule(p, 4));
	assert_non_null(explain_rule(p, 3));
	policy_free(&p);
}

static void test_class(void **state)
{
	static const struct str ids[] = {{"${device}", 9}, {"${device}/*", 11}};
	const struct class_spec class = {
		.name = STR("till"),
		.client_ids = ids,
		.n_client_ids = 2,
		.sim_require = 1u << SIMID_IMEI,
	};
	const struct policy_spec spec = {.classes = &class, .n_classes = 1};
	const struct policy_class *c;
	struct policy *p = NULL;
	struct errs errs = {0};
	char out[64];

	(void)state;
	assert_true(policy_compile(&spec, &p, &errs));
	c = policy_class_at(p, 0);
	(void)explain_client_id(c, 0, &till, out, sizeof(out));
	assert_string_equal(out, "till-7");
	(void)explain_client_id(c, 1, &till, out, sizeof(out));
	assert_string_equal(out, "till-7/*");
	(void)explain_client_id(c, 1, NULL, out, sizeof(out));
	assert_string_equal(out, "${device}/*");
	assert_int_equal(explain_client_id(c, 2, &till, out, sizeof(out)), 0);
	assert_int_equal(explain_sim_require(c), 1u << SIMID_IMEI);
	policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_other_value),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
