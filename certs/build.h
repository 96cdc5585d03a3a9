/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of making a certificate that a CA's, a device's and a server's
 * have in common. Private to certs/.
 */
#ifndef CERTS_BUILD_H
#define CERTS_BUILD_H

#include "core/err.h"
#include "core/str.h"

#include <stdint.h>

#include <openssl/x509v3.h>

#define BACKDATE_S INT64_C(300) /* for clocks that are behind */

/* "OpenSSL cannot WHAT: <its reason>"; empties its queue. Always false. */
bool build_err(struct err *e, const char *what);

/* A v3 certificate for KEY with a random positive serial of 128 bits; given.
 * NULL on failure, and *e is filled. */
X509 *build_new(EVP_PKEY *key, struct err *e);

/* The same with a tenth of the work, for an EC key: X509_set_pubkey encodes the
 * key and decodes it again. So X509_get0_pubkey gives NULL. */
X509 *build_lean(EVP_PKEY *key, struct err *e);

/* Appends FIELD=TEXT to X's subject. TYPE: MBSTRING_UTF8 or a V_ASN1_ type. */
MUST bool build_subject(
	X509 *x, const char *field, int type, const char *text, struct err *e);

/* notBefore BACKDATE_S before NOW_S, but not before NOT_EARLIER (may be NULL);
 * notAfter DAYS after NOW_S. ERR_INPUT: DAYS is out of range. */
MUST bool build_validity(X509 *x, int64_t now_s, int days,
	const ASN1_TIME *not_earlier, struct err *e);

/* Appends the extension NID with VALUE as x509v3_config(5) writes it. Never
 * used with text from outside: that syntax has includes and escapes. */
MUST bool build_extension(
	X509 *x, X509 *issuer, int nid, const char *value, struct err *e);

/* Appends NAMES (borrowed) as subjectAltName. */
MUST bool build_alt_names(X509 *x, GENERAL_NAMES *names, struct err *e);

/* Appends one name to NAMES: BYTES (borrowed) as GEN_URI, GEN_DNS (IA5String)
 * or GEN_IPADD (4 or 16 octets). */
MUST bool build_alt_name(
	GENERAL_NAMES *names, int type, struct str bytes, struct err *e);

/* T as YYYY-MM-DD. */
#define BUILD_DATE_MAX 16
void build_date(const ASN1_TIME *t, char out[static BUILD_DATE_MAX]);

#endif
