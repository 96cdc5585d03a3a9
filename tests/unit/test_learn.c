/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learning: which rules come of what devices did, and what stays out.
 */
#include "core/learn.h"
#include "core/learn_template.h"
#include "core/topic.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DEVICES 40
#define MAX     20000

static struct device *devices; /* DEVICES of them */
static struct attr attrs[DEVICES];
static char sites[DEVICES][8];
static struct observation o[MAX];
static char texts[MAX][96];
static size_t n;
static struct learned_set set;

static int setup(void **state)
{
	(void)state;
	n = 0;
	devices = calloc(DEVICES, sizeof *devices);
	if (devices == NULL)
		return -1;
	for (int i = 0; i < DEVICES; i++) {
		struct device *d = &devices[i];

		*d = (struct device){.status = DEVICE_ACTIVE};
		(void)snprintf(d->id, sizeof d->id, "dev-%03d", i);
		d->id_len = 7;
		memcpy(d->class_name, "meter", 6);
		(void)snprintf(sites[i], sizeof sites[i], "s%d", i / 10);
		attrs[i] = (struct attr){STR("site"), str_from(sites[i])};
		d->attrs = &attrs[i];
		d->n_attrs = 1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	learned_fini(&set);
	free(devices);
	return 0;
}

static struct observation *see(int device, enum action a, const char *topic)
{
	struct observation *x = &o[n];

	assert_true(n < MAX && strlen(topic) < sizeof texts[n]);
	memcpy(texts[n], topic, strlen(topic) + 1);
	*x = (struct observation){.device = &devices[device],
		.action = a,
		.topic = str_from(texts[n]),
		.messages = 10,
		.first_s = 100,
		.last_s = 200};
	n++;
	return x;
}

/* The same of every device, its id between the two. */
static void all_see(enum action a, const char *before, const char *after)
{
	char topic[200];

	for (int i = 0; i < DEVICES; i++) {
		(void)snprintf(topic, sizeof topic, "%.60s%.64s%.60s", before,
			devices[i].id, after);
		(void)see(i, a, topic);
	}
}

static void run(bool hash)
{
	struct learn_options options = {LEARN_MANY, LEARN_SHARE_PCT, hash};
	struct err e;

	learned_fini(&set);
	assert_true(learn(o, n, &options, &set, &e));
}

static bool has(const char *topic, bool rule)
{
	for (size_t i = 0; i < set.n; i++)
		if ((i < set.n_rules) == rule &&
			strcmp(set.item[i].topic, topic) == 0)
			return true;
	return false;
}

/* The rule or outlier of that topic, which must be there. */
static struct learned get(const char *topic, bool rule)
{
	for (size_t i = 0; i < set.n; i++)
		if ((i < set.n_rules) == rule &&
			strcmp(set.item[i].topic, topic) == 0)
			return set.item[i];
	fail_msg("no %s %s", rule ? "rule" : "outlier", topic);
	return (struct learned){.topic = NULL};
}

static void expect_rules(size_t count, ...)
{
	va_list ap;

	va_start(ap, count);
	for (size_t i = 0; i < count; i++) {
		// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 errs
		const char *topic = va_arg(ap, const char *);

		if (!has(topic, true))
			fail_msg("no rule %s", topic);
	}
	va_end(ap);
	for (size_t i = 0; set.n_rules != count && i < set.n_rules; i++)
		print_message("rule %s\n", set.item[i].topic);
	assert_int_equal(set.n_rules, count);
}

static void test_template(void **state)
{
	static const struct {
		const char *topic, *template;
	} rows[] = {
		{"a/dev-003/b", "a/${device}/b"},
		{"dev-003", "${device}"},
		{"x-dev-003-y/z", "x-${device}-y/z"},
		{"a/s0/b", "a/${attr.site}/b"},
		{"a/s0x/b", "a/s0x/b"},
		{"/dev-003/", "/${device}/"},
		{"a/DEV-003", "a/DEV-003"},
		{"meter/x", "meter/x"},
		{"8944500102198304826/x", "${iccid}/x"},
		{"894450010219830482/x", "894450010219830482/x"},
		{"+/dev-003/#", "+/${device}/#"},
		{"", ""},
	};

	(void)state;
	assert_true(simid_parse(SIMID_ICCID, STR("8944500102198304826"),
		SIMID_ANY_CHECK_DIGIT, &devices[3].sim[SIMID_ICCID], NULL));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *t = learn_template(str_from(rows[i].topic), &devices[3]);

		assert_string_equal(t, rows[i].template);
		free(t);
	}
	/* A short id is found as a whole level only. */
	memcpy(devices[4].id, "a1", 3);
	devices[4].id_len = 2;
	{
		char *t = learn_template(STR("ba1/a1"), &devices[4]);

		assert_string_equal(t, "ba1/${device}");
		free(t);
	}
}

