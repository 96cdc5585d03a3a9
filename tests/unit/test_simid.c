/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of tests/table/identifiers.tsv, and what a table cannot say. */
#include "core/simid.h"
#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TABLE WEIR_SOURCE_DIR "/tests/table/identifiers.tsv"

struct row {
	enum simid_kind kind;
	char expect[16];
	struct str value, detail;
};

static struct guard guard;

/* The field at *AT, which then stands after its tab. */
static struct str field(char **at)
{
	size_t n = strcspn(*at, "\t\n");
	struct str s = {*at, n};

	*at += n;
	if (**at == '\t')
		(*at)++;
	return s;
}

static void row_read(char *line, struct row *r)
{
	struct str kind = field(&line);
	struct str expect = field(&line);

	r->kind = simid_kind_find(kind);
	assert_int_not_equal(r->kind, SIMID_NONE);
	assert_true(expect.n < sizeof(r->expect));
	memcpy(r->expect, expect.p, expect.n);
	r->expect[expect.n] = '\0';
	r->value = field(&line);
	r->detail = field(&line);
}

static bool contains(const char *text, struct str part)
{
	for (size_t n = strlen(text); n >= part.n; n--, text++) {
		if (memcmp(text, part.p, part.n) == 0)
			return true;
	}
	return false;
}

static void accepted(const struct row *r, unsigned options)
{
	struct simid id;
	struct err e;

	memset(&id, 0xA5, sizeof(id));
	if (!simid_parse(
		    r->kind, guard_put(&guard, r->value), options, &id, &e))
		fail_msg("%.*s refused: %s", STR_ARG(r->value), e.msg);
	assert_int_equal(id.kind, r->kind);
	assert_true(str_eq((struct str){id.digits, id.n}, r->value));
	assert_int_equal(id.digits[id.n], '\0');
}

static void refused(const struct row *r, unsigned options)
{
	struct simid id, before;
	struct err e = {0};

	memset(&id, 0xA5, sizeof(id));
	before = id;
	if (simid_parse(r->kind, guard_put(&guard, r->value), options, &id, &e))
		fail_msg("%.*s accepted", STR_ARG(r->value));
	assert_int_equal(e.code, ERR_INPUT);
	if (!contains(e.msg, r->detail))
		fail_msg("%.*s: %s", STR_ARG(r->value), e.msg);
	assert_memory_equal(&id, &before, sizeof(id));
}

static void compared(const struct row *r, bool expect)
{
	struct simid id;

	assert_true(simid_parse(
		r->kind, r->value, SIMID_ANY_CHECK_DIGIT, &id, NULL));
	if (simid_same(&id, guard_put(&guard, r->detail)) != expect)
		fail_msg(
			"%.*s and %.*s", STR_ARG(r->value), STR_ARG(r->detail));
}

static void row_check(const struct row *r)
{
	if (strcmp(r->expect, "valid") == 0) {
		accepted(r, 0);
		accepted(r, SIMID_ANY_CHECK_DIGIT);
	} else if (strcmp(r->expect, "any") == 0) {
		refused(r, 0);
		accepted(r, SIMID_ANY_CHECK_DIGIT);
	} else if (strcmp(r->expect, "invalid") == 0) {
		refused(r, 0);
		refused(r, SIMID_ANY_CHECK_DIGIT);
	} else if (strcmp(r->expect, "same") == 0) {
		compared(r, true);
	} else if (strcmp(r->expect, "other") == 0) {
		compared(r, false);
	} else {
		fail_msg("unknown expectation %s", r->expect);
	}
}

static void table(void **state)
{
	FILE *f = fopen(TABLE, "r");
	char line[512];
	struct row r;
	unsigned n = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] == '#')
			continue;
		assert_non_null(strchr(line, '\n'));
		row_read(line, &r);
		row_check(&r);
		n++;
	}
	assert_int_equal(fclose(f), 0);
	assert_true(n > 90);
}

