/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that are unlike their peers, found among those of a meter: by rules
 * that the tests spell out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/detector_fixture.h"

/* -------------------------------------------------------------------- rules */

/* What one device, beside OTHERS peers that have PEERS each, is found of. */
struct rule {
	const char *name;
	enum finding_kind kind;
	unsigned others;
	uint64_t peers, amount;
	bool found;
};

static const struct rule RULES[] = {
	{"a megabyte is no finding", FINDING_TRAFFIC, 20, 10, DF_MIB, false},
	{"above it", FINDING_TRAFFIC, 20, 10, DF_MIB + 1, true},
	{"ten times is none", FINDING_TRAFFIC, 20, DF_MIB, 10 * DF_MIB, false},
	{"eleven times", FINDING_TRAFFIC, 20, DF_MIB, 11 * DF_MIB, true},
	{"a gigabyte, of ten megabytes", FINDING_TRAFFIC, 20, 10 * DF_MIB,
		1024 * DF_MIB, true},
	{"nobody to compare with", FINDING_TRAFFIC, 0, 10, 1024 * DF_MIB,
		false},
	{"four others", FINDING_TRAFFIC, 4, 10, 1024 * DF_MIB, false},
	{"five others", FINDING_TRAFFIC, 5, 10, 1024 * DF_MIB, true},
	{"less than others", FINDING_TRAFFIC, 20, 10 * DF_MIB, 2 * DF_MIB,
		false},
	{"60 refusals", FINDING_REFUSALS, 20, 0, 60, false},
	{"61 refusals", FINDING_REFUSALS, 20, 0, 61, true},
	{"as all others", FINDING_REFUSALS, 20, 500, 500, false},
	{"60 connects", FINDING_CONNECTS, 20, 1, 60, false},
	{"61 connects", FINDING_CONNECTS, 20, 1, 61, true},
	{"a network that fails", FINDING_CONNECTS, 20, 40, 200, false},
	{"6 takeovers", FINDING_TAKEOVERS, 20, 0, 6, false},
	{"7 takeovers", FINDING_TAKEOVERS, 20, 0, 7, true},
};

static void count_kind(struct detector_fixture *b, uint32_t slot,
	enum finding_kind k, uint64_t n)
{
	static const enum counter of[FINDING_KINDS] = {
		[FINDING_REFUSALS] = COUNTER_REFUSED_PUBLISHES,
		[FINDING_CONNECTS] = COUNTER_CONNECTS,
		[FINDING_TAKEOVERS] = COUNTER_TAKEOVERS,
	};

	/* Who did nothing at all was not there. */
	df_move(b, slot, 1, k == FINDING_TRAFFIC ? n : 1000);
	if (k != FINDING_TRAFFIC)
		df_count(b, slot, of[k], n);
}

static void try_rule(const struct rule *r)
{
	void *state = NULL;
	struct detector_fixture *b;
	uint32_t one, others;
	bool found;

	assert_int_equal(df_setup(&state), 0);
	b = state;
	one = df_add(b, "one", "meter", 1);
	others = df_add(b, "other", "meter", r->others);
	df_minute(b);
	count_kind(b, one, r->kind, r->amount);
	for (uint32_t i = others; i < others + r->others; i++)
		count_kind(b, i, r->kind, r->peers);
	df_minute(b);
	found = df_open_of(b, "one-0", r->kind) != NULL;
	if (found != r->found || b->d->n_open != (r->found ? 1 : 0))
		fail_msg("%s: %u findings", r->name, (unsigned)b->d->n_open);
	assert_int_equal(df_teardown(&state), 0);
}

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++)
		try_rule(&RULES[i]);
}

/* Another class's devices are no peers. */
static void test_classes_apart(void **state)
{
	struct detector_fixture *b = *state;
	uint32_t meters = df_add(b, "meter", "meter", 20);
	uint32_t cameras = df_add(b, "camera", "camera", 20);

	df_minute(b);
	df_move(b, meters, 20, 1000);
	df_move(b, cameras, 20, 100 * DF_MIB);
	df_minute(b);
	assert_int_equal(b->d->n_open, 0);
	/* Only what a camera does is much for a meter. */
	df_move(b, meters + 3, 1, 100 * DF_MIB);
	df_minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_non_null(df_open_of(b, "meter-3", FINDING_TRAFFIC));
}

