/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorder whose file is locked, missing, damaged or another's, and a meter
 * that no plugin writes.
 */
#include "tests/support/recorder_fixture.h"

#include <sqlite3.h>

static void one_at_a_time(void **state)
{
	struct bench *b = *state;
	struct recorder *other = NULL;
	char pid[48];
	struct err e;

	(void)snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	assert_false(
		recorder_open(b->rig->dir.path, &bench_limits, &other, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_non_null(strstr(e.msg, pid));
	assert_null(other);
}

/* Another program holds the file: what was counted meanwhile is told after. */
static void a_lock_is_waited_for(void **state)
{
	struct bench *b = *state;
	char path[sizeof(b->rig->dir.at)];
	struct recorder_state s;
	sqlite3 *other;

	bench_begin(b, 0);
	bench_count(b, 1, 100);
	bench_later(b, 60);
	(void)snprintf(path, sizeof(path), "%s",
		tempdir_at(&b->rig->dir, "usage/usage.db"));
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
		SQLITE_OK);
	for (unsigned i = 0; i < 5; i++) {
		bench_count(b, 1, 10);
		bench_count(b, 2, 10);
		bench_later(b, 60);
	}
	recorder_state(b->r, &s);
	assert_false(s.well);
	assert_non_null(strstr(s.error, "locked"));
	assert_true(s.error_s != 0 && s.looked_s < b->rig->now_s - 250);
	assert_int_equal(bench_sum(b, HISTORY_DEVICE, "d-1"), 100);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	bench_later(b, 60);
	bench_later(b, 60);
	bench_check(b);
}

/* Nothing can be written there at all; then it can. */
static void a_folder_that_is_missing(void **state)
{
	struct bench *b = *state;
	char usage[sizeof(b->rig->dir.at)], away[sizeof(b->rig->dir.at)];
	struct recorder_state s;
	struct tempdir old;

	(void)snprintf(
		usage, sizeof(usage), "%s", tempdir_at(&b->rig->dir, "usage"));
	(void)snprintf(
		away, sizeof(away), "%s", tempdir_at(&b->rig->dir, "away"));
	recorder_close(&b->r);
	assert_int_equal(rename(usage, away), 0);
	bench_open(b);
	assert_null(recorder_history(b->r));
	bench_begin(b, 0);
	bench_count(b, 1, 100);
	bench_later(b, 60);
	bench_later(b, 60);
	recorder_state(b->r, &s);
	assert_false(s.well);
	assert_non_null(strstr(s.error, "usage"));
	assert_int_equal(s.bytes, 0);
	assert_int_equal(mkdir(usage, 0700), 0);
	bench_later(b, 120);
	bench_check(b);
	(void)snprintf(
		old.path, sizeof(old.path), "%.50s/away", b->rig->dir.path);
	(void)tempdir_walk(&old, 1);
}

/* Damage that is found at work: it is begun anew, with all that the meter
 * shows. */
static void damage_is_begun_anew(void **state)
{
	struct bench *b = *state;
	char path[sizeof(b->rig->dir.at)];
	sqlite3 *other;

	bench_begin(b, 0);
	bench_count(b, 1, 100);
	bench_later(b, 60);
	(void)snprintf(path, sizeof(path), "%s",
		tempdir_at(&b->rig->dir, "usage/usage.db"));
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "UPDATE taken SET row = 'x'", NULL,
				 NULL, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	bench_count(b, 1, 10);
	bench_later(b, 60);
	bench_later(b, 60);
	bench_later(b, 60);
	bench_check(b);
	assert_int_equal(
		access(tempdir_at(&b->rig->dir, "usage/usage.db.damaged"),
			F_OK),
		0);
}

/* What no plugin writes: ids that are none, one device twice, a class that is
 * not there, and counters that go back. */
static void hostile_meters(void **state)
{
	struct bench *b = *state;
	struct meter_slot *bad, *twice, *s;

	rig_begin(b->rig);
	bad = rig_add(b->rig, "no/id\n", "pump");
	s = rig_add(b->rig, "d-1", "pump");
	twice = rig_add(b->rig, "d-2", "bad class\n");
	memcpy(twice->id, s->id, sizeof(s->id));
	rig_count(b->rig, bad, COUNTER_WIRE_BYTES_IN, 1);
	rig_count(b->rig, s, COUNTER_WIRE_BYTES_IN, 100);
	rig_count(b->rig, twice, COUNTER_WIRE_BYTES_IN, 70);
	s->class = 0xffffff;
	bench_later(b, 60);
	bench_later(b, 60);
	bench_well(b);
	assert_int_equal(bench_sum(b, HISTORY_DEVICE, "d-1"), 100);
	assert_int_equal(bench_sum(b, HISTORY_DEVICE, "d-2"), 0);
	assert_int_equal(bench_sum(b, HISTORY_CLASS, "pump"), 101);
	/* the watch takes it for another meter, and opens it again */
	s->counter[COUNTER_WIRE_BYTES_IN] = 40;
	bench_later(b, 60);
	bench_later(b, 60);
	assert_int_equal(bench_sum(b, HISTORY_DEVICE, "d-1"), 100);
	s->counter[COUNTER_WIRE_BYTES_IN] = 45;
	bench_later(b, 60);
	bench_well(b);
	assert_int_equal(bench_sum(b, HISTORY_DEVICE, "d-1"), 105);
	s->counter[COUNTER_WIRE_BYTES_IN] = UINT64_MAX;
	s->counter[COUNTER_WIRE_BYTES_OUT] = UINT64_MAX;
	bench_later(b, 60);
	bench_well(b);
	assert_true(bench_sum(b, HISTORY_DEVICE, "d-1") == UINT64_MAX);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_at_a_time),
		TEST(a_lock_is_waited_for),
		TEST(a_folder_that_is_missing),
		TEST(damage_is_begun_anew),
		TEST(hostile_meters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