static void test_variables_and_literals(void **state)
{
	struct learned x;

	(void)state;
	all_see(ACTION_PUBLISH, "m/", "/up");
	all_see(ACTION_PUBLISH, "m/", "/down");
	all_see(ACTION_SUBSCRIBE, "m/", "/cmd");
	for (int i = 0; i < DEVICES; i++) {
		char topic[32];

		(void)snprintf(topic, sizeof topic, "site/%.7s", sites[i]);
		(void)see(i, ACTION_PUBLISH, topic);
	}
	run(false);
	expect_rules(4, "m/${device}/up", "m/${device}/down", "m/${device}/cmd",
		"site/${attr.site}");
	x = get("m/${device}/up", true);
	assert_int_equal(x.devices, DEVICES);
	assert_int_equal(x.messages, 10 * DEVICES);
	assert_int_equal(x.first_s, 100);
	assert_int_equal(x.last_s, 200);
	assert_int_equal(set.devices, DEVICES);
	assert_int_equal(set.n, 4);
}

/* Values of their own become `+`; few stay; kinds that all have stay. */
static void test_many_values(void **state)
{
	char topic[96];

	(void)state;
	for (int i = 0; i < DEVICES; i++) {
		for (int k = 0; k < 3; k++) {
			(void)snprintf(topic, sizeof topic, "pay/%.64s/txn/%d",
				devices[i].id, 1000 * i + k);
			(void)see(i, ACTION_PUBLISH, topic);
		}
		for (int k = 0; k < 20; k++) {
			(void)snprintf(topic, sizeof topic, "kind/%d", k);
			(void)see(i, ACTION_PUBLISH, topic);
		}
		/* 10 zones, each of some devices; 4 rooms. */
		(void)snprintf(topic, sizeof topic, "zone/z%d/t", i % 10);
		(void)see(i, ACTION_PUBLISH, topic);
		(void)snprintf(topic, sizeof topic, "room/r%d/t", i % 4);
		(void)see(i, ACTION_PUBLISH, topic);
	}
	run(false);
	assert_true(has("pay/${device}/txn/+", true));
	assert_true(has("zone/+/t", true));
	assert_false(has("room/+/t", true));
	assert_true(has("room/r3/t", true));
	assert_true(has("kind/19", true));
	assert_int_equal(set.n_rules, 1 + 20 + 1 + 4);
	assert_int_equal(set.n, set.n_rules);
	/* More that count as few: each zone by its name. */
	learned_fini(&set);
	assert_true(
		learn(o, n, &(struct learn_options){20, LEARN_SHARE_PCT, false},
			&set, &(struct err){0}));
	assert_false(has("zone/+/t", true));
	assert_true(has("zone/z9/t", true));
	assert_true(has("pay/${device}/txn/+", true));
	assert_int_equal(set.n_rules, 1 + 20 + 10 + 4);
}

/* Slips of a few devices, and one that floods, open nothing. */
static void test_outliers(void **state)
{
	char topic[96];

	(void)state;
	all_see(ACTION_PUBLISH, "m/", "/up");
	for (int k = 0; k < 5000; k++) {
		(void)snprintf(topic, sizeof topic, "x%d/m/%d", k % 50, k);
		(void)see(7, ACTION_PUBLISH, topic);
	}
	for (int i = 0; i < 12; i++) {
		(void)snprintf(
			topic, sizeof topic, "m/%.64s/up%d", devices[i].id, i);
		see(i, ACTION_PUBLISH, topic)->messages = 1;
	}
	(void)see(3, ACTION_PUBLISH, "m/dev-004/up");
	(void)see(5, ACTION_SUBSCRIBE, "#");
	run(true);
	expect_rules(1, "m/${device}/up");
	assert_true(has("x7/m/7", false));
	assert_true(has("m/dev-004/up", false));
	assert_true(has("m/${device}/up3", false));
	assert_true(has("#", false));
	assert_int_equal(get("#", false).why, LEARN_FEW);
}

static void test_hash(void **state)
{
	(void)state;
	all_see(ACTION_SUBSCRIBE, "m/", "/cmd/#");
	run(false);
	assert_int_equal(set.n_rules, 0);
	assert_int_equal(get("m/${device}/cmd/#", false).why, LEARN_HASH);
	run(true);
	expect_rules(1, "m/${device}/cmd/#");
}

static void test_wildcards_asked_for(void **state)
{
	(void)state;
	all_see(ACTION_SUBSCRIBE, "z/+/", "");
	all_see(ACTION_SUBSCRIBE, "z/a/", "");
	run(false);
	/* The narrower one adds nothing. */
	expect_rules(1, "z/+/${device}");
}

static void test_pattern_of_many(void **state)
{
	(void)state;
	for (int i = 0; i < DEVICES; i++) {
		see(i, ACTION_PUBLISH, "t/+/x")->folded = true;
		(void)see(i, ACTION_PUBLISH, i % 2 ? "t/1/x" : "t/2/x");
	}
	run(false);
	assert_true(has("t/+/x", true));
}

