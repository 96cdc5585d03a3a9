/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meter holds, as text; and the first few of many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/rank.h"
#include "io/meter_text.h"
#include "tests/support/rng.h"

#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_address(void **state)
{
	static const struct {
		uint8_t a[16];
		const char *text;
	} rows[] = {
		{{0}, ""},
		{{[15] = 1}, "::1"},
		{{[10] = 255,
			 [11] = 255,
			 [12] = 10,
			 [13] = 1,
			 [14] = 2,
			 [15] = 3},
			"10.1.2.3"},
		/* Mapped, though nobody's. */
		{{[10] = 255, [11] = 255}, "0.0.0.0"},
		/* One bit from mapped. */
		{{[10] = 254, [11] = 255, [12] = 10, [15] = 3}, "::feff:a00:3"},
		{{0x20, 0x01, 0x0d, 0xb8, [15] = 0x42}, "2001:db8::42"},
	};
	char out[ADDRESS_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		address_format(rows[i].a, out);
		assert_string_equal(out, rows[i].text);
	}
}

static void test_scaled(void **state)
{
	static const struct {
		double n;
		const char *text;
	} rows[] = {
		{0, "0"},
		{-1, "0"},
		{0.0 / 0.0, "0"},
		{0.04, "0.0"},
		{0.5, "0.5"},
		{7, "7"},
		{9.94, "9.9"},
		{9.96, "10"},
		{12.5, "12"},
		{999, "999"},
		{999.4, "999"},
		{999.5, "1.00k"},
		{1000, "1.00k"},
		{1234, "1.23k"},
		{9994, "9.99k"},
		{9995, "10.0k"},
		{99949, "99.9k"},
		{99950, "100k"},
		{999499, "999k"},
		{999500, "1.00M"},
		{1e9, "1.00G"},
		{1e12, "1.00T"},
		{1e15, "1.00P"},
		{18446744073709551615.0, "18.4E"},
		{1e30, "9999E"},
	};
	char out[SCALED_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		scaled_format(rows[i].n, out);
		assert_string_equal(out, rows[i].text);
		assert_true(strlen(out) <= 5);
	}
}

static void test_time_ms(void **state)
{
	char out[TIME_MS_TEXT];

	(void)state;
	time_ms_format(INT64_C(1795350000007), out);
	assert_string_equal(out, "2026-11-22T12:20:00.007Z");
	time_ms_format(INT64_C(1795350000999), out);
	assert_string_equal(out, "2026-11-22T12:20:00.999Z");
	time_ms_format(-5, out);
	assert_string_equal(out, "1970-01-01T00:00:00.000Z");
	time_ms_format(INT64_MAX, out);
	assert_int_equal(strlen(out), TIME_MS_TEXT - 1);
}

#define BAD "\xEF\xBF\xBD"

static void test_mend(void **state)
{
	static const struct {
		struct str in;
		const char *out;
	} rows[] = {
		{STR_INIT(""), ""},
		{STR_INIT("plain"), "plain"},
		{STR_INIT("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"),
			"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"},
		/* Cut inside a character: left out. */
		{STR_INIT("a\xC3"), "a"},
		{STR_INIT("a\xE2\x82"), "a"},
		{STR_INIT("a\xF0\x9F\x98"), "a"},
		/* Never was one. */
		{STR_INIT("a\xFF"), "a" BAD},
		{STR_INIT("\x80z"), BAD "z"},
		{STR_INIT("\xC3z"), BAD "z"},
		{STR_INIT("\xC0\xAF"), BAD BAD},
		{STR_INIT("\xE0\x80\x80"), BAD BAD BAD},
		{STR_INIT("\xE0\x80"), BAD BAD},
		{STR_INIT("\xED\xA0\x80"), BAD BAD BAD}, /* a surrogate */
		{STR_INIT("\xF4\x90\x80\x80"), BAD BAD BAD BAD},
		{STR_INIT("a\0b"), "a" BAD "b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *out = malloc(3 * rows[i].in.n + 1);

		assert_non_null(out);
		assert_string_equal(text_mend(rows[i].in, out), rows[i].out);
		free(out);
	}
}

/* --------------------------------------------------------------------- rank */

static bool larger(const void *ctx, uint32_t a, uint32_t b)
{
	const uint32_t *v = ctx;

	return v[a] != v[b] ? v[a] > v[b] : a < b;
}

static const uint32_t *sorted_by;

static int reference(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	if (x == y)
		return 0;
	return larger(sorted_by, x, y) ? -1 : 1;
}

/* The first CAP of N values out of 0..MAX, against qsort. */
static void check_rank(struct rng *seed, size_t n, size_t cap, uint32_t max)
{
	uint32_t *v = calloc(n + 1, sizeof(*v)),
		 *all = calloc(n + 1, sizeof(*all));
	struct rank r = {.cap = cap, .before = larger, .ctx = v};

	assert_non_null(v);
	assert_non_null(all);
	r.kept = calloc(cap + 1, sizeof(*r.kept));
	assert_non_null(r.kept);
	for (uint32_t i = 0; i < n; i++) {
		v[i] = (uint32_t)(rng_next(seed) % max);
		all[i] = i;
	}
	for (uint32_t i = 0; i < n; i++)
		rank_offer(&r, i);
	rank_order(&r);
	sorted_by = v;
	qsort(all, n, sizeof(*all), reference);
	assert_int_equal(r.n, n < cap ? n : cap);
	assert_memory_equal(r.kept, all, r.n * sizeof(*all));
	assert_int_equal(r.kept[cap], 0); /* nothing beyond CAP */
	free(r.kept);
	free(all);
	free(v);
}

static void test_rank(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 7, 64, 1000};
	struct rng seed = {20261125};

	(void)state;
	for (size_t n = 0; n < COUNT(sizes); n++) {
		for (size_t cap = 0; cap < COUNT(sizes); cap++) {
			check_rank(&seed, sizes[n], sizes[cap], UINT32_MAX);
			check_rank(&seed, sizes[n], sizes[cap], 3);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_scaled),
		cmocka_unit_test(test_time_ms),
		cmocka_unit_test(test_mend),
		cmocka_unit_test(test_rank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
