/* SPDX-License-Identifier: Apache-2.0 */
#include "core/device.h"
#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TEN      "0123456789"
#define SIXTY    TEN TEN TEN TEN TEN TEN
#define ATTR_120 SIXTY SIXTY

static struct guard guard;

struct text_case {
	struct str s;
	bool expect;
};

static void check(
	bool (*valid)(struct str), const struct text_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (valid(guard_put(&guard, c[i].s)) != c[i].expect)
			fail_msg("case %zu: '%.*s'", i, STR_ARG(c[i].s));
	}
}

#define CHECK(valid, cases)                                                    \
	check(valid, cases, sizeof(cases) / sizeof((cases)[0]))

static void device_ids(void **state)
{
	const struct text_case CASES[] = {
		{STR("a"), true},
		{STR("7"), true},
		{STR("meter-0001"), true},
		{STR("urn:dev.x_1"), true},
		{STR(SIXTY "abcd"), true},
		{STR(SIXTY "abcde"), false},
		{STR(""), false},
		{STR("-a"), false},
		{STR(".a"), false},
		{STR(":a"), false},
		{STR("_a"), false},
		{STR("a/b"), false},
		{STR("a b"), false},
		{STR("a+"), false},
		{STR("a#"), false},
		{STR("$a"), false},
		{STR("a\0"), false},
		{STR("a\n"), false},
		{STR("a~"), false},
		{STR("caf\xC3\xA9"), false},
	};

	(void)state;
	CHECK(device_id_valid, CASES);
}

static void class_names(void **state)
{
	const struct text_case CASES[] = {
		{STR("payment-terminal"), true},
		{STR("2g.old_x"), true},
		{STR(SIXTY "abcd"), true},
		{STR(SIXTY "abcde"), false},
		{STR(""), false},
		{STR("a:b"), false},
		{STR("-a"), false},
		{STR("a/b"), false},
		{STR("a\0b"), false},
	};

	(void)state;
	CHECK(class_name_valid, CASES);
}

static void attr_names(void **state)
{
	const struct text_case CASES[] = {
		{STR("site"), true},
		{STR("S_1-x"), true},
		{STR("a" TEN TEN TEN "1"), true},
		{STR("a" TEN TEN TEN "12"), false},
		{STR(""), false},
		{STR("1a"), false},
		{STR("_a"), false},
		{STR("a.b"), false},
		{STR("a:b"), false},
		{STR("a}"), false},
		{STR("a\0"), false},
	};

	(void)state;
	CHECK(attr_name_valid, CASES);
}

static void attr_values(void **state)
{
	const struct text_case CASES[] = {
		{STR("x"), true},
		{STR("two words"), true},
		{STR("caf\xC3\xA9"), true},
		{STR("a$b"), true},
		{STR(ATTR_120 "12345678"), true},
		{STR(ATTR_120 "123456789"), false},
		{STR(""), false},
		{STR("$SYS"), false},
		{STR("$"), false},
		{STR("a/b"), false},
		{STR("/"), false},
		{STR("+"), false},
		{STR("a#"), false},
		{STR("a\0b"), false},
		{STR("a\x1F"), false},
		{STR("\xC3"), false},
		{STR("\xC0\xAF"), false},
	};

	(void)state;
	CHECK(attr_value_valid, CASES);
}

static void statuses(void **state)
{
	static const char *const NAMES[] = {
		"none", "active", "suspended", "quarantined", "retired"};

	(void)state;
	for (unsigned s = DEVICE_NONE; s <= DEVICE_RETIRED; s++) {
		assert_string_equal(
			device_status_name((enum device_status)s), NAMES[s]);
		assert_int_equal(device_status_find(str_from(NAMES[s])), s);
	}
	assert_string_equal(device_status_name((enum device_status)77), "none");
	assert_int_equal(device_status_find(STR("Active")), DEVICE_NONE);
	assert_int_equal(device_status_find(STR("active ")), DEVICE_NONE);
	assert_int_equal(device_status_find(STR("activ")), DEVICE_NONE);
	assert_int_equal(device_status_find(STR("")), DEVICE_NONE);
}

/* What has an end is over at that second, not before; what has none, and a
 * status that is for ever, stays. */
static void status_over_time(void **state)
{
	static const struct {
		enum device_status status, want;
		int64_t until_s, now_s;
	} cases[] = {
		{DEVICE_SUSPENDED, DEVICE_SUSPENDED, 0, INT64_MAX},
		{DEVICE_SUSPENDED, DEVICE_SUSPENDED, 100, 99},
		{DEVICE_SUSPENDED, DEVICE_ACTIVE, 100, 100},
		{DEVICE_SUSPENDED, DEVICE_SUSPENDED, 100, 0},
		{DEVICE_QUARANTINED, DEVICE_QUARANTINED, 0, 100},
		{DEVICE_QUARANTINED, DEVICE_QUARANTINED, 100, 99},
		{DEVICE_QUARANTINED, DEVICE_ACTIVE, 100, 101},
		{DEVICE_RETIRED, DEVICE_RETIRED, 100, 101},
		{DEVICE_NONE, DEVICE_NONE, 100, 101},
		{DEVICE_ACTIVE, DEVICE_ACTIVE, 100, 99},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct device d = {.status = (uint8_t)cases[i].status,
			.status_until_s = cases[i].until_s};

		if (device_effective(&d, cases[i].now_s) != cases[i].want)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_ids),
		cmocka_unit_test(class_names),
		cmocka_unit_test(attr_names),
		cmocka_unit_test(attr_values),
		cmocka_unit_test(statuses),
		cmocka_unit_test(status_over_time),
	};
	int failed;

	guard_init(&guard, 256);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
