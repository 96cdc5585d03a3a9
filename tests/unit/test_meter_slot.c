/* SPDX-License-Identifier: Apache-2.0 */
#include "core/meter_slot.h"
#include "tests/support/meter_fixture.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY  9000u /* slots: nine steps, five tables of the index */
#define ENTRY sizeof(uint32_t)

static struct meter_header *header(void *mem)
{
	return mem;
}

static _Atomic uint32_t *entries(void *mem)
{
	return (_Atomic uint32_t *)(void *)((char *)mem + METER_INDEX_AT);
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

static uint32_t find(const void *mem, const char *id)
{
	return meter_slot_find(meter_fixture_map(mem), str_from(id));
}

/* ------------------------------------------------------------------- index */

/* The plain list that the index is compared with. */
static struct {
	char id[MANY][DEVICE_ID_MAX + 1];
} list;

/* Ids of any bytes and of every length; numbered, so that none comes twice. */
static size_t random_id(struct rng *r, uint32_t i, char out[static 65])
{
	size_t n = 5 + rng_below(r, DEVICE_ID_MAX - 4), k = 0;

	for (; k < n - 4; k++)
		out[k] = (char)('!' + (int)rng_below(r, 90));
	for (; k < n; k++, i /= 64)
		out[k] = (char)('0' + (int)(i % 64));
	out[n] = '\0';
	return n;
}

static void check_all(void *mem, uint32_t n)
{
	char own[DEVICE_ID_MAX + 1];

	assert_int_equal(meter_slots(meter_fixture_map(mem)), n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(find(mem, list.id[i]), i);
		assert_int_equal(
			meter_slot_id(
				meter_slot_at(meter_fixture_map(mem), i), own),
			strlen(list.id[i]));
		assert_string_equal(own, list.id[i]);
	}
	for (uint32_t i = n; i < MANY; i += 97)
		assert_int_equal(find(mem, list.id[i]), METER_NONE);
}

static void test_growth(void **state)
{
	struct rng r = {20261125};
	void *mem = *state;

	for (uint32_t i = 0; i < MANY; i++)
		(void)random_id(&r, i, list.id[i]);
	for (uint32_t i = 0; i < MANY; i++) {
		if (i % METER_SLOTS_STEP == 1 || i == METER_SLOTS_STEP)
			check_all(mem, i);
		assert_int_equal(find(mem, list.id[i]), METER_NONE);
		assert_int_equal(
			meter_fixture_slot(mem, str_from(list.id[i])), i);
		assert_null(meter_problem(mem, (size_t)header(mem)->size));
	}
	check_all(mem, MANY);
	assert_int_equal(header(mem)->cap_slots, 9 * METER_SLOTS_STEP);
}

static void test_ids(void **state)
{
	static const struct {
		size_t len;
		bool taken;
	} rows[] = {{0, false}, {1, true}, {63, true}, {DEVICE_ID_MAX, true},
		{DEVICE_ID_MAX + 1, false}, {4000, false}};
	char id[4000];
	void *mem = *state;

	memset(id, 'i', sizeof id);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str s = {id, rows[i].len};
		uint32_t before = header(mem)->n_slots, slot;

		assert_int_equal(
			meter_slot_find(meter_fixture_map(mem), s), METER_NONE);
		slot = meter_fixture_slot(mem, s);
		assert_int_equal(slot, rows[i].taken ? before : METER_NONE);
		assert_int_equal(
			meter_slot_find(meter_fixture_map(mem), s), slot);
		assert_int_equal(
			header(mem)->n_slots, before + (rows[i].taken ? 1 : 0));
	}
	/* A device whose id begins as another's is another. */
	assert_int_equal(find(mem, "ii"), METER_NONE);
}

