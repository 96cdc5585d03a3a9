/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who did most in the last full minute, against its plain definition, and what
 * is no full minute.
 */
#include "tests/support/rng.h"
#include "tests/support/watch_fixture.h"

#define TOP WATCH_FIXTURE_TOP

/* By definition: all devices' counts of a minute, in full order. */
struct model {
	uint64_t mark[64][MINUTE_COUNTS], minute[64][MINUTE_COUNTS];
};

static void model_mark(struct model *m, const struct rig *r)
{
	uint32_t n = segment_header(&r->s)->n_slots;

	for (uint32_t i = 0; i < n; i++) {
		const struct meter_slot *s = meter_slot_mut(r->s.mem, i);

		for (unsigned k = 0; k < MINUTE_COUNTS; k++) {
			uint64_t now = k < MINUTE_REFUSED ? s->counter[k] : 0;

			if (k == MINUTE_REFUSED)
				now = s->counter[COUNTER_REFUSED_PUBLISHES] +
				      s->counter[COUNTER_REFUSED_SUBSCRIBES] +
				      s->counter[COUNTER_REFUSED_DELIVERIES] +
				      s->counter[COUNTER_REFUSED_CONNECTS];
			if (k == MINUTE_CONNECTS)
				now = s->counter[COUNTER_CONNECTS];
			if (k == MINUTE_TAKEOVERS)
				now = s->counter[COUNTER_TAKEOVERS];
			m->minute[i][k] = now - m->mark[i][k];
			m->mark[i][k] = now;
		}
	}
}

/* True when device A of the model belongs before B. */
static bool model_before(const struct model *m, uint32_t a, uint32_t b)
{
	const uint64_t *x = m->minute[a], *y = m->minute[b];
	uint64_t wx = x[COUNTER_WIRE_BYTES_IN] + x[COUNTER_WIRE_BYTES_OUT];
	uint64_t wy = y[COUNTER_WIRE_BYTES_IN] + y[COUNTER_WIRE_BYTES_OUT];

	if (wx != wy)
		return wx > wy;
	if (x[MINUTE_REFUSED] != y[MINUTE_REFUSED])
		return x[MINUTE_REFUSED] > y[MINUTE_REFUSED];
	return a < b;
}

static void check_minute(const struct rig *r, const struct model *m)
{
	const struct watch_minute *min = &r->w->minute;
	uint32_t n = segment_header(&r->s)->n_slots, active = 0;
	uint64_t all[MINUTE_COUNTS] = {0};

	assert_true(min->full);
	assert_int_equal(min->start_s, r->now_s / 60 * 60 - 60);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t any = 0;
		uint32_t place = 0;

		for (unsigned k = 0; k < MINUTE_COUNTS; k++) {
			all[k] += m->minute[i][k];
			any |= m->minute[i][k];
		}
		assert_memory_equal(watch_minute(r->w, i), m->minute[i],
			sizeof(m->minute[i]));
		if (any == 0)
			continue;
		active++;
		for (uint32_t j = 0; j < n; j++)
			place += j != i && model_before(m, j, i) ? 1 : 0;
		if (place >= TOP)
			continue;
		assert_true(place < min->n_top);
		assert_int_equal(min->top[place].slot, i);
		assert_memory_equal(min->top[place].count, m->minute[i],
			sizeof(m->minute[i]));
	}
	assert_int_equal(min->active, active);
	assert_int_equal(min->n_top, active < TOP ? active : TOP);
	assert_memory_equal(min->all, all, sizeof(all));
}

/* Random traffic, small numbers so that there are ties, devices that come
 * later; each minute's ranking and sums are those of the definition. */
static void test_minutes_at_random(void **state)
{
	struct rig *r = *state;
	struct model *m = calloc(1, sizeof(*m));
	struct rng g = {11};
	uint64_t total = 0, told = 0;

	assert_non_null(m);
	rig_begin(r);
	rig_add_many(r, 20);
	rig_count(
		r, meter_slot_mut(r->s.mem, 0), COUNTER_WIRE_BYTES_IN, 1 << 20);
	(void)rig_look(r, 0);
	model_mark(m, r);
	assert_false(r->w->minute.full);
	for (unsigned s = 1; s <= 60 * 12; s++) {
		uint32_t n = segment_header(&r->s)->n_slots;
		unsigned much = (unsigned)(r->now_s / 60 % 4);

		for (unsigned i = 0; i < much; i++) {
			enum counter c = rng_below(&g, COUNTERS);
			uint64_t by = rng_below(&g, 3);

			rig_count(r, meter_slot_mut(r->s.mem, rng_below(&g, n)),
				c, by);
			total += c <= COUNTER_WIRE_BYTES_OUT ? by : 0;
		}
		if (s % 60 == 30 && n < 60)
			rig_add_many(r, 4);
		(void)rig_look(r, 1);
		if (s % 60 != 0)
			continue;
		model_mark(m, r);
		check_minute(r, m);
		for (unsigned k = 0; k <= COUNTER_WIRE_BYTES_OUT; k++)
			told += r->w->minute.all[k];
	}
	/* Minutes have neither gaps nor overlaps. */
	assert_true(total != 0);
	assert_int_equal(told, total);
	free(m);
}

static void test_names_of_the_first(void **state)
{
	struct rig *r = *state;
	struct meter_slot *a;

	rig_begin(r);
	a = rig_add(r, "meter-7", "pump");
	(void)rig_look(r, 0);
	rig_count(r, a, COUNTER_WIRE_BYTES_OUT, 5);
	(void)rig_look(r, 60);
	assert_true(r->w->minute.full);
	assert_int_equal(r->w->minute.ms, 60000);
	assert_int_equal(r->w->minute.n_top, 1);
	assert_string_equal(r->w->minute.top[0].device, "meter-7");
	assert_string_equal(r->w->minute.top[0].class_name, "pump");
	/* Nobody did anything in the next one. */
	(void)rig_look(r, 60);
	assert_true(r->w->minute.full);
	assert_int_equal(r->w->minute.n_top, 0);
	assert_int_equal(r->w->minute.all[COUNTER_WIRE_BYTES_OUT], 0);
}

/* What is no full minute of one meter is none. */
static void test_no_minute(void **state)
{
	struct rig *r = *state;
	struct meter_slot *a;

	rig_begin(r);
	a = rig_add(r, "a", "pump");
	rig_count(r, a, COUNTER_MESSAGES_IN, 1000);
	/* The first begins in the middle. */
	r->now_s += 30;
	(void)rig_look(r, 0);
	(void)rig_look(r, 30);
	assert_false(r->w->minute.full);
	rig_count(r, a, COUNTER_MESSAGES_IN, 1);
	(void)rig_look(r, 60);
	assert_true(r->w->minute.full);
	assert_int_equal(r->w->minute.all[COUNTER_MESSAGES_IN], 1);
	/* The clock is set forwards, then backwards. */
	r->now_s += 3600;
	(void)rig_look(r, 1);
	assert_false(r->w->minute.full);
	(void)rig_look(r, 59);
	assert_true(r->w->minute.full);
	r->now_s -= 7200;
	(void)rig_look(r, 1);
	assert_false(r->w->minute.full);
	/* The machine slept, and its clock with it. */
	(void)rig_look(r, 59);
	assert_true(r->w->minute.full);
	r->now_ms += 100000;
	(void)rig_look(r, 60);
	assert_false(r->w->minute.full);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_minutes_at_random),
		T(test_names_of_the_first),
		T(test_no_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
