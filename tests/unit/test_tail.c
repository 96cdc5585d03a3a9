/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of the tail: each gets every event that it asked for, once, in
 * order, or is told how many it did not get.
 */
#include "tests/support/tail_fixture.h"

#define MANY 20000

/* ------------------------------------------------------------------- events */

static void test_hello_then_events(void **state)
{
	struct rig *r = *state;
	struct tail_client *c;
	const cJSON *m, *e;
	struct got g;

	store_many(r, 3);
	look(r, 1);
	c = join(r, "");
	g = get(r, c);
	m = message(&g, "hello");
	assert_int_equal(number(m, "t_s"), r->now.s);
	assert_string_equal(text(m, "broker"), "running");
	assert_int_equal(number(m, "heartbeat_s"), 15);
	assert_int_equal(number(m, "counters_s"), 0);
	assert_string_equal(text(m, "cursor") + 16, "-2");
	no_more(&g);
	store(r, EVENT_REFUSAL, "d-9", "pump");
	store(r, EVENT_POLICY, "", "");
	look(r, 0);
	g = get(r, c);
	m = event(&g, 3);
	e = cJSON_GetObjectItem(m, "event");
	assert_string_equal(text(e, "type"), "refusal");
	assert_string_equal(text(e, "device"), "d-9");
	assert_string_equal(text(e, "class"), "pump");
	assert_string_equal(text(e, "action"), "publish");
	assert_string_equal(text(e, "reason"), "no_rule");
	assert_int_equal(number(e, "qos"), 0);
	assert_string_equal(text(e, "text"), "a/b");
	assert_int_equal(number(e, "text_bytes"), 3);
	assert_true(is_null(e, "address"));
	e = cJSON_GetObjectItem(event(&g, 4), "event");
	assert_true(is_null(e, "device") && is_null(e, "class") &&
		    is_null(e, "action") && is_null(e, "reason") &&
		    is_null(e, "qos"));
	no_more(&g);
	tail_leave(&c);
}

static void test_only_what_fits(void **state)
{
	struct rig *r = *state;
	struct tail_client *all = join(r, ""),
			   *one = join(r, "?device=d-2&events=refusal"),
			   *none = join(r, "?events=none&counters=60s");
	struct got g;

	store(r, EVENT_REFUSAL, "d-1", "pump");
	store(r, EVENT_REFUSAL, "d-2", "pump");
	store(r, EVENT_CONNECT, "d-2", "pump");
	look(r, 0);
	g = get(r, one);
	/* d-2 may be there one day, or be mistyped: it says so. */
	assert_string_equal(
		cJSON_GetArrayItem(cJSON_GetObjectItem(message(&g, "hello"),
					   "unseen_devices"),
			0)
			->valuestring,
		"d-2");
	/* A connect has a number as its value only here. */
	(void)message(&g, "event");
	no_more(&g);
	g = get(r, all);
	(void)message(&g, "hello");
	(void)message(&g, "event");
	(void)message(&g, "event");
	(void)message(&g, "event");
	no_more(&g);
	g = get(r, none);
	(void)message(&g, "hello");
	(void)message(&g, "round");
	no_more(&g);
	tail_leave(&all);
	tail_leave(&one);
	tail_leave(&none);
}

static void test_last(void **state)
{
	struct rig *r = *state;
	struct tail_client *c;
	struct got g;

	for (unsigned i = 0; i < 10; i++)
		store(r, EVENT_DISCONNECT, i % 2 == 0 ? "even" : "odd", "pump");
	look(r, 0);
	c = join(r, "?last=3&device=odd");
	g = get(r, c);
	(void)message(&g, "hello");
	(void)event(&g, 5);
	(void)event(&g, 7);
	(void)event(&g, 9);
	no_more(&g);
	tail_leave(&c);
	c = join(r, "?last=4096");
	g = get(r, c);
	(void)message(&g, "hello");
	events(&g, 0, 10);
	no_more(&g);
	tail_leave(&c);
}

/* Who comes back with the cursor of the last event that came gets the next one,
 * from the same feed, or from another one that has begun meanwhile. */
static void resumes(struct rig *r, bool restarted)
{
	struct tail_client *c = join(r, "");
	char query[64];
	struct err e;
	struct got g;

	store_many(r, 5);
	look(r, 0);
	g = get(r, c);
	(void)message(&g, "hello");
	events(&g, 0, 4);
	(void)snprintf(query, sizeof(query), "?after=%s",
		text(event(&g, 4), "cursor"));
	no_more(&g);
	tail_leave(&c);
	store_many(r, 7);
	if (restarted) {
		tail_free(&r->t);
		assert_true(tail_new(r->w, &r->t, &e));
	}
	look(r, 1);
	c = join(r, query);
	g = get(r, c);
	(void)message(&g, "hello");
	events(&g, 5, 12);
	no_more(&g);
	tail_leave(&c);
}

static void test_resumes(void **state)
{
	resumes(*state, false);
}

static void test_resumes_after_restart(void **state)
{
	resumes(*state, true);
}

/* A cursor that the ring no longer holds: how many went by is told, when it can
 * be known. */