/* The writer died after the entry and before the count. */
static void test_died_between(void **state)
{
	void *mem = *state;

	assert_int_equal(meter_fixture_slot(mem, STR("first")), 0);
	assert_int_equal(meter_fixture_slot(mem, STR("lost")), 1);
	header(mem)->n_slots = 1;
	assert_int_equal(find(mem, "lost"), METER_NONE);
	/* Another device takes the slot: the entry left is not its own. */
	assert_int_equal(meter_fixture_slot(mem, STR("other")), 1);
	assert_int_equal(find(mem, "other"), 1);
	assert_int_equal(find(mem, "lost"), METER_NONE);
	assert_int_equal(meter_fixture_slot(mem, STR("lost")), 2);
	assert_int_equal(find(mem, "lost"), 2);
	assert_int_equal(find(mem, "first"), 0);

	/* The same device again: the entry left is taken up. */
	header(mem)->n_slots = 2;
	assert_int_equal(meter_fixture_slot(mem, STR("lost")), 2);
	assert_int_equal(find(mem, "lost"), 2);
}

/* Memory that comes back with more in it than the count says. */
static void test_left_over(void **state)
{
	void *mem = *state;
	struct meter_slot *s;

	assert_int_equal(meter_fixture_slot(mem, STR("first")), 0);
	s = meter_slot_mut(mem, 1);
	memset(s, 0xA5, sizeof *s);
	assert_int_equal(meter_fixture_slot(mem, STR("second")), 1);
	for (int c = 0; c < COUNTERS; c++)
		assert_int_equal(s->counter[c], 0);
	assert_int_equal(s->day_bytes[METER_DAY - 1], 0);
	assert_int_equal(s->connect_seq | s->refusal_seq | s->class, 0);
	assert_int_equal(s->first_seen_s, 1000);
	assert_int_equal(s->last_seen_s, 0);
}

/* ----------------------------------------------------------------- hostile */

static void fill(void *mem, uint32_t value)
{
	for (uint32_t i = 0; i < 2 * METER_SLOTS_STEP; i++)
		entries(mem)[i] = value;
}

static void test_hostile_index(void **state)
{
	static const uint32_t values[] = {
		1, 2, 3, METER_SLOTS_STEP + 1, INT32_MAX, UINT32_MAX};
	void *mem = *state;

	assert_int_equal(meter_fixture_slot(mem, STR("a")), 0);
	assert_int_equal(meter_fixture_slot(mem, STR("b")), 1);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		fill(mem, values[i]);
		assert_int_equal(
			find(mem, "a"), values[i] == 1 ? 0 : METER_NONE);
		assert_int_equal(
			find(mem, "b"), values[i] == 2 ? 1 : METER_NONE);
		assert_int_equal(find(mem, "c"), METER_NONE);
		/* Slot 2 is entry 3: only there is room for it. */
		assert_int_equal(meter_fixture_slot(mem, STR("c")),
			values[i] == 3 ? 2 : METER_NONE);
		header(mem)->n_slots = 2;
	}
	/* One free entry is enough, wherever it is. */
	fill(mem, UINT32_MAX);
	entries(mem)[777] = 0;
	assert_int_equal(meter_fixture_slot(mem, STR("c")), 2);
	assert_int_equal(entries(mem)[777], 3);
	assert_int_equal(find(mem, "c"), 2);
}

static void test_hostile_counts(void **state)
{
	void *mem = *state;
	struct meter_map m;

	assert_int_equal(meter_fixture_slot(mem, STR("a")), 0);
	m = meter_fixture_map(mem);
	/* No more than what is mapped, whatever the header says. */
	header(mem)->n_slots = UINT32_MAX;
	assert_int_equal(meter_slots(m), METER_SLOTS_STEP);
	m.size--;
	assert_int_equal(meter_slots(m), METER_SLOTS_STEP - 1);
	m.size = METER_SIZE_MIN;
	assert_int_equal(meter_slots(m), 0);
	assert_int_equal(meter_slot_find(m, STR("a")), METER_NONE);
	m.size = METER_SIZE_MIN + sizeof(struct meter_slot) - 1;
	assert_int_equal(meter_slots(m), 0);
	m.size = SIZE_MAX;
	assert_int_equal(meter_slots(m), METER_SLOTS_MAX);
	header(mem)->n_slots = 1;
	assert_int_equal(meter_slots(m), 1);

	/* A slot's own length is no promise either. */
	meter_slot_mut(mem, 0)->id_len = UINT32_MAX;
	assert_int_equal(find(mem, "a"), METER_NONE);
}

