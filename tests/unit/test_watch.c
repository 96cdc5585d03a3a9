/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter, looked at every second: which slots have changed, and who did most
 * in the last full minute, against their plain definitions; and that a meter
 * that is another one is never compared with the one before.
 */
#include "tests/support/rng.h"
#include "tests/support/watch_fixture.h"

#define TOP WATCH_FIXTURE_TOP

static bool changed(const struct rig *r, uint32_t slot)
{
	assert_true(slot < r->w->n);
	return watch_changed(r->w, slot) == r->w->done;
}

/* ------------------------------------------------------------------- changes */

/* What may happen to a slot, by the functions that the plugin calls. */
static void happen(struct rig *r, struct meter_slot *s, unsigned what)
{
	static const uint8_t some[FINGERPRINT_LEN] = {1};
	const struct request q = {
		.action = ACTION_PUBLISH, .qos = 1, .topic = STR("a/b")};

	switch (what) {
	case COUNTERS: /* a connect */
		meter_slot_connect(s, some, some, s->connected_s + 1);
		s->connections++;
		s->last_seen_s++;
		break;
	case COUNTERS + 1: /* a refusal */
		count_u64(&s->reason[meter_reason_index(REASON_NO_RULE)], 1);
		meter_slot_refuse(s, &q, REASON_NO_RULE, s->refused_s + 1);
		break;
	case COUNTERS + 2:
		s->class = s->class != 0 ? 0 : 1;
		break;
	case COUNTERS + 3:
		s->connections += s->connections != 0 ? -1U : 1U;
		break;
	default:
		rig_count(r, s, (enum counter)what, 1);
		break;
	}
}
#define HAPPENINGS (COUNTERS + 4)

/* Each thing that can happen to a slot is a change of that slot alone; looks
 * without one find none. */
static void test_each_change(void **state)
{
	struct rig *r = *state;

	rig_begin(r);
	rig_add_many(r, 3);
	assert_int_equal(rig_look(r, 1), WATCH_FILE);
	assert_int_equal(r->w->n, 3);
	assert_true(changed(r, 0) && changed(r, 1) && changed(r, 2));
	for (unsigned what = 0; what < HAPPENINGS; what++) {
		assert_int_equal(rig_look(r, 0), WATCH_SAME);
		assert_false(changed(r, 0) || changed(r, 1) || changed(r, 2));
		assert_true(watch_page_changed(r->w, 1) < r->w->done);
		happen(r, meter_slot_mut(r->s.mem, 1), what);
		assert_int_equal(rig_look(r, 0), WATCH_SAME);
		assert_true(!changed(r, 0) && changed(r, 1) && !changed(r, 2));
		assert_int_equal(watch_page_changed(r->w, 0), r->w->done);
	}
}

static bool same(const struct meter_device *a, const struct meter_device *b)
{
	return strcmp(a->id, b->id) == 0 && a->class == b->class &&
	       a->connections == b->connections &&
	       a->first_seen_s == b->first_seen_s &&
	       a->last_seen_s == b->last_seen_s &&
	       memcmp(a->counter, b->counter, sizeof(a->counter)) == 0 &&
	       memcmp(a->reason, b->reason, sizeof(a->reason)) == 0 &&
	       a->connect.t_s == b->connect.t_s &&
	       memcmp(a->connect.credential, b->connect.credential,
		       FINGERPRINT_LEN) == 0 &&
	       memcmp(a->connect.address, b->connect.address, 16) == 0 &&
	       a->refusal.t_s == b->refusal.t_s &&
	       a->refusal.action == b->refusal.action &&
	       a->refusal.reason == b->refusal.reason &&
	       a->refusal.qos == b->refusal.qos &&
	       strcmp(a->refusal.topic, b->refusal.topic) == 0;
}

/* The definition: a slot has changed when what is loaded of it is other. The
 * connects and refusals are all at other times. */
static void test_changes_at_random(void **state)
{
	enum { N = 2500, ROUNDS = 60 };
	struct rig *r = *state;
	struct meter_device *then = calloc(N, sizeof(*then));
	struct rng g = {7};
	unsigned seen = 0;

	assert_non_null(then);
	rig_begin(r);
	rig_add_many(r, N / 2);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t known = r->w->n;

		for (unsigned i = 0; i < 40; i++) {
			uint32_t slot =
				rng_below(&g, segment_header(&r->s)->n_slots);

			happen(r, meter_slot_mut(r->s.mem, slot),
				rng_below(&g, HAPPENINGS));
		}
		if (round == ROUNDS / 2)
			rig_add_many(r, N / 2);
		(void)rig_look(r, 0);
		assert_int_equal(r->w->n, segment_header(&r->s)->n_slots);
		for (uint32_t i = 0; i < r->w->n; i++) {
			struct meter_device d;

			meter_device_load(&r->w->meter, i, &d);
			assert_int_equal(changed(r, i),
				i >= known || !same(&d, &then[i]));
			seen += changed(r, i);
			then[i] = d;
		}
	}
	assert_true(seen > N);
	free(then);
}