/* Every single wrong digit is found, and the message gives the right one. */
static void wrong_digits(void **state)
{
	static const struct {
		enum simid_kind kind;
		const char *value;
	} GOOD[] = {
		{SIMID_ICCID, "8988211000000530082"},
		{SIMID_ICCID, "89882110000005300811"},
		{SIMID_IMEI, "490154203237518"},
		{SIMID_EID, "89049032007008882600086562427831"},
	};
	char text[SIMID_MAX + 1];
	struct simid id;

	(void)state;
	for (size_t g = 0; g < sizeof(GOOD) / sizeof(GOOD[0]); g++) {
		size_t n = strlen(GOOD[g].value);

		for (size_t i = 0; i < 10 * n; i++) {
			memcpy(text, GOOD[g].value, n);
			text[i / 10] = (char)('0' + i % 10);
			assert_int_equal(
				simid_parse(GOOD[g].kind, (struct str){text, n},
					0, &id, NULL),
				memcmp(text, GOOD[g].value, n) == 0);
		}
	}
}

static void no_kind(void **state)
{
	struct simid id = {0};
	struct err e;

	(void)state;
	assert_false(
		simid_parse(SIMID_NONE, STR("490154203237518"), 0, &id, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_false(
		simid_parse(SIMID_KINDS, STR("490154203237518"), 0, &id, &e));
	/* No identifier is like nothing, not even like nothing. */
	assert_false(simid_same(&id, STR("")));
	assert_false(simid_same(&id, STR("490154203237518")));
	assert_false(simid_same(&id, (struct str){NULL, 0}));
	id = (struct simid){.kind = 77, .n = 3, .digits = "123"};
	assert_false(simid_same(&id, STR("123")));
	id = (struct simid){.kind = SIMID_IMSI, .n = 255};
	assert_false(simid_same(&id, STR("123456")));
}

static void embedded_nul(void **state)
{
	struct simid id;

	(void)state;
	assert_false(simid_parse(
		SIMID_IMSI, STR("001010123\00045678"), 0, &id, NULL));
	assert_true(
		simid_parse(SIMID_IMSI, STR("001010123456789"), 0, &id, NULL));
	assert_false(simid_same(&id, STR("001010123456789\0")));
}

static void names(void **state)
{
	(void)state;
	for (unsigned k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		const char *name = simid_name((enum simid_kind)k);

		assert_int_equal(simid_kind_find(str_from(name)), k);
	}
	assert_string_equal(simid_name(SIMID_NONE), "none");
	assert_string_equal(simid_name(SIMID_KINDS), "none");
	assert_int_equal(simid_kind_find(STR("none")), SIMID_NONE);
	assert_int_equal(simid_kind_find(STR("IMEI")), SIMID_NONE);
	assert_int_equal(simid_kind_find(STR("imeisv")), SIMID_NONE);
	assert_int_equal(simid_kind_find(STR("ime")), SIMID_NONE);
	assert_int_equal(simid_kind_find(STR("")), SIMID_NONE);
}

static void mask(void **state)
{
	static const struct {
		const char *digits, *expect;
	} CASES[] = {
		{"89049032007008882600086562427831",
			"890490************************31"},
		{"8988211000000530082", "898821***********82"},
		{"490154203237518", "490154*******18"},
		{"001010123456", "001010****56"},
		{"0010101", "0****01"},
		{"001011", "****11"},
		{"00101", "*****"}, /* no IMSI, but must not show itself */
		{"", ""},
	};
	char out[SIMID_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct simid id = {.kind = SIMID_IMSI};

		id.n = (uint8_t)strlen(CASES[i].digits);
		memcpy(id.digits, CASES[i].digits, id.n);
		assert_int_equal(simid_mask(&id, out), id.n);
		assert_string_equal(out, CASES[i].expect);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(wrong_digits),
		cmocka_unit_test(no_kind),
		cmocka_unit_test(embedded_nul),
		cmocka_unit_test(names),
		cmocka_unit_test(mask),
	};
	int failed;

	guard_init(&guard, 512);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
