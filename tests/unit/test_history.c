/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/history.h"
#include "tests/support/guard.h"
#include "tests/support/rng.h"

#include <string.h>

#define DAY INT64_C(86400)

/* ------------------------------------------------------------------- buckets */

static void floors(void **state)
{
	static const struct {
		enum history_level level;
		int64_t t, floor;
	} rows[] = {
		{HISTORY_MINUTE, 0, 0},
		{HISTORY_MINUTE, 59, 0},
		{HISTORY_MINUTE, 60, 60},
		{HISTORY_MINUTE, -1, -60},
		{HISTORY_MINUTE, -60, -60},
		{HISTORY_HOUR, 3599, 0},
		{HISTORY_HOUR, 3600, 3600},
		/* 2026-11-25T19:18:44Z */
		{HISTORY_MINUTE, 1795634324, 1795634280},
		{HISTORY_HOUR, 1795634324, 1795633200},
		{HISTORY_DAY, 1795634324, 1795564800},
		{HISTORY_DAY, -1, -DAY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			history_floor(rows[i].level, rows[i].t), rows[i].floor);
}

static void levels_have_names(void **state)
{
	static const char *const none[] = {"", "Minute", "minutes", "week"};
	enum history_level l = HISTORY_DAY;

	(void)state;
	for (unsigned i = 0; i < HISTORY_LEVELS; i++) {
		enum history_level want = (enum history_level)i;

		assert_true(history_level_find(
			str_from(history_level_name(want)), &l));
		assert_int_equal(l, want);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(history_level_find(str_from(none[i]), &l));
	assert_int_equal(l, HISTORY_DAY);
}

/* -------------------------------------------------------------------- deltas */

static void deltas(void **state)
{
	struct history_base base = {.segment = 7};
	uint64_t now[COUNTERS] = {0}, out[COUNTERS];

	(void)state;
	base.counter[0] = 10;
	base.counter[3] = 5;
	now[0] = 12;
	now[3] = 5;
	assert_true(history_delta(&base, 7, now, out));
	assert_int_equal(out[0], 2);
	assert_int_equal(out[3], 0);
	/* another segment: all is new */
	assert_true(history_delta(&base, 8, now, out));
	assert_int_equal(out[0], 12);
	assert_int_equal(out[3], 5);
	assert_true(history_delta(NULL, 7, now, out));
	assert_int_equal(out[0], 12);
	/* the same, whose last pages were lost: what went back is not new */
	now[0] = 9;
	now[3] = 6;
	assert_true(history_delta(&base, 7, now, out));
	assert_int_equal(out[0], 0);
	assert_int_equal(out[3], 1);
	now[3] = 5;
	assert_false(history_delta(&base, 7, now, out));
	/* without identity, one that went back is another */
	base.segment = 0;
	assert_true(history_delta(&base, 0, now, out));
	assert_int_equal(out[0], 9);
	assert_int_equal(out[3], 5);
	now[0] = 10;
	assert_false(history_delta(&base, 0, now, out));
	/* it has got one since */
	now[0] = 11;
	assert_true(history_delta(&base, 7, now, out));
	assert_int_equal(out[0], 1);
	/* and one that had one does not lose it */
	base.segment = 7;
	assert_true(history_delta(&base, 0, now, out));
	assert_int_equal(out[0], 11);
}

/* Whatever is looked at when, the deltas come to what the segments counted. */
static void add_up(struct rng *r)
{
	uint64_t now[COUNTERS] = {0}, sum[COUNTERS] = {0},
		 truth[COUNTERS] = {0}, out[COUNTERS];
	struct history_base base;
	uint64_t segment = 1;
	bool looked = false;

	for (unsigned step = 0; step < 50; step++) {
		unsigned c = rng_below(r, COUNTERS);
		uint64_t more = rng_next(r) >> (24 + rng_below(r, 40));

		now[c] += more;
		truth[c] += more;
		if (rng_below(r, 3) != 0 && step != 49)
			continue;
		(void)history_delta(looked ? &base : NULL, segment, now, out);
		history_add(sum, out);
		looked = true;
		base.segment = segment;
		memcpy(base.counter, now, sizeof(now));
		if (rng_below(r, 5) == 0) {
			segment++;
			memset(now, 0, sizeof(now));
		}
	}
	assert_memory_equal(sum, truth, sizeof(sum));
}

static void deltas_add_up(void **state)
{
	struct rng r = {20261125};

	(void)state;
	for (unsigned run = 0; run < 2000; run++)
		add_up(&r);
}

static void sums_do_not_wrap(void **state)
{
	uint64_t sum[COUNTERS] = {UINT64_MAX - 1, 3},
		 more[COUNTERS] = {2, UINT64_MAX - 3};

	(void)state;
	history_add(sum, more);
	assert_true(sum[0] == UINT64_MAX && sum[1] == UINT64_MAX);
	history_add(sum, more);
	assert_true(sum[0] == UINT64_MAX && sum[1] == UINT64_MAX);
}

/* ---------------------------------------------------------------------- rows */

static void rows_come_back(void **state)
{
	struct rng r = {7};
	struct guard g;

	(void)state;
	guard_init(&g, HISTORY_ROW_MAX);
	for (unsigned run = 0; run < 20000; run++) {
		uint64_t counter[COUNTERS], back[COUNTERS];
		uint8_t row[HISTORY_ROW_MAX];
		struct str s;

		for (unsigned i = 0; i < COUNTERS; i++)
			counter[i] =
				rng_below(&r, 2) != 0
					? 0
					: rng_next(&r) >> rng_below(&r, 64);
		if (run == 0)
			memset(counter, 0xff, sizeof(counter));
		s = (struct str){(const char *)row, 0};
		s.n = history_encode(counter, row);
		assert_true(s.n <= HISTORY_ROW_MAX);
		s = guard_put(&g, s);
		memset(back, 0x55, sizeof(back));
		assert_true(history_decode((const uint8_t *)s.p, s.n, back));
		assert_memory_equal(back, counter, sizeof(back));
		/* cut anywhere it is none, nor with a byte more */
		for (size_t n = 0; n < s.n; n++) {
			struct str cut = guard_put(
				&g, (struct str){(const char *)row, n});

			assert_false(history_decode(
				(const uint8_t *)cut.p, cut.n, back));
		}
		assert_memory_equal(back, counter, sizeof(back));
	}
	guard_fini(&g);
}

static void no_rows(void **state)
{
	static const struct {
		uint8_t p[16];
		size_t n;
	} bad[] = {
		{{0}, 0},
		{{0, 0}, 2},                   /* a byte too many */
		{{0x80, 0}, 2},                /* a mask not as short */
		{{1}, 1},                      /* a counter missing */
		{{1, 0}, 2},                   /* one that is zero */
		{{1, 0x81, 0}, 3},             /* not as short as can be */
		{{1, 0x80}, 2},                /* without an end */
		{{0x80, 0x80, 0x80, 2, 1}, 5}, /* bit 22: no counter */
		{{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2},
			11}, /* 65 bits */
		{{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81,
			 0},
			12},
	};
	static const uint8_t most[] = {
		1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
	uint64_t out[COUNTERS] = {42};

	(void)state;
	_Static_assert(COUNTERS == 22, "the row with bit 22");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (history_decode(bad[i].p, bad[i].n, out))
			fail_msg("row %zu", i);
		assert_int_equal(out[0], 42);
	}
	assert_true(history_decode(most, sizeof(most), out));
	assert_true(out[0] == UINT64_MAX);
}

/* A minute of a device that sends now and then is some twenty bytes. */
static void a_usual_row_is_short(void **state)
{
	uint64_t counter[COUNTERS] = {0};
	uint8_t row[HISTORY_ROW_MAX];

	(void)state;
	counter[COUNTER_MESSAGES_IN] = 60;
	counter[COUNTER_PAYLOAD_BYTES_IN] = 7200;
	counter[COUNTER_MQTT_BYTES_IN] = 9000;
	counter[COUNTER_MESSAGES_QUEUED] = 3;
	counter[COUNTER_PAYLOAD_BYTES_QUEUED] = 300;
	counter[COUNTER_MQTT_BYTES_QUEUED] = 390;
	counter[COUNTER_WIRE_BYTES_IN] = 12000;
	counter[COUNTER_WIRE_BYTES_OUT] = 4100;
	assert_int_equal(history_encode(counter, row), 16);
}

/* --------------------------------------------------------------------- walks */

#define DAYS 4

/* What the definition says of each minute of four days: which bucket holds it
 * is the shortest that is there, or a longer one that is wholly asked for. */
static bool minute_kept(const struct history_reach *r, int64_t t)
{
	for (unsigned l = 0; l < HISTORY_LEVELS; l++) {
		enum history_level level = (enum history_level)l;
		int64_t b = history_floor(level, t);

		if (b >= r->purged_s[l] && b < r->rolled_s[l])
			return true;
	}
	return false;
}

/* What is asked for and there is in one bucket; more than asked, only at the
 * ends. */
static void check_minute(const struct history_reach *r, int64_t t,
	const int64_t from_to[static 2], uint8_t seen)
{
	int64_t day = history_floor(HISTORY_DAY, t);

	if (t + 60 > from_to[0] && t < from_to[1]) {
		if (minute_kept(r, t))
			assert_int_equal(seen, 1);
		return;
	}
	assert_true(seen == 0 ||
		    day == history_floor(HISTORY_DAY, from_to[0]) ||
		    day == history_floor(HISTORY_DAY, from_to[1] - 1));
}

static void check_walk(const struct history_reach *r, int64_t from, int64_t to,
	enum history_level longest)
{
	static uint8_t seen[DAYS * 1440];
	struct history_walk w;
	struct history_bucket b;
	int64_t last = INT64_MIN;
	unsigned n = 0;

	memset(seen, 0, sizeof(seen));
	history_walk_init(&w, r, from, to, longest);
	while (history_walk_next(&w, &b)) {
		int64_t end = b.t_s + history_step_s(b.level);

		assert_true(n++ < DAYS * 1440);
		assert_true(b.t_s >= last); /* none overlaps */
		last = end;
		assert_int_equal(history_floor(b.level, b.t_s), b.t_s);
		assert_true(b.t_s >= r->purged_s[b.level] &&
			    b.t_s < r->rolled_s[b.level]);
		/* longer than asked only where nothing else is there */
		if (b.level > longest)
			assert_true(b.t_s < r->purged_s[longest] ||
				    b.t_s >= r->rolled_s[longest]);
		for (int64_t t = b.t_s; t < end; t += 60)
			seen[t / 60]++;
	}
	for (int64_t t = 0; t < DAYS * DAY; t += 60)
		check_minute(r, t, (const int64_t[]){from, to}, seen[t / 60]);
}

static void walks_cover(void **state)
{
	struct rng r = {99};

	(void)state;
	for (unsigned run = 0; run < 4000; run++) {
		struct history_reach reach = {{0, 0, 0}, {INT64_MAX, 0, 0}};
		int64_t rolled = INT64_C(3600) * rng_below(&r, DAYS * 24 + 1);
		int64_t from = rng_below(&r, DAYS * DAY), to;

		reach.rolled_s[HISTORY_HOUR] = rolled;
		reach.rolled_s[HISTORY_DAY] =
			history_floor(HISTORY_DAY, rolled);
		if (rolled != 0)
			reach.purged_s[HISTORY_MINUTE] =
				INT64_C(3600) *
				rng_below(&r, (unsigned)(rolled / 3600) + 1);
		reach.purged_s[HISTORY_HOUR] = history_floor(HISTORY_DAY,
			(int64_t)rng_below(
				&r, (unsigned)reach.rolled_s[HISTORY_DAY] + 1));
		if (reach.purged_s[HISTORY_HOUR] >
			reach.purged_s[HISTORY_MINUTE])
			reach.purged_s[HISTORY_HOUR] = history_floor(
				HISTORY_DAY, reach.purged_s[HISTORY_MINUTE]);
		reach.purged_s[HISTORY_DAY] = history_floor(HISTORY_DAY,
			(int64_t)rng_below(&r,
				(unsigned)reach.purged_s[HISTORY_HOUR] + 1));
		to = from + 1 + rng_below(&r, (unsigned)(DAYS * DAY - from));
		check_walk(&reach, from, to,
			(enum history_level)rng_below(&r, HISTORY_LEVELS));
	}
}

/* Two days and a bit, all rolled: minutes, hours, days, hours, minutes. */
static void walks_are_short(void **state)
{
	struct history_reach reach = {
		{0, 0, 0}, {INT64_MAX, 100 * DAY, 100 * DAY}};
	struct history_walk w;
	struct history_bucket b;
	unsigned n[HISTORY_LEVELS] = {0};

	(void)state;
	history_walk_init(&w, &reach, DAY - INT64_C(11100),
		3 * DAY + INT64_C(7260), HISTORY_DAY);
	while (history_walk_next(&w, &b))
		n[b.level]++;
	assert_int_equal(n[HISTORY_MINUTE], 6);
	assert_int_equal(n[HISTORY_HOUR], 5);
	assert_int_equal(n[HISTORY_DAY], 2);
}

static void empty_walks(void **state)
{
	struct history_reach all = {{0, 0, 0}, {INT64_MAX, 0, 0}};
	struct history_reach gone = {
		{10 * DAY, 10 * DAY, 10 * DAY}, {INT64_MAX, 0, 0}};
	struct history_walk w;
	struct history_bucket b;

	(void)state;
	history_walk_init(&w, &all, 600, 600, HISTORY_DAY);
	assert_false(history_walk_next(&w, &b));
	history_walk_init(&w, &all, 1200, 600, HISTORY_DAY);
	assert_false(history_walk_next(&w, &b));
	history_walk_init(&w, &gone, 600, DAY, HISTORY_DAY);
	assert_false(history_walk_next(&w, &b));
	assert_false(history_walk_next(&w, &b));
	/* what is gone is stepped over at once */
	history_walk_init(&w, &gone, 600, 10 * DAY + 60, HISTORY_DAY);
	assert_true(history_walk_next(&w, &b));
	assert_int_equal(b.t_s, 10 * DAY);
	assert_false(history_walk_next(&w, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floors),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(deltas),
		cmocka_unit_test(deltas_add_up),
		cmocka_unit_test(sums_do_not_wrap),
		cmocka_unit_test(rows_come_back),
		cmocka_unit_test(no_rows),
		cmocka_unit_test(a_usual_row_is_short),
		cmocka_unit_test(walks_cover),
		cmocka_unit_test(walks_are_short),
		cmocka_unit_test(empty_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
