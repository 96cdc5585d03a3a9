/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles by bins, against the amounts in order, which are the definition.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/spread.h"
#include "tests/support/rng.h"

#define AMOUNTS_MAX 400

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* By definition. Puts AMOUNT in order. */
static uint64_t of_rest(uint64_t *amount, size_t n, unsigned permille)
{
	size_t want;

	qsort(amount, n, sizeof(*amount), by_size);
	if (n <= 1)
		return 0;
	want = ((n - 1) * permille + 999) / 1000;
	return amount[want - 1];
}

static void test_random(void **state)
{
	static const unsigned permille[] = {1, 100, 500, 501, 900, 999, 1000};
	struct rng r = {.state = 20261125};
	uint64_t amount[AMOUNTS_MAX];

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct spread s = {0};
		size_t n = 1 + rng_below(&r, AMOUNTS_MAX);
		unsigned bits = 1 + (unsigned)rng_below(&r, 64);

		for (size_t i = 0; i < n; i++) {
			amount[i] = rng_next(&r) >> (64 - bits);
			amount[i] >>= rng_below(&r, bits);
			spread_add(&s, amount[i]);
		}
		assert_int_equal(s.n, n);
		for (size_t i = 0; i < 7; i++) {
			uint64_t want = of_rest(amount, n, permille[i]);
			uint64_t got = spread_of_rest(&s, permille[i]);

			assert_true(got >= want);
			assert_true(got - want <= want / 16);
		}
	}
}

static void test_ends(void **state)
{
	static const uint64_t amounts[] = {0, 1, 15, 16, 31, 32, 33, 34, 63, 64,
		UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
		struct spread s = {0};

		assert_int_equal(spread_of_rest(&s, 500), 0);
		spread_add(&s, amounts[i]);
		assert_int_equal(spread_of_rest(&s, 500), 0);
		spread_add(&s, UINT64_MAX);
		assert_true(spread_of_rest(&s, 500) >= amounts[i]);
		assert_true(spread_of_rest(&s, 500) - amounts[i] <=
			    amounts[i] / 16);
	}
}

/* What does not fit into a bin is not counted, and nothing else is lost. */
static void test_full_bin(void **state)
{
	struct spread s = {.n = UINT32_MAX, .bin = {[3] = UINT32_MAX}};

	(void)state;
	spread_add(&s, 3);
	assert_int_equal(s.n, UINT32_MAX);
	spread_add(&s, 4);
	assert_int_equal(s.n, (uint64_t)UINT32_MAX + 1);
	assert_int_equal(spread_of_rest(&s, 1000), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_full_bin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
