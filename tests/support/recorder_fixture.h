/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorder, the meter that it records, and the truth of what was counted.
 * Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_RECORDER_FIXTURE_H
#define TESTS_SUPPORT_RECORDER_FIXTURE_H

#include "feed/recorder_private.h"
#include "tests/support/watch_fixture.h"

#define BENCH_DEVICES 40

static const struct config_history bench_limits = {
	.minute_s = INT64_C(172800),
	.hour_s = INT64_C(3024000),
	.day_s = INT64_C(1) << 40,
	.event_s = INT64_C(3024000),
	.max_bytes = UINT64_C(1) << 40,
};

struct bench {
	struct rig *rig;
	struct recorder *r;
	struct meter_slot *slot[BENCH_DEVICES];
	uint64_t truth[BENCH_DEVICES], of_class[2];
	uint64_t events;
};

static const char *const bench_class[2] = {"meter", "pump"};

static inline void bench_open(struct bench *b)
{
	struct err e;

	if (!recorder_open(b->rig->dir.path, &bench_limits, &b->r, &e))
		fail_msg("%s", e.msg);
}

/* Tells all that there is. Returns in how many steps. */
static inline unsigned bench_leave(struct bench *b)
{
	struct rig *r = b->rig;
	unsigned steps = 0;

	while (!recorder_leave(b->r, r->w, r->now_s, r->now_ms)) {
		(void)recorder_step(b->r, r->w);
		assert_true(steps++ < 10000);
	}
	return steps;
}

static inline int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	void *rig;

	assert_non_null(b);
	assert_int_equal(rig_setup(&rig), 0);
	b->rig = rig;
	assert_int_equal(mkdir(tempdir_at(&b->rig->dir, "usage"), 0700), 0);
	bench_open(b);
	*state = b;
	return 0;
}

static inline int bench_teardown(void **state)
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
static inline void bench_later(struct bench *b, int64_t after_s)
{
	(void)rig_look(b->rig, after_s);
	recorder_second(b->r, b->rig->w, b->rig->now_s, b->rig->now_ms);
	while (recorder_step(b->r, b->rig->w))
		;
}

static inline void bench_well(struct bench *b)
{
	struct recorder_state s;

	recorder_state(b->r, &s);
	if (!s.well)
		fail_msg("%s", s.error);
}

static inline const char *bench_name(unsigned d, char out[static 16])
{
	(void)snprintf(out, 16, "d-%u", d);
	return out;
}

/* The devices come in an order that differs from meter to meter. */
static inline void bench_begin(struct bench *b, unsigned shift)
{
	char id[16];

	rig_begin(b->rig);
	for (unsigned i = 0; i < BENCH_DEVICES; i++) {
		unsigned d = (i * 7 + shift) % BENCH_DEVICES;

		b->slot[d] =
			rig_add(b->rig, bench_name(d, id), bench_class[d % 2]);
	}
}

static inline void bench_count(struct bench *b, unsigned d, uint64_t n)
{
	rig_count(b->rig, b->slot[d], COUNTER_WIRE_BYTES_IN, n);
	b->truth[d] += n;
	b->of_class[d % 2] += n;
}

static inline uint64_t bench_sum(
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

static inline void bench_check(struct bench *b)
{
	char id[16];

	bench_well(b);
	for (unsigned d = 0; d < BENCH_DEVICES; d++)
		assert_int_equal(
			bench_sum(b, HISTORY_DEVICE, bench_name(d, id)),
			b->truth[d]);
	for (unsigned c = 0; c < 2; c++)
		assert_int_equal(bench_sum(b, HISTORY_CLASS, bench_class[c]),
			b->of_class[c]);
}

#endif
