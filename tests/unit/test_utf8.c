/* SPDX-License-Identifier: Apache-2.0 */
/* Every sequence of up to three bytes, and random ones of four and more,
 * against a second decoder written from the table of RFC 3629 §4. */
#include "core/utf8.h"
#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct guard guard;

/* RFC 3629 §4, row by row: the ranges of the bytes of one character. */
static const struct {
	size_t n;
	unsigned char lo[4], hi[4];
} ROWS[] = {
	{1, {0x00}, {0x7F}},
	{2, {0xC2, 0x80}, {0xDF, 0xBF}},
	{3, {0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}},
	{3, {0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}},
	{3, {0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}},
	{3, {0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}},
	{4, {0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}},
	{4, {0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}},
	{4, {0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}},
};

/* The characters that MQTT 5.0 §1.5.4 forbids or advises against. */
static bool unwanted(const unsigned char *p, size_t n)
{
	static const unsigned char SHIFT[] = {0, 0, 6, 12, 18};
	static const unsigned char LEAD[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	uint32_t c = (uint32_t)(p[0] & LEAD[n]) << SHIFT[n];

	for (size_t i = 1; i < n; i++)
		c += (uint32_t)(p[i] - 0x80) << (SHIFT[n] - 6 * i);
	if (c <= 0x1F || (c >= 0x7F && c <= 0x9F))
		return true;
	if (c >= 0xFDD0 && c <= 0xFDEF)
		return true;
	return c % 0x10000 == 0xFFFE || c % 0x10000 == 0xFFFF;
}

static bool in_row(size_t row, const unsigned char *p, size_t n)
{
	if (n < ROWS[row].n)
		return false;
	for (size_t i = 0; i < ROWS[row].n; i++) {
		if (p[i] < ROWS[row].lo[i] || p[i] > ROWS[row].hi[i])
			return false;
	}
	return true;
}

static bool naive(const unsigned char *p, size_t n)
{
	while (n != 0) {
		size_t row = 0;
		size_t rows = sizeof(ROWS) / sizeof(ROWS[0]);

		while (row < rows && !in_row(row, p, n))
			row++;
		if (row == rows || unwanted(p, ROWS[row].n))
			return false;
		p += ROWS[row].n;
		n -= ROWS[row].n;
	}
	return true;
}

/* A string literal would need a cast for each unsigned char. */
static struct str bytes(const unsigned char *p, size_t n)
{
	return (struct str){(const char *)p, n};
}

static void agree(const unsigned char *p, size_t n)
{
	if (utf8_valid(bytes(p, n)) != naive(p, n))
		fail_msg("%zu bytes: %02x %02x %02x %02x", n, p[0],
			n > 1 ? p[1] : 0u, n > 2 ? p[2] : 0u,
			n > 3 ? p[3] : 0u);
}

static void exhaustive(void **state)
{
	unsigned char b[3];

	(void)state;
	for (uint32_t v = 0; v < 0x1000000; v++) {
		b[0] = (unsigned char)(v >> 16);
		b[1] = (unsigned char)(v >> 8);
		b[2] = (unsigned char)v;
		agree(b, 3);
		if (b[2] == 0)
			agree(b, 2);
		if (b[1] == 0 && b[2] == 0)
			agree(b, 1);
	}
}

/* xorshift32: the same numbers on every machine. */
static uint32_t next(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

static void random_long(void **state)
{
	uint32_t x = 20220131;
	unsigned char b[8];
	unsigned valid = 0;

	(void)state;
	for (unsigned i = 0; i < 4000000; i++) {
		uint32_t r = next(&x);
		size_t n = 4 + (i % 4 == 0 ? next(&x) % 5 : 0);

		/* Mostly plausible: a lead byte of four, continuations. */
		b[0] = (unsigned char)(0xEF + r % 8);
		for (size_t k = 1; k < n; k++) {
			uint32_t c = next(&x);

			b[k] = (unsigned char)(c % 32 == 0
						       ? c >> 8
						       : 0x80 | (c >> 8 &
									0x3F));
		}
		if (r >> 8 & 1)
			b[3] = 0xBE | (r >> 9 & 1);
		agree(b, n);
		valid += naive(b, n);
	}
	assert_true(valid > 100000);
}

static void named(void **state)
{
	const struct {
		const char *what;
		struct str s;
		bool expect;
	} CASES[] = {
		{"empty", STR(""), true},
		{"ASCII", STR("a/b c~"), true},
		{"two bytes", STR("\xC3\xA9"), true},
		{"U+00A0, first after the controls", STR("\xC2\xA0"), true},
		{"three bytes", STR("\xE2\x82\xAC"), true},
		{"U+FEFF, a BOM is a character", STR("\xEF\xBB\xBF"), true},
		{"U+FFFD", STR("\xEF\xBF\xBD"), true},
		{"four bytes", STR("\xF0\x9F\x98\x80"), true},
		{"U+10FFFD, the last", STR("\xF4\x8F\xBF\xBD"), true},
		{"NUL", STR("a\0b"), false},
		{"U+001F", STR("\x1F"), false},
		{"DEL", STR("\x7F"), false},
		{"U+0085", STR("\xC2\x85"), false},
		{"overlong NUL", STR("\xC0\x80"), false},
		{"overlong slash", STR("\xC0\xAF"), false},
		{"overlong, three bytes", STR("\xE0\x80\xAF"), false},
		{"overlong, four bytes", STR("\xF0\x80\x80\xAF"), false},
		{"surrogate", STR("\xED\xA0\x80"), false},
		{"U+FDD0", STR("\xEF\xB7\x90"), false},
		{"U+FFFE", STR("\xEF\xBF\xBE"), false},
		{"U+10FFFF", STR("\xF4\x8F\xBF\xBF"), false},
		{"U+110000", STR("\xF4\x90\x80\x80"), false},
		{"lone continuation", STR("\x80"), false},
		{"cut short", STR("a\xF0\x9F\x98"), false},
		{"lead at the end", STR("\xC3"), false},
		{"FF", STR("\xFF"), false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		if (utf8_valid(guard_put(&guard, CASES[i].s)) !=
			CASES[i].expect)
			fail_msg("%s", CASES[i].what);
	}
	assert_true(utf8_valid((struct str){NULL, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named),
		cmocka_unit_test(exhaustive),
		cmocka_unit_test(random_long),
	};
	int failed;

	guard_init(&guard, 64);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
