/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that are unlike their peers, at random, against the definition.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/detector_fixture.h"
#include "tests/support/rng.h"

#define DEVICES 60u
#define CLASSES 3u

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* By definition: what a device of a class whose N devices had AMOUNT, in any
 * order, may have. The bins make each figure higher by at most 1/16. */
static uint64_t limit_of(uint64_t *amount, size_t n, uint64_t floor)
{
	uint64_t median, nearly;

	if (n < 2)
		return floor;
	qsort(amount, n, sizeof(*amount), by_size);
	median = 10 * amount[((n - 1) * 500 + 999) / 1000 - 1];
	nearly = 3 * amount[((n - 1) * 900 + 999) / 1000 - 1];
	if (median > floor)
		floor = median;
	return nearly > floor ? nearly : floor;
}

struct model {
	uint64_t have[DEVICES], limit[CLASSES];
	unsigned class_of[DEVICES], n[CLASSES];
};

static void model_weigh(struct model *m)
{
	uint64_t of_class[DEVICES];

	for (unsigned c = 0; c < CLASSES; c++) {
		size_t k = 0;

		for (unsigned i = 0; i < DEVICES; i++)
			if (m->class_of[i] == c)
				of_class[k++] = m->have[i];
		m->limit[c] = limit_of(of_class, k, DF_MIB);
	}
}

/* True when device I is found. */
static bool check_device(
	const struct detector_fixture *b, const struct model *m, unsigned i)
{
	uint64_t most = m->limit[m->class_of[i]];
	const struct finding *f;
	char id[16];

	(void)snprintf(id, sizeof(id), "d-%u", i);
	f = df_open_of(b, id, FINDING_TRAFFIC);
	if (m->have[i] > most + most / 16)
		assert_non_null(f);
	if (f == NULL)
		return false;
	assert_int_equal(f->amount, m->have[i]);
	assert_int_equal(f->others, m->n[m->class_of[i]] - 1);
	assert_true(f->limit >= most);
	assert_true(f->limit <= most + most / 16);
	assert_true(f->last_s < b->r->now_s || m->have[i] > most);
	return true;
}

static void test_random(void **state)
{
	static const char *const names[CLASSES] = {"a", "b", "c"};
	struct detector_fixture *b = *state;
	struct rng r = {.state = 20261126};
	struct model m = {.n = {0}};
	unsigned found = 0;
	char id[16];

	for (unsigned i = 0; i < DEVICES; i++) {
		m.class_of[i] = rng_below(&r, CLASSES);
		m.n[m.class_of[i]]++;
		(void)snprintf(id, sizeof(id), "d-%u", i);
		(void)rig_add(b->r, id, names[m.class_of[i]]);
	}
	df_minute(b);
	/* Minutes of the first hour: nothing leaves the window. */
	for (unsigned t = 0; t < 45; t++) {
		for (unsigned i = 0; i < DEVICES; i++) {
			uint64_t more = 1 + (rng_next(&r) >> 46);

			if (rng_below(&r, 100) == 0)
				more <<= rng_below(&r, 9);
			/* Of one class one in six does much, always: what nine
			 * in ten do not exceed counts there. */
			if (m.class_of[i] == 0 && i % 6 == 0)
				more <<= 6;
			df_move(b, i, 1, more);
			m.have[i] += more;
		}
		df_minute(b);
		model_weigh(&m);
		for (unsigned i = 0; i < DEVICES; i++)
			found += check_device(b, &m, i);
	}
	/* It was no test of nothing. */
	assert_true(found > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_random, df_setup, df_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
