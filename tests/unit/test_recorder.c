/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever happens to the recorder, its clock, its file and the meter: once it
 * has caught up, the history of each device and class is what was counted.
 */
#include "feed/recorder_private.h"
#include "tests/support/rng.h"
#include "tests/support/watch_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>

#define DEVICES 40

static const struct config_history limits = {
	.minute_s = INT64_C(172800),
	.hour_s = INT64_C(3024000),
	.day_s = INT64_C(1) << 40,
	.event_s = INT64_C(3024000),
	.max_bytes = UINT64_C(1) << 40,
};

struct bench {
	struct rig *rig;
	struct recorder *r;
	struct meter_slot *slot[DEVICES];
	uint64_t truth[DEVICES], of_class[2];
	uint64_t events;
};

static const char *const class_names[2] = {"meter", "pump"};

static void open_recorder(struct bench *b)
{
	struct err e;

	if (!recorder_open(b->rig->dir.path, &limits, &b->r, &e))
		fail_msg("%s", e.msg);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	void *rig;

	assert_non_null(b);
	assert_int_equal(rig_setup(&rig), 0);
	b->rig = rig;
	assert_int_equal(mkdir(tempdir_at(&b->rig->dir, "usage"), 0700), 0);
	open_recorder(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	struct tempdir usage;
	void *rig = b->rig;

	recorder_close(&b->r);
	(void)snprintf(usage.path, sizeof(usage.path), "%.50s/usage",
		b->rig->dir.path);
	(void)tempdir_walk(&usage, 1);
	free(b);
	return rig_teardown(&rig);
}

/* AFTER_S later, all that there is to do is done. */
static void later(struct bench *b, int64_t after_s)
{
	(void)rig_look(b->rig, after_s);
	recorder_second(b->r, b->rig->w, b->rig->now_s, b->rig->now_ms);
	while (recorder_step(b->r, b->rig->w))
		;
}

static void well(struct bench *b)
{
	struct recorder_state s;

	recorder_state(b->r, &s);
	if (!s.well)
		fail_msg("%s", s.error);
}

/* -------------------------------------------------------------------- counts */

static const char *name_of(unsigned d, char out[static 16])
{
	(void)snprintf(out, 16, "d-%u", d);
	return out;
}

/* The devices come in an order that differs from meter to meter. */
static void begin_meter(struct bench *b, unsigned shift)
{
	char id[16];

	rig_begin(b->rig);
	for (unsigned i = 0; i < DEVICES; i++) {
		unsigned d = (i * 7 + shift) % DEVICES;

		b->slot[d] =
			rig_add(b->rig, name_of(d, id), class_names[d % 2]);
	}
}

static void count(struct bench *b, unsigned d, uint64_t n)
{
	rig_count(b->rig, b->slot[d], COUNTER_WIRE_BYTES_IN, n);
	b->truth[d] += n;
	b->of_class[d % 2] += n;
}

static void count_some(struct bench *b, struct rng *r)
{
	for (unsigned n = rng_below(r, 60); n != 0; n--)
		count(b, rng_below(r, DEVICES), 1 + rng_below(r, 100000));
}

static uint64_t sum_of(
	struct bench *b, enum history_what what, const char *name)
{
	struct history_ask ask = {
		.what = what, .name = str_from(name), .to_s = INT64_C(1) << 40};
	unsigned work = 1000000;
	struct history_usage *u;
	struct history_row row;
	struct err e;
	enum history_got got;

	if (!history_usage_open(recorder_history(b->r), &ask, &u, &e))
		fail_msg("%s", e.msg);
	got = history_usage_next(u, &work, &row, &e);
	history_usage_close(&u);
	if (got == HISTORY_FAILED || got == HISTORY_LATER)
		fail_msg("%s", e.msg);
	return got == HISTORY_ONE ? row.counter[COUNTER_WIRE_BYTES_IN] : 0;
}

static void check_sums(struct bench *b)
{
	char id[16];

	well(b);
	for (unsigned d = 0; d < DEVICES; d++)
		assert_int_equal(
			sum_of(b, HISTORY_DEVICE, name_of(d, id)), b->truth[d]);
	for (unsigned c = 0; c < 2; c++)
		assert_int_equal(sum_of(b, HISTORY_CLASS, class_names[c]),
			b->of_class[c]);
}

/* Another meter takes the place of the one that is there. */
static void replace_meter(struct bench *b, unsigned shift)
{
	recorder_finish(b->r, b->rig->w, b->rig->now_s, b->rig->now_ms);
	segment_close(&b->rig->s);
	assert_int_equal(unlink(b->rig->path), 0);
	begin_meter(b, shift);
}

/* The next minute, in which the recorder dies at some step, or not. */
static void a_minute(struct bench *b, struct rng *r)
{
	unsigned steps = rng_below(r, 12);

	count_some(b, r);
	(void)rig_look(b->rig, 20 + rng_below(r, 80));
	recorder_second(b->r, b->rig->w, b->rig->now_s, b->rig->now_ms);
	if (rng_below(r, 3) != 0) {
		while (recorder_step(b->r, b->rig->w))
			;
		return;
	}
	while (steps-- != 0 && recorder_step(b->r, b->rig->w))
		count_some(b, r);
	recorder_close(&b->r);
	count_some(b, r);
	open_recorder(b);
}

static void nothing_is_lost(void **state)
{
	struct bench *b = *state;
	struct rng r = {20261125};

	begin_meter(b, 0);
	for (unsigned i = 0; i < 400; i++) {
		a_minute(b, &r);
		if (rng_below(&r, 40) == 0) {
			replace_meter(b, i);
			count_some(b, &r);
		}
		/* set back and forth, by minutes and by days */
		if (rng_below(&r, 40) == 0)
			b->rig->now_s += (int64_t)rng_below(&r, 7200) - 3600;
		if (rng_below(&r, 100) == 0)
			b->rig->now_s += 86400;
		if (i % 20 != 0)
			continue;
		later(b, 120);
		check_sums(b);
	}
}

/* A stop as asked leaves nothing untold, and a second one in the same minute
 * adds to it. */
static void a_stop_tells_all(void **state)
{
	struct bench *b = *state;
	struct recorder_state s;

	begin_meter(b, 0);
	for (unsigned i = 0; i < 3; i++) {
		later(b, 1);
		count(b, 3, 1000);
		recorder_finish(b->r, b->rig->w, b->rig->now_s, b->rig->now_ms);
		check_sums(b);
		recorder_close(&b->r);
		open_recorder(b);
	}
	recorder_state(b->r, &s);
	assert_int_equal(s.looked_s, b->rig->now_s);
	assert_int_equal(
		s.told_s, history_floor(HISTORY_MINUTE, b->rig->now_s));
}

/* In which minute what is told. */
static void minutes_are_the_clocks(void **state)
{
	struct bench *b = *state;
	struct history_ask ask = {.what = HISTORY_DEVICE,
		.name = STR("d-5"),
		.to_s = INT64_C(1) << 40,
		.series = true};
	static const struct {
		int64_t after_s; /* then N is counted */
		uint64_t n;
	} steps[] = {{0, 0}, {10, 11}, {30, 22}, {15, 0}, {10, 33}, {55, 44},
		{200, 0}, {61, 0}};
	/* what the first look finds is of its minute; then it is of the minute
	 * that it came in, as long as that was looked at */
	static const struct {
		int64_t at_s;
		uint64_t n;
	} want[] = {{0, 33}, {60, 33}, {300, 44}};
	struct history_usage *u;
	struct history_row row;
	unsigned work = 100000;
	int64_t start;
	struct err e;

	begin_meter(b, 0);
	start = b->rig->now_s;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		later(b, steps[i].after_s);
		count(b, 5, steps[i].n);
	}
	check_sums(b);
	assert_true(history_usage_open(recorder_history(b->r), &ask, &u, &e));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(
			history_usage_next(u, &work, &row, &e), HISTORY_ONE);
		assert_int_equal(row.from_s - start, want[i].at_s);
		assert_int_equal(row.counter[COUNTER_WIRE_BYTES_IN], want[i].n);
		assert_string_equal(row.class, "pump");
	}
	assert_int_equal(history_usage_next(u, &work, &row, &e), HISTORY_END);
	history_usage_close(&u);
}

