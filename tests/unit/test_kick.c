/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/kick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 8

static struct binding b[N];
static char ids[N][8];
static struct kick_queue q;
static struct outcomes o;
static char kicked[256];
static uint64_t clock_ns;
static bool refuse;

static int setup(void **state)
{
	(void)state;
	memset(b, 0, sizeof b);
	memset(&o, 0, sizeof o);
	q = (struct kick_queue){0};
	kicked[0] = '\0';
	refuse = false;
	for (int i = 0; i < N; i++) {
		(void)snprintf(ids[i], sizeof ids[i], "d%d", i);
		b[i].client_id = ids[i];
		b[i].state = BINDING_CONNECTED;
	}
	return 0;
}

static void note(const char *id)
{
	size_t n = strlen(kicked);

	(void)snprintf(kicked + n, sizeof kicked - n, "%s ", id);
}

/* As the broker does: DISCONNECT runs inside the call. */
static bool kick(const char *id)
{
	note(id);
	for (int i = 0; i < N; i++) {
		if (strcmp(ids[i], id) == 0 && !refuse) {
			b[i].state = BINDING_OFFLINE;
			kick_forget(&q, &o, &b[i], false);
		}
	}
	return !refuse;
}

static uint64_t now_ns(void)
{
	return clock_ns += 1000;
}

static const struct kicker by = {kick, now_ns};

static void expect_outcome(int64_t change, uint32_t closed)
{
	struct outcome x;

	assert_true(outcome_take(&o, &x));
	assert_int_equal(x.change, change);
	assert_int_equal(x.closed, closed);
}

static void expect_none(void)
{
	struct outcome x;

	assert_false(outcome_take(&o, &x));
}

static void test_order_and_once(void **state)
{
	(void)state;
	kick_add(&q, &o, &b[2], 0);
	kick_add(&q, &o, &b[0], 0);
	kick_add(&q, &o, &b[2], 0);
	assert_int_equal(q.n, 2);
	assert_int_equal(kick_run(&q, &o, &by, UINT64_MAX), 2);
	assert_string_equal(kicked, "d2 d0 ");
	assert_int_equal(q.n, 0);
	assert_null(q.last);
	assert_int_equal(kick_run(&q, &o, &by, UINT64_MAX), 0);
}

/* A kick by client id must never reach a session without a connection, nor
 * the connection that took a client id over. */
static void test_left_alone(void **state)
{
	(void)state;
	b[0].state = BINDING_OFFLINE;
	b[1].superseded = true;
	b[2].kicked = true;
	b[3].state = BINDING_HUSK;
	for (int i = 0; i < 4; i++)
		kick_add(&q, &o, &b[i], 0);
	assert_int_equal(q.n, 0);
	/* And one that disconnects while it waits. */
	kick_add(&q, &o, &b[4], 0);
	kick_add(&q, &o, &b[5], 0);
	kick_add(&q, &o, &b[6], 0);
	kick_forget(&q, &o, &b[5], false);
	kick_forget(&q, &o, &b[5], false);
	assert_int_equal(kick_run(&q, &o, &by, UINT64_MAX), 2);
	assert_string_equal(kicked, "d4 d6 ");
}

static void test_budget(void **state)
{
	(void)state;
	for (int i = 0; i < N; i++)
		kick_add(&q, &o, &b[i], 0);
	/* The clock gains 1,000 ns a look: three kicks fill 3,000. */
	assert_int_equal(kick_run(&q, &o, &by, 3000), 3);
	assert_int_equal(q.n, N - 3);
	assert_int_equal(kick_run(&q, &o, &by, 0), 1);
	assert_int_equal(kick_run(&q, &o, &by, UINT64_MAX), N - 4);
}

static void test_outcomes_in_order(void **state)
{
	(void)state;
	outcome_begin(&o, 11, STR("a"));
	kick_add(&q, &o, &b[0], 11);
	kick_add(&q, &o, &b[1], 11);
	outcome_begin(&o, 12, STR("b"));
	outcome_begin(&o, 15, STR("c"));
	kick_add(&q, &o, &b[2], 15);
	expect_none();
	assert_int_equal(kick_run(&q, &o, &by, 1000), 1);
	expect_none();
	/* The second goes by itself: not closed by us. */
	kick_forget(&q, &o, &b[1], false);
	expect_outcome(11, 1);
	expect_outcome(12, 0);
	expect_none();
	assert_int_equal(kick_run(&q, &o, &by, UINT64_MAX), 1);
	expect_outcome(15, 1);
	expect_none();
}

/* Two changes of one device: one disconnect, counted once, and the second is
 * not reported before the first. A kick for nobody joins the first change. */
static void test_shared_kick(void **state)
{
	(void)state;
	kick_add(&q, &o, &b[0], 0);
	outcome_begin(&o, 1, STR("a"));
	kick_add(&q, &o, &b[0], 1);
	outcome_begin(&o, 2, STR("a"));
	kick_add(&q, &o, &b[0], 2);
	assert_int_equal(q.n, 1);
	expect_none();
	assert_int_equal(kick_run(&q, &o, &by, UINT64_MAX), 1);
	expect_outcome(1, 1);
	expect_outcome(2, 0);
}

static void test_kick_that_finds_nobody(void **state)
{
	(void)state;
	refuse = true;
	outcome_begin(&o, 3, STR("a"));
	kick_add(&q, &o, &b[0], 3);
	assert_int_equal(kick_run(&q, &o, &by, UINT64_MAX), 0);
	expect_outcome(3, 0);
	kick_add(&q, &o, &b[0], 0); /* not again and again */
	assert_int_equal(q.n, 0);
}

static void test_outcome_bounds(void **state)
{
	char id[DEVICE_ID_MAX + 8];
	struct outcome x;

	(void)state;
	memset(id, 'i', sizeof id);
	for (int64_t round = 0; round < 3; round++) {
		assert_int_equal(outcome_room(&o), OUTCOMES_MAX);
		for (int64_t i = 0; i < (int64_t)OUTCOMES_MAX; i++)
			outcome_begin(&o, 1 + i + round * 5000,
				(struct str){id, sizeof id});
		assert_int_equal(outcome_room(&o), 0);
		outcome_wait(&o, 1 + round * 5000);
		outcome_wait(&o, 4999); /* not under way: ignored */
		outcome_done(&o, 4999, true);
		expect_none();
		outcome_done(&o, 1 + round * 5000, true);
		while (outcome_take(&o, &x))
			assert_int_equal(strlen(x.device), DEVICE_ID_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order_and_once, setup),
		cmocka_unit_test_setup(test_left_alone, setup),
		cmocka_unit_test_setup(test_budget, setup),
		cmocka_unit_test_setup(test_outcomes_in_order, setup),
		cmocka_unit_test_setup(test_shared_kick, setup),
		cmocka_unit_test_setup(test_kick_that_finds_nobody, setup),
		cmocka_unit_test_setup(test_outcome_bounds, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