/* Who is refused at the door has no traffic, and is found all the same; who does
 * nothing is no peer. */
static void test_at_the_door(void **state)
{
	struct detector_fixture *b = *state;
	uint32_t out = df_add(b, "out", "meter", 1);
	uint32_t in = df_add(b, "in", "meter", 5);

	(void)df_add(b, "asleep", "meter", 50);
	df_minute(b);
	df_move(b, in, 4, 1000);
	df_count(b, out, COUNTER_REFUSED_CONNECTS, 61);
	df_minute(b);
	assert_int_equal(b->d->n_open, 0);
	df_move(b, in + 4, 1, 1000);
	df_minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_non_null(df_open_of(b, "out-0", FINDING_REFUSALS));
	assert_int_equal(b->d->open[0].others, 5);
}

/* Class and figures of a finding are of one class, the last one. */
static void test_changes_its_class(void **state)
{
	struct detector_fixture *b = *state;
	uint32_t one = df_add(b, "one", "meter", 1);
	uint32_t meters = df_add(b, "meter", "meter", 9);
	uint32_t pumps = df_add(b, "pump", "pump", 9);
	struct meter_slot *s = meter_slot_mut(b->r->s.mem, one);

	df_minute(b);
	df_move(b, meters, 9, 10);
	df_move(b, pumps, 9, 20);
	df_move(b, one, 1, 3 * DF_MIB);
	df_minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_string_equal(b->d->open[0].class_name, "meter");
	assert_int_equal(b->d->open[0].median, 10);
	s->class = meter_slot_mut(b->r->s.mem, pumps)->class;
	df_minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_string_equal(b->d->open[0].class_name, "pump");
	assert_int_equal(b->d->open[0].median, 20);
	/* The clock is set back within the ten minutes: no more than there
	 * are. */
	for (unsigned i = 0; i < 30; i++) {
		b->r->now_s -= 60;
		df_minute(b);
		df_minute(b);
	}
	assert_in_range(b->d->minutes, 1, 60);
}

/* Where one in ten and more do much, it is no finding that one does. */
static void test_mixed_class(void **state)
{
	struct detector_fixture *b = *state;
	uint32_t calm = df_add(b, "calm", "meter", 80);
	uint32_t loud = df_add(b, "loud", "meter", 20);

	df_minute(b);
	df_move(b, calm, 80, 1000);
	df_move(b, loud, 20, 50 * DF_MIB);
	df_minute(b);
	assert_int_equal(b->d->n_open, 0);
	/* Nor that it does more than these by a little: 2.8 times, then 4. */
	df_move(b, loud, 1, 90 * DF_MIB);
	df_minute(b);
	assert_int_equal(b->d->n_open, 0);
	df_move(b, loud, 1, 60 * DF_MIB);
	df_minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_non_null(df_open_of(b, "loud-0", FINDING_TRAFFIC));
}

/* ---------------------------------------------------------------------- time */

