/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/level.h"
#include "core/policy.h"
#include "core/template.h"

#include <string.h>

static const struct attr attrs[] = {
	{STR_INIT("line"), STR_INIT("7")},
	{STR_INIT("site"), STR_INIT("north")},
	{STR_INIT("site"), STR_INIT("south")},
};

static struct device device(void)
{
	struct device d = {.id = "dev-1",
		.class_name = "meter",
		.id_len = 5,
		.status = DEVICE_ACTIVE,
		.n_attrs = 3};

	d.sim[SIMID_ICCID] =
		(struct simid){SIMID_ICCID, 19, "8988211000000467343"};
	return d;
}

static void test_check(void **state)
{
	static const struct {
		struct str template;
		const char *problem; /* part of the message; NULL: fine */
	} table[] = {
		{STR_INIT("a/b"), NULL},
		{STR_INIT("a/${device}/#"), NULL},
		{STR_INIT("${class}/${iccid}/${imsi}/${imei}/${eid}"), NULL},
		{STR_INIT("v1-${device}-${attr.site}/+"), NULL},
		{STR_INIT("$SYS/broker/uptime"), NULL},
		{STR_INIT("a//"), NULL},
		{STR_INIT("price$/5$"), NULL},
		{STR_INIT("}{/a"), NULL},
		{STR_INIT(""), "empty"},
		{STR_INIT("a+/b"), "'+' must be a whole level"},
		{STR_INIT("a/+${device}"), "'+' must be a whole level"},
		{STR_INIT("a/b#"), "'#' must be the whole last level"},
		{STR_INIT("#/a"), "'#' must be the last level"},
		{STR_INIT("a/${devise}"), "unknown variable ${devise}"},
		{STR_INIT("a/${}"), "unknown variable ${}"},
		{STR_INIT("a/${device"), "'${' without '}'"},
		{STR_INIT("a/${dev/ice}"), "'${' without '}'"},
		{STR_INIT("a/${attr.}"), "unknown variable"},
		{STR_INIT("a/${attr.1x}"), "not an attribute name"},
		{STR_INIT("a/${attr.x y}"), "not an attribute name"},
		{STR_INIT("${attr.a}-${attr.b}"), "at most one ${attr."},
		{STR_INIT("$share/g/a"), "drop '$share/"},
		{STR_INIT("a/\x01"), "control character"},
		{STR_INIT("a/\xff"), "control character"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *problem = table[i].problem;
		struct err e = {0};
		bool ok = template_check(table[i].template, &e);

		if (ok != (problem == NULL))
			fail_msg("entry %zu: %s", i, e.msg);
		if (problem != NULL && strstr(e.msg, problem) == NULL)
			fail_msg("entry %zu: '%s' lacks '%s'", i, e.msg,
				problem);
	}
}

static void test_check_size(void **state)
{
	static char text[POLICY_TEMPLATE_MAX + 1];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_true(
		template_check((struct str){text, POLICY_TEMPLATE_MAX}, NULL));
	assert_false(template_check(
		(struct str){text, POLICY_TEMPLATE_MAX + 1}, NULL));
	memset(text, '/', sizeof(text));
	assert_true(template_check(
		(struct str){text, POLICY_LEVELS_MAX - 1}, NULL));
	assert_false(
		template_check((struct str){text, POLICY_LEVELS_MAX}, NULL));
	/* nine pieces in one level */
	assert_false(template_check(
		STR("${device}a${device}a${device}a${device}a${device}"),
		NULL));
	assert_true(template_check(
		STR("${device}a${device}a${device}a${device}a"), NULL));
}

static void test_match(void **state)
{
	static const struct {
		const char *level, *text;
		bool match;
	} table[] = {
		{"${device}", "dev-1", true},
		{"${device}", "dev-2", false},
		{"${device}", "dev-10", false},
		{"${device}", "dev-", false},
		{"${device}", "", false},
		{"${class}", "meter", true},
		{"${iccid}", "8988211000000467343", true},
		{"${iccid}", "898821100000046734", false},
		{"${imsi}", "", false},
		{"x${imsi}", "x", false},
		{"${attr.site}", "north", true},
		{"${attr.site}", "south", true},
		{"${attr.site}", "east", false},
		{"${attr.site}", "northsouth", false},
		{"${attr.none}", "", false},
		{"${attr.none}", "north", false},
		{"${attr.sit}", "north", false},
		{"v-${attr.line}", "v-7", true},
		{"v-${attr.line}", "v-", false},
		{"v-${attr.line}", "7", false},
		{"${device}-${attr.site}.x", "dev-1-south.x", true},
		{"${device}-${attr.site}.x", "dev-1-south.y", false},
		{"${device}${device}", "dev-1dev-1", true},
		{"${device}${device}", "dev-1", false},
	};
	struct piece pieces[PIECES_MAX];
	struct attr copy[3];
	struct device d = device();
	enum level_kind kind;
	size_t i, n, value;

	(void)state;
	memcpy(copy, attrs, sizeof(attrs));
	d.attrs = copy;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_true(level_parse(
			str_from(table[i].level), &kind, pieces, &n, NULL));
		assert_int_equal(kind, LEVEL_PATTERN);
		if (pieces_match(pieces, n, &d, str_from(table[i].text),
			    &value) != table[i].match)
			fail_msg("%s, %s", table[i].level, table[i].text);
	}
}

