/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIM identifiers: ICCID, IMSI and EID name a SIM, IMEI the modem it sits in.
 *
 * Strict when a value enters Weir (simid_parse), lenient when a stored value
 * is compared with what a certificate or a network says (simid_same), because
 * networks drop check digits, pad with F and append software versions.
 * Digits are ASCII digits only: no blank, sign, full-width digit or prefix.
 *
 * Source: ITU-T E.118 (ICCID), 3GPP TS 23.003 §2.2 (IMSI) and §6.2 (IMEI,
 * IMEISV), GSMA SGP.29 (EID), RFC 7254 §8 (an IMEI is a check, not a
 * credential, and personal data: mask it).
 */
#ifndef CORE_SIMID_H
#define CORE_SIMID_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stdint.h>

enum simid_kind {
	SIMID_NONE = 0,
	SIMID_ICCID,
	SIMID_IMSI,
	SIMID_IMEI,
	SIMID_EID,
	SIMID_KINDS /* how many, SIMID_NONE included: for arrays by kind */
};

#define SIMID_MAX 32 /* digits: an EID */

/* One identifier in canonical form. Zeroed: none. */
struct simid {
	uint8_t kind;               /* enum simid_kind */
	uint8_t n;                  /* digits */
	char digits[SIMID_MAX + 1]; /* NUL terminated */
};

/* "iccid", "imsi", "imei", "eid"; "none" for anything else. Static. */
const char *simid_name(enum simid_kind kind);

/* The kind whose name is NAME, or SIMID_NONE. */
enum simid_kind simid_kind_find(struct str name);

/* simid_parse's option: admit an ICCID whose Luhn digit is wrong. Some real
 * SIMs have one (China); the caller warns. */
#define SIMID_ANY_CHECK_DIGIT 1u

/*
 * TEXT (borrowed) as a KIND in canonical form, strictly:
 *   ICCID  "89", 19 or 20 digits with their Luhn digit
 *   IMSI   6 to 15 digits
 *   IMEI   15 digits with their Luhn digit
 *   EID    "89", 32 digits, the whole number mod 97 = 1
 * False: ERR_INPUT, whose message says which rule failed; for a wrong check
 * digit it gives the digit that would be right. O(digits).
 */
MUST bool simid_parse(enum simid_kind kind, struct str text, unsigned options,
	struct simid *out, struct err *e);

/*
 * True when SEEN (borrowed), as a certificate or a network wrote it, is the
 * REGISTERED identifier:
 *   ICCID  a trailing F is dropped; the check digit may be missing on either
 *          side (19 digits against the same 18): the longer number is then
 *          the shorter one and its Luhn digit
 *   IMSI   exactly equal
 *   IMEI   the first 14 digits are equal, of 14, 15 (any last digit) or 16
 *          (IMEISV) digits
 *   EID    exactly equal
 * A registered identifier of no kind, or a SEEN that is not such a number,
 * is never the same. O(digits).
 */
bool simid_same(const struct simid *registered, struct str seen);

/*
 * Writes ID for people: enough to tell two apart in a table, not enough to
 * use: the first 6 and last 2 digits, a '*' for each one between; of a number
 * shorter than 12 digits less of its start, so that 4 are always hidden.
 * Returns the length; out is NUL terminated.
 */
size_t simid_mask(const struct simid *id, char out[static SIMID_MAX + 1]);

#endif
