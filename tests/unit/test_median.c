/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Medians held to their definition: sorted, the one in the middle, or half way
 * between the two.
 */
#include "core/median.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS_MAX 200u
#define COLUMNS  5u

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t definition(const uint64_t *v, size_t n)
{
	uint64_t sorted[ROWS_MAX], low, high;

	if (n == 0)
		return 0;
	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_number);
	low = sorted[(n - 1) / 2];
	high = sorted[n / 2];
	return low + (high - low) / 2;
}

static void check(uint64_t v[COLUMNS][ROWS_MAX], size_t rows)
{
	struct median m;
	unsigned passes = 0;

	median_init(&m, COLUMNS);
	do {
		for (size_t i = 0; i < rows; i++) {
			uint64_t row[COLUMNS];

			for (size_t c = 0; c < COLUMNS; c++)
				row[c] = v[c][i];
			median_row(&m, row);
		}
		passes++;
	} while (median_pass(&m));
	assert_true(passes <= MEDIAN_PASSES);
	for (size_t c = 0; c < COLUMNS; c++)
		assert_int_equal(median_of(&m, c), definition(v[c], rows));
}

/* Each column in another way: few values, small ones, large ones, the ends. */
static uint64_t number(struct rng *r, size_t column)
{
	static const uint64_t ends[] = {0, 1, 255, 256, UINT64_MAX - 1,
		UINT64_MAX, UINT64_C(1) << 63, (UINT64_C(1) << 63) - 1};

	switch (column) {
	case 0:
		return rng_below(r, 3);
	case 1:
		return rng_below(r, 1000);
	case 2:
		return rng_next(r);
	case 3:
		return ends[rng_below(r, 8)];
	default:
		return rng_next(r) >> rng_below(r, 64);
	}
}

static void test_random(void **state)
{
	static uint64_t v[COLUMNS][ROWS_MAX];
	struct rng r = {7};

	(void)state;
	for (int round = 0; round < 2000; round++) {
		size_t rows = rng_below(&r, round % 2 == 0 ? 8 : ROWS_MAX);

		for (size_t c = 0; c < COLUMNS; c++) {
			for (size_t i = 0; i < rows; i++)
				v[c][i] = number(&r, c);
		}
		check(v, rows);
	}
}

static void random_rows(struct median *m, struct rng *r)
{
	for (size_t rows = rng_below(r, 20); rows != 0; rows--) {
		uint64_t row[2] = {rng_next(r), rng_below(r, 4)};

		median_row(m, row);
	}
}

/* Numbers that change from pass to pass: some number, and an end. */
static void test_changing(void **state)
{
	struct rng r = {8};

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct median m;
		unsigned passes = 0;

		median_init(&m, 2);
		do {
			random_rows(&m, &r);
			passes++;
		} while (median_pass(&m));
		assert_true(passes <= MEDIAN_PASSES);
		(void)median_of(&m, 0);
		(void)median_of(&m, 1);
	}
}

static void test_too_many_columns(void **state)
{
	struct median m;

	(void)state;
	median_init(&m, MEDIAN_COLUMNS + 1);
	assert_int_equal(m.n, MEDIAN_COLUMNS);
	assert_false(median_pass(&m));
	assert_int_equal(median_of(&m, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_changing),
		cmocka_unit_test(test_too_many_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
