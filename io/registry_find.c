/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is it? Look-ups by whatever is printed on a label, in a network's
 * report or in a certificate.
 */
#include "io/registry_private.h"
#include "io/x509.h"

#include <string.h>

#define VALUE_MAX 200u /* bytes; a serial number is up to 20 bytes in hex */

/* By kind: the candidates, and how many first digits they share with what is
 * looked for. Check digits come after those. */
static const struct {
	enum stmt find;
	size_t shared;
} kinds[SIMID_KINDS] = {
	[SIMID_ICCID] = {STMT_FIND_ICCID, 18},
	[SIMID_IMSI] = {STMT_FIND_IMSI, 15},
	[SIMID_IMEI] = {STMT_FIND_IMEI, 14},
	[SIMID_EID] = {STMT_FIND_EID, 32},
};

struct search {
	struct registry *r;
	bool (*each)(void *ctx, const struct found *f);
	void *ctx;
	bool ended; /* EACH has seen enough */
	size_t n;
	struct str value;         /* as given */
	char text[VALUE_MAX + 1]; /* without blanks and hyphens */
	char hex[VALUE_MAX + 1];  /* that in capitals, without colons */
};

/* Shows device ID, if it is there and VERIFY, of that KIND, is its. */
static bool show(struct search *s, const char *as, struct str id,
	const struct credential *cr, enum simid_kind kind, struct err *e)
{
	struct device d = {0};
	struct found f = {as, &d, cr};
	bool found = false;

	if (!registry_device(s->r, id, &d, &found, e))
		return false;
	if (!found)
		return true;
	if (kind == SIMID_NONE || simid_same(&d.sim[kind], str_from(s->text))) {
		s->n++;
		s->ended = !s->each(s->ctx, &f);
	}
	device_fini(&d);
	return true;
}

/* ------------------------------------------------------------------ by number */

#define CANDIDATES_MAX 128u /* a hundred ICCIDs share 18 of 20 digits */

/* The ids are noted first: a statement left open would hold up nobody, but
 * the rows are read through others. */
static bool candidates(struct search *s, enum stmt find, struct str prefix,
	char ids[static CANDIDATES_MAX][DEVICE_ID_MAX + 1], size_t *n,
	struct err *e)
{
	sqlite3_stmt *st;
	bool row, ok = true;

	*n = 0;
	if (!reg_find(s->r, find, VALS(V_TEXT(prefix)), &st, e))
		return false;
	for (row = st != NULL; ok && row && *n < CANDIDATES_MAX;) {
		if (!col_copy(st, 0, ids[*n], sizeof(ids[*n])))
			ok = reg_damaged(s->r, e, "a device", "id");
		else {
			++*n;
			ok = reg_step(s->r, st, &row, e);
		}
	}
	reg_done(st);
	return ok;
}

static bool by_sim(struct search *s, enum simid_kind kind, struct err *e)
{
	char ids[CANDIDATES_MAX][DEVICE_ID_MAX + 1];
	struct str prefix = str_from(s->text);
	size_t n;

	if (prefix.n < 6 || strspn(s->text, "0123456789Ff") != prefix.n)
		return true;
	if (prefix.n > kinds[kind].shared)
		prefix.n = kinds[kind].shared;
	if (!candidates(s, kinds[kind].find, prefix, ids, &n, e))
		return false;
	for (size_t i = 0; i < n && !s->ended; i++) {
		if (!show(s, simid_name(kind), str_from(ids[i]), NULL, kind, e))
			return false;
	}
	return true;
}

/* -------------------------------------------------------------- by certificate */

static bool by_fingerprint(struct search *s,
	const uint8_t fp[static FINGERPRINT_LEN], const char *as, struct err *e)
{
	struct credential cr;
	bool found = false;

	if (!registry_credential(s->r, fp, &cr, &found, e))
		return false;
	return !found ||
	       show(s, as, str_from(cr.device_id), &cr, SIMID_NONE, e);
}

#define SERIALS_MAX 32u /* of different issuers */

static bool by_serial(struct search *s, struct err *e)
{
	uint8_t fp[SERIALS_MAX][FINGERPRINT_LEN];
	sqlite3_stmt *st;
	size_t n = 0;
	bool row, ok = true;

	if (!reg_find(s->r, STMT_FIND_SERIAL, VALS(V_TEXT(str_from(s->hex))),
		    &st, e))
		return false;
	for (row = st != NULL; ok && row && n < SERIALS_MAX; n++)
		ok = (col_blob(st, 0, fp[n]) ||
			     reg_damaged(
				     s->r, e, "a credential", "fingerprint")) &&
		     reg_step(s->r, st, &row, e);
	reg_done(st);
	for (size_t i = 0; ok && i < n && !s->ended; i++)
		ok = by_fingerprint(s, fp[i], "serial", e);
	return ok;
}

static bool by_certificate(struct search *s, struct err *e)
{
	uint8_t fp[FINGERPRINT_LEN];

	if (s->hex[0] == '\0' ||
		strspn(s->hex, "0123456789ABCDEF") != strlen(s->hex))
		return true;
	if (fingerprint_parse(s->value, fp, NULL) &&
		!by_fingerprint(s, fp, "fingerprint", e))
		return false;
	return s->ended || by_serial(s, e);
}

/* ------------------------------------------------------------------------ find */

/* Of a hex digit; the rest is no hex anyway. */
static char capital(char c)
{
	static const char small[] = "abcdef", large[] = "ABCDEF";
	const char *at = strchr(small, c);

	if (at == NULL)
		return c;
	return large[at - small];
}

/* As people write numbers: in groups, with a hyphen or colon between. */
static void normalise(struct search *s)
{
	size_t n = 0, m = 0;

	for (size_t i = 0; i < s->value.n; i++) {
		char c = s->value.p[i];

		if (c == ' ' || c == '-' || c == '\t')
			continue;
		s->text[n++] = c;
		if (c != ':')
			s->hex[m++] = capital(c);
	}
}

bool registry_find(struct registry *r, struct str value,
	bool (*each)(void *ctx, const struct found *f), void *ctx,
	struct err *e)
{
	struct search s = {.r = r, .each = each, .ctx = ctx, .value = value};

	if (value.n == 0 || value.n > VALUE_MAX)
		return err_set(e, ERR_INPUT,
			"what to find is 1 to %u bytes of text", VALUE_MAX);
	normalise(&s);
	if (device_id_valid(value) &&
		!show(&s, "id", value, NULL, SIMID_NONE, e))
		return false;
	for (unsigned k = SIMID_NONE + 1; k < SIMID_KINDS && !s.ended; k++) {
		if (!by_sim(&s, (enum simid_kind)k, e))
			return false;
	}
	return s.ended || by_certificate(&s, e);
}
