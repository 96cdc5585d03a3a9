/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer and several readers at once, as the plugin and the commands are:
 * a text or an outcome is read as it was written once, or not at all, never
 * half of one and half of another. Under TSan, also without a data race.
 */
#include "core/meter.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define READERS 3
/* The writer goes on until it has written ROUNDS times and the readers have
 * found something READS times meanwhile: else nothing was tested. */
#define ROUNDS 20000u
#define READS  20000u

static _Alignas(64) unsigned char segment[METER_SIZE_MIN];
static atomic_bool over;
static _Atomic uint64_t reads;

struct reader {
	pthread_t id;
	uint64_t torn;
};

static struct meter_header *header(void)
{
	return (struct meter_header *)(void *)segment;
}

/* CMocka's assertions belong to the main thread: these only count. */
static int run_readers(struct reader r[static READERS], void *(*reader)(void *),
	void (*write)(void))
{
	atomic_store(&over, false);
	atomic_store(&reads, 0);
	for (size_t i = 0; i < READERS; i++) {
		r[i] = (struct reader){.torn = 0};
		if (pthread_create(&r[i].id, NULL, reader, &r[i]) != 0)
			return -1;
	}
	write();
	atomic_store(&over, true);
	for (size_t i = 0; i < READERS; i++) {
		if (pthread_join(r[i].id, NULL) != 0)
			return -1;
	}
	return 0;
}

static void check_readers(const struct reader r[static READERS])
{
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(r[i].torn, 0);
	assert_true(atomic_load(&reads) >= READS);
}

/* False when the writer may stop. */
static bool go_on(unsigned round)
{
	/* A reader gives up on a writer who is never done. */
	if (round % 64 == 0)
		(void)sched_yield();
	return round < ROUNDS || atomic_load(&reads) < READS;
}

/* ------------------------------------------------------------------- texts */

/* Round I's text: one letter, as often as the letter says, so that a byte or
 * a length of another round shows. */
static size_t text_of(unsigned i, char out[static METER_TEXT])
{
	unsigned letter = i % 26;
	size_t n = 100 + (size_t)letter * 6;

	memset(out, (int)('a' + letter), n);
	return n;
}

static void write_texts(void)
{
	char text[METER_TEXT];

	for (unsigned i = 0; go_on(i); i++) {
		size_t n = text_of(i, text);

		meter_text_store(&header()->load_error, (struct str){text, n});
	}
}

static void *read_texts(void *ctx)
{
	char got[METER_TEXT + 1], want[METER_TEXT];
	struct reader *r = ctx;

	while (!atomic_load(&over)) {
		size_t n = meter_text_load(&header()->load_error, got);

		if (n == 0)
			continue; /* not now */
		atomic_fetch_add(&reads, 1);
		if (got[0] < 'a' || got[0] > 'z' || got[n] != '\0' ||
			text_of((unsigned)(got[0] - 'a'), want) != n ||
			memcmp(got, want, n) != 0)
			r->torn++;
	}
	return NULL;
}

static void test_texts(void **state)
{
	struct reader r[READERS];
	char text[METER_TEXT];
	size_t n = text_of(0, text);

	(void)state;
	meter_text_store(&header()->load_error, (struct str){text, n});
	assert_int_equal(run_readers(r, read_texts, write_texts), 0);
	check_readers(r);
}

/* ---------------------------------------------------------------- outcomes */

/* Two changes that share a slot: what one closed must never be told of the
 * other. */
#define CHANGE_A INT64_C(7)
#define CHANGE_B (CHANGE_A + METER_OUTCOMES)
#define CLOSED_A 1111u
#define CLOSED_B 2222u

static void write_outcomes(void)
{
	for (unsigned i = 0; go_on(i); i++) {
		if (i % 2 == 0)
			meter_outcome_store(
				segment, CHANGE_A, STR("dev-a"), CLOSED_A);
		else
			meter_outcome_store(
				segment, CHANGE_B, STR("dev-b"), CLOSED_B);
	}
}

static void *read_outcomes(void *ctx)
{
	struct reader *r = ctx;

	while (!atomic_load(&over)) {
		uint32_t a = 0, b = 0;

		if (meter_outcome_load(segment, CHANGE_A, &a)) {
			atomic_fetch_add(&reads, 1);
			r->torn += a != CLOSED_A;
		}
		if (meter_outcome_load(segment, CHANGE_B, &b)) {
			atomic_fetch_add(&reads, 1);
			r->torn += b != CLOSED_B;
		}
	}
	return NULL;
}

static void test_outcomes(void **state)
{
	struct reader r[READERS];

	(void)state;
	assert_int_equal(run_readers(r, read_outcomes, write_outcomes), 0);
	check_readers(r);
}

static int setup(void **state)
{
	(void)state;
	memset(segment, 0, sizeof(segment));
	meter_format(segment);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_texts, setup),
		cmocka_unit_test_setup(test_outcomes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