/* Connections end with their broker, though nobody writes so into the slots. */
static void test_broker_gone_and_back(void **state)
{
	struct rig *r = *state;
	struct meter_slot *a, *b;
	uint32_t epoch;

	rig_begin(r);
	a = rig_add(r, "a", "pump");
	b = rig_add(r, "b", "till");
	a->connections = 2;
	(void)rig_look(r, 1);
	epoch = r->w->epoch;
	assert_int_equal(r->w->connected[a->class], 1);
	assert_int_equal(r->w->connected[b->class], 0);
	segment_close(&r->s);
	assert_int_equal(rig_look(r, 1), WATCH_BROKER);
	assert_int_equal(r->w->meter.state, BROKER_STOPPED);
	assert_true(changed(r, 0) && !changed(r, 1));
	assert_int_equal(r->w->connected[1], 0);
	/* It goes on with the file: nothing is begun anew. */
	rig_begin(r);
	rig_count(r, meter_slot_mut(r->s.mem, 1), COUNTER_MESSAGES_IN, 1);
	assert_int_equal(rig_look(r, 1), WATCH_BROKER);
	assert_int_equal(r->w->epoch, epoch);
	assert_true(!changed(r, 0) && changed(r, 1));
}

/* A look of many slots is done in steps, and others may change it in
 * between; one who follows by `done` misses nothing. */
static void test_steps(void **state)
{
	struct rig *r = *state;
	struct meter_slot *first, *last;
	uint32_t n = WATCH_STEP + 5, seen;

	rig_begin(r);
	rig_add_many(r, n);
	(void)rig_look(r, 1);
	assert_int_equal(r->w->n, n);
	first = meter_slot_mut(r->s.mem, 0);
	last = meter_slot_mut(r->s.mem, n - 1);
	seen = r->w->done;
	assert_int_equal(watch_look(r->w, r->now_s, r->now_ms), WATCH_SAME);
	assert_true(watch_busy(r->w));
	assert_true(watch_step(r->w));
	rig_count(r, first, COUNTER_WILLS, 1);
	rig_count(r, last, COUNTER_WILLS, 1);
	/* Another look has to wait for this one. */
	assert_int_equal(watch_look(r->w, r->now_s, r->now_ms), WATCH_SAME);
	assert_int_equal(r->w->done, seen);
	assert_false(watch_step(r->w));
	assert_int_equal(r->w->done, seen + 1);
	assert_false(changed(r, 0));
	assert_true(changed(r, n - 1));
	assert_false(watch_step(r->w));
	(void)rig_look(r, 0);
	assert_true(changed(r, 0));
	assert_false(changed(r, n - 1));
}

/* -------------------------------------------------------------------- minutes */

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

/* ------------------------------------------------------------ another meter */

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
	assert_true(changed(r, 0));
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
	assert_true(watch_open(r->path, TOP, &r->w, &e));
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

static void test_bounds(void **state)
{
	struct rig *r = *state;
	char path[METER_WATCH_PATH + 1];
	struct watch *w = NULL;
	struct err e;

	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_false(watch_open(path, 1, &w, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_null(w);
	watch_close(&r->w);
	assert_true(watch_open(r->path, 0, &r->w, &e));
	rig_begin(r);
	rig_count(r, rig_add(r, "a", "pump"), COUNTER_WIRE_BYTES_IN, 1);
	(void)rig_look(r, 0);
	rig_count(r, meter_slot_mut(r->s.mem, 0), COUNTER_WIRE_BYTES_IN, 4);
	(void)rig_look(r, 60);
	assert_true(r->w->minute.full);
	assert_int_equal(r->w->minute.n_top, 0);
	assert_int_equal(r->w->minute.all[COUNTER_WIRE_BYTES_IN], 4);
	watch_close(&r->w);
	assert_true(watch_open(r->path, UINT32_MAX, &r->w, &e));
	assert_int_equal(r->w->rank.cap, WATCH_TOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(test_each_change),
		T(test_changes_at_random),
		T(test_broker_gone_and_back),
		T(test_steps),
		T(test_minutes_at_random),
		T(test_names_of_the_first),
		T(test_no_minute),
		T(test_no_meter),
		T(test_fresh_meter),
		T(test_meter_begun_anew_in_place),
		T(test_counter_went_back),
		T(test_cut_short),
		T(test_hostile_slot),
		T(test_bounds),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
