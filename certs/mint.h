/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and certificates of devices struck from one die: what all certificates
 * of a run have in common is taken from one that issue.h made, so that little
 * more is left to do for each than its key and its signature.
 *
 * The profile stays issue.h's. A die is only kept when it gives that one
 * certificate again, byte for byte. What is struck is held against the CA's
 * key, its own key and io/x509.h as the broker reads it: the first of each
 * mint, and one in MINT_CHECKED.
 */
#ifndef CERTS_MINT_H
#define CERTS_MINT_H

#include "certs/issue.h"
#include "certs/p256.h"
#include "core/certificate.h"

#define MINT_CERT_MAX 2048 /* bytes of DER */
#define MINT_CHECKED  4096

struct mint; /* one thread's */

/*
 * For devices of CA (kept) with new keys on P-256, as O (borrowed) says. *out
 * is given, mint_free; NULL where issue.h has to do each by itself: the CA's
 * key is in a token or not on P-256, a certificate carries SIM identifiers, or
 * is not as expected. False: ERR_INPUT, as issue_device; ERR_ENVIRONMENT.
 */
MUST bool mint_new(const struct ca *ca, const struct issue_options *o,
	struct mint **out, struct err *e);
void mint_free(struct mint **m); /* wipes; NULL inside is fine */

struct minted {
	struct p256 key;                   /* whoever has it wipes it */
	unsigned char cert[MINT_CERT_MAX]; /* DER */
	size_t cert_n;
	struct credential credential;
};

/* A key and a certificate for the device ID, which is a device id.
 * ERR_ENVIRONMENT: OpenSSL, or what was struck did not hold. */
MUST bool mint_strike(
	struct mint *m, const char *id, struct minted *out, struct err *e);

#endif
