/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A meter that is another one is never compared with the one before; what is
 * hostile or cut short is forgotten.
 */
#include "tests/support/watch_fixture.h"

static void test_no_meter(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rig_look(r, 1), WATCH_SAME);
	assert_int_equal(r->w->meter.state, BROKER_NEVER_RAN);
	assert_int_equal(r->w->n, 0);
	(void)rig_look(r, 60);
	assert_false(r->w->minute.full);
	rig_begin(r);
	assert_int_equal(rig_look(r, 1), WATCH_FILE);
	assert_int_equal(r->w->n, 0);
	(void)rig_add(r, "a", "pump");
	(void)rig_look(r, 1);
	assert_int_equal(r->w->n, 1);
}

/* A fresh meter has smaller counters, and other devices in the same slots. */
static void test_fresh_meter(void **state)
{
	struct rig *r = *state;
	uint32_t epoch;

	rig_begin(r);
	rig_count(r, rig_add(r, "a", "pump"), COUNTER_MESSAGES_IN, 1000);
	(void)rig_add(r, "b", "pump");
	(void)rig_look(r, 0);
	(void)rig_look(r, 60);
	assert_true(r->w->minute.full);
	epoch = r->w->epoch;
	segment_close(&r->s);
	assert_int_equal(rename(r->path, tempdir_at(&r->dir, "meter/old")), 0);
	rig_begin(r);
	rig_count(r, rig_add(r, "c", "till"), COUNTER_MESSAGES_IN, 2000);
	assert_int_equal(rig_look(r, 30), WATCH_FILE);
	assert_int_not_equal(r->w->epoch, epoch);
	assert_int_equal(r->w->n, 1);
	assert_true(rig_changed(r, 0));
	assert_false(r->w->minute.full);
	(void)rig_look(r, 30);
	assert_false(r->w->minute.full);
	(void)rig_look(r, 60);
	assert_true(r->w->minute.full);
	assert_int_equal(r->w->minute.all[COUNTER_MESSAGES_IN], 0);
	assert_int_equal(r->w->minute.active, 0);
}

/* Written over in place: the same file, but a broker's first start. */
static void test_meter_begun_anew_in_place(void **state)
{
	struct rig *r = *state;
	uint32_t epoch;

	rig_begin(r);
	segment_header(&r->s)->generation = 7;
	rig_count(r, rig_add(r, "a", "pump"), COUNTER_MESSAGES_IN, 1000);
	(void)rig_look(r, 0);
	epoch = r->w->epoch;
	segment_header(&r->s)->generation = 1;
	assert_int_equal(rig_look(r, 60), WATCH_FILE);
	assert_int_not_equal(r->w->epoch, epoch);
	assert_false(r->w->minute.full);
	/* A first start is followed by a first start. */
	(void)rig_look(r, 0);
	epoch = r->w->epoch;
	meter_identify(r->s.mem, meter_identity(r->s.mem) + 1);
	assert_int_equal(rig_look(r, 0), WATCH_FILE);
	assert_int_not_equal(r->w->epoch, epoch);
	/* Fewer devices than there were. */
	(void)rig_look(r, 60);
	(void)rig_look(r, 60);
	epoch = r->w->epoch;
	assert_true(r->w->minute.full);
	segment_header(&r->s)->n_slots = 0;
	assert_int_equal(rig_look(r, 60), WATCH_FILE);
	assert_int_not_equal(r->w->epoch, epoch);
	assert_int_equal(r->w->n, 0);
	assert_false(r->w->minute.full);
}

/* Counters only grow: one that went back is not that counter. */
static void test_counter_went_back(void **state)
{
	struct rig *r = *state;
	struct meter_slot *a;
	uint32_t epoch;

	rig_begin(r);
	a = rig_add(r, "a", "pump");
	rig_count(r, a, COUNTER_MESSAGES_IN, 1000);
	(void)rig_look(r, 0);
	(void)rig_look(r, 60);
	assert_true(r->w->minute.full);
	epoch = r->w->epoch;
	a->counter[COUNTER_MESSAGES_IN] = 999;
	(void)rig_look(r, 30);
	assert_int_not_equal(r->w->epoch, epoch);
	assert_false(r->w->minute.full);
	assert_int_equal(r->w->n, 0);
	(void)rig_look(r, 1);
	assert_int_equal(r->w->n, 1);
	/* One, though their sum grew. */
	(void)rig_look(r, 29);
	epoch = r->w->epoch;
	a->counter[COUNTER_MESSAGES_IN] = 998;
	a->counter[COUNTER_MQTT_BYTES_IN] = 500;
	(void)rig_look(r, 60);
	assert_int_not_equal(r->w->epoch, epoch);
	assert_false(r->w->minute.full);
}

/* Cut short between two steps: what is lost reads as zero, and is forgotten. */
static void test_cut_short(void **state)
{
	struct rig *r = *state;
	uint32_t epoch;
	struct err e;

	/* CMocka's handler of SIGBUS came after the guard's. */
	watch_close(&r->w);
	assert_true(watch_open(r->path, WATCH_FIXTURE_TOP, &r->w, &e));
	rig_begin(r);
	rig_add_many(r, 2 * WATCH_STEP);
	(void)rig_look(r, 0);
	epoch = r->w->epoch;
	(void)watch_look(r->w, r->now_s, r->now_ms);
	assert_true(watch_step(r->w));
	assert_int_equal(truncate(r->path, METER_SLOTS_AT), 0);
	while (watch_step(r->w))
		;
	assert_int_not_equal(r->w->epoch, epoch);
	assert_int_equal(r->w->n, 0);
	assert_false(meter_watch_reads(&r->w->meter));
	/* Its header says more than there is. */
	(void)rig_look(r, 1);
	assert_int_equal(r->w->meter.state, BROKER_UNKNOWN);
	assert_false(r->w->minute.full);
	/* The broker begins another one. */
	segment_close(&r->s);
	assert_int_equal(rename(r->path, tempdir_at(&r->dir, "meter/old")), 0);
	rig_begin(r);
	(void)rig_add(r, "a", "pump");
	assert_int_equal(rig_look(r, 1), WATCH_FILE);
	assert_int_equal(r->w->n, 1);
}

/* A class number that no class has, and whatever else is there. */
static void test_hostile_slot(void **state)
{
	struct rig *r = *state;
	struct meter_slot *s;

	rig_begin(r);
	s = rig_add(r, "a", "pump");
	memset(s, 0xFF, sizeof(*s));
	s->generation = (uint32_t)segment_header(&r->s)->generation;
	(void)rig_look(r, 0);
	assert_int_equal(r->w->connected[0], 1);
	s->counter[0] = 0;
	s->counter[1] = 0;
	(void)rig_look(r, 60);
	(void)rig_look(r, 60);
	assert_int_equal(r->w->n, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_no_meter),
		T(test_fresh_meter),
		T(test_meter_begun_anew_in_place),
		T(test_counter_went_back),
		T(test_cut_short),
		T(test_hostile_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
