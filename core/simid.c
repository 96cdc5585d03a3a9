/* SPDX-License-Identifier: Apache-2.0 */
#include "core/simid.h"

#include <string.h>

#define IMEI_COMPARED 14u /* TAC and serial number: what names the modem */

static const char *const NAMES[SIMID_KINDS] = {
	[SIMID_NONE] = "none",
	[SIMID_ICCID] = "iccid",
	[SIMID_IMSI] = "imsi",
	[SIMID_IMEI] = "imei",
	[SIMID_EID] = "eid",
};

struct format {
	const char *title;
	uint8_t min, max; /* digits */
	bool luhn, mod97;
	const char *prefix;
};

static const struct format FORMATS[SIMID_KINDS] = {
	[SIMID_ICCID] = {"ICCID", 19, 20, true, false, "89"},
	[SIMID_IMSI] = {"IMSI", 6, 15, false, false, ""},
	[SIMID_IMEI] = {"IMEI", 15, 15, true, false, ""},
	[SIMID_EID] = {"EID", 32, 32, false, true, "89"},
};

const char *simid_name(enum simid_kind kind)
{
	return (unsigned)kind < SIMID_KINDS ? NAMES[kind] : NAMES[SIMID_NONE];
}

enum simid_kind simid_kind_find(struct str name)
{
	for (unsigned k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		if (str_eq(name, str_from(NAMES[k])))
			return (enum simid_kind)k;
	}
	return SIMID_NONE;
}

/* isdigit() asks the locale. */
static bool digits_only(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return true;
}

/* The Luhn digit that belongs after the digits S: every second digit counts
 * double, the last of S first. */
static char luhn_digit(struct str s)
{
	unsigned sum = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)(s.p[i] - '0');

		if ((s.n - i) % 2 == 1)
			d = d > 4 ? 2 * d - 9 : 2 * d;
		sum += d;
	}
	return (char)('0' + (10 - sum % 10) % 10);
}

static unsigned mod97(struct str s)
{
	unsigned r = 0;

	for (size_t i = 0; i < s.n; i++)
		r = (r * 10 + (unsigned)(s.p[i] - '0')) % 97;
	return r;
}

static struct str first(struct str s, size_t n)
{
	return (struct str){s.p, n};
}

static bool form_check(const struct format *f, struct str t, struct err *e)
{
	size_t prefix = strlen(f->prefix);

	if (!digits_only(t))
		return err_set(e, ERR_INPUT,
			"an %s holds digits 0-9 only, no blank, sign or filler",
			f->title);
	if (t.n < f->min || t.n > f->max) {
		if (f->min == f->max)
			return err_set(e, ERR_INPUT,
				"an %s has %u digits, this has %zu", f->title,
				f->min, t.n);
		return err_set(e, ERR_INPUT,
			"an %s has %u to %u digits, this has %zu", f->title,
			f->min, f->max, t.n);
	}
	if (memcmp(t.p, f->prefix, prefix) != 0)
		return err_set(e, ERR_INPUT, "an %s starts with %s", f->title,
			f->prefix);
	return true;
}

static bool luhn_check(const struct format *f, struct str t, struct err *e)
{
	char right = luhn_digit(first(t, t.n - 1));

	if (t.p[t.n - 1] == right)
		return true;
	/* A card printed without its check digit looks like this. */
	if (t.n < f->max)
		return err_set(e, ERR_INPUT,
			"the last digit of this %s should be %c; if its check "
			"digit was left out, append %c",
			f->title, right, luhn_digit(t));
	return err_set(e, ERR_INPUT, "the last digit of this %s should be %c",
		f->title, right);
}

static bool mod97_check(const struct format *f, struct str t, struct err *e)
{
	/* What precedes the two check digits, times 100, mod 97. */
	unsigned r = mod97(first(t, t.n - 2)) * 100 % 97;

	if (mod97(t) == 1)
		return true;
	return err_set(e, ERR_INPUT,
		"the last two digits of this %s should be %02u", f->title,
		98 - r);
}

bool simid_parse(enum simid_kind kind, struct str text, unsigned options,
	struct simid *out, struct err *e)
{
	const struct format *f;
	bool any = (options & SIMID_ANY_CHECK_DIGIT) != 0;

	if ((unsigned)kind <= SIMID_NONE || (unsigned)kind >= SIMID_KINDS)
		return err_set(e, ERR_INPUT, "not a kind of SIM identifier");
	f = &FORMATS[kind];
	if (!form_check(f, text, e))
		return false;
	if (f->luhn && !(any && kind == SIMID_ICCID) && !luhn_check(f, text, e))
		return false;
	if (f->mod97 && !mod97_check(f, text, e))
		return false;
	memset(out, 0, sizeof(*out));
	out->kind = (uint8_t)kind;
	out->n = (uint8_t)text.n;
	memcpy(out->digits, text.p, text.n);
	return true;
}

static bool iccid_same(struct str a, struct str b)
{
	if (a.n == b.n)
		return str_eq(a, b);
	if (a.n > b.n)
		return a.n == b.n + 1 && str_eq(first(a, b.n), b) &&
		       a.p[b.n] == luhn_digit(b);
	return iccid_same(b, a);
}

bool simid_same(const struct simid *registered, struct str seen)
{
	struct str r = {registered->digits, registered->n};

	if (registered->kind == SIMID_ICCID && seen.n > 0 &&
		(seen.p[seen.n - 1] == 'F' || seen.p[seen.n - 1] == 'f'))
		seen.n--;
	if (r.n == 0 || r.n > SIMID_MAX || seen.n == 0 || !digits_only(seen))
		return false;
	switch (registered->kind) {
	case SIMID_ICCID:
		return seen.n >= 18 && seen.n <= 20 && iccid_same(r, seen);
	case SIMID_IMEI:
		return r.n >= IMEI_COMPARED && seen.n >= IMEI_COMPARED &&
		       seen.n <= 16 && memcmp(r.p, seen.p, IMEI_COMPARED) == 0;
	case SIMID_IMSI:
	case SIMID_EID:
		return str_eq(r, seen);
	default:
		return false;
	}
}

size_t simid_mask(const struct simid *id, char out[static SIMID_MAX + 1])
{
	size_t n = id->n <= SIMID_MAX ? id->n : SIMID_MAX;
	/* A short IMSI shows less at its start: 4 digits are always hidden. */
	size_t tail = n < 6 ? 0 : 2;
	size_t head = n < 6 ? 0 : n - 6;

	if (head > 6)
		head = 6;
	memset(out, '*', n);
	memcpy(out, id->digits, head);
	memcpy(out + n - tail, id->digits + n - tail, tail);
	out[n] = '\0';
	return n;
}