static void test_hostile_id(void **state)
{
	char out[DEVICE_ID_MAX + 1];
	struct meter_slot s = {.id_len = UINT32_MAX};

	(void)state;
	memset(out, 'x', sizeof out);
	assert_int_equal(meter_slot_id(&s, out), DEVICE_ID_MAX);
	assert_int_equal(out[DEVICE_ID_MAX], '\0');
	assert_int_equal(out[0], '\0');
}

/* ------------------------------------------------------------------ limits */

static void test_need(void **state)
{
	static const struct {
		uint32_t n, cap;
		bool can;
		size_t ranges;
		uint32_t first, entries; /* of a new table; 0: none */
	} rows[] = {
		{0, 0, true, 2, 0, 2048},
		{1, 1024, true, 0, 0, 0},
		{1023, 1024, true, 0, 0, 0},
		{1024, 1024, true, 2, 2048, 2048},
		{2048, 2048, true, 2, 4096, 4096},
		{3072, 3072, true, 1, 0, 0},
		{4096, 4096, true, 2, 8192, 8192},
		{5120, 5120, true, 1, 0, 0},
		{524288, 524288, true, 2, 1048576, 1048576},
		{1047552, 1047552, true, 1, 0, 0},
		{1048575, 1048576, true, 0, 0, 0},
		{1048576, 1048576, false, 0, 0, 0},
		{UINT32_MAX, 1048576, false, 0, 0, 0},
		{UINT32_MAX, UINT32_MAX, false, 0, 0, 0},
	};
	void *mem = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct meter_range r[2];
		size_t n = 99;

		header(mem)->n_slots = rows[i].n;
		header(mem)->cap_slots = rows[i].cap;
		assert_int_equal(meter_slots_need(mem, r, &n), rows[i].can);
		assert_int_equal(n, rows[i].ranges);
		if (n == 0)
			continue;
		assert_int_equal(r[n - 1].at,
			METER_SLOTS_AT + (size_t)rows[i].cap *
						 sizeof(struct meter_slot));
		assert_int_equal(r[n - 1].len,
			METER_SLOTS_STEP * sizeof(struct meter_slot));
		assert_true(r[n - 1].at + r[n - 1].len <= METER_SIZE_MAX);
		if (n == 1)
			continue;
		assert_int_equal(
			r[0].at, METER_INDEX_AT + rows[i].first * ENTRY);
		assert_int_equal(r[0].len, rows[i].entries * ENTRY);
		assert_true(r[0].at + r[0].len <= METER_SLOTS_AT);
	}
}

static void test_used(void **state)
{
	static const struct {
		uint32_t cap, entries;
	} rows[] = {{0, 0}, {1024, 2048}, {2048, 4096}, {3072, 8192},
		{4096, 8192}, {5120, 16384}, {1048576, 2097152}};
	void *mem = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct meter_range r[2];

		header(mem)->cap_slots = rows[i].cap;
		meter_slots_used(mem, r);
		assert_int_equal(r[0].at, METER_INDEX_AT);
		assert_int_equal(r[0].len, rows[i].entries * ENTRY);
		assert_int_equal(r[1].at, METER_SLOTS_AT);
		assert_int_equal(r[1].len,
			(size_t)rows[i].cap * sizeof(struct meter_slot));
	}
}

/* Every reason for which a device can be refused has a place of its own. */
static void test_reasons(void **state)
{
	uint32_t seen = 0;

	(void)state;
	for (int r = 0; r < REASON_COUNT; r++) {
		uint32_t i = meter_reason_index((enum reason)r);

		if (i >= METER_REASONS) {
			assert_int_equal(i, METER_REASONS);
			assert_true(r == REASON_ALLOWED ||
				    r == REASON_NO_CERTIFICATE ||
				    r == REASON_UNKNOWN_CERTIFICATE);
			continue;
		}
		assert_int_equal(seen & 1u << i, 0);
		seen |= 1u << i;
	}
	assert_int_equal(seen, (1u << (REASON_COUNT - 3)) - 1);
}

