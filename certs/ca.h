/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate authority of a fleet: a folder with
 *   ca.crt   its certificate, 0644: what the broker and the devices trust
 *   ca.key   its key, 0600, unencrypted PKCS #8: whoever has it can issue
 *   ca.json  {"version": 1, "name": …, "pen": …}: what ca_create was told
 *
 * EC P-256, self-signed with SHA-256; subject O=<name>, CN=<name> CA; serial
 * of 128 random bits; basicConstraints CA:TRUE, pathlen 0 (critical); keyUsage
 * keyCertSign, cRLSign (critical); subjectKeyIdentifier.
 *
 * Source: RFC 5280 §4.1.2, §4.2.1.
 */
#ifndef CERTS_CA_H
#define CERTS_CA_H

#include "core/err.h"

#include <stdint.h>

#include <openssl/x509.h>

#define CA_NAME_MAX     60 /* bytes: with " CA" within X.520's 64 */
#define CA_DAYS_DEFAULT 3650
#define CERT_DAYS_MAX   36500 /* of any certificate made here */

struct ca; /* a loaded CA: opaque */

struct ca_options {
	const char *name; /* 1..CA_NAME_MAX bytes of utf8_valid text */
	uint32_t pen;     /* IANA private enterprise number; 0: none */
	int days;         /* 1..CERT_DAYS_MAX */
	int64_t now_s;    /* Unix time; validity starts 5 minutes before it */
};

/*
 * Makes a CA in DIR, and DIR where it is missing. ERR_CONFLICT: one of the
 * three files is there already; nothing is touched. ERR_INPUT: name or days.
 * ERR_ENVIRONMENT: folder or disk; what was written is removed again.
 */
MUST bool ca_create(const char *dir, const struct ca_options *o, struct err *e);

/*
 * Loads the CA of DIR; *out is given: ca_free. ERR_ENVIRONMENT: a file is
 * missing or unreadable, or ca.key can be read by others than its owner.
 * ERR_INPUT: a file is malformed, the certificate is no CA's, or the key is
 * not its key. Dates are not looked at: see issue.h.
 */
MUST bool ca_load(const char *dir, struct ca **out, struct err *e);

/* Frees and wipes. *ca may be NULL; becomes NULL. */
void ca_free(struct ca **ca);

/* All lent until ca_free. */
X509 *ca_cert(const struct ca *ca);
EVP_PKEY *ca_key(const struct ca *ca);
const char *ca_name(const struct ca *ca); /* the organisation: subject O */
uint32_t ca_pen(const struct ca *ca);     /* 0: none */

#endif
