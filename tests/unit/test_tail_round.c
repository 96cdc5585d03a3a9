/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of the tail: rounds tell each device whose counters have changed,
 * and no client takes another's turn.
 */
#include "tests/support/rng.h"
#include "tests/support/tail_fixture.h"

/* ----------------------------------------------------------------- counters */

static void counters(struct got *g, const char *device, double messages_in)
{
	const cJSON *m = message(g, "counters");

	assert_string_equal(text(m, "device"), device);
	assert_int_equal(number(m, "messages_in"), messages_in);
	for (unsigned i = 0; i < COUNTERS; i++)
		(void)number(m, counter_name((enum counter)i));
	assert_int_equal(cJSON_GetArraySize(m), 6 + COUNTERS);
}

static void round_of(struct got *g, unsigned devices)
{
	assert_int_equal(number(message(g, "round"), "devices"), devices);
}

static void test_rounds(void **state)
{
	struct rig *r = *state;
	struct meter_slot *a = add_slot(r, "d-1", "pump"), *b;
	struct tail_client *c;
	struct got g;

	b = add_slot(r, "d-2", "meter");
	a->counter[0] = 1;
	look(r, 1);
	c = join(r, "?events=none&counters=2s");
	g = get(r, c);
	assert_int_equal(number(message(&g, "hello"), "counters_s"), 2);
	counters(&g, "d-1", 1);
	counters(&g, "d-2", 0);
	round_of(&g, 2);
	no_more(&g);
	/* Only what has changed, when it is time. */
	b->counter[0] = 7;
	look(r, 1);
	g = get(r, c);
	no_more(&g);
	look(r, 1);
	g = get(r, c);
	counters(&g, "d-2", 7);
	round_of(&g, 1);
	no_more(&g);
	/* One more device. */
	(void)add_slot(r, "d-3", "meter");
	look(r, 1);
	look(r, 1);
	g = get(r, c);
	counters(&g, "d-3", 0);
	round_of(&g, 1);
	no_more(&g);
	tail_leave(&c);
}

static void test_rounds_of_some(void **state)
{
	struct rig *r = *state;
	struct tail_client *device, *class;
	struct got g;

	(void)add_slot(r, "d-1", "pump");
	(void)add_slot(r, "d-2", "meter");
	(void)add_slot(r, "d-3", "pump");
	look(r, 1);
	device = join(r, "?counters=1s&device=d-3,d-4,d-2");
	class = join(r, "?counters=1s&class=pump,none");
	g = get(r, device);
	(void)message(&g, "hello");
	counters(&g, "d-3", 0);
	counters(&g, "d-2", 0);
	round_of(&g, 2);
	no_more(&g);
	g = get(r, class);
	(void)message(&g, "hello");
	counters(&g, "d-1", 0);
	counters(&g, "d-3", 0);
	round_of(&g, 2);
	no_more(&g);
	/* It comes after all. */
	(void)add_slot(r, "d-4", "meter");
	look(r, 1);
	g = get(r, device);
	counters(&g, "d-4", 0);
	round_of(&g, 1);
	no_more(&g);
	g = get(r, class);
	round_of(&g, 0);
	no_more(&g);
	tail_leave(&device);
	tail_leave(&class);
}

/* Rounds that one who did not read has left out are told; what they would have
 * said is in the next one. */
static void test_lag(void **state)
{
	struct rig *r = *state;
	struct meter_slot *s = add_slot(r, "d-1", "pump");
	struct tail_client *c;
	struct got g;

	look(r, 1);
	c = join(r, "?counters=1s");
	g = get(r, c);
	(void)message(&g, "hello");
	counters(&g, "d-1", 0);
	round_of(&g, 1);
	no_more(&g);
	for (unsigned i = 0; i < 5; i++) {
		s->counter[0]++;
		look(r, 1);
	}
	g = get(r, c);
	counters(&g, "d-1", 5);
	round_of(&g, 1);
	assert_int_equal(number(message(&g, "lag"), "rounds"), 4);
	no_more(&g);
	s->counter[0]++;
	look(r, 1);
	g = get(r, c);
	counters(&g, "d-1", 6);
	round_of(&g, 1);
	no_more(&g);
	tail_leave(&c);
}

/* Many devices take many turns; another meter in between begins the round
 * again. */
static void test_long_round(void **state)
{
	struct rig *r = *state;
	struct tail_client *c;
	struct text out = {0};
	unsigned calls = 0;
	char id[16];
	struct got g;

	for (unsigned i = 0; i < 3000; i++) {
		(void)snprintf(id, sizeof(id), "d-%u", i);
		(void)add_slot(r, id, "pump");
	}
	look(r, 1);
	c = join(r, "?counters=1s");
	(void)tail_wake(r->t, r->now);
	tail_next(c, r->now, &out);
	assert_in_range(out.n, TAIL_TURN_BYTES, TAIL_TURN_BYTES + 2000);
	text_free(&out);
	broker_begins_anew(r);
	for (unsigned i = 0; i < 2000; i++) {
		(void)snprintf(id, sizeof(id), "e-%u", i);
		(void)add_slot(r, id, "pump");
	}
	look(r, 0);
	g = get(r, c);
	(void)broker(&g, "running", true);
	for (unsigned i = 0; i < 2000; i++) {
		(void)snprintf(id, sizeof(id), "e-%u", i);
		counters(&g, id, 0);
	}
	round_of(&g, 2000);
	no_more(&g);
	/* What no filter lets through is found in bounded turns too. */
	tail_leave(&c);
	c = join(r, "?counters=1s&class=none");
	for (g.next = NULL; g.next == NULL; calls++) {
		(void)tail_wake(r->t, r->now);
		g.list = cJSON_CreateArray();
		tail_next(c, r->now, &out);
		take_frames(&g, (struct str){out.p, out.n});
		text_clear(&out);
		assert_true(calls < 100);
		g.next = g.list->child;
		if (g.next != NULL &&
			strcmp(text(g.next, "type"), "hello") == 0)
			g.next = NULL;
		if (g.next == NULL)
			cJSON_Delete(g.list);
	}
	round_of(&g, 0);
	no_more(&g);
	assert_in_range(calls, 2, 10);
	text_free(&out);
	tail_leave(&c);
}

