/* SPDX-License-Identifier: Apache-2.0 */
#include "core/meter_total.h"
#include "tests/support/meter_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct meter_header *header(void *mem)
{
	return mem;
}

static int setup(void **state)
{
	*state = meter_fixture();
	return 0;
}

static int teardown(void **state)
{
	meter_fixture_free(*state);
	return 0;
}

/* ----------------------------------------------------------------- classes */

static void test_classes(void **state)
{
	char out[CLASS_NAME_MAX + 1];
	void *mem = *state;
	struct meter_map m = meter_fixture_map(mem);

	assert_int_equal(meter_classes(m), 1); /* the nameless */
	assert_int_equal(meter_class_name(meter_class_at(m, 0), out), 0);
	assert_string_equal(out, "");
	assert_int_equal(meter_class_add(mem, STR("pump")), 1);
	assert_int_equal(meter_class_add(mem, STR("meter")), 2);
	assert_int_equal(meter_class_add(mem, STR("pump")), 1);
	assert_int_equal(meter_class_add(mem, STR("pum")), 3);
	assert_int_equal(meter_class_add(mem, STR("pumq")), 4);
	assert_int_equal(meter_classes(m), 5);
	assert_int_equal(meter_class_name(meter_class_at(m, 3), out), 3);
	assert_string_equal(out, "pum");
}

static void test_class_names(void **state)
{
	static const struct {
		size_t len;
		bool taken;
	} rows[] = {{0, false}, {1, true}, {CLASS_NAME_MAX, true},
		{CLASS_NAME_MAX + 1, false}, {SIZE_MAX, false}};
	char name[CLASS_NAME_MAX + 2], out[CLASS_NAME_MAX + 1];
	void *mem = *state;
	struct meter_map m = meter_fixture_map(mem);

	memset(name, 'n', sizeof name);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint32_t n = meter_classes(m);
		uint32_t c =
			meter_class_add(mem, (struct str){name, rows[i].len});

		assert_int_equal(c, rows[i].taken ? n : 0);
		assert_int_equal(meter_classes(m), n + (rows[i].taken ? 1 : 0));
		if (rows[i].taken)
			assert_int_equal(
				meter_class_name(meter_class_at(m, c), out),
				rows[i].len);
	}
}

static void test_classes_full(void **state)
{
	char name[16];
	void *mem = *state;

	for (uint32_t i = 1; i < METER_CLASSES; i++) {
		(void)snprintf(name, sizeof name, "class-%u", i);
		assert_int_equal(meter_class_add(mem, str_from(name)), i);
	}
	assert_int_equal(meter_class_add(mem, STR("one-more")), 0);
	assert_int_equal(meter_class_add(mem, STR("class-1024")), 1024);
	assert_int_equal(meter_classes(meter_fixture_map(mem)), METER_CLASSES);
}

static void test_class_left_over(void **state)
{
	void *mem = *state;
	struct meter_class *c = meter_class_mut(mem, 1);

	memset(c, 0xA5, sizeof *c);
	assert_int_equal(meter_class_add(mem, STR("pump")), 1);
	for (int i = 0; i < COUNTERS; i++)
		assert_int_equal(c->counter[i], 0);
	assert_int_equal(c->refused[METER_ALL_ACTIONS - 1][31], 0);
}

static void test_classes_hostile(void **state)
{
	char out[CLASS_NAME_MAX + 1];
	void *mem = *state;
	struct meter_map m = meter_fixture_map(mem);

	header(mem)->n_classes = UINT32_MAX;
	assert_int_equal(meter_classes(m), METER_CLASSES);
	header(mem)->n_classes = METER_CLASSES + 1;
	assert_int_equal(meter_classes(m), METER_CLASSES);
	header(mem)->n_classes = 0;
	assert_int_equal(meter_classes(m), 0);
	memset(meter_class_mut(mem, 7), 0xFF, sizeof(struct meter_class));
	assert_int_equal(
		meter_class_name(meter_class_at(m, 7), out), CLASS_NAME_MAX);
	assert_int_equal(strlen(out), CLASS_NAME_MAX);
}

/* ------------------------------------------------------------------- rules */

static uint32_t add(void *mem, struct meter_rule_key k, uint32_t class)
{
	struct meter_range need;

	if (!meter_rules_need(mem, &need))
		return METER_NONE;
	meter_fixture_reserve(mem, need);
	return meter_rule_add(mem, k, class);
}

/* No two of these are the same rule. */
static void test_rule_hash(void **state)
{
	static const struct meter_rule_key keys[] = {
		{{NULL, 0}, {NULL, 0}, 0},
		{{NULL, 0}, {NULL, 0}, 1},
		{{NULL, 0}, {"t", 1}, 0},
		{{"a", 1}, {"t", 1}, 0},
		{{"a", 1}, {"t", 1}, 1},
		{{"a", 1}, {"t/", 2}, 0},
		{{"a", 1}, {"/t", 2}, 0},
		{{"at", 2}, {NULL, 0}, 0},
		{{"a", 1}, {"s/t", 3}, 0},
		{{"b", 1}, {"t", 1}, 0},
		{{"t", 1}, {"a", 1}, 0},
	};
	size_t n = sizeof keys / sizeof keys[0];

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			assert_int_equal(meter_rule_hash(keys[i]) ==
						 meter_rule_hash(keys[k]),
				i == k);
}

