/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plugin/ledger.h"
#include "tests/support/rng.h"

#include <stdio.h>

static const struct siphash_key key = {1, 2};

static struct str name(unsigned i)
{
	static char text[32];
	int n = snprintf(text, sizeof(text), "device-%u", i);

	return (struct str){text, (size_t)n};
}

static void test_same_account(void **state)
{
	struct ledger l = {.max = 10};
	struct account *a = ledger_account(&l, STR("a"), 1);

	(void)state;
	assert_non_null(a);
	assert_string_equal(a->device_id, "a");
	a->usage.day_bytes = 7;
	assert_non_null(ledger_account(&l, STR("b"), 2));
	assert_int_equal(ledger_account(&l, STR("a"), 3)->usage.day_bytes, 7);
	assert_int_equal(l.n, 2);
	ledger_fini(&l);
	assert_int_equal(l.n, 0);
}

static void test_id_too_long(void **state)
{
	char id[DEVICE_ID_MAX + 1];
	struct ledger l = {.max = 10};

	(void)state;
	memset(id, 'x', sizeof(id));
	assert_null(ledger_account(&l, (struct str){id, sizeof(id)}, 1));
	assert_non_null(ledger_account(&l, (struct str){id, DEVICE_ID_MAX}, 1));
	ledger_fini(&l);
}

/* Of too many, the one untouched longest goes. */
static void test_full(void **state)
{
	struct ledger l = {.max = 3};
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++)
		ledger_account(&l, name(i), i)->usage.day_bytes = 100 + i;
	(void)ledger_account(&l, name(0), 3);
	(void)ledger_account(&l, name(9), 4);
	assert_int_equal(l.n, 3);
	assert_int_equal(ledger_account(&l, name(0), 5)->usage.day_bytes, 100);
	assert_int_equal(ledger_account(&l, name(2), 6)->usage.day_bytes, 102);
	/* 1 was dropped and begins anew */
	assert_int_equal(ledger_account(&l, name(1), 7)->usage.day_bytes, 0);
	ledger_fini(&l);
}

static void test_idle(void **state)
{
	struct ledger l = {.max = 10};

	(void)state;
	ledger_account(&l, STR("a"), 1000)->usage.day_bytes = 1;
	ledger_account(&l, STR("b"), 5000)->usage.day_bytes = 1;
	ledger_purge(&l, 1000 + LEDGER_IDLE_MS - 1);
	assert_int_equal(l.n, 2);
	ledger_purge(&l, 1000 + LEDGER_IDLE_MS);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.oldest->device_id, "b");
	ledger_fini(&l);
}

/* Many devices, made, touched and dropped at random, against a plain array. */
static void test_random(void **state)
{
	enum { DEVICES = 500, STEPS = 50000 };
	static uint64_t bytes[DEVICES];
	struct ledger l = {.max = (size_t)2 * DEVICES};
	struct rng r = {5};
	uint64_t now = 0;
	int i;

	(void)state;
	for (i = 0; i < STEPS; i++) {
		unsigned d = rng_below(&r, DEVICES);
		struct account *a = ledger_account(&l, name(d), now);

		assert_int_equal(a->usage.day_bytes, bytes[d]);
		a->usage.day_bytes = bytes[d] = rng_next(&r);
		if (rng_below(&r, 1000) == 0) {
			memset(bytes, 0, sizeof(bytes));
			now += LEDGER_IDLE_MS;
			while (l.n != 0)
				ledger_purge(&l, now);
		}
	}
	ledger_fini(&l);
}

static void test_subscriptions(void **state)
{
	struct ledger l = {.max = 10};
	struct account *a = ledger_account(&l, STR("a"), 1);
	struct subscription s = subscription_of(&key, STR("c1"), STR("f"));
	uint64_t i;

	(void)state;
	assert_true(account_subscribe(a, s));
	assert_true(account_subscribe(a, s));
	assert_int_equal(a->usage.n_subscriptions, 1);
	assert_true(account_subscribe(
		a, subscription_of(&key, STR("c2"), STR("f"))));
	account_unsubscribe(a, subscription_of(&key, STR("c1"), STR("g")));
	assert_int_equal(a->usage.n_subscriptions, 2);
	account_unsubscribe(a, s);
	assert_int_equal(a->usage.n_subscriptions, 1);
	for (i = 0; a->usage.n_subscriptions < SUBSCRIPTIONS_MAX; i++)
		assert_true(account_subscribe(
			a, (struct subscription){s.client, i}));
	assert_false(account_subscribe(a, (struct subscription){s.client, i}));
	account_forget(a, s.client);
	assert_int_equal(a->usage.n_subscriptions, 1);
	account_forget(a, subscription_of(&key, STR("c2"), STR("")).client);
	assert_int_equal(a->usage.n_subscriptions, 0);
	ledger_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_account),
		cmocka_unit_test(test_id_too_long),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_subscriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
