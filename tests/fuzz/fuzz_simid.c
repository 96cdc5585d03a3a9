/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SIM identifier of any kind out of any bytes: the first byte chooses kind
 * and option, the rest is the text; and the whole as a URN. Oracle: the check
 * digits computed another way (Luhn by a table from the right, mod 97 by long
 * division in chunks of nine digits), the lengths written out again, and round
 * trips.
 */
#include "core/simid.h"
#include "core/simurn.h"
#include "tests/support/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (strchr("0123456789", s.p[i]) == NULL || s.p[i] == '\0')
			return false;
	}
	return true;
}

/* The whole number with its check digit sums to a multiple of ten. */
static bool luhn(struct str s)
{
	static const unsigned DOUBLED[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
	unsigned sum = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)(s.p[s.n - 1 - i] - '0');

		sum += i % 2 == 1 ? DOUBLED[d] : d;
	}
	return sum % 10 == 0;
}

static bool mod97_is_1(struct str s)
{
	uint64_t r = 0;

	for (size_t at = 0; at < s.n; at += 9) {
		uint64_t chunk = r;

		for (size_t i = at; i < s.n && i < at + 9; i++)
			chunk = chunk * 10 + (uint64_t)(s.p[i] - '0');
		r = chunk % 97;
	}
	return r == 1;
}

static bool starts_89(struct str s)
{
	return s.n >= 2 && s.p[0] == '8' && s.p[1] == '9';
}

/* What simid_parse should say. */
static bool wanted(enum simid_kind kind, struct str s, bool any)
{
	if (!all_digits(s))
		return false;
	switch (kind) {
	case SIMID_ICCID:
		return (s.n == 19 || s.n == 20) && starts_89(s) &&
		       (any || luhn(s));
	case SIMID_IMSI:
		return s.n >= 6 && s.n <= 15;
	case SIMID_IMEI:
		return s.n == 15 && luhn(s);
	case SIMID_EID:
		return s.n == 32 && starts_89(s) && mod97_is_1(s);
	case SIMID_NONE:
	case SIMID_KINDS:
	default:
		return false;
	}
}

static void check_mask(const struct simid *id)
{
	char out[SIMID_MAX + 1];
	size_t n = simid_mask(id, out), hidden = 0;

	CHECK(n == id->n && strlen(out) == n);
	for (size_t i = 0; i < n; i++) {
		hidden += out[i] == '*';
		CHECK(out[i] == '*' || out[i] == id->digits[i]);
	}
	CHECK(hidden >= 4);
}

static void check_urn(const struct simid *id, uint32_t pen)
{
	char urn[SIMURN_MAX], digits[SIMID_MAX + 2];
	enum simid_kind kind = SIMID_NONE;
	size_t n = simurn_format(id, pen, urn);

	CHECK(strlen(urn) == n);
	CHECK((n == 0) == (pen == 0 && id->kind != SIMID_IMEI));
	if (n == 0)
		return;
	CHECK(simurn_parse((struct str){urn, n}, &kind, digits) ==
		SIMURN_IDENTIFIER);
	CHECK(kind == (enum simid_kind)id->kind);
	CHECK(simid_same(id, str_from(digits)));
}

static void check_parsed(enum simid_kind kind, const struct simid *id,
	struct str text, unsigned options)
{
	struct str canonical = {id->digits, id->n};
	struct simid again;

	CHECK(id->kind == kind && strlen(id->digits) == id->n);
	CHECK(str_eq(canonical, text));
	CHECK(simid_parse(kind, canonical, options, &again, NULL));
	CHECK(again.kind == id->kind && again.n == id->n &&
		strcmp(again.digits, id->digits) == 0);
	CHECK(simid_same(id, canonical));
	check_mask(id);
	check_urn(id, 32473);
	check_urn(id, 0);
}

/* Some bytes as a URN: what is read must be digits of a plausible number. */
static void check_any_urn(struct str text)
{
	char digits[SIMID_MAX + 2];
	enum simid_kind kind = SIMID_NONE;
	struct str d;

	if (simurn_parse(text, &kind, digits) != SIMURN_IDENTIFIER) {
		CHECK(kind == SIMID_NONE);
		return;
	}
	d = str_from(digits);
	CHECK(d.n <= SIMID_MAX + 1);
	if (kind == SIMID_ICCID && d.n > 0 &&
		(d.p[d.n - 1] == 'F' || d.p[d.n - 1] == 'f'))
		d.n--;
	CHECK(all_digits(d));
	CHECK((kind == SIMID_ICCID && d.n >= 18 && d.n <= 20) ||
		(kind == SIMID_IMSI && d.n >= 6 && d.n <= 15) ||
		(kind == SIMID_IMEI && d.n == 14) ||
		(kind == SIMID_EID && d.n == 32));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct simid id, untouched;
	struct str text = {(const char *)data + 1, size - 1};
	unsigned options = 0;
	enum simid_kind kind;
	struct err e = {0};

	if (size == 0)
		return 0;
	check_any_urn((struct str){(const char *)data, size});
	kind = (enum simid_kind)(data[0] % (SIMID_KINDS + 1));
	if (data[0] >= 0x80)
		options = SIMID_ANY_CHECK_DIGIT;
	memset(&id, 0x5A, sizeof(id));
	untouched = id;
	if (simid_parse(kind, text, options, &id, &e)) {
		CHECK(wanted(kind, text, options != 0));
		check_parsed(kind, &id, text, options);
	} else {
		CHECK(!wanted(kind, text, options != 0));
		CHECK(check_report(&e) && e.code == ERR_INPUT);
		CHECK(memcmp(&id, &untouched, sizeof(id)) == 0);
	}
	return 0;
}
