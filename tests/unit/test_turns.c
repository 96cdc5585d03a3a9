/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Much work on a real loop of libwebsockets, done in turns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "feed/conn.h"
#include "feed/turns.h"

#define CONNS  40
#define PIECES 3 /* of work that each has */
/* A piece takes a third of a turn, or longer: a machine may be slow. */
#define PIECE_NS (TURN_NS / 3)
/* Four end in a turn, the one that is over it included; and the order of two
 * timers is libwebsockets'. */
#define MOST      8
#define ROUNDS    1000
#define UNDECIDED (-1)

struct world {
	struct lws_context *context;
	struct turns turns;
	struct conn conn[CONNS];
	int left[CONNS];
	int done[CONNS * PIECES], n_done; /* whose, in order */
	int in_turn, turns_seen;          /* pieces of this loop's turn */
	int dies; /* when conn 0 has its turn this one goes; UNDECIDED: none */
	lws_sorted_usec_list_t other;
};

/* The functions that the loop calls have no context of their own. */
static struct world w;

static void spend(int64_t ns)
{
	int64_t end = turn_now_ns() + ns;

	while (turn_now_ns() < end)
		;
}

/* In the place of feed/conn.c's. */
void conn_go_on(struct conn *c)
{
	int i = (int)(c - w.conn);

	assert_true(w.left[i] > 0);
	spend(PIECE_NS);
	w.done[w.n_done++] = i;
	w.in_turn++;
	if (--w.left[i] > 0)
		turns_wait(&w.turns, c);
	if (i == 0 && w.dies != UNDECIDED)
		turns_leave(&w.conn[w.dies]);
}

/* Another timer of the loop. */
static void on_other(lws_sorted_usec_list_t *sul)
{
	w.turns_seen++;
	assert_in_range(w.in_turn, 0, MOST);
	w.in_turn = 0;
	lws_sul_schedule(w.context, 0, sul, on_other, 1);
}

static int setup(void **state)
{
	struct lws_context_creation_info info = {0};

	(void)state;
	memset(&w, 0, sizeof(w));
	w.dies = UNDECIDED;
	lws_set_log_level(0, NULL);
	info.port = CONTEXT_PORT_NO_LISTEN;
	w.context = lws_create_context(&info);
	assert_non_null(w.context);
	turns_open(&w.turns, w.context);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lws_sul_cancel(&w.other);
	turns_close(&w.turns);
	lws_context_destroy(w.context);
	return 0;
}

static void want(int pieces)
{
	for (int i = 0; i < CONNS; i++) {
		w.left[i] = pieces;
		turns_wait(&w.turns, &w.conn[i]);
		/* Once is enough. */
		turns_wait(&w.turns, &w.conn[i]);
	}
}

static void serve(int until)
{
	lws_sul_schedule(w.context, 0, &w.other, on_other, 1);
	for (int i = 0; i < ROUNDS && w.n_done < until; i++)
		assert_true(lws_service(w.context, 0) >= 0);
	assert_int_equal(w.n_done, until);
}

/* Whatever waits, the loop comes round: others are served after a turn's worth of
 * work, and all get theirs, one after the other. */
static void test_in_turns(void **state)
{
	(void)state;
	assert_true(turns_has_time(&w.turns));
	want(PIECES);
	serve(CONNS * PIECES);
	assert_true(w.turns_seen >= CONNS * PIECES / MOST);
	for (int i = 0; i < CONNS * PIECES; i++)
		assert_int_equal(w.done[i], i % CONNS);
	assert_null(w.turns.waiting.head);
}

/* Time that is spent is spent, until the loop comes round. */
static void test_time(void **state)
{
	(void)state;
	assert_true(turns_has_time(&w.turns));
	spend(TURN_NS);
	assert_false(turns_has_time(&w.turns));
	assert_false(turns_has_time(&w.turns));
	lws_sul_schedule(w.context, 0, &w.other, on_other, 1);
	for (int i = 0; i < ROUNDS && w.turns.begun; i++)
		assert_true(lws_service(w.context, 0) >= 0);
	assert_true(turns_has_time(&w.turns));
}

/* Who is gone has no turn. */
static void test_gone(void **state)
{
	(void)state;
	assert_true(turns_has_time(&w.turns));
	want(1);
	turns_leave(&w.conn[7]);
	turns_leave(&w.conn[7]);
	w.dies = CONNS - 1;
	serve(CONNS - 2);
	for (int i = 0; i < w.n_done; i++) {
		assert_int_not_equal(w.done[i], 7);
		assert_int_not_equal(w.done[i], CONNS - 1);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_in_turns),
		TEST(test_time),
		TEST(test_gone),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
