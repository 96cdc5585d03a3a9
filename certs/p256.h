/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys on P-256, the usual ones of devices, as bytes: for who makes many, what
 * OpenSSL's key objects and encoders cost beside the arithmetic counts.
 *
 * Source: SEC 1 §2.3.3, §3.2.1; RFC 5208 §5, RFC 5915 §3, RFC 5480 §2.
 */
#ifndef CERTS_P256_H
#define CERTS_P256_H

#include "core/err.h"

#include <openssl/evp.h>

#define P256_BYTES 32
#define P256_POINT (1 + 2 * P256_BYTES)

struct p256 {
	unsigned char secret[P256_BYTES]; /* big-endian */
	unsigned char point[P256_POINT];  /* uncompressed */
};

/* True when KEY (borrowed) is on this curve. */
bool p256_is(const EVP_PKEY *key);

/* The bytes of KEY (borrowed), which p256_is and is private. ERR_ENVIRONMENT:
 * OpenSSL. Whoever has *out wipes it. */
MUST bool p256_read(const EVP_PKEY *key, struct p256 *out, struct err *e);

/* What makes keys, set up once; one thread's. Given: p256_maker_free. NULL on
 * failure, and *e is filled. */
struct p256_maker *p256_maker_new(struct err *e);
void p256_maker_free(struct p256_maker **m); /* wipes; NULL inside is fine */

/* A new key. Costs the multiplication of the base point, and the division that
 * turns the product into coordinates. ERR_ENVIRONMENT: OpenSSL. */
MUST bool p256_make(struct p256_maker *m, struct p256 *out, struct err *e);

/* K as PKCS #8, as OpenSSL writes it too. */
#define P256_PKCS8 138 /* bytes */
void p256_pkcs8(const struct p256 *k, unsigned char out[static P256_PKCS8]);

/* POINT as SubjectPublicKeyInfo. */
#define P256_SPKI 91 /* bytes */
void p256_spki(const unsigned char point[static P256_POINT],
	unsigned char out[static P256_SPKI]);

#endif
