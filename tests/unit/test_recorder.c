/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever happens to the recorder, its clock and the meter: once it
 * has caught up, the history of each device and class is what was counted.
 */
#include "tests/support/recorder_fixture.h"
#include "tests/support/rng.h"

/* -------------------------------------------------------------------- counts */

static void count_some(struct bench *b, struct rng *r)
{
	for (unsigned n = rng_below(r, 60); n != 0; n--)
		bench_count(b, rng_below(r, BENCH_DEVICES),
			1 + rng_below(r, 100000));
}

/* Another meter takes the place of the one that is there. */
static void replace_meter(struct bench *b, unsigned shift)
{
	(void)bench_leave(b);
	segment_close(&b->rig->s);
	assert_int_equal(unlink(b->rig->path), 0);
	bench_begin(b, shift);
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
	bench_open(b);
}

static void nothing_is_lost(void **state)
{
	struct bench *b = *state;
	struct rng r = {20261125};

	bench_begin(b, 0);
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
		bench_later(b, 120);
		bench_check(b);
	}
}

/* A stop as asked leaves nothing untold, and a second one in the same minute
 * adds to it. */
static void a_stop_tells_all(void **state)
{
	struct bench *b = *state;
	struct recorder_state s;

	bench_begin(b, 0);
	for (unsigned i = 0; i < 3; i++) {
		bench_later(b, 1);
		bench_count(b, 3, 1000);
		/* Nobody waits for all of it. */
		assert_true(bench_leave(b) >= 3);
		bench_check(b);
		recorder_close(&b->r);
		bench_open(b);
	}
	recorder_state(b->r, &s);
	assert_int_equal(s.looked_s, b->rig->now_s);
	assert_int_equal(
		s.told_s, history_floor(HISTORY_MINUTE, b->rig->now_s));
}

/* What was counted while a meter is left, in steps, is told too. */
static void counting_goes_on(void **state)
{
	struct bench *b = *state;
	struct rig *r = b->rig;
	unsigned steps;

	bench_begin(b, 0);
	bench_later(b, 1);
	for (unsigned at = 0; at < 12; at++) {
		bench_count(b, 2, 10);
		recorder_second(b->r, r->w, r->now_s, r->now_ms);
		for (steps = 0;
			!recorder_leave(b->r, r->w, r->now_s, r->now_ms);
			steps++) {
			/* The last round looks at all. */
			if (steps == at && steps < 3)
				bench_count(b, 3, 1000);
			(void)recorder_step(b->r, r->w);
		}
		bench_later(b, 1);
		(void)bench_leave(b);
		bench_check(b);
		/* It stays, after all. */
		recorder_second(b->r, r->w, r->now_s, r->now_ms);
	}
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

	bench_begin(b, 0);
	start = b->rig->now_s;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		bench_later(b, steps[i].after_s);
		bench_count(b, 5, steps[i].n);
	}
	bench_check(b);
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
			bench_open(b);
		}
	}
	bench_later(b, 1);
	check_events(b, 0);
	/* more than the ring holds */
	happen(b, METER_EVENTS + 1000);
	bench_later(b, 1);
	recorder_state(b->r, &s);
	assert_true(s.lost >= 1000 && s.lost < 1100);
	check_events(b, s.lost);
	/* another meter's, from its first on */
	segment_close(&b->rig->s);
	assert_int_equal(unlink(b->rig->path), 0);
	rig_begin(b->rig);
	(void)rig_add(b->rig, "d-1", "pump");
	happen(b, 3);
	bench_later(b, 1);
	check_events(b, s.lost);
}

/* A meter that cannot be read for a while is not another one. */
static void a_meter_that_comes_back(void **state)
{
	struct bench *b = *state;
	char away[128];

	rig_begin(b->rig);
	b->slot[1] = rig_add(b->rig, "d-1", "pump");
	bench_count(b, 1, 500);
	happen(b, 5);
	bench_later(b, 60);
	(void)snprintf(away, sizeof(away), "%s/meter/old", b->rig->dir.path);
	assert_int_equal(rename(b->rig->path, away), 0);
	bench_later(b, 60);
	bench_later(b, 60);
	assert_int_equal(rename(away, b->rig->path), 0);
	bench_count(b, 1, 50);
	happen(b, 2);
	bench_later(b, 60);
	bench_later(b, 60);
	assert_int_equal(bench_sum(b, HISTORY_DEVICE, "d-1"), 550);
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

	bench_begin(b, 0);
	start = b->rig->now_s;
	for (unsigned i = 0; i < 5; i++)
		bench_later(b, 60);
	assert_true(history_gaps(recorder_history(b->r),
		(struct history_gap){0, INT64_MAX}, g, 4, &n, &e));
	assert_int_equal(n, 0);
	recorder_close(&b->r);
	b->rig->now_s += 4000;
	bench_count(b, 1, 77);
	bench_open(b);
	bench_later(b, 0);
	bench_check(b);
	assert_true(history_gaps(recorder_history(b->r),
		(struct history_gap){0, INT64_MAX}, g, 4, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(g[0].from_s, start + 300);
	assert_int_equal(g[0].to_s, start + 4300);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_lost),
		TEST(a_stop_tells_all),
		TEST(counting_goes_on),
		TEST(minutes_are_the_clocks),
		TEST(no_event_twice),
		TEST(a_meter_that_comes_back),
		TEST(gaps_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