/* All that a finding says, from its begin to its end. */
static void test_life(void **state)
{
	struct detector_fixture *b = *state;
	const struct finding *f;
	int64_t since_s;

	assert_int_equal(b->d->looked_s, 0);
	df_minute_of(b, 31, 3 * DF_MIB);
	since_s = b->r->now_s;
	assert_int_equal(b->d->looked_s, since_s);
	assert_int_equal(b->d->n_open, 1);
	f = &b->d->open[0];
	assert_string_equal(f->device, "one-0");
	assert_int_equal(f->kind, FINDING_TRAFFIC);
	assert_string_equal(f->class_name, "meter");
	assert_int_equal(f->amount, 3 * DF_MIB);
	assert_int_equal(f->median, 31);
	assert_int_equal(f->limit, DF_MIB);
	assert_int_equal(f->others, DF_N);
	assert_int_equal(f->since_s, since_s);
	assert_int_equal(b->d->open_of[FINDING_TRAFFIC], 1);
	/* It goes on for as long as the window has that minute. */
	while (b->d->n_open == 1) {
		assert_int_equal(b->d->open[0].last_s, b->r->now_s);
		assert_int_equal(b->d->open[0].since_s, since_s);
		assert_true(b->r->now_s - since_s < 3600);
		df_minute(b);
	}
	assert_true(b->r->now_s - since_s >= 3000);
	assert_null(detector_ended(b->d, 1));
	f = detector_ended(b->d, 0);
	if (f == NULL) {
		fail_msg("it ended, and is not told");
		return;
	}
	assert_string_equal(f->device, "one-0");
	assert_int_equal(f->ended_s, b->r->now_s);
	assert_int_equal(f->last_s, b->r->now_s - 60);
	assert_int_equal(b->d->open_of[FINDING_TRAFFIC], 0);
	/* It comes back when it is so again. */
	df_minute_of(b, 31, 3 * DF_MIB);
	assert_int_equal(b->d->n_open, 1);
	assert_int_equal(b->d->open[0].since_s, b->r->now_s);
}

/* A little each minute is as much as all at once. */
static void test_slowly(void **state)
{
	struct detector_fixture *b = *state;

	for (unsigned i = 0; i < 40; i++) {
		df_minute_of(b, 10, DF_MIB / 32);
		assert_int_equal(b->d->n_open, i >= 32 ? 1 : 0);
		assert_int_equal(b->d->minutes, i + 1);
	}
	/* 50 to 60 minutes are in the window. */
	for (unsigned i = 0; i < 100; i++)
		df_minute(b);
	assert_in_range(b->d->minutes, 51, 60);
}

/* Between half of the limit and the limit it is the same finding still. */
static void test_not_to_and_fro(void **state)
{
	struct detector_fixture *b = *state;
	int64_t last_s;

	df_minute_of(b, DF_MIB / 5, 3 * DF_MIB);
	assert_int_equal(b->d->n_open, 1);
	last_s = b->d->open[0].last_s;
	/* The limit becomes four megabytes. */
	df_move(b, DF_OTHERS, DF_N, DF_MIB / 5);
	df_minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_int_equal(b->d->open[0].last_s, last_s);
	assert_true(b->d->open[0].limit > 3 * DF_MIB);
	/* Eight. */
	df_move(b, DF_OTHERS, DF_N, 2 * DF_MIB / 5);
	df_minute(b);
	assert_int_equal(b->d->n_open, 0);
}

/* Minutes that were none are not looked at, and do no harm. */
static void test_clock(void **state)
{
	struct detector_fixture *b = *state;
	int64_t looked_s;

	df_move(b, DF_OTHERS, DF_N, 10);
	df_minute(b);
	looked_s = b->d->looked_s;
	assert_int_equal(looked_s, b->r->now_s);
	/* The machine slept for an hour. */
	df_move(b, DF_ONE, 1, 3 * DF_MIB);
	df_look(b, 3600);
	assert_int_equal(b->d->looked_s, looked_s);
	assert_int_equal(b->d->n_open, 0);
	df_minute_of(b, 10, 3 * DF_MIB);
	assert_int_equal(b->d->n_open, 1);
	assert_int_equal(b->d->minutes, 1);
	/* The clock is set back by a day. */
	b->r->now_s -= 86400;
	df_minute(b);
	df_minute(b);
	assert_int_equal(b->d->minutes, 1);
	assert_int_equal(b->d->n_open, 0);
}

/* A machine that has lost its clock is in 1970, and the window reaches back to
 * before it. */
static void test_first_hour(void **state)
{
	struct detector_fixture *b = *state;

	df_minute(b);
	assert_int_equal(b->d->minutes, 1);
	b->r->now_s = 600;
	df_minute(b);
	for (unsigned i = 0; i < 2; i++) {
		df_minute_of(b, 10, DF_MIB);
		assert_int_equal(b->d->minutes, i + 1);
		assert_int_equal(b->d->n_open, i);
	}
	assert_int_equal(b->d->open[0].amount, 2 * DF_MIB);
	assert_int_equal(b->d->looked_s, b->r->now_s);
}