/* -------------------------------------------------------------------- turns */

static void test_heartbeat(void **state)
{
	struct rig *r = *state;
	struct tail_client *c = join(r, "?events=connect");
	struct got g = get(r, c);
	const cJSON *m;

	(void)message(&g, "hello");
	no_more(&g);
	store_many(r, 3); /* of which none fits */
	for (unsigned i = 0; i < 14; i++) {
		look(r, 1);
		g = get(r, c);
		no_more(&g);
	}
	look(r, 1);
	g = get(r, c);
	m = message(&g, "heartbeat");
	assert_int_equal(number(m, "t_s"), r->now.s);
	/* Where to go on, had it ended here. */
	assert_string_equal(text(m, "cursor") + 16, "-2");
	no_more(&g);
	look(r, 14);
	store(r, EVENT_CONNECT, "d-1", "pump");
	look(r, 0);
	g = get(r, c);
	(void)message(&g, "event");
	no_more(&g);
	look(r, 14);
	g = get(r, c);
	no_more(&g);
	tail_leave(&c);
}

/* Of many who could have all at once, each gets its part, beat by beat. */
static void test_turns(void **state)
{
	enum { N = 100 };
	struct rig *r = *state;
	static struct socket s[N];
	struct text out = {0};
	size_t got[N] = {0}, all, beats = 0;

	store_many(r, 4000);
	for (unsigned i = 0; i < 4; i++)
		look(r, 0);
	for (unsigned i = 0; i < N; i++)
		(void)join_by(r, "?last=4096", &s[i]);
	while (tail_wake(r->t, r->now) != 0) {
		beats++;
		all = 0;
		for (unsigned i = 0; i < N; i++) {
			text_clear(&out);
			/* A second time, and out of turn: nothing. */
			tail_next(s[i].c, r->now, &out);
			tail_next(s[i].c, r->now, &out);
			assert_int_equal(out.n != 0, s[i].woken != 0);
			s[i].woken = 0;
			got[i] += out.n;
			all += out.n;
		}
		assert_true(
			all <= (size_t)TAIL_TURNS *
				       (TAIL_TURN_BYTES + TAIL_MESSAGE_MAX));
		/* Nobody is far ahead. */
		for (unsigned i = 1; i < N; i++)
			assert_true(
				got[i] < got[0] + (size_t)2 * TAIL_TURN_BYTES &&
				got[0] < got[i] + (size_t)2 * TAIL_TURN_BYTES);
	}
	assert_true(beats > N / TAIL_TURNS);
	for (unsigned i = 1; i < N; i++)
		assert_int_equal(got[i], got[0]);
	assert_true(got[0] > (size_t)4000 * 200);
	for (unsigned i = 0; i < N; i++)
		tail_leave(&s[i].c);
	text_free(&out);
}

/* Who has not taken what it was given is not asked to take more, and others do
 * not wait for it. */
static void test_busy(void **state)
{
	struct rig *r = *state;
	struct socket slow, good;
	struct text out = {0};

	(void)join_by(r, "", &slow);
	(void)join_by(r, "", &good);
	slow.busy = true;
	assert_int_equal(tail_wake(r->t, r->now), 1);
	assert_int_equal(slow.woken, 0);
	assert_int_equal(good.woken, 1);
	tail_next(slow.c, r->now, &out);
	assert_int_equal(out.n, 0);
	tail_next(good.c, r->now, &out);
	assert_int_not_equal(out.n, 0);
	slow.busy = false;
	/* The hello that good has got does not come again. */
	assert_int_equal(tail_wake(r->t, r->now), 1);
	assert_int_equal(slow.woken, 1);
	text_free(&out);
	tail_leave(&slow.c);
	tail_leave(&good.c);
	assert_int_equal(tail_wake(r->t, r->now), 0);
}

static void test_no_more_clients(void **state)
{
	static struct tail_client *c[TAIL_CLIENTS_MAX];
	const struct tail_filter f = {.types = 2};
	struct rig *r = *state;
	struct rng rng = {7};
	struct socket s = {0};

	for (size_t i = 0; i < TAIL_CLIENTS_MAX; i++) {
		c[i] = tail_join(r->t, &f, r->now, &SOCKET, &s);
		assert_non_null(c[i]);
	}
	assert_null(tail_join(r->t, &f, r->now, &SOCKET, &s));
	for (unsigned i = 0; i < 2000; i++) {
		size_t k = rng_below(&rng, TAIL_CLIENTS_MAX);

		if (c[k] != NULL)
			tail_leave(&c[k]);
		else
			c[k] = tail_join(r->t, &f, r->now, &SOCKET, &s);
	}
	for (size_t i = 0; i < TAIL_CLIENTS_MAX; i++)
		tail_leave(&c[i]);
	assert_int_equal(r->t->n_clients, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_rounds),
		TEST(test_rounds_of_some),
		TEST(test_lag),
		TEST(test_long_round),
		TEST(test_heartbeat),
		TEST(test_turns),
		TEST(test_busy),
		TEST(test_no_more_clients),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