/* -------------------------------------------------------------------- events */

static void happen(struct bench *b, unsigned n)
{
	struct event v = {.type = EVENT_CONNECT,
		.device = STR("d-1"),
		.class = 1,
		.text = STR("d-1")};

	while (n-- != 0) {
		v.t_ms = b->rig->now_s * 1000;
		v.value = ++b->events;
		event_store(b->rig->s.mem, &v);
	}
}

/* Every event once, in order, with consecutive cursors; LOST of them not. */
static void check_events(struct bench *b, uint64_t lost)
{
	struct history_event_ask ask = {.after = 0};
	struct history_events *v;
	struct history_event x;
	unsigned work = 1000000;
	uint64_t last = 0, told_lost = 0;
	int64_t cursor = 0;
	struct err e;

	assert_true(history_events_open(recorder_history(b->r), &ask, &v, &e));
	while (history_events_next(v, &work, &x, &e) == HISTORY_ONE) {
		assert_int_equal(x.cursor, ++cursor);
		if (strcmp(x.type, "lost") == 0) {
			told_lost += x.value;
			last += x.value;
			continue;
		}
		assert_int_equal(x.value, ++last);
		assert_string_equal(x.device, "d-1");
		assert_string_equal(x.class, "pump");
	}
	history_events_close(&v);
	assert_int_equal(last, b->events);
	assert_int_equal(told_lost, lost);
}

