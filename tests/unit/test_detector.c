/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that are unlike their peers, found among those of a meter: by rules
 * that the tests spell out, and at random against the definition.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "feed/detector.h"
#include "tests/support/rng.h"
#include "tests/support/watch_fixture.h"

#define MIB (UINT64_C(1) << 20)

struct bench {
	struct rig *r;
	struct detector_limits limits;
	struct detector *d;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	void *rig = NULL;
	struct err e;

	assert_non_null(b);
	assert_int_equal(rig_setup(&rig), 0);
	b->r = rig;
	detector_limits_default(&b->limits);
	assert_true(detector_open(&b->limits, &b->d, &e));
	rig_begin(b->r);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	void *rig = b->r;

	detector_close(&b->d);
	assert_null(b->d);
	detector_close(&b->d);
	free(b);
	return rig_teardown(&rig);
}

/* A look, and what follows from it. */
static void look(struct bench *b, int64_t after_s)
{
	(void)rig_look(b->r, after_s);
	detector_second(b->d, b->r->w);
	while (detector_step(b->d, b->r->w))
		;
}

/* The end of a minute. */
static void minute(struct bench *b)
{
	look(b, 60);
}

/* N devices NAME-0 … of CLASS, which do nothing. Returns the first's slot. */
static uint32_t add(
	struct bench *b, const char *name, const char *class, unsigned n)
{
	uint32_t first = segment_header(&b->r->s)->n_slots;
	char id[32];

	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "%s-%u", name, i);
		(void)rig_add(b->r, id, class);
	}
	return first;
}

static void count(struct bench *b, uint32_t slot, enum counter c, uint64_t n)
{
	rig_count(b->r, meter_slot_mut(b->r->s.mem, slot), c, n);
}

/* The N slots from FIRST move BYTES each. */
static void move(struct bench *b, uint32_t first, unsigned n, uint64_t bytes)
{
	for (uint32_t i = first; i < first + n; i++) {
		count(b, i, COUNTER_WIRE_BYTES_IN, bytes / 2);
		count(b, i, COUNTER_WIRE_BYTES_OUT, bytes - bytes / 2);
	}
}

static const struct finding *open_of(
	const struct bench *b, const char *device, enum finding_kind k)
{
	for (uint32_t i = 0; i < b->d->n_open; i++) {
		const struct finding *f = &b->d->open[i];

		if (f->kind == k && strcmp(f->device, device) == 0)
			return f;
	}
	return NULL;
}

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
	{"a megabyte is no finding", FINDING_TRAFFIC, 20, 10, MIB, false},
	{"above it", FINDING_TRAFFIC, 20, 10, MIB + 1, true},
	{"ten times is none", FINDING_TRAFFIC, 20, MIB, 10 * MIB, false},
	{"eleven times", FINDING_TRAFFIC, 20, MIB, 11 * MIB, true},
	{"a gigabyte, of ten megabytes", FINDING_TRAFFIC, 20, 10 * MIB,
		1024 * MIB, true},
	{"nobody to compare with", FINDING_TRAFFIC, 0, 10, 1024 * MIB, false},
	{"four others", FINDING_TRAFFIC, 4, 10, 1024 * MIB, false},
	{"five others", FINDING_TRAFFIC, 5, 10, 1024 * MIB, true},
	{"less than others", FINDING_TRAFFIC, 20, 10 * MIB, 2 * MIB, false},
	{"60 refusals", FINDING_REFUSALS, 20, 0, 60, false},
	{"61 refusals", FINDING_REFUSALS, 20, 0, 61, true},
	{"as all others", FINDING_REFUSALS, 20, 500, 500, false},
	{"60 connects", FINDING_CONNECTS, 20, 1, 60, false},
	{"61 connects", FINDING_CONNECTS, 20, 1, 61, true},
	{"a network that fails", FINDING_CONNECTS, 20, 40, 200, false},
	{"6 takeovers", FINDING_TAKEOVERS, 20, 0, 6, false},
	{"7 takeovers", FINDING_TAKEOVERS, 20, 0, 7, true},
};

