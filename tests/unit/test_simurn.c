/* SPDX-License-Identifier: Apache-2.0 */
#include "core/simurn.h"
#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define EID "89049032007008882600086562427831"

static struct guard guard;

/* digits: NULL expects SIMURN_OTHER, "" SIMURN_MALFORMED. */
struct urn_case {
	struct str uri;
	enum simid_kind kind;
	const char *digits;
};

static void check(const struct urn_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char digits[SIMID_MAX + 2] = "untouched";
		enum simid_kind kind = SIMID_NONE;
		enum simurn got = simurn_parse(
			guard_put(&guard, c[i].uri), &kind, digits);
		enum simurn expect = c[i].digits == NULL ? SIMURN_OTHER
				     : c[i].digits[0] == '\0'
					     ? SIMURN_MALFORMED
					     : SIMURN_IDENTIFIER;

		if (got != expect || kind != c[i].kind)
			fail_msg("%.*s: %d, kind %d", STR_ARG(c[i].uri),
				(int)got, (int)kind);
		if (got == SIMURN_IDENTIFIER)
			assert_string_equal(digits, c[i].digits);
	}
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))
#define BAD(text)                                                              \
	{                                                                      \
		STR(text), SIMID_NONE, ""                                      \
	}
#define OTHER(text)                                                            \
	{                                                                      \
		STR(text), SIMID_NONE, NULL                                    \
	}

static void imei(void **state)
{
	const struct urn_case CASES[] = {
		{STR("urn:gsma:imei:90420156-025763-0"), SIMID_IMEI,
			"90420156025763"},
		{STR("urn:gsma:imei:90420156-025763-0;svn=42"), SIMID_IMEI,
			"90420156025763"},
		{STR("URN:GSMA:IMEI:90420156-025763-7"), SIMID_IMEI,
			"90420156025763"},
		{STR("urn:gsma:imei:90420156-025763-0;SVN=42"), SIMID_IMEI,
			"90420156025763"},
		BAD("urn:gsma:imei:"),
		BAD("urn:gsma:imei"),
		BAD("urn:gsma:imeisv:90420156-025763-42"),
		BAD("urn:gsma:imei:904201560257630"),
		BAD("urn:gsma:imei:90420156-025763"),
		BAD("urn:gsma:imei:90420156-025763-"),
		BAD("urn:gsma:imei:90420156-025763-00"),
		BAD("urn:gsma:imei:9042015-6025763-0"),
		BAD("urn:gsma:imei:904201560-25763-0"),
		BAD("urn:gsma:imei:90420156-0257630"),
		BAD("urn:gsma:imei:90420156025763-0"),
		BAD("urn:gsma:imei:9042015A-025763-0"),
		BAD("urn:gsma:imei:90420156-025763-0;svn=4"),
		BAD("urn:gsma:imei:90420156-025763-0;svn=422"),
		BAD("urn:gsma:imei:90420156-025763-0;svn="),
		BAD("urn:gsma:imei:90420156-025763-0;"),
		BAD("urn:gsma:imei:90420156-025763-0 "),
		BAD("urn:gsma:imei:90420156-025763-0\0"),
		BAD("urn:gsma:imei: 90420156-025763-0"),
	};

	(void)state;
	CHECK(CASES);
}

static void organisation(void **state)
{
	const struct urn_case CASES[] = {
		{STR("urn:dev:org:32473-iccid:8988211000000530082"),
			SIMID_ICCID, "8988211000000530082"},
		{STR("urn:dev:org:32473-iccid:8988211000000530082F"),
			SIMID_ICCID, "8988211000000530082F"},
		{STR("urn:dev:org:32473-iccid:898821100000053008"), SIMID_ICCID,
			"898821100000053008"},
		{STR("urn:dev:org:1-imsi:001010123456789"), SIMID_IMSI,
			"001010123456789"},
		{STR("URN:DEV:ORG:32473-EID:" EID), SIMID_EID, EID},
		BAD("urn:dev:org:32473-iccid"),
		BAD("urn:dev:org:32473-iccid:"),
		BAD("urn:dev:org:32473-iccid:F"),
		BAD("urn:dev:org:32473-iccid:89882110000005300"),
		BAD("urn:dev:org:32473-iccid:898821100000053008200"),
		BAD("urn:dev:org:32473-iccid:8988211000000530082FF"),
		BAD("urn:dev:org:32473-iccid:8988211000000530082_modem"),
		BAD("urn:dev:org:32473-iccid:8988211000000530082\0"),
		BAD("urn:dev:org:-iccid:8988211000000530082"),
		BAD("urn:dev:org:0-iccid:8988211000000530082"),
		BAD("urn:dev:org:032473-iccid:8988211000000530082"),
		BAD("urn:dev:org:x-iccid:8988211000000530082"),
		BAD("urn:dev:org:32473x-iccid:8988211000000530082"),
		BAD("urn:dev:org:1-imsi:00101"),
		BAD("urn:dev:org:1-imsi:0010101234567890"),
		BAD("urn:dev:org:1-imsi:001010123456789F"),
		BAD("urn:dev:org:1-eid:" EID "1"),
		BAD("urn:dev:org:1-eid:8904903200700888260008656242783"),
		BAD("urn:dev:org:1-eid:8904903200700888260008656242783x"),
	};

	(void)state;
	CHECK(CASES);
}

