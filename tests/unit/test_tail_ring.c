/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of messages: what is in it is as it was added, whole and in order,
 * and only the oldest go, when there must be room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "feed/tail_ring.h"
#include "tests/support/rng.h"

static int setup(void **state)
{
	struct tail_ring *r;
	struct err e;

	assert_true(tail_ring_new(&r, &e));
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct tail_ring *r = *state;

	tail_ring_free(&r);
	assert_null(r);
	return 0;
}

/* Message N of all: its bytes and their number follow from N. */
struct made {
	char text[TAIL_MESSAGE_MAX], device[DEVICE_ID_MAX + 1],
		class[CLASS_NAME_MAX + 1];
	struct tail_message m;
};

static void make(struct made *x, uint64_t n, unsigned longest)
{
	struct rng r = {n};
	size_t len = 1 + rng_below(&r, longest);

	for (size_t i = 0; i < len; i++)
		x->text[i] = (char)(n * 31 + i);
	x->m = (struct tail_message){.text = {x->text, len},
		.is_event = n % 3 != 0,
		.key = {(enum event_type)(n % EVENT_TYPES), (uint8_t)n,
			{x->device, n % (DEVICE_ID_MAX + 1)},
			{x->class, n % 7}},
		.cursor = {n * 2, n + 5}};
	memset(x->device, (int)('a' + n % 26), DEVICE_ID_MAX);
	memset(x->class, (int)('A' + n % 26), CLASS_NAME_MAX);
}

static void check(const struct tail_ring *r, uint64_t n, unsigned longest)
{
	struct tail_message m = tail_ring_at(r, n);
	static struct made want;

	make(&want, n, longest);
	assert_true(str_eq(m.text, want.m.text));
	assert_true(str_eq(m.key.device, want.m.key.device));
	assert_true(str_eq(m.key.class, want.m.key.class));
	assert_int_equal(m.key.type, want.m.key.type);
	assert_int_equal(m.key.reason, want.m.key.reason);
	assert_int_equal(m.is_event, want.m.is_event);
	assert_true(m.cursor.n == want.m.cursor.n &&
		    m.cursor.meter == want.m.cursor.meter);
}

static size_t size_of(uint64_t n, unsigned longest)
{
	static struct made x;

	make(&x, n, longest);
	return x.m.text.n + x.m.key.device.n + x.m.key.class.n;
}

/* After each of so many, of up to LONGEST bytes: all that is held is whole, and
 * as much is held as there is room for. */
static void fill(struct tail_ring *r, unsigned longest, uint64_t many)
{
	static struct made x;
	size_t held = 0;

	for (uint64_t n = 0; n < many; n++) {
		uint64_t first = tail_ring_first(r);

		make(&x, n, longest);
		tail_ring_add(r, &x.m);
		assert_true(tail_ring_next(r) == n + 1);
		check(r, n, longest);
		check(r, tail_ring_first(r), longest);
		held += size_of(n, longest);
		for (; first < tail_ring_first(r); first++)
			held -= size_of(first, longest);
		assert_true(held <= TAIL_RING_BYTES);
		if (n % 997 == 0) {
			for (uint64_t i = tail_ring_first(r); i <= n; i++)
				check(r, i, longest);
		}
		/* Room is lost only at the end, and where the next goes. */
		assert_true(tail_ring_first(r) == 0 ||
			    n + 1 - tail_ring_first(r) == TAIL_RING_ENTRIES ||
			    held > TAIL_RING_BYTES - 3 * TAIL_MESSAGE_MAX);
	}
}

static void test_few_bytes(void **state)
{
	struct tail_ring *r = *state;

	fill(r, 100, (uint64_t)3 * TAIL_RING_ENTRIES);
	assert_true(
		tail_ring_next(r) - tail_ring_first(r) == TAIL_RING_ENTRIES);
}

static void test_many_bytes(void **state)
{
	struct tail_ring *r = *state;

	fill(r, TAIL_MESSAGE_MAX, 5000);
	assert_true(
		tail_ring_next(r) - tail_ring_first(r) < TAIL_RING_ENTRIES / 2);
}

static void test_about_both(void **state)
{
	fill(*state, 980, 20000);
}

/* The longest that there can be, one after the other: each turn of the ring
 * ends at another byte. */
static void test_longest(void **state)
{
	struct tail_ring *r = *state;
	static char text[TAIL_MESSAGE_MAX];
	static const char name[DEVICE_ID_MAX];
	struct tail_message m = {.text = {text, sizeof(text)},
		.key = {.device = {name, sizeof(name)},
			.class = {name, CLASS_NAME_MAX}}};
	size_t least =
		TAIL_RING_BYTES / (TAIL_MESSAGE_MAX + 2 * DEVICE_ID_MAX) - 1;

	for (unsigned i = 0; i < 5000; i++) {
		memset(text, (int)i, sizeof(text));
		tail_ring_add(r, &m);
		assert_int_equal(tail_ring_at(r, i).text.p[77], (char)i);
		if (i >= least)
			assert_true(i + 1 - tail_ring_first(r) >= least);
	}
}

static void test_too_long(void **state)
{
	struct tail_ring *r = *state;
	static char text[TAIL_MESSAGE_MAX + 1];
	struct tail_message m = {.text = {text, sizeof(text)}};

	tail_ring_add(r, &m);
	m.text.n = 5;
	m.key.device = (struct str){text, DEVICE_ID_MAX + 1};
	tail_ring_add(r, &m);
	m.key.device.n = 0;
	m.key.class = (struct str){text, CLASS_NAME_MAX + 1};
	tail_ring_add(r, &m);
	assert_true(tail_ring_next(r) == 0);
	assert_true(tail_ring_first(r) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_few_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_many_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_about_both, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
