/* SPDX-License-Identifier: Apache-2.0 */
#include "core/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void *fresh(void)
{
	void *mem = calloc(1, METER_SIZE_MIN);

	assert_non_null(mem);
	meter_format(mem);
	return mem;
}

static void test_format(void **state)
{
	struct meter_header *h = fresh();

	(void)state;
	assert_null(meter_problem(h, METER_SIZE_MIN));
	assert_memory_equal(&h->magic, "WEIRSEG1", 8);
	assert_int_equal(h->generation, 0);
	free(h);
}

static void test_problem(void **state)
{
	struct meter_header *h = fresh();

	(void)state;
	assert_non_null(meter_problem(NULL, 0));
	assert_non_null(meter_problem(h, METER_SIZE_MIN - 1));
	h->version++;
	assert_non_null(meter_problem(h, METER_SIZE_MIN));
	h->version--;
	h->header_size--;
	assert_non_null(meter_problem(h, METER_SIZE_MIN));
	h->header_size++;
	h->size++;
	assert_non_null(meter_problem(h, METER_SIZE_MIN));
	h->size--;
	h->magic ^= 1;
	assert_non_null(meter_problem(h, METER_SIZE_MIN));
	free(h);
}

static void test_text(void **state)
{
	static const size_t sizes[] = {
		0, 1, 7, 8, 9, METER_TEXT - 1, METER_TEXT, METER_TEXT + 9};
	struct meter_text t = {0};
	char in[METER_TEXT + 16], out[METER_TEXT + 1];

	(void)state;
	memset(in, 'x', sizeof in);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t want = sizes[i] < METER_TEXT ? sizes[i] : METER_TEXT;

		in[0] = (char)('a' + (int)i);
		meter_text_store(&t, (struct str){in, sizes[i]});
		assert_int_equal(meter_text_load(&t, out), want);
		assert_memory_equal(out, in, want);
		assert_int_equal(out[want], '\0');
	}
}

static void test_text_hostile(void **state)
{
	struct meter_text t = {0};
	char out[METER_TEXT + 1];

	(void)state;
	meter_text_store(&t, STR("whole"));
	t.len = UINT32_MAX;
	assert_int_equal(meter_text_load(&t, out), METER_TEXT);
	assert_int_equal(out[METER_TEXT], '\0');

	/* A writer died inside a store; the next one is whole again. */
	t.seq |= 1u;
	assert_int_equal(meter_text_load(&t, out), 0);
	assert_string_equal(out, "");
	meter_text_store(&t, STR("again"));
	assert_int_equal(meter_text_load(&t, out), 5);
	assert_string_equal(out, "again");
}

static void test_outcome(void **state)
{
	void *mem = fresh();
	uint32_t n = 77;

	(void)state;
	assert_false(meter_outcome_load(mem, 0, &n));
	assert_false(meter_outcome_load(mem, -1, &n));
	assert_false(meter_outcome_load(mem, 5, &n));
	assert_int_equal(n, 77);
	meter_outcome_store(mem, 5, STR("pump-1"), 2);
	assert_true(meter_outcome_load(mem, 5, &n));
	assert_int_equal(n, 2);
	/* The change that shares its slot is another one. */
	assert_false(meter_outcome_load(mem, 5 + METER_OUTCOMES, &n));
	meter_outcome_store(mem, 5 + METER_OUTCOMES, STR("pump-2"), 1);
	assert_false(meter_outcome_load(mem, 5, &n));
	assert_true(meter_outcome_load(mem, 5 + METER_OUTCOMES, &n));
	assert_int_equal(n, 1);
	free(mem);
}

static void test_outcome_torn(void **state)
{
	char *mem = fresh();
	struct meter_outcome *o =
		(struct meter_outcome *)(void *)(mem + METER_OUTCOMES_AT);
	char id[DEVICE_ID_MAX + 8];
	uint32_t n = 0;

	(void)state;
	memset(id, 'i', sizeof id);
	for (int64_t c = 1; c <= 3 * (int64_t)METER_OUTCOMES; c++)
		meter_outcome_store(
			mem, c, (struct str){id, sizeof id}, (uint32_t)c);
	assert_int_equal(
		o[METER_OUTCOMES - 1].device[7], UINT64_C(0x6969696969696969));
	assert_true(meter_outcome_load(mem, 3 * (int64_t)METER_OUTCOMES, &n));
	assert_int_equal(n, 3 * METER_OUTCOMES);
	o[0].seq |= 1u;
	assert_false(meter_outcome_load(mem, 3 * (int64_t)METER_OUTCOMES, &n));
	free(mem);
}

static void test_outcome_device(void **state)
{
	char *mem = fresh();
	char id[DEVICE_ID_MAX + 1];
	struct meter_outcome *o =
		(struct meter_outcome *)(void *)(mem + METER_OUTCOMES_AT);

	(void)state;
	memset(id, 'x', sizeof id);
	assert_false(meter_outcome_device(mem, 7, id));
	assert_false(meter_outcome_device(mem, 0, id));
	assert_false(meter_outcome_device(mem, -1, id));
	assert_int_equal(id[0], 'x');
	meter_outcome_store(mem, 7, STR("dev-7"), 1);
	assert_true(meter_outcome_device(mem, 7, id));
	assert_string_equal(id, "dev-7");
	/* The slot is another change's now. */
	meter_outcome_store(mem, 7 + METER_OUTCOMES, STR("d"), 1);
	assert_false(meter_outcome_device(mem, 7, id));
	assert_true(meter_outcome_device(mem, 7 + METER_OUTCOMES, id));
	assert_string_equal(id, "d");
	/* A writer died inside the store. */
	o[7].seq |= 1u;
	memset(id, 'x', sizeof id);
	assert_false(meter_outcome_device(mem, 7 + METER_OUTCOMES, id));
	assert_int_equal(id[0], 'x');
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_problem),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_hostile),
		cmocka_unit_test(test_outcome),
		cmocka_unit_test(test_outcome_torn),
		cmocka_unit_test(test_outcome_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
