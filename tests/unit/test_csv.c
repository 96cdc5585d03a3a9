/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/csv.h"
#include "tests/support/guard.h"

#include <stdio.h>

#define FIELDS 4

static const struct {
	const char *text; /* a record, and what follows it */
	size_t len;       /* of the record */
	size_t n;
	const char *fields[FIELDS];
} good[] = {
	{"", 0, 1, {""}},
	{"a", 1, 1, {"a"}},
	{"a,b\nc", 4, 2, {"a", "b"}},
	{"a,b\r\nc", 5, 2, {"a", "b"}},
	{",,\n", 3, 3, {"", "", ""}},
	{"a,\n", 3, 2, {"a", ""}},
	{"\"\"\n", 3, 1, {""}},
	{"\"a,b\",c\n", 8, 2, {"a,b", "c"}},
	{"\"a\nb\",c\n", 8, 2, {"a\nb", "c"}},
	{"\"a\r\nb\"\r\n", 8, 1, {"a\r\nb"}},
	{"\"a\"\"b\"\n", 7, 1, {"a\"b"}},
	{"\"\"\"\"\n", 5, 1, {"\""}},
	{"\"\"\"\",\"\"\n", 8, 2, {"\"", ""}},
	{" a , b \n", 8, 2, {" a ", " b "}},
	{"a\nb\n", 2, 1, {"a"}},
	{"\n", 1, 1, {""}},
	{"a,b,c,d", 7, 4, {"a", "b", "c", "d"}},
};

static const char *const bad[] = {"a\"b\n", "a\"\n", "\"a\"b\n", "\"a\" ,b\n",
	"\"a\n", "\"", "\"a\"\"", "a\rb\n", "a\r", "a,\"b\n\"c\n",
	"\"a\"\r\"b\"\n", "\"\"a"};

static void records_that_are(void **state)
{
	struct str f[FIELDS];
	struct guard g;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct str s = guard_put(&g, str_from(good[i].text));
		size_t len = 99, n = 0;
		char copy[64];
		struct err e = {0};

		assert_int_equal(csv_record(s, true, &len, &e), CSV_RECORD);
		assert_int_equal(len, good[i].len);
		memcpy(copy, s.p, len);
		(void)guard_put(&g, (struct str){copy, len});
		/* The guard's bytes are writable. */
		assert_true(csv_split(
			g.map + g.capacity - len, len, f, FIELDS, &n, &e));
		assert_int_equal(n, good[i].n);
		for (size_t k = 0; k < n; k++)
			assert_true(str_eq(f[k], str_from(good[i].fields[k])));
	}
	guard_fini(&g);
}

static void records_that_are_not(void **state)
{
	struct str f[FIELDS];
	struct guard g;

	(void)state;
	guard_init(&g, 64);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct str s = guard_put(&g, str_from(bad[i]));
		size_t len = 99, n = 99;
		struct err e = {0};

		assert_int_equal(csv_record(s, true, &len, &e), CSV_BAD);
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_equal(len, 99);
		e.code = ERR_NONE;
		assert_false(csv_split(
			g.map + g.capacity - s.n, s.n, f, FIELDS, &n, &e));
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_equal(n, 99);
	}
	guard_fini(&g);
}

/* Whatever a record is cut into, it is the same record, or more is wanted. */
static void records_that_end_later(void **state)
{
	const char *text = "a,\"b\r\n\"\"\",c\r\n";
	struct guard g;

	(void)state;
	guard_init(&g, 64);
	for (size_t n = 0; n < strlen(text); n++) {
		struct str s = guard_put(&g, (struct str){text, n});
		size_t len = 99;

		assert_int_equal(csv_record(s, false, &len, NULL), CSV_MORE);
		assert_int_equal(len, 99);
	}
	guard_fini(&g);
}

static void too_many_fields_and_records(void **state)
{
	char five[] = "1,2,3,4,5", two[] = "a\nb";
	struct str f[FIELDS];
	struct err e = {0};
	size_t n = 99;

	(void)state;
	assert_false(csv_split(five, 9, f, FIELDS, &n, &e));
	assert_non_null(strstr(e.msg, "more than 4 fields"));
	assert_false(csv_split(two, 3, f, FIELDS, &n, &e));
	assert_non_null(strstr(e.msg, "more than one record"));
	assert_int_equal(n, 99);
}

/* Every text of up to 6 of the characters that matter, and back. */
static void every_short_text_comes_back(void **state)
{
	static const char alphabet[] = {'a', ',', '"', '\n', '\r'};
	char text[7], out[CSV_FIELD_MAX(6) + sizeof(",z\r\n")];
	struct str f[2];
	size_t n, len;

	(void)state;
	for (unsigned i = 0; i < 5 * 5 * 5 * 5 * 5 * 5; i++) {
		size_t size = i % 7 < 6 ? 6 - i % 3 : 1;
		unsigned rest = i;

		for (size_t k = 0; k < size; k++, rest /= 5)
			text[k] = alphabet[rest % 5];
		n = csv_field((struct str){text, size}, out);
		assert_true(n <= CSV_FIELD_MAX(size));
		n += (size_t)snprintf(out + n, sizeof(out) - n, ",z\r\n");
		assert_int_equal(
			csv_record((struct str){out, n}, false, &len, NULL),
			CSV_RECORD);
		assert_int_equal(len, n);
		assert_true(csv_split(out, n, f, 2, &n, NULL));
		assert_int_equal(n, 2);
		assert_true(str_eq(f[0], (struct str){text, size}));
		assert_true(str_eq(f[1], STR("z")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_that_are),
		cmocka_unit_test(records_that_are_not),
		cmocka_unit_test(records_that_end_later),
		cmocka_unit_test(too_many_fields_and_records),
		cmocka_unit_test(every_short_text_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
