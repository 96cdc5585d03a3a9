/* SPDX-License-Identifier: Apache-2.0 */
#include "core/event.h"
#include "tests/support/meter_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define RING ((uint64_t)METER_EVENTS)
#define SAFE (RING - 16)
#define TURN(n)                                                                \
	(2 * (uint64_t)(n) +                                                   \
		2) /* of event N when it is there */ /* what one who was overtaken goes on with */

static struct meter_header *header(void *mem)
{
	return mem;
}

static struct meter_event *entry(void *mem, uint64_t n)
{
	return (struct meter_event *)(void *)((char *)mem + METER_EVENTS_AT) +
	       n % RING;
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

/* Event N, which says so. */
static void store(void *mem, uint64_t n)
{
	struct event e = {.type = EVENT_CONNECT,
		.t_ms = (int64_t)n,
		.value = n,
		.device = STR("dev")};

	event_store(mem, &e);
}

static void store_many(void *mem, uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		store(mem, first + i);
}

static enum event_read load(
	void *mem, uint64_t *cursor, struct event_copy *out, uint64_t *lost)
{
	*lost = 0;
	return event_load(meter_fixture_map(mem), cursor, out, lost);
}

/* -------------------------------------------------------------- the table */

static void test_table(void **state)
{
	(void)state;
	for (int t = EVENT_NONE + 1; t < EVENT_TYPES; t++) {
		const char *name = event_name((enum event_type)t);

		assert_int_equal(event_find(str_from(name)), t);
		assert_int_not_equal(event_text((enum event_type)t)[0], '\0');
		assert_non_null(event_value((enum event_type)t));
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"),
			strlen(name));
	}
	assert_string_equal(event_name(EVENT_NONE), "none");
	assert_string_equal(event_name(EVENT_TYPES), "none");
	assert_string_equal(event_name((enum event_type)255), "none");
	assert_string_equal(event_text((enum event_type)255), "");
	assert_string_equal(event_value((enum event_type)255), "");
	/* Types are in files: one that was removed may not pass on its number. */
	assert_int_equal(EVENT_CONNECT, 1);
	assert_int_equal(EVENT_STATUS, 7);
}

static void test_find_not(void **state)
{
	static const struct str names[] = {{NULL, 0}, {"none", 4},
		{"connec", 6}, {"connectx", 8}, {"CONNECT", 7}, {" refusal", 8},
		{"refusal\0", 8}};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(event_find(names[i]), EVENT_NONE);
}

/* ------------------------------------------------------------------- store */

static void test_round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 8, 127, 128, 129, 65535};
	static char text[65535];
	struct event_copy c;
	void *mem = *state;
	uint64_t cursor = 0, lost;

	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t id_len =
			sizes[i] < DEVICE_ID_MAX ? sizes[i] : DEVICE_ID_MAX;
		size_t kept = sizes[i] < EVENT_TEXT ? sizes[i] : EVENT_TEXT;
		struct event e = {.t_ms = -5,
			.type = EVENT_REFUSAL,
			.action = ACTION_RECEIVE,
			.reason = REASON_QUOTA,
			.qos = 2,
			.value = UINT64_MAX - i,
			.class = METER_NONE,
			.device = {text, sizes[i]},
			.text = {text, sizes[i]}};

		memset(e.address, (int)(0xA0 + i), sizeof e.address);
		event_store(mem, &e);
		assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_ONE);
		assert_int_equal(cursor, i + 1);
		assert_int_equal(c.e.t_ms, -5);
		assert_int_equal(c.e.type, EVENT_REFUSAL);
		assert_int_equal(c.e.action, ACTION_RECEIVE);
		assert_int_equal(c.e.reason, REASON_QUOTA);
		assert_int_equal(c.e.qos, 2);
		assert_true(c.e.value == UINT64_MAX - i);
		assert_int_equal(c.e.class, METER_NONE);
		assert_memory_equal(c.e.address, e.address, 16);
		assert_int_equal(c.e.device.n, id_len);
		assert_int_equal(strlen(c.device), id_len);
		assert_int_equal(c.e.text.n, kept);
		assert_int_equal(strlen(c.text), kept);
		assert_int_equal(c.text_len, sizes[i]);
	}
	assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_NONE);
}

/* ------------------------------------------------------------- the cursor */

static void test_in_order(void **state)
{
	struct event_copy c;
	void *mem = *state;
	uint64_t cursor = 0, lost, read = 0;

	assert_int_equal(event_head(meter_fixture_map(mem)), 0);
	assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_NONE);
	/* Three times round the ring, read as it fills. */
	for (uint64_t n = 0; n < 3 * RING; n += 96) {
		store_many(mem, n, 96);
		while (load(mem, &cursor, &c, &lost) == EVENT_READ_ONE)
			assert_int_equal(c.e.value, read++);
		assert_int_equal(lost, 0);
	}
	assert_int_equal(read, 3 * RING);
	assert_int_equal(cursor, event_head(meter_fixture_map(mem)));
}