static void test_resumes_too_late(void **state)
{
	struct rig *r = *state;
	struct tail_client *c;
	char query[64];
	struct err e;
	struct got g;

	store_many(r, METER_EVENTS + 500);
	look(r, 0);
	tail_free(&r->t);
	assert_true(tail_new(r->w, &r->t, &e));
	look(r, 0);
	(void)snprintf(query, sizeof(query), "?after=%016" PRIx64 "-99",
		meter_identity(r->s.mem));
	c = join(r, query);
	g = get(r, c);
	(void)message(&g, "hello");
	/* The first ones of the ring are not read: they might be written over. */
	assert_int_equal(number(message(&g, "missed"), "events"), 564 - 100);
	events(&g, 564, METER_EVENTS + 500);
	no_more(&g);
	tail_leave(&c);
}

/* The same number, but of another meter. */
static void test_resumes_in_another_meter(void **state)
{
	struct rig *r = *state;
	struct tail_client *c;
	struct got g;

	store_many(r, 3);
	look(r, 0);
	c = join(r, "?after=0123456789abcdef-2");
	g = get(r, c);
	(void)message(&g, "hello");
	assert_true(is_null(message(&g, "missed"), "events"));
	events(&g, 0, 3);
	no_more(&g);
	tail_leave(&c);
}

/* Of what was written over before a client came for it, the number is told. */
static void test_slow_client(void **state)
{
	struct rig *r = *state;
	struct tail_client *c = join(r, "?device=d-1");
	struct got g = get(r, c);
	const cJSON *m;

	(void)message(&g, "hello");
	no_more(&g);
	for (unsigned i = 0; i < MANY / 500; i++) {
		store_many(r, 500);
		look(r, 0);
	}
	g = get(r, c);
	m = message(&g, "missed");
	assert_string_equal(text(m, "by"), "client");
	assert_int_equal(number(m, "events"), MANY - TAIL_RING_ENTRIES);
	events(&g, MANY - TAIL_RING_ENTRIES, MANY);
	no_more(&g);
	tail_leave(&c);
}

/* What the feed itself was too late for, all are told. */
static void test_slow_feed(void **state)
{
	struct rig *r = *state;
	struct tail_client *c = join(r, "?device=nobody");
	struct got g = get(r, c);
	const cJSON *m;

	(void)message(&g, "hello");
	no_more(&g);
	store_many(r, 3 * METER_EVENTS);
	for (unsigned i = 0; i < 6; i++)
		look(r, 0);
	g = get(r, c);
	m = message(&g, "missed");
	assert_string_equal(text(m, "by"), "feed");
	assert_in_range((uint64_t)number(m, "events"), 2 * METER_EVENTS,
		2 * METER_EVENTS + 16);
	no_more(&g);
	tail_leave(&c);
}

/* ------------------------------------------------------------------- broker */

static void test_broker_restarts(void **state)
{
	struct rig *r = *state;
	struct tail_client *c = join(r, "?events=connect");
	struct got g = get(r, c);

	(void)message(&g, "hello");
	no_more(&g);
	segment_close(&r->s);
	look(r, 1);
	broker_start(r);
	look(r, 1);
	g = get(r, c);
	(void)broker(&g, "stopped", false);
	assert_int_equal(number(broker(&g, "running", false), "generation"), 2);
	no_more(&g);
	tail_leave(&c);
}

static void test_another_meter(void **state)
{
	struct rig *r = *state;
	struct tail_client *c = join(r, "");
	struct got g = get(r, c);

	(void)message(&g, "hello");
	no_more(&g);
	store_many(r, 5);
	look(r, 0);
	/* The last of the old one, and the first of the new one. */
	store_many(r, 2);
	broker_begins_anew(r);
	store_many(r, 3);
	look(r, 1);
	g = get(r, c);
	events(&g, 0, 7);
	(void)broker(&g, "running", true);
	events(&g, 0, 3);
	no_more(&g);
	/* None any more. */
	segment_close(&r->s);
	assert_int_equal(unlink(r->path), 0);
	look(r, 1);
	g = get(r, c);
	(void)broker(&g, "never_ran", true);
	no_more(&g);
	broker_start(r);
	r->stored = 0;
	store_many(r, 1);
	look(r, 1);
	g = get(r, c);
	(void)broker(&g, "running", true);
	events(&g, 0, 1);
	no_more(&g);
	tail_leave(&c);
}

/* A counter that goes back makes the watch open the meter again: what was read
 * of it does not come twice. */
static void test_same_meter_again(void **state)
{
	struct rig *r = *state;
	struct tail_client *c = join(r, "");
	struct meter_slot *s = add_slot(r, "d-1", "pump");
	uint32_t epoch;
	struct got g;

	s->counter[0] = 9;
	store_many(r, 5);
	look(r, 1);
	g = get(r, c);
	(void)message(&g, "hello");
	events(&g, 0, 5);
	no_more(&g);
	epoch = r->w->epoch;
	s->counter[0] = 3;
	look(r, 1);
	look(r, 1);
	assert_int_not_equal(r->w->epoch, epoch);
	store_many(r, 2);
	look(r, 1);
	g = get(r, c);
	while (g.next != NULL && strcmp(text(g.next, "type"), "broker") == 0)
		g.next = g.next->next;
	events(&g, 5, 7);
	no_more(&g);
	tail_leave(&c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_hello_then_events),
		TEST(test_only_what_fits),
		TEST(test_last),
		TEST(test_resumes),
		TEST(test_resumes_after_restart),
		TEST(test_resumes_too_late),
		TEST(test_resumes_in_another_meter),
		TEST(test_slow_client),
		TEST(test_slow_feed),
		TEST(test_broker_restarts),
		TEST(test_another_meter),
		TEST(test_same_meter_again),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
