/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/binding.h"
#include "plugin/due.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct binding_table table;

static int setup(void **state)
{
	(void)state;
	return bindings_init(&table, 3, 2) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	bindings_fini(&table);
	return 0;
}

/* The I-th of the broker's clients: an address as malloc gives them. */
static const void *client(size_t i)
{
	// NOLINTNEXTLINE(performance-no-int-to-ptr): compared, never followed
	return (const void *)(uintptr_t)(0x55550000u + 32u * i);
}

static struct binding *bind_device(size_t i, const char *id)
{
	struct binding *b = binding_new(client(i), id, "192.0.2.1");

	assert_non_null(b);
	(void)snprintf(
		b->badge->device.id, sizeof b->badge->device.id, "%s", id);
	assert_true(binding_add(&table, b));
	return b;
}

static void test_find(void **state)
{
	struct binding *a = bind_device(1, "pump-1");

	(void)state;
	assert_ptr_equal(binding_find(&table, client(1)), a);
	assert_string_equal(a->device_id, "pump-1");
	assert_string_equal(a->client_id, "pump-1");
	assert_string_equal(a->address, "192.0.2.1");
	assert_null(binding_find(&table, client(2)));
	assert_null(binding_find(&table, NULL));
	assert_ptr_equal(binding_of_device(&table, STR("pump-1")), a);
	assert_null(binding_of_device(&table, STR("pump-2")));
	assert_null(binding_of_device(&table, STR("pump-")));
	assert_null(binding_of_device(&table, STR("")));
	binding_remove(&table, a);
	assert_null(binding_find(&table, client(1)));
	assert_null(binding_of_device(&table, STR("pump-1")));
}

static void test_long_address(void **state)
{
	char address[3 * ADDRESS_MAX];
	struct binding *b;

	(void)state;
	memset(address, 'a', sizeof address);
	address[sizeof address - 1] = '\0';
	b = binding_new(client(1), "x", address);
	assert_non_null(b);
	assert_int_equal(strlen(b->address), ADDRESS_MAX);
	binding_free(&b);
	assert_null(b);
	binding_free(&b);
}

static void test_device_has_several(void **state)
{
	struct binding *b[3];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		b[i] = bind_device(i, "pump-1");
	for (struct binding *x = binding_of_device(&table, STR("pump-1"));
		x != NULL; x = x->same_device)
		n++;
	assert_int_equal(n, 3);
	binding_remove(&table, b[1]); /* from the middle of the chain */
	assert_ptr_equal(binding_of_device(&table, STR("pump-1")), b[2]);
	assert_ptr_equal(b[2]->same_device, b[0]);
	binding_remove(&table, b[2]); /* its head */
	assert_ptr_equal(binding_of_device(&table, STR("pump-1")), b[0]);
	assert_null(b[0]->same_device);
	binding_remove(&table, b[0]);
	assert_null(binding_of_device(&table, STR("pump-1")));
}

/* Against a plain array: random adds and removes, all look-ups checked. */
static void test_churn(void **state)
{
	enum { N = 600, STEPS = 6000 };
	static struct binding *there[N];
	uint32_t random = 1;
	char id[16];

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		random = random * 1664525u + 1013904223u;
		size_t i = (random >> 8) % N;

		(void)snprintf(id, sizeof id, "d%zu", i % 200);
		if (there[i] != NULL) {
			binding_remove(&table, there[i]);
			there[i] = NULL;
		} else {
			there[i] = bind_device(i, id);
		}
		if (step % 50 != 0)
			continue;
		for (size_t k = 0; k < N; k++)
			assert_ptr_equal(
				binding_find(&table, client(k)), there[k]);
	}
	for (size_t k = 0; k < N; k++) {
		bool any = there[k] != NULL;

		(void)snprintf(id, sizeof id, "d%zu", k % 200);
		for (size_t j = k % 200; j < N; j += 200)
			any = any || there[j] != NULL;
		assert_int_equal(
			binding_of_device(&table, str_from(id)) != NULL, any);
	}
}

static void test_ends(void **state)
{
	struct binding *b = bind_device(1, "pump-1");

	(void)state;
	binding_disconnect(&table, b, false);
	assert_int_equal(b->state, BINDING_ENDED);
	/* Its will is still to be judged. */
	assert_ptr_equal(binding_find(&table, client(1)), b);
	bindings_purge(&table);
	assert_null(binding_find(&table, client(1)));
	bindings_purge(&table);
	assert_int_equal(table.by_client.n, 0);
	assert_int_equal(table.by_device.n, 0);
}

/* Three are kept whole, two more as husks, the oldest goes. */
static void test_bounds(void **state)
{
	char id[16];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		(void)snprintf(id, sizeof id, "d%zu", i);
		binding_disconnect(&table, bind_device(i, id), true);
	}
	assert_null(binding_find(&table, client(0)));
	assert_null(binding_of_device(&table, STR("d0")));
	for (size_t i = 1; i < 6; i++) {
		struct binding *b = binding_find(&table, client(i));

		assert_non_null(b);
		assert_int_equal(
			b->state, i < 3 ? BINDING_HUSK : BINDING_OFFLINE);
		assert_int_equal(b->badge == NULL, i < 3);
	}
	/* Once more: a second DISCONNECT for one pointer. */
	binding_disconnect(&table, binding_find(&table, client(1)), false);
	bindings_purge(&table);
	assert_null(binding_find(&table, client(1)));
}

static void test_to_end(void **state)
{
	struct binding *a = bind_device(1, "a"), *b = bind_device(2, "b");

	(void)state;
	assert_ptr_equal(table.connected.first, a);
	binding_to_end(&table, a);
	assert_ptr_equal(table.connected.first, b);
	assert_ptr_equal(table.connected.last, a);
	assert_int_equal(table.connected.n, 2);
}

static void test_due(void **state)
{
	enum { N = 500 };
	static struct binding *b[N];
	struct due due = {0};
	uint32_t random = 7;
	int64_t last = INT64_MIN;
	size_t taken = 0;

	(void)state;
	assert_null(due_take(&due, INT64_MAX));
	for (size_t i = 0; i < N; i++) {
		random = random * 1664525u + 1013904223u;
		b[i] = bind_device(i, "d");
		b[i]->due_s = (random >> 8) % 1000;
		assert_true(due_put(&due, b[i]));
	}
	for (size_t i = 0; i < N; i += 3)
		due_remove(&due, b[i]);
	due_remove(&due, b[0]);
	for (size_t i = 1; i < N; i += 3) { /* filed again, later */
		b[i]->due_s += 500;
		assert_true(due_put(&due, b[i]));
	}
	assert_null(due_take(&due, -1));
	for (struct binding *x; (x = due_take(&due, 1500)) != NULL; taken++) {
		assert_true(x->due_s >= last);
		assert_int_equal(x->due_at, 0);
		last = x->due_s;
	}
	assert_int_equal(taken, N - (N + 2) / 3);
	b[5]->due_s = 10;
	assert_true(due_put(&due, b[5]));
	assert_null(due_take(&due, 9));
	assert_ptr_equal(due_take(&due, 10), b[5]);
	due_fini(&due);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_long_address, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_device_has_several, setup, teardown),
		cmocka_unit_test_setup_teardown(test_churn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_to_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_due, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