static void test_qos_and_retain(void **state)
{
	struct learned x;

	(void)state;
	all_see(ACTION_PUBLISH, "m/", "/a");
	all_see(ACTION_PUBLISH, "m/", "/b");
	for (size_t i = 0; i < n; i++) {
		bool b = i >= DEVICES;

		/* Of /a all, of /b one device. */
		o[i].retain = !b || i == DEVICES + 3;
		o[i].qos = !b || i == DEVICES + 3 ? 2 : 1;
	}
	run(false);
	x = get("m/${device}/a", true);
	assert_true(x.retain && x.qos == 2);
	x = get("m/${device}/b", true);
	assert_true(!x.retain && x.qos == 1);
	x = get("m/${device}/b", false);
	assert_int_equal(x.why, LEARN_RETAIN);
	assert_int_equal(x.devices, 1);
}

static void test_no_rule_can_say_it(void **state)
{
	char deep[96] = "d";

	(void)state;
	for (size_t i = 1; i < 90; i += 2)
		memcpy(deep + i, "/d", 3);
	for (int i = 0; i < DEVICES; i++) {
		(void)see(i, ACTION_SUBSCRIBE, "$SYS/broker/uptime");
		(void)see(i, ACTION_SUBSCRIBE, "$share/g/x");
		(void)see(i, ACTION_PUBLISH, "a/${device}");
		(void)see(i, ACTION_PUBLISH, deep);
	}
	run(true);
	assert_int_equal(set.n_rules, 0);
	assert_int_equal(get("$SYS/broker/uptime", false).why, LEARN_BROKER);
	assert_int_equal(get("$share/g/x", false).why, LEARN_BROKER);
	assert_int_equal(get("a/${device}", false).why, LEARN_ODD);
	assert_int_equal(get(deep, false).why, LEARN_ODD);
}

static void test_few_devices(void **state)
{
	(void)state;
	run(false);
	assert_int_equal(set.n, 0);
	/* One has no peers to differ from. */
	(void)see(0, ACTION_PUBLISH, "m/dev-000/up");
	run(false);
	expect_rules(1, "m/${device}/up");
	/* Of two, what one does alone is an outlier. */
	(void)see(1, ACTION_PUBLISH, "m/dev-001/up");
	(void)see(1, ACTION_PUBLISH, "admin");
	run(false);
	expect_rules(1, "m/${device}/up");
	assert_true(has("admin", false));
}

static void shuffle(struct rng *rng)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = rng_below(rng, (uint32_t)i);
		struct observation x = o[i - 1];

		o[i - 1] = o[k];
		o[k] = x;
	}
}

static void see_anything(struct rng *rng)
{
	char topic[96];

	n = 0;
	for (int k = 0; k < 300; k++) {
		int d = (int)rng_below(rng, DEVICES);

		(void)snprintf(topic, sizeof topic, "%c/%.64s/%u",
			'a' + (int)rng_below(rng, 4),
			rng_below(rng, 2) ? devices[d].id : "x",
			rng_below(rng, rng_below(rng, 2) ? 3 : 40));
		(void)see(d,
			rng_below(rng, 2) ? ACTION_PUBLISH : ACTION_SUBSCRIBE,
			topic);
	}
}

static void expect_same(
	const struct learned_set *a, const struct learned_set *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->n_rules, b->n_rules);
	for (size_t i = 0; i < a->n; i++) {
		assert_string_equal(a->item[i].topic, b->item[i].topic);
		assert_int_equal(a->item[i].devices, b->item[i].devices);
		assert_int_equal(a->item[i].why, b->item[i].why);
	}
}

/* Nothing that was told to be an outlier is allowed by a rule. */
static void expect_apart(const struct learned *outlier)
{
	for (size_t k = 0; k < set.n_rules; k++) {
		struct str r = str_from(set.item[k].topic);

		assert_false(set.item[k].action == outlier->action &&
			     filter_covered(str_from(outlier->topic), &r, 1));
	}
}

/* For any fleet: the order does not matter; each rule is one that enough
 * devices gave a reason for; rules and outliers are apart. */
static void test_random(void **state)
{
	struct rng rng = {7};

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct learned_set first;

		see_anything(&rng);
		run(false);
		first = set;
		set = (struct learned_set){0};
		shuffle(&rng);
		run(false);
		expect_same(&first, &set);
		for (size_t i = 0; i < set.n_rules; i++)
			assert_true(set.item[i].devices >= 2);
		for (size_t i = set.n_rules; i < set.n; i++)
			expect_apart(&set.item[i]);
		learned_fini(&first);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_template),
		TEST(test_variables_and_literals),
		TEST(test_many_values),
		TEST(test_outliers),
		TEST(test_hash),
		TEST(test_wildcards_asked_for),
		TEST(test_pattern_of_many),
		TEST(test_qos_and_retain),
		TEST(test_no_rule_can_say_it),
		TEST(test_few_devices),
		TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
