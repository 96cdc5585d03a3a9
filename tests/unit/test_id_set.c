/* SPDX-License-Identifier: Apache-2.0 */
/* A set of ids holds what was added, all of it and nothing else. */
#include "cli/id_set.h"

#include "core/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N 5000 /* grows it several times */

static void grows(void **state)
{
	struct id_set s = {.n = 0};
	char id[DEVICE_ID_MAX + 1];

	(void)state;
	assert_false(id_set_has(&s, "d-0"));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i += 2) {
			(void)snprintf(id, sizeof(id), "d-%d", i);
			assert_true(id_set_add(&s, id));
			assert_false(id_set_add(&s, id));
		}
		assert_int_equal(s.n, N / 2);
		for (int i = 0; i < N; i++) {
			(void)snprintf(id, sizeof(id), "d-%d", i);
			assert_int_equal(id_set_has(&s, id), i % 2 == 0);
		}
		id_set_clear(&s);
		assert_false(id_set_has(&s, "d-0"));
	}
	id_set_fini(&s);
	id_set_fini(&s);
}

static void whole_ids_count(void **state)
{
	struct id_set s = {.n = 0};
	char id[DEVICE_ID_MAX + 1];

	(void)state;
	memset(id, 'a', DEVICE_ID_MAX);
	for (size_t n = 1; n <= DEVICE_ID_MAX; n++) {
		id[n] = '\0';
		assert_true(id_set_add(&s, id));
		id[n] = 'a';
	}
	id[DEVICE_ID_MAX] = '\0';
	assert_true(id_set_has(&s, id));
	id[DEVICE_ID_MAX - 1] = 'b';
	assert_false(id_set_has(&s, id));
	id_set_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(whole_ids_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