static void no_event_twice(void **state)
{
	struct bench *b = *state;
	struct rng r = {3};
	struct recorder_state s;

	rig_begin(b->rig);
	(void)rig_add(b->rig, "d-1", "pump");
	for (unsigned i = 0; i < 60; i++) {
		unsigned steps = rng_below(&r, 8);

		happen(b, rng_below(&r, 400));
		(void)rig_look(b->rig, 1);
		recorder_second(b->r, b->rig->w, b->rig->now_s, b->rig->now_ms);
		while (steps-- != 0 && recorder_step(b->r, b->rig->w))
			;
		if (rng_below(&r, 3) == 0) {
			recorder_close(&b->r);
			open_recorder(b);
		}
	}
	later(b, 1);
	check_events(b, 0);
	/* more than the ring holds */
	happen(b, METER_EVENTS + 1000);
	later(b, 1);
	recorder_state(b->r, &s);
	assert_true(s.lost >= 1000 && s.lost < 1100);
	check_events(b, s.lost);
	/* another meter's, from its first on */
	segment_close(&b->rig->s);
	assert_int_equal(unlink(b->rig->path), 0);
	rig_begin(b->rig);
	(void)rig_add(b->rig, "d-1", "pump");
	happen(b, 3);
	later(b, 1);
	check_events(b, s.lost);
}

/* A meter that cannot be read for a while is not another one. */
static void a_meter_that_comes_back(void **state)
{
	struct bench *b = *state;
	char away[128];

	rig_begin(b->rig);
	b->slot[1] = rig_add(b->rig, "d-1", "pump");
	count(b, 1, 500);
	happen(b, 5);
	later(b, 60);
	(void)snprintf(away, sizeof(away), "%s/meter/old", b->rig->dir.path);
	assert_int_equal(rename(b->rig->path, away), 0);
	later(b, 60);
	later(b, 60);
	assert_int_equal(rename(away, b->rig->path), 0);
	count(b, 1, 50);
	happen(b, 2);
	later(b, 60);
	later(b, 60);
	assert_int_equal(sum_of(b, HISTORY_DEVICE, "d-1"), 550);
	check_events(b, 0);
}

/* ---------------------------------------------------------------------- gaps */