/* A value that could leave its level cannot enter the registry; if it did, it
 * would match nothing. */
static void test_hostile_value(void **state)
{
	static const char *const values[] = {
		"", "a/b", "+", "#", "a+", "$SYS", "a\x01", "\xff", "\xc0\xaf"};
	struct piece pieces[PIECES_MAX];
	struct device d = device();
	enum level_kind kind;
	size_t i, n, value;

	(void)state;
	assert_true(level_parse(STR("${attr.x}"), &kind, pieces, &n, NULL));
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct attr a = {STR_INIT("x"), str_from(values[i])};

		d.attrs = &a;
		d.n_attrs = 1;
		if (pieces_match(pieces, n, &d, a.value, &value))
			fail_msg("value %zu", i);
	}
}

static void test_repeats(void **state)
{
	static const struct {
		const char *template;
		bool repeats;
	} table[] = {
		{"a/${attr.x}/b", false},
		{"a/${attr.x}/${attr.y}", false},
		{"${device}/${device}", false},
		{"${attr.x}/a/${attr.x}", true},
		{"${attr.x}/v-${attr.x}/#", true},
		{"${attr.x}/+/${attr.y}/${attr.x}", true},
	};
	static const struct {
		const char *template, *topic;
		bool agrees;
	} agree[] = {
		{"${attr.site}/a/${attr.site}", "north/a/north", true},
		{"${attr.site}/a/${attr.site}", "north/a/south", false},
		{"${attr.site}/x-${attr.site}", "south/x-south", true},
		{"${attr.site}/x-${attr.site}", "south/x-north", false},
		{"${attr.site}/${attr.line}/${attr.site}", "north/7/north",
			true},
		{"${attr.site}/+/${attr.site}/#", "north/q/north/z", true},
		{"${attr.site}/+/${attr.site}/#", "north/q/south/z", false},
	};
	struct attr copy[3];
	struct device d = device();
	size_t i;

	(void)state;
	memcpy(copy, attrs, sizeof(attrs));
	d.attrs = copy;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (template_repeats(str_from(table[i].template)) !=
			table[i].repeats)
			fail_msg("%s", table[i].template);
	for (i = 0; i < sizeof(agree) / sizeof(agree[0]); i++)
		if (template_agrees(str_from(agree[i].template), &d,
			    str_from(agree[i].topic)) != agree[i].agrees)
			fail_msg("%s, %s", agree[i].template, agree[i].topic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_check_size),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_hostile_value),
		cmocka_unit_test(test_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
