/* SPDX-License-Identifier: Apache-2.0 */
#include "core/simurn.h"

#include <string.h>

#define TAC 8u
#define SNR 6u

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Drops PREFIX, lower case, from the start of *S in either case. */
static bool skip(struct str *s, struct str prefix)
{
	if (s->n < prefix.n)
		return false;
	for (size_t i = 0; i < prefix.n; i++) {
		if (lower(s->p[i]) != prefix.p[i])
			return false;
	}
	s->p += prefix.n;
	s->n -= prefix.n;
	return true;
}

/* Drops all leading digits, and returns them. */
static struct str digits_take(struct str *s)
{
	struct str d = {s->p, 0};

	while (d.n < s->n && s->p[d.n] >= '0' && s->p[d.n] <= '9')
		d.n++;
	s->p += d.n;
	s->n -= d.n;
	return d;
}

/* RFC 7254 §4: imeival = tac "-" snr "-" spare, sw-version-param "svn=". */
static enum simurn imei_parse(struct str s, char out[static SIMID_MAX + 2])
{
	struct str tac = digits_take(&s);
	bool dashes = skip(&s, STR("-"));
	struct str snr = digits_take(&s);
	struct str spare;

	dashes = skip(&s, STR("-")) && dashes;
	spare = digits_take(&s);
	if (!dashes || tac.n != TAC || snr.n != SNR || spare.n != 1)
		return SIMURN_MALFORMED;
	if (skip(&s, STR(";svn=")) && digits_take(&s).n != 2)
		return SIMURN_MALFORMED;
	if (s.n != 0)
		return SIMURN_MALFORMED;
	memcpy(out, tac.p, TAC);
	memcpy(out + TAC, snr.p, SNR);
	out[TAC + SNR] = '\0';
	return SIMURN_IDENTIFIER;
}

/* The kinds that RFC 9039 names carry, and the length of what may stand there
 * as a certificate or a printed card has it. */
static const struct {
	enum simid_kind kind;
	struct str label;
	size_t min, max; /* digits */
} LABELS[] = {
	{SIMID_ICCID, {"iccid", 5}, 18, 20},
	{SIMID_IMSI, {"imsi", 4}, 6, 15},
	{SIMID_EID, {"eid", 3}, 32, 32},
};

#define N_LABELS (sizeof(LABELS) / sizeof(LABELS[0]))

/* The number after the label: digits, and of an ICCID perhaps one filler. */
static enum simurn number_parse(
	size_t label, struct str s, char out[static SIMID_MAX + 2])
{
	struct str all, d;

	if (!skip(&s, STR(":")))
		return SIMURN_MALFORMED;
	all = s;
	d = digits_take(&s);
	if (LABELS[label].kind == SIMID_ICCID)
		(void)skip(&s, STR("f"));
	if (s.n != 0 || d.n < LABELS[label].min || d.n > LABELS[label].max)
		return SIMURN_MALFORMED;
	memcpy(out, all.p, all.n);
	out[all.n] = '\0';
	return SIMURN_IDENTIFIER;
}

/* orgbody = posnumber "-" identifier; S starts at posnumber. */
static enum simurn org_parse(
	struct str s, enum simid_kind *kind, char out[static SIMID_MAX + 2])
{
	const char *dash = s.n != 0 ? memchr(s.p, '-', s.n) : NULL;
	struct str pen = digits_take(&s);
	bool pen_ok = pen.n != 0 && pen.p[0] != '0' && pen.p + pen.n == dash;

	if (dash == NULL)
		return SIMURN_OTHER;
	s.n -= (size_t)(dash + 1 - s.p);
	s.p = dash + 1;
	for (size_t i = 0; i < N_LABELS; i++) {
		struct str rest = s;
		enum simurn result;

		if (!skip(&rest, LABELS[i].label))
			continue;
		if (rest.n != 0 && rest.p[0] != ':')
			continue; /* a longer label that starts alike */
		result = pen_ok ? number_parse(i, rest, out) : SIMURN_MALFORMED;
		if (result == SIMURN_IDENTIFIER)
			*kind = LABELS[i].kind;
		return result;
	}
	return SIMURN_OTHER;
}

enum simurn simurn_parse(struct str uri, enum simid_kind *kind,
	char digits[static SIMID_MAX + 2])
{
	enum simurn result;

	if (skip(&uri, STR("urn:dev:org:")))
		return org_parse(uri, kind, digits);
	if (!skip(&uri, STR("urn:gsma:imei")))
		return SIMURN_OTHER;
	if (!skip(&uri, STR(":")))
		return SIMURN_MALFORMED;
	result = imei_parse(uri, digits);
	if (result == SIMURN_IDENTIFIER)
		*kind = SIMID_IMEI;
	return result;
}

/* Appends S at out[n]; the caller knows that it fits. */
static size_t put(char *out, size_t n, struct str s)
{
	memcpy(out + n, s.p, s.n);
	return n + s.n;
}

static size_t put_number(char *out, size_t n, uint32_t v)
{
	char text[10];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	return put(out, n, (struct str){text + at, sizeof(text) - at});
}

static size_t put_imei(char *out, const struct simid *id)
{
	size_t n = put(out, 0, STR("urn:gsma:imei:"));

	n = put(out, n, (struct str){id->digits, TAC});
	n = put(out, n, STR("-"));
	n = put(out, n, (struct str){id->digits + TAC, SNR});
	return put(out, n, STR("-0"));
}

size_t simurn_format(
	const struct simid *id, uint32_t pen, char out[static SIMURN_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	if (id->kind == SIMID_NONE || id->kind >= SIMID_KINDS ||
		id->n > SIMID_MAX)
		return 0;
	if (id->kind == SIMID_IMEI) {
		n = put_imei(out, id);
	} else if (pen != 0) {
		n = put(out, 0, STR("urn:dev:org:"));
		n = put_number(out, n, pen);
		n = put(out, n, STR("-"));
		n = put(out, n, str_from(simid_name(id->kind)));
		n = put(out, n, STR(":"));
		n = put(out, n, (struct str){id->digits, id->n});
	}
	out[n] = '\0';
	return n;
}