static void gaps_are_told(void **state)
{
	struct bench *b = *state;
	struct history_gap g[4];
	int64_t start;
	struct err e;
	size_t n;

	begin_meter(b, 0);
	start = b->rig->now_s;
	for (unsigned i = 0; i < 5; i++)
		later(b, 60);
	assert_true(history_gaps(recorder_history(b->r),
		(struct history_gap){0, INT64_MAX}, g, 4, &n, &e));
	assert_int_equal(n, 0);
	recorder_close(&b->r);
	b->rig->now_s += 4000;
	count(b, 1, 77);
	open_recorder(b);
	later(b, 0);
	check_sums(b);
	assert_true(history_gaps(recorder_history(b->r),
		(struct history_gap){0, INT64_MAX}, g, 4, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(g[0].from_s, start + 300);
	assert_int_equal(g[0].to_s, start + 4300);
}

/* ------------------------------------------------------------------ failures */

static void one_at_a_time(void **state)
{
	struct bench *b = *state;
	struct recorder *other = NULL;
	char pid[48];
	struct err e;

	(void)snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	assert_false(recorder_open(b->rig->dir.path, &limits, &other, &e));
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

	begin_meter(b, 0);
	count(b, 1, 100);
	later(b, 60);
	(void)snprintf(path, sizeof(path), "%s",
		tempdir_at(&b->rig->dir, "usage/usage.db"));
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
		SQLITE_OK);
	for (unsigned i = 0; i < 5; i++) {
		count(b, 1, 10);
		count(b, 2, 10);
		later(b, 60);
	}
	recorder_state(b->r, &s);
	assert_false(s.well);
	assert_non_null(strstr(s.error, "locked"));
	assert_true(s.error_s != 0 && s.looked_s < b->rig->now_s - 250);
	assert_int_equal(sum_of(b, HISTORY_DEVICE, "d-1"), 100);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	later(b, 60);
	later(b, 60);
	check_sums(b);
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
	open_recorder(b);
	assert_null(recorder_history(b->r));
	begin_meter(b, 0);
	count(b, 1, 100);
	later(b, 60);
	later(b, 60);
	recorder_state(b->r, &s);
	assert_false(s.well);
	assert_non_null(strstr(s.error, "usage"));
	assert_int_equal(s.bytes, 0);
	assert_int_equal(mkdir(usage, 0700), 0);
	later(b, 120);
	check_sums(b);
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

	begin_meter(b, 0);
	count(b, 1, 100);
	later(b, 60);
	(void)snprintf(path, sizeof(path), "%s",
		tempdir_at(&b->rig->dir, "usage/usage.db"));
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "UPDATE taken SET row = 'x'", NULL,
				 NULL, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	count(b, 1, 10);
	later(b, 60);
	later(b, 60);
	later(b, 60);
	check_sums(b);
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
	later(b, 60);
	later(b, 60);
	well(b);
	assert_int_equal(sum_of(b, HISTORY_DEVICE, "d-1"), 100);
	assert_int_equal(sum_of(b, HISTORY_DEVICE, "d-2"), 0);
	assert_int_equal(sum_of(b, HISTORY_CLASS, "pump"), 101);
	/* the watch takes it for another meter, and opens it again */
	s->counter[COUNTER_WIRE_BYTES_IN] = 40;
	later(b, 60);
	later(b, 60);
	assert_int_equal(sum_of(b, HISTORY_DEVICE, "d-1"), 100);
	s->counter[COUNTER_WIRE_BYTES_IN] = 45;
	later(b, 60);
	well(b);
	assert_int_equal(sum_of(b, HISTORY_DEVICE, "d-1"), 105);
	s->counter[COUNTER_WIRE_BYTES_IN] = UINT64_MAX;
	s->counter[COUNTER_WIRE_BYTES_OUT] = UINT64_MAX;
	later(b, 60);
	well(b);
	assert_true(sum_of(b, HISTORY_DEVICE, "d-1") == UINT64_MAX);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_lost),
		TEST(a_stop_tells_all),
		TEST(minutes_are_the_clocks),
		TEST(no_event_twice),
		TEST(a_meter_that_comes_back),
		TEST(gaps_are_told),
		TEST(one_at_a_time),
		TEST(a_lock_is_waited_for),
		TEST(a_folder_that_is_missing),
		TEST(damage_is_begun_anew),
		TEST(hostile_meters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