static void other(void **state)
{
	const struct urn_case CASES[] = {
		OTHER(""),
		OTHER("urn:"),
		OTHER("https://example.org/iccid:1"),
		OTHER("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
		OTHER("urn:gsma:other:1"),
		OTHER("urn:dev:mac:0024befffe804ff1"),
		OTHER("urn:dev:ow:10e2073a01080063"),
		OTHER("urn:dev:os:32473-123456"),
		OTHER("urn:dev:org:"),
		OTHER("urn:dev:org:32473"),
		OTHER("urn:dev:org:32473-"),
		OTHER("urn:dev:org:32473-foo:bar"),
		OTHER("urn:dev:org:32473-iccids:1"),
		OTHER("urn:dev:org:32473-x-iccid:1"),
		OTHER("xurn:gsma:imei:90420156-025763-0"),
	};
	char digits[SIMID_MAX + 2];
	enum simid_kind kind;

	(void)state;
	CHECK(CASES);
	assert_int_equal(simurn_parse((struct str){NULL, 0}, &kind, digits),
		SIMURN_OTHER);
}

static struct simid id_of(enum simid_kind kind, const char *text)
{
	struct simid id;

	assert_true(simid_parse(kind, str_from(text), 0, &id, NULL));
	return id;
}

static void formats(void **state)
{
	const struct {
		enum simid_kind kind;
		uint32_t pen;
		const char *text, *expect;
	} CASES[] = {
		{SIMID_IMEI, 0, "490154203237518",
			"urn:gsma:imei:49015420-323751-0"},
		{SIMID_IMEI, 7, "490154203237518",
			"urn:gsma:imei:49015420-323751-0"},
		{SIMID_ICCID, 32473, "8988211000000530082",
			"urn:dev:org:32473-iccid:8988211000000530082"},
		{SIMID_IMSI, 1, "001010123456789",
			"urn:dev:org:1-imsi:001010123456789"},
		{SIMID_EID, UINT32_MAX, EID, "urn:dev:org:4294967295-eid:" EID},
		{SIMID_ICCID, 0, "8988211000000530082", ""},
		{SIMID_IMSI, 0, "001010123456789", ""},
		{SIMID_EID, 0, EID, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct simid id = id_of(CASES[i].kind, CASES[i].text);
		enum simid_kind kind = SIMID_NONE;
		char digits[SIMID_MAX + 2];
		char out[SIMURN_MAX];
		size_t n = simurn_format(&id, CASES[i].pen, out);

		assert_string_equal(out, CASES[i].expect);
		assert_int_equal(n, strlen(out));
		if (n == 0)
			continue;
		/* What is written is read back as the same identifier. */
		assert_int_equal(
			simurn_parse((struct str){out, n}, &kind, digits),
			SIMURN_IDENTIFIER);
		assert_int_equal(kind, id.kind);
		assert_true(simid_same(&id, str_from(digits)));
	}
}

static void formats_nothing(void **state)
{
	struct simid none = {0};
	struct simid odd = {.kind = 99, .n = 3, .digits = "123"};
	struct simid longer = {.kind = SIMID_EID, .n = 200};
	char out[SIMURN_MAX];

	(void)state;
	assert_int_equal(simurn_format(&none, 1, out), 0);
	assert_string_equal(out, "");
	assert_int_equal(simurn_format(&odd, 1, out), 0);
	assert_int_equal(simurn_format(&longer, 1, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(imei),
		cmocka_unit_test(organisation),
		cmocka_unit_test(other),
		cmocka_unit_test(formats),
		cmocka_unit_test(formats_nothing),
	};
	int failed;

	guard_init(&guard, 256);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