/* ------------------------------------------------------------------ the meter */

static void test_another_meter(void **state)
{
	struct detector_fixture *b = *state;

	df_minute_of(b, 10, 3 * DF_MIB);
	assert_int_equal(b->d->n_open, 1);
	segment_close(&b->r->s);
	assert_int_equal(unlink(b->r->path), 0);
	rig_begin(b->r);
	/* The same slot is another device. */
	(void)df_add(b, "new", "meter", 10);
	df_look(b, 1);
	assert_int_equal(b->d->n_open, 0);
	assert_non_null(detector_ended(b->d, 0));
	df_minute(b);
	df_minute(b);
	assert_int_equal(b->d->n_open, 0);
	assert_int_equal(b->d->minutes, 2);
}

/* A slot without a device's id, as no plugin writes it, is not told of. */
static void test_no_id(void **state)
{
	struct detector_fixture *b = *state;
	struct meter_slot *s = meter_slot_mut(b->r->s.mem, DF_ONE);

	atomic_store(&s->id[0], UINT64_C(0x0a22) << 8 | 'o');
	atomic_store(&s->class, METER_CLASSES + 7);
	df_minute_of(b, 10, 3 * DF_MIB);
	assert_int_equal(b->d->n_open, 0);
}

/* A round that the watch runs over is given up, whole. */
static void test_too_slow(void **state)
{
	struct detector_fixture *b = *state;

	df_move(b, DF_OTHERS, DF_N, 10);
	df_move(b, DF_ONE, 1, 3 * DF_MIB);
	(void)rig_look(b->r, 60);
	detector_second(b->d, b->r->w);
	(void)rig_look(b->r, 60);
	assert_false(detector_step(b->d, b->r->w));
	assert_int_equal(b->d->minutes, 0);
	df_minute(b);
	assert_int_equal(b->d->minutes, 1);
	assert_int_equal(b->d->n_open, 0);
}

/* ---------------------------------------------------------------------- bounds */

#define MANY  3000u
#define FOUND (DETECTOR_OPEN_MAX + 20u)

static void test_more_than_fit(void **state)
{
	struct detector_fixture *b = *state;
	uint32_t loud = df_add(b, "loud", "meter", FOUND);
	uint32_t calm = df_add(b, "calm", "meter", MANY);

	df_minute(b);
	df_move(b, calm, MANY, 10);
	df_move(b, loud, FOUND, 3 * DF_MIB);
	df_minute(b);
	assert_int_equal(b->d->n_open, DETECTOR_OPEN_MAX);
	assert_int_equal(b->d->untold, FOUND - DETECTOR_OPEN_MAX);
	/* The ring of those that ended keeps the newest. */
	for (unsigned round = 0; round < 2; round++) {
		df_move(b, calm, MANY, 3 * DF_MIB);
		for (unsigned i = 0; i < 61; i++)
			df_minute(b);
		assert_int_equal(b->d->n_open, 0);
		assert_int_equal(b->d->untold, 0);
		assert_int_equal(
			b->d->n_ended, (round + 1) * DETECTOR_OPEN_MAX);
		assert_non_null(detector_ended(b->d, DETECTOR_ENDED_MAX - 1));
		assert_null(detector_ended(b->d, DETECTOR_ENDED_MAX));
		df_move(b, calm, MANY, 10);
		df_move(b, loud, FOUND, 3 * DF_MIB);
		df_minute(b);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, df_setup, df_teardown)
#define TEN(f)  cmocka_unit_test_setup_teardown(f, df_setup_ten, df_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		TEST(test_classes_apart),
		TEST(test_mixed_class),
		TEST(test_at_the_door),
		TEST(test_changes_its_class),
		TEN(test_life),
		TEN(test_slowly),
		TEN(test_not_to_and_fro),
		TEN(test_clock),
		TEN(test_first_hour),
		TEN(test_another_meter),
		TEN(test_no_id),
		TEN(test_too_slow),
		TEST(test_more_than_fit),
	};
#undef TEST
#undef TEN

	return cmocka_run_group_tests(tests, NULL, NULL);
}