static void count_kind(
	struct bench *b, uint32_t slot, enum finding_kind k, uint64_t n)
{
	static const enum counter of[FINDING_KINDS] = {
		[FINDING_REFUSALS] = COUNTER_REFUSED_PUBLISHES,
		[FINDING_CONNECTS] = COUNTER_CONNECTS,
		[FINDING_TAKEOVERS] = COUNTER_TAKEOVERS,
	};

	/* Who did nothing at all was not there. */
	move(b, slot, 1, k == FINDING_TRAFFIC ? n : 1000);
	if (k != FINDING_TRAFFIC)
		count(b, slot, of[k], n);
}

static void try_rule(const struct rule *r)
{
	void *state = NULL;
	struct bench *b;
	uint32_t one, others;
	bool found;

	assert_int_equal(setup(&state), 0);
	b = state;
	one = add(b, "one", "meter", 1);
	others = add(b, "other", "meter", r->others);
	minute(b);
	count_kind(b, one, r->kind, r->amount);
	for (uint32_t i = others; i < others + r->others; i++)
		count_kind(b, i, r->kind, r->peers);
	minute(b);
	found = open_of(b, "one-0", r->kind) != NULL;
	if (found != r->found || b->d->n_open != (r->found ? 1 : 0))
		fail_msg("%s: %u findings", r->name, (unsigned)b->d->n_open);
	assert_int_equal(teardown(&state), 0);
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
	struct bench *b = *state;
	uint32_t meters = add(b, "meter", "meter", 20);
	uint32_t cameras = add(b, "camera", "camera", 20);

	minute(b);
	move(b, meters, 20, 1000);
	move(b, cameras, 20, 100 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 0);
	/* Only what a camera does is much for a meter. */
	move(b, meters + 3, 1, 100 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_non_null(open_of(b, "meter-3", FINDING_TRAFFIC));
}

/* Who is refused at the door has no traffic, and is found all the same; who does
 * nothing is no peer. */
static void test_at_the_door(void **state)
{
	struct bench *b = *state;
	uint32_t out = add(b, "out", "meter", 1);
	uint32_t in = add(b, "in", "meter", 5);

	(void)add(b, "asleep", "meter", 50);
	minute(b);
	move(b, in, 4, 1000);
	count(b, out, COUNTER_REFUSED_CONNECTS, 61);
	minute(b);
	assert_int_equal(b->d->n_open, 0);
	move(b, in + 4, 1, 1000);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_non_null(open_of(b, "out-0", FINDING_REFUSALS));
	assert_int_equal(b->d->open[0].others, 5);
}

/* Class and figures of a finding are of one class, the last one. */
static void test_changes_its_class(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t meters = add(b, "meter", "meter", 9);
	uint32_t pumps = add(b, "pump", "pump", 9);
	struct meter_slot *s = meter_slot_mut(b->r->s.mem, one);

	minute(b);
	move(b, meters, 9, 10);
	move(b, pumps, 9, 20);
	move(b, one, 1, 3 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_string_equal(b->d->open[0].class_name, "meter");
	assert_int_equal(b->d->open[0].median, 10);
	s->class = meter_slot_mut(b->r->s.mem, pumps)->class;
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_string_equal(b->d->open[0].class_name, "pump");
	assert_int_equal(b->d->open[0].median, 20);
	/* The clock is set back within the ten minutes: no more than there
	 * are. */
	for (unsigned i = 0; i < 30; i++) {
		b->r->now_s -= 60;
		minute(b);
		minute(b);
	}
	assert_in_range(b->d->minutes, 1, 60);
}

/* Where one in ten and more do much, it is no finding that one does. */
static void test_mixed_class(void **state)
{
	struct bench *b = *state;
	uint32_t calm = add(b, "calm", "meter", 80);
	uint32_t loud = add(b, "loud", "meter", 20);

	minute(b);
	move(b, calm, 80, 1000);
	move(b, loud, 20, 50 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 0);
	move(b, loud, 1, 150 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_non_null(open_of(b, "loud-0", FINDING_TRAFFIC));
}

/* ---------------------------------------------------------------------- time */

/* All that a finding says, from its begin to its end. */
static void test_life(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t others = add(b, "other", "meter", 9);
	const struct finding *f;
	int64_t since_s;

	minute(b);
	assert_int_equal(b->d->looked_s, 0);
	move(b, others, 9, 31);
	move(b, one, 1, 3 * MIB);
	minute(b);
	since_s = b->r->now_s;
	assert_int_equal(b->d->looked_s, since_s);
	assert_int_equal(b->d->n_open, 1);
	f = &b->d->open[0];
	assert_string_equal(f->device, "one-0");
	assert_int_equal(f->kind, FINDING_TRAFFIC);
	assert_string_equal(f->class_name, "meter");
	assert_int_equal(f->amount, 3 * MIB);
	assert_int_equal(f->median, 31);
	assert_int_equal(f->limit, MIB);
	assert_int_equal(f->others, 9);
	assert_int_equal(f->since_s, since_s);
	assert_int_equal(b->d->open_of[FINDING_TRAFFIC], 1);
	/* It goes on for as long as the window has that minute. */
	while (b->d->n_open == 1) {
		assert_int_equal(b->d->open[0].last_s, b->r->now_s);
		assert_int_equal(b->d->open[0].since_s, since_s);
		assert_true(b->r->now_s - since_s < 3600);
		minute(b);
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
	move(b, others, 9, 31);
	move(b, one, 1, 3 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_int_equal(b->d->open[0].since_s, b->r->now_s);
}

/* A little each minute is as much as all at once. */
static void test_slowly(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t others = add(b, "other", "meter", 9);

	minute(b);
	for (unsigned i = 0; i < 40; i++) {
		move(b, others, 9, 10);
		move(b, one, 1, MIB / 32);
		minute(b);
		assert_int_equal(b->d->n_open, i >= 32 ? 1 : 0);
		assert_int_equal(b->d->minutes, i + 1);
	}
	/* 50 to 60 minutes are in the window. */
	for (unsigned i = 0; i < 100; i++)
		minute(b);
	assert_in_range(b->d->minutes, 51, 60);
}

/* Between half of the limit and the limit it is the same finding still. */
static void test_not_to_and_fro(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t others = add(b, "other", "meter", 9);
	int64_t last_s;

	minute(b);
	move(b, others, 9, MIB / 5);
	move(b, one, 1, 3 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	last_s = b->d->open[0].last_s;
	/* The limit becomes four megabytes. */
	move(b, others, 9, MIB / 5);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_int_equal(b->d->open[0].last_s, last_s);
	assert_true(b->d->open[0].limit > 3 * MIB);
	/* Eight. */
	move(b, others, 9, 2 * MIB / 5);
	minute(b);
	assert_int_equal(b->d->n_open, 0);
}

/* Minutes that were none are not looked at, and do no harm. */
static void test_clock(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t others = add(b, "other", "meter", 9);
	int64_t looked_s;

	minute(b);
	move(b, others, 9, 10);
	minute(b);
	looked_s = b->d->looked_s;
	assert_int_equal(looked_s, b->r->now_s);
	/* The machine slept for an hour. */
	move(b, one, 1, 3 * MIB);
	look(b, 3600);
	assert_int_equal(b->d->looked_s, looked_s);
	assert_int_equal(b->d->n_open, 0);
	move(b, others, 9, 10);
	move(b, one, 1, 3 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	assert_int_equal(b->d->minutes, 1);
	/* The clock is set back by a day. */
	b->r->now_s -= 86400;
	minute(b);
	minute(b);
	assert_int_equal(b->d->minutes, 1);
	assert_int_equal(b->d->n_open, 0);
}

/* A machine that has lost its clock is in 1970, and the window reaches back to
 * before it. */
static void test_first_hour(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t others = add(b, "other", "meter", 9);

	minute(b);
	minute(b);
	assert_int_equal(b->d->minutes, 1);
	b->r->now_s = 600;
	minute(b);
	for (unsigned i = 0; i < 2; i++) {
		move(b, others, 9, 10);
		move(b, one, 1, MIB);
		minute(b);
		assert_int_equal(b->d->minutes, i + 1);
		assert_int_equal(b->d->n_open, i);
	}
	assert_int_equal(b->d->open[0].amount, 2 * MIB);
	assert_int_equal(b->d->looked_s, b->r->now_s);
}

/* ------------------------------------------------------------------ the meter */

static void test_another_meter(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t others = add(b, "other", "meter", 9);

	minute(b);
	move(b, others, 9, 10);
	move(b, one, 1, 3 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 1);
	segment_close(&b->r->s);
	assert_int_equal(unlink(b->r->path), 0);
	rig_begin(b->r);
	/* The same slot is another device. */
	(void)add(b, "new", "meter", 10);
	look(b, 1);
	assert_int_equal(b->d->n_open, 0);
	assert_non_null(detector_ended(b->d, 0));
	minute(b);
	minute(b);
	assert_int_equal(b->d->n_open, 0);
	assert_int_equal(b->d->minutes, 2);
}

/* A slot without a device's id, as no plugin writes it, is not told of. */
static void test_no_id(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t others = add(b, "other", "meter", 9);
	struct meter_slot *s = meter_slot_mut(b->r->s.mem, one);

	atomic_store(&s->id[0], UINT64_C(0x0a22) << 8 | 'o');
	atomic_store(&s->class, METER_CLASSES + 7);
	minute(b);
	move(b, others, 9, 10);
	move(b, one, 1, 3 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, 0);
}

/* A round that the watch runs over is given up, whole. */
static void test_too_slow(void **state)
{
	struct bench *b = *state;
	uint32_t one = add(b, "one", "meter", 1);
	uint32_t others = add(b, "other", "meter", 9);

	minute(b);
	move(b, others, 9, 10);
	move(b, one, 1, 3 * MIB);
	(void)rig_look(b->r, 60);
	detector_second(b->d, b->r->w);
	(void)rig_look(b->r, 60);
	assert_false(detector_step(b->d, b->r->w));
	assert_int_equal(b->d->minutes, 0);
	minute(b);
	assert_int_equal(b->d->minutes, 1);
	assert_int_equal(b->d->n_open, 0);
}

/* ---------------------------------------------------------------------- bounds */

#define MANY  3000u
#define FOUND (DETECTOR_OPEN_MAX + 20u)

static void test_more_than_fit(void **state)
{
	struct bench *b = *state;
	uint32_t loud = add(b, "loud", "meter", FOUND);
	uint32_t calm = add(b, "calm", "meter", MANY);

	minute(b);
	move(b, calm, MANY, 10);
	move(b, loud, FOUND, 3 * MIB);
	minute(b);
	assert_int_equal(b->d->n_open, DETECTOR_OPEN_MAX);
	assert_int_equal(b->d->untold, FOUND - DETECTOR_OPEN_MAX);
	/* The ring of those that ended keeps the newest. */
	for (unsigned round = 0; round < 2; round++) {
		move(b, calm, MANY, 3 * MIB);
		for (unsigned i = 0; i < 61; i++)
			minute(b);
		assert_int_equal(b->d->n_open, 0);
		assert_int_equal(b->d->untold, 0);
		assert_int_equal(
			b->d->n_ended, (round + 1) * DETECTOR_OPEN_MAX);
		assert_non_null(detector_ended(b->d, DETECTOR_ENDED_MAX - 1));
		assert_null(detector_ended(b->d, DETECTOR_ENDED_MAX));
		move(b, calm, MANY, 10);
		move(b, loud, FOUND, 3 * MIB);
		minute(b);
	}
}

/* ------------------------------------------------------------------- at random */

#define DEVICES 60u
#define CLASSES 3u

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* By definition: what a device of a class whose N devices had AMOUNT, in any
 * order, may have. The bins make each figure higher by at most 1/16. */
static uint64_t limit_of(uint64_t *amount, size_t n, uint64_t floor)
{
	uint64_t median, nearly;

	if (n < 2)
		return floor;
	qsort(amount, n, sizeof(*amount), by_size);
	median = 10 * amount[((n - 1) * 500 + 999) / 1000 - 1];
	nearly = 3 * amount[((n - 1) * 900 + 999) / 1000 - 1];
	if (median > floor)
		floor = median;
	return nearly > floor ? nearly : floor;
}

struct model {
	uint64_t have[DEVICES], limit[CLASSES];
	unsigned class_of[DEVICES], n[CLASSES];
};

static void model_weigh(struct model *m)
{
	uint64_t of_class[DEVICES];

	for (unsigned c = 0; c < CLASSES; c++) {
		size_t k = 0;

		for (unsigned i = 0; i < DEVICES; i++)
			if (m->class_of[i] == c)
				of_class[k++] = m->have[i];
		m->limit[c] = limit_of(of_class, k, MIB);
	}
}

/* True when device I is found. */
static bool check_device(
	const struct bench *b, const struct model *m, unsigned i)
{
	uint64_t most = m->limit[m->class_of[i]];
	const struct finding *f;
	char id[16];

	(void)snprintf(id, sizeof(id), "d-%u", i);
	f = open_of(b, id, FINDING_TRAFFIC);
	if (m->have[i] > most + most / 16)
		assert_non_null(f);
	if (f == NULL)
		return false;
	assert_int_equal(f->amount, m->have[i]);
	assert_int_equal(f->others, m->n[m->class_of[i]] - 1);
	assert_true(f->limit >= most);
	assert_true(f->limit <= most + most / 16);
	assert_true(f->last_s < b->r->now_s || m->have[i] > most);
	return true;
}

static void test_random(void **state)
{
	static const char *const names[CLASSES] = {"a", "b", "c"};
	struct bench *b = *state;
	struct rng r = {.state = 20261126};
	struct model m = {.n = {0}};
	unsigned found = 0;
	char id[16];

	for (unsigned i = 0; i < DEVICES; i++) {
		m.class_of[i] = rng_below(&r, CLASSES);
		m.n[m.class_of[i]]++;
		(void)snprintf(id, sizeof(id), "d-%u", i);
		(void)rig_add(b->r, id, names[m.class_of[i]]);
	}
	minute(b);
	/* Minutes of the first hour: nothing leaves the window. */
	for (unsigned t = 0; t < 45; t++) {
		for (unsigned i = 0; i < DEVICES; i++) {
			uint64_t more = 1 + (rng_next(&r) >> 46);

			if (rng_below(&r, 100) == 0)
				more <<= rng_below(&r, 9);
			move(b, i, 1, more);
			m.have[i] += more;
		}
		minute(b);
		model_weigh(&m);
		for (unsigned i = 0; i < DEVICES; i++)
			found += check_device(b, &m, i);
	}
	/* It was no test of nothing. */
	assert_true(found > 20);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		TEST(test_classes_apart),
		TEST(test_mixed_class),
		TEST(test_at_the_door),
		TEST(test_changes_its_class),
		TEST(test_life),
		TEST(test_slowly),
		TEST(test_not_to_and_fro),
		TEST(test_clock),
		TEST(test_first_hour),
		TEST(test_another_meter),
		TEST(test_no_id),
		TEST(test_too_slow),
		TEST(test_more_than_fit),
		TEST(test_random),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
