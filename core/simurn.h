/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIM identifiers as URNs, the form in which a certificate's subjectAltName
 * carries them:
 *   urn:gsma:imei:<TAC 8>-<SNR 6>-<spare 1>[;svn=<2>]
 *   urn:dev:org:<PEN>-iccid:<n>   and -imsi:<n>, -eid:<n>
 *
 * Source: RFC 7254 §4 (IMEI), RFC 9039 §4.3 (organisation-defined names; PEN
 * is an IANA private enterprise number).
 */
#ifndef CORE_SIMURN_H
#define CORE_SIMURN_H

#include "core/simid.h"
#include "core/str.h"

#include <stdint.h>

/* Zero is the reading that grants nothing. */
enum simurn {
	SIMURN_MALFORMED = 0, /* meant as an identifier, and not one */
	SIMURN_IDENTIFIER,
	SIMURN_OTHER, /* some other URI: says nothing of a SIM */
};

/*
 * Reads URI (borrowed). On SIMURN_IDENTIFIER, and only then, sets *kind and
 * writes the number as simid_same() takes it, NUL terminated: the 14 digits
 * that name a modem, or what follows the colon. Prefix and label are read in
 * either case, so that spelling does not hide an identifier. Check digits are
 * not looked at: what counts is whether the number equals a registered one.
 * O(length).
 */
enum simurn simurn_parse(struct str uri, enum simid_kind *kind,
	char digits[static SIMID_MAX + 2]);

#define SIMURN_MAX 80 /* bytes, NUL included, of what simurn_format writes */

/*
 * Writes ID (borrowed, of a kind) as a URN of the enterprise PEN and returns
 * its length; out is NUL terminated. 0, and out is "": PEN is 0 and ID is not
 * an IMEI, or ID is no identifier. The IMEI's spare digit is 0.
 */
size_t simurn_format(
	const struct simid *id, uint32_t pen, char out[static SIMURN_MAX]);

#endif
