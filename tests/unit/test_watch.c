/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter, looked at every second: which slots have changed, against the plain
 * definition.
 */
#include "tests/support/rng.h"
#include "tests/support/watch_fixture.h"

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
	assert_true(
		rig_changed(r, 0) && rig_changed(r, 1) && rig_changed(r, 2));
	for (unsigned what = 0; what < HAPPENINGS; what++) {
		assert_int_equal(rig_look(r, 0), WATCH_SAME);
		assert_false(rig_changed(r, 0) || rig_changed(r, 1) ||
			     rig_changed(r, 2));
		assert_true(watch_page_changed(r->w, 1) < r->w->done);
		happen(r, meter_slot_mut(r->s.mem, 1), what);
		assert_int_equal(rig_look(r, 0), WATCH_SAME);
		assert_true(!rig_changed(r, 0) && rig_changed(r, 1) &&
			    !rig_changed(r, 2));
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
			assert_int_equal(rig_changed(r, i),
				i >= known || !same(&d, &then[i]));
			seen += rig_changed(r, i);
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
	assert_true(rig_changed(r, 0) && !rig_changed(r, 1));
	assert_int_equal(r->w->connected[1], 0);
	/* It goes on with the file: nothing is begun anew. */
	rig_begin(r);
	rig_count(r, meter_slot_mut(r->s.mem, 1), COUNTER_MESSAGES_IN, 1);
	assert_int_equal(rig_look(r, 1), WATCH_BROKER);
	assert_int_equal(r->w->epoch, epoch);
	assert_true(!rig_changed(r, 0) && rig_changed(r, 1));
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
	assert_false(rig_changed(r, 0));
	assert_true(rig_changed(r, n - 1));
	assert_false(watch_step(r->w));
	(void)rig_look(r, 0);
	assert_true(rig_changed(r, 0));
	assert_false(rig_changed(r, n - 1));
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
		T(test_bounds),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