static void test_rules(void **state)
{
	static const size_t sizes[] = {
		0, 1, 8, METER_RULE_TOPIC - 1, METER_RULE_TOPIC, 161, 65535};
	static char topic[65535];
	char out[METER_RULE_TOPIC + 1];
	void *mem = *state;
	struct meter_map m = meter_fixture_map(mem);

	memset(topic, 't', sizeof topic);
	for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct meter_rule_key k = {
			STR("pump"), {topic, sizes[i]}, i % 2};
		size_t kept = sizes[i] < METER_RULE_TOPIC ? sizes[i]
							  : METER_RULE_TOPIC;

		assert_int_equal(add(mem, k, 3), i);
		assert_int_equal(meter_rules(m), i + 1);
		assert_int_equal(meter_rule_at(m, i)->hash, meter_rule_hash(k));
		assert_int_equal(meter_rule_at(m, i)->class, 3);
		assert_int_equal(meter_rule_at(m, i)->list, i % 2);
		assert_int_equal(
			meter_rule_topic(meter_rule_at(m, i), out), sizes[i]);
		assert_int_equal(strlen(out), kept);
		assert_memory_equal(out, topic, kept);
	}
}

static void test_rules_full(void **state)
{
	char topic[16];
	void *mem = *state;
	struct meter_range need;

	for (uint32_t i = 0; i < METER_RULES; i++) {
		struct meter_rule_key k = {STR("c"), {topic, 0}, 0};

		k.topic.n = (size_t)snprintf(topic, sizeof topic, "r/%u", i);
		assert_int_equal(add(mem, k, 0), i);
	}
	assert_false(meter_rules_need(mem, &need));
	assert_int_equal(need.len, 0);
	assert_int_equal(meter_rules(meter_fixture_map(mem)), METER_RULES);
}

static void test_rules_need(void **state)
{
	static const struct {
		uint32_t n;
		bool can;
		uint32_t needs, used; /* rules */
	} rows[] = {
		{0, true, 1024, 0}, {1, true, 0, 1024}, {1023, true, 0, 1024},
		{1024, true, 1024, 1024}, {1025, true, 0, 2048},
		{16383, true, 0, 16384}, {16384, false, 0, 16384},
		{UINT32_MAX, false, 0, 0}, /* meter_problem() says no */
	};
	void *mem = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct meter_range r = {1, 1};

		header(mem)->n_rules = rows[i].n;
		assert_int_equal(meter_rules_need(mem, &r), rows[i].can);
		assert_int_equal(
			r.len, rows[i].needs * sizeof(struct meter_rule));
		if (r.len != 0)
			assert_int_equal(r.at,
				METER_RULES_AT +
					(size_t)rows[i].n *
						sizeof(struct meter_rule));
		assert_true(r.at + r.len <= METER_INDEX_AT);
		if (rows[i].n > METER_RULES)
			continue;
		r = meter_rules_used(mem);
		assert_int_equal(r.at, METER_RULES_AT);
		assert_int_equal(
			r.len, rows[i].used * sizeof(struct meter_rule));
	}
}

static void test_rule_left_over(void **state)
{
	void *mem = *state;

	assert_int_equal(
		add(mem, (struct meter_rule_key){STR("c"), STR("t"), 0}, 0), 0);
	memset(meter_rule_mut(mem, 1), 0xA5, sizeof(struct meter_rule));
	assert_int_equal(
		add(mem, (struct meter_rule_key){STR("c"), STR("u"), 0}, 0), 1);
	assert_int_equal(meter_rule_mut(mem, 1)->flow[0].messages, 0);
	assert_int_equal(meter_rule_mut(mem, 1)->flow[1].mqtt_bytes, 0);
}

static void test_rules_hostile(void **state)
{
	char out[METER_RULE_TOPIC + 1];
	void *mem = *state;
	struct meter_map m = meter_fixture_map(mem);

	assert_int_equal(
		add(mem, (struct meter_rule_key){STR("c"), STR("t"), 0}, 0), 0);
	header(mem)->n_rules = UINT32_MAX;
	assert_int_equal(meter_rules(m), METER_RULES);
	header(mem)->n_rules = 1;
	memset(meter_rule_mut(mem, 0), 0xFF, sizeof(struct meter_rule));
	assert_int_equal(
		meter_rule_topic(meter_rule_at(m, 0), out), UINT32_MAX);
	assert_int_equal(strlen(out), METER_RULE_TOPIC);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_classes),
		TEST(test_class_names),
		TEST(test_classes_full),
		TEST(test_class_left_over),
		TEST(test_classes_hostile),
		cmocka_unit_test(test_rule_hash),
		TEST(test_rules),
		TEST(test_rules_full),
		TEST(test_rules_need),
		TEST(test_rule_left_over),
		TEST(test_rules_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