/* ----------------------------------------------------- last connect, refusal */

static void test_connect(void **state)
{
	struct meter_slot s = {0};
	struct meter_connect c;
	uint8_t credential[FINGERPRINT_LEN], address[16];

	(void)state;
	meter_slot_last_connect(&s, &c);
	assert_int_equal(c.t_s, 0);
	memset(credential, 0xC1, sizeof credential);
	memset(address, 0xA1, sizeof address);
	meter_slot_connect(&s, credential, address, 77);
	meter_slot_last_connect(&s, &c);
	assert_int_equal(c.t_s, 77);
	assert_memory_equal(c.credential, credential, sizeof credential);
	assert_memory_equal(c.address, address, sizeof address);

	/* A writer died inside a store: never; the next store is whole. */
	s.connect_seq |= 1u;
	memset(&c, 0xFF, sizeof c);
	meter_slot_last_connect(&s, &c);
	assert_int_equal(c.t_s, 0);
	assert_int_equal(c.credential[0] | c.address[15], 0);
	meter_slot_connect(&s, credential, address, 78);
	meter_slot_last_connect(&s, &c);
	assert_int_equal(c.t_s, 78);
	s.connect_seq = UINT32_MAX; /* odd, and about to wrap */
	meter_slot_connect(&s, credential, address, 79);
	meter_slot_last_connect(&s, &c);
	assert_int_equal(c.t_s, 79);
}

static void test_refusal(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 8, 63, 64, 65, 65535};
	static char topic[65535];
	struct meter_slot s = {0};
	struct meter_refusal r;

	(void)state;
	meter_slot_last_refusal(&s, &r);
	assert_int_equal(r.t_s, 0);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct request what = {.action = ACTION_SUBSCRIBE,
			.qos = 2,
			.topic = {topic, sizes[i]}};
		size_t kept = sizes[i] < METER_TOPIC ? sizes[i] : METER_TOPIC;

		memset(topic, (int)('a' + (int)i), sizeof topic);
		meter_slot_refuse(&s, &what, REASON_RATE, 50 + (int64_t)i);
		meter_slot_last_refusal(&s, &r);
		assert_int_equal(r.t_s, 50 + i);
		assert_int_equal(r.action, ACTION_SUBSCRIBE);
		assert_int_equal(r.reason, REASON_RATE);
		assert_int_equal(r.qos, 2);
		assert_int_equal(r.topic_len, sizes[i]);
		assert_int_equal(strlen(r.topic), kept);
		assert_memory_equal(r.topic, topic, kept);
	}
	s.refusal_seq |= 1u;
	memset(&r, 0xFF, sizeof r);
	meter_slot_last_refusal(&s, &r);
	assert_int_equal(r.t_s, 0);
	assert_int_equal(r.topic_len, 0);
	assert_string_equal(r.topic, "");
}

/* Lengths and numbers that no writer stores. */
static void test_refusal_hostile(void **state)
{
	struct meter_slot s = {
		.refused_s = INT64_MIN,
		.refused_what = UINT32_MAX,
		.topic_len = UINT32_MAX,
	};
	struct meter_refusal r;

	(void)state;
	for (size_t i = 0; i < METER_TOPIC / 8; i++)
		s.topic[i] = UINT64_MAX;
	meter_slot_last_refusal(&s, &r);
	assert_int_equal(r.t_s, INT64_MIN);
	assert_int_equal(r.action, 255);
	assert_int_equal(r.reason, 255);
	assert_int_equal(r.qos, 255);
	assert_int_equal(r.topic_len, UINT32_MAX);
	assert_int_equal(strlen(r.topic), METER_TOPIC);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_growth),
		TEST(test_ids),
		TEST(test_died_between),
		TEST(test_left_over),
		TEST(test_hostile_index),
		TEST(test_hostile_counts),
		cmocka_unit_test(test_hostile_id),
		TEST(test_need),
		TEST(test_used),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_refusal_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
