/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/peers.h"
#include "tests/support/rng.h"

#include <string.h>

#define SECOND INT64_C(1000)

static void v4(uint32_t n, uint8_t out[static 16])
{
	memset(out, 0, 16);
	out[10] = out[11] = 0xFF;
	for (int i = 0; i < 4; i++)
		out[12 + i] = (uint8_t)(n >> (24 - 8 * i));
}

static struct peers *open_peers(uint32_t max)
{
	struct peers *p = NULL;
	struct err e;

	assert_true(peers_new(max, 42, &p, &e));
	return p;
}

static void test_caps(void **state)
{
	struct peers *p = open_peers(3);
	uint8_t a[16], b[16];

	(void)state;
	v4(1, a);
	v4(2, b);
	assert_true(peers_enter(p, a, 2));
	assert_true(peers_enter(p, a, 2));
	assert_false(peers_enter(p, a, 2));
	assert_true(peers_enter(p, b, 2));
	assert_false(peers_enter(p, b, 2));
	assert_int_equal(peers_connections(p), 3);
	peers_leave(p, a);
	assert_true(peers_enter(p, b, 2));
	peers_leave(p, a);
	peers_leave(p, b);
	peers_leave(p, b);
	assert_int_equal(peers_connections(p), 0);
	peers_free(&p);
	peers_free(&p);
}

/* The first 64 bits of an IPv6 address are one; each IPv4 address is. */
static void test_prefix(void **state)
{
	struct peers *p = open_peers(9);
	uint8_t a[16] = {0x20, 1, 0xD, 0xB8}, b[16] = {0x20, 1, 0xD, 0xB8};

	(void)state;
	b[15] = 9;
	assert_true(peers_enter(p, a, 1));
	assert_false(peers_enter(p, b, 1));
	b[7] = 1;
	assert_true(peers_enter(p, b, 1));
	v4(0x0A000001, a);
	v4(0x0A000002, b);
	assert_true(peers_enter(p, a, 1));
	assert_true(peers_enter(p, b, 1));
	peers_free(&p);
}

static void test_waiting(void **state)
{
	static const uint32_t waits[] = {
		0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900};
	struct peers *p = open_peers(1);
	int64_t now = 5 * SECOND;
	uint8_t a[16], b[16];

	(void)state;
	v4(1, a);
	v4(2, b);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		assert_int_equal(peers_failed(p, a, now), waits[i]);
		assert_int_equal(peers_wait_s(p, a, now), waits[i]);
		assert_int_equal(peers_wait_s(p, b, now), 0);
		now += waits[i] * SECOND;
		assert_int_equal(peers_wait_s(p, a, now), 0);
		assert_int_equal(
			peers_wait_s(p, a, now - 1), waits[i] != 0 ? 1 : 0);
	}
	now += (PEERS_FORGET_S - 900) * SECOND;
	assert_int_equal(peers_failed(p, a, now), 900);
	now += (PEERS_FORGET_S + 1) * SECOND;
	assert_int_equal(peers_failed(p, a, now), 0);
	for (int i = 0; i < 6; i++)
		(void)peers_failed(p, a, now);
	assert_int_not_equal(peers_wait_s(p, a, now), 0);
	peers_passed(p, a);
	assert_int_equal(peers_wait_s(p, a, now), 0);
	assert_int_equal(peers_failed(p, a, now), 0);
	peers_passed(p, b);
	peers_free(&p);
}

/* Addresses without end: memory is what it was, and who is connected stays
 * counted. */
static void test_flood(void **state)
{
	struct peers *p = open_peers(4);
	uint8_t a[16], other[16];

	(void)state;
	v4(7, a);
	assert_true(peers_enter(p, a, 2));
	(void)peers_failed(p, a, 0);
	for (uint32_t i = 100; i < 100000; i++) {
		v4(i, other);
		(void)peers_failed(p, other, i);
	}
	assert_true(peers_enter(p, a, 2));
	assert_false(peers_enter(p, a, 2));
	assert_int_equal(peers_connections(p), 2);
	peers_leave(p, a);
	peers_leave(p, a);
	assert_int_equal(peers_connections(p), 0);
	peers_free(&p);
}

/* Random comings and goings against counts in an array. */
static void test_model(void **state)
{
	enum { ADDRESSES = 300, MAX = 200, MOST = 5 };
	struct peers *p = open_peers(MAX);
	uint32_t count[ADDRESSES] = {0}, all = 0;
	struct rng r = {7};

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint32_t n = (uint32_t)(rng_next(&r) % ADDRESSES);
		uint8_t a[16];
		bool room = all < MAX && count[n] < MOST;

		v4(n, a);
		switch (rng_next(&r) % 3) {
		case 0:
			assert_int_equal(peers_enter(p, a, MOST), room);
			count[n] += room;
			all += room;
			break;
		case 1:
			if (count[n] == 0)
				break;
			peers_leave(p, a);
			count[n]--;
			all--;
			break;
		default:
			(void)peers_failed(p, a, i);
		}
		assert_int_equal(peers_connections(p), all);
	}
	peers_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