static void test_overtaken(void **state)
{
	static const struct {
		uint64_t head, cursor, lost;
	} rows[] = {
		{RING, 0, 0},     /* full, nothing is gone */
		{RING + 1, 1, 0}, /* the oldest there is */
		{RING + 1, 0, RING + 1 - SAFE},
		{RING + 100, 50, RING + 50 - SAFE},
		{9 * RING, 0, 9 * RING - SAFE},
		{9 * RING, 8 * RING - 1, RING + 1 - SAFE},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		void *mem = meter_fixture();
		uint64_t cursor = rows[i].cursor, lost;
		struct event_copy c;

		store_many(mem, 0, rows[i].head);
		if (rows[i].lost != 0) {
			assert_int_equal(
				load(mem, &cursor, &c, &lost), EVENT_READ_LOST);
			assert_int_equal(lost, rows[i].lost);
			assert_int_equal(cursor, rows[i].cursor + rows[i].lost);
		}
		/* From there on nothing is missing. */
		for (uint64_t n = cursor; n < rows[i].head; n++) {
			assert_int_equal(
				load(mem, &cursor, &c, &lost), EVENT_READ_ONE);
			assert_int_equal(c.e.value, n);
		}
		assert_int_equal(
			load(mem, &cursor, &c, &lost), EVENT_READ_NONE);
		meter_fixture_free(mem);
	}
	(void)state;
}

static void test_beyond_head(void **state)
{
	static const uint64_t cursors[] = {
		6, 7, RING, UINT64_MAX - 1, UINT64_MAX};
	struct event_copy c;
	void *mem = *state;

	store_many(mem, 0, 5);
	for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
		uint64_t cursor = cursors[i], lost;

		assert_int_equal(
			load(mem, &cursor, &c, &lost), EVENT_READ_NONE);
		assert_int_equal(cursor, 5);
		assert_int_equal(lost, 0);
	}
}

/* The writer died while it wrote event 5, and goes on with it. */
static void test_died_inside(void **state)
{
	struct event_copy c;
	void *mem = *state;
	uint64_t cursor = 4, lost;

	store_many(mem, 0, 5);
	entry(mem, 5)->turn = 2 * 5 + 1;
	entry(mem, 5)->t_ms = 1;
	assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_ONE);
	assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_NONE);
	store(mem, 5);
	assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_ONE);
	assert_int_equal(c.e.value, 5);
}

/* ----------------------------------------------------------------- hostile */

static void test_hostile_turn(void **state)
{
	static const uint64_t turns[] = {0, 1, TURN(3) - 1, TURN(3) - 2,
		TURN(4), TURN(3 + RING), UINT64_MAX};
	struct event_copy c;
	void *mem = *state;

	store_many(mem, 0, 10);
	for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
		uint64_t cursor = 3, lost;

		entry(mem, 3)->turn = turns[i];
		assert_int_equal(
			load(mem, &cursor, &c, &lost), EVENT_READ_LOST);
		assert_int_equal(lost, 1);
		assert_int_equal(cursor, 4);
		assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_ONE);
		assert_int_equal(c.e.value, 4);
	}
}

/* Whatever the head says, a reader is done after a ring's worth of calls. */
static void test_hostile_head(void **state)
{
	static const uint64_t heads[] = {
		11, RING, RING + 1, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
	struct event_copy c;
	void *mem = *state;

	store_many(mem, 0, 10);
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		uint64_t cursor = 10, before, lost, calls = 0;

		header(mem)->events = heads[i];
		do {
			enum event_read r;

			before = cursor;
			r = load(mem, &cursor, &c, &lost);
			if (r == EVENT_READ_NONE)
				break;
			assert_int_equal(r, EVENT_READ_LOST);
			assert_true(cursor - before == lost && lost != 0);
		} while (++calls <= RING);
		assert_true(cursor == heads[i]);
		assert_true(calls <= RING);
	}
	/* Back behind the cursor: to the head, as in a new segment. */
	{
		uint64_t cursor = 10, lost;

		header(mem)->events = 2;
		assert_int_equal(
			load(mem, &cursor, &c, &lost), EVENT_READ_NONE);
		assert_int_equal(cursor, 2);
	}
}

static void test_hostile_entry(void **state)
{
	struct event_copy c;
	void *mem = *state;
	uint64_t cursor = 0, lost;

	store(mem, 0);
	memset(entry(mem, 0), 0xFF, sizeof(struct meter_event));
	entry(mem, 0)->turn = 2;
	assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_ONE);
	assert_int_equal(c.e.type, EVENT_NONE);
	assert_int_equal(c.e.action, 255);
	assert_int_equal(c.e.reason, 255);
	assert_int_equal(c.e.device.n, DEVICE_ID_MAX);
	assert_int_equal(strlen(c.device), DEVICE_ID_MAX);
	assert_int_equal(c.e.text.n, EVENT_TEXT);
	assert_int_equal(strlen(c.text), EVENT_TEXT);
	assert_int_equal(c.text_len, UINT32_MAX);
	/* The number after the last type is none. */
	cursor = 0;
	entry(mem, 0)->what = EVENT_TYPES;
	assert_int_equal(load(mem, &cursor, &c, &lost), EVENT_READ_ONE);
	assert_int_equal(c.e.type, EVENT_NONE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_find_not),
		TEST(test_round_trip),
		TEST(test_in_order),
		cmocka_unit_test(test_overtaken),
		TEST(test_beyond_head),
		TEST(test_died_inside),
		TEST(test_hostile_turn),
		TEST(test_hostile_head),
		TEST(test_hostile_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
