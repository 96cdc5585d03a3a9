/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys: made here, or taken from a certificate signing request.
 */
#ifndef CERTS_KEY_H
#define CERTS_KEY_H

#include "core/err.h"
#include "core/str.h"

#include <openssl/evp.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 /* beyond it a handshake takes the broker too long */

/* What keys are made here: constant, name on the command line. Zero is what
 * every TLS stack of a modem and every broker's default groups know; the others
 * are for modules that need them. */
#define KEY_TYPE_LIST(X)                                                       \
	X(KEY_P256, "p256")                                                    \
	X(KEY_P384, "p384")                                                    \
	X(KEY_RSA2048, "rsa2048")                                              \
	X(KEY_RSA3072, "rsa3072")
enum key_type {
#define X(id, name) id,
	KEY_TYPE_LIST(X)
#undef X
		KEY_TYPES
};

/* "p256"; lent for ever. */
const char *key_type_name(enum key_type type);
/* ERR_INPUT lists the names. */
MUST bool key_type_parse(struct str text, enum key_type *out, struct err *e);

/* A new key; *out is given: EVP_PKEY_free, which wipes it. */
MUST bool key_generate(enum key_type type, EVP_PKEY **out, struct err *e);

/* For many keys: what makes them, set up once; given: EVP_PKEY_CTX_free. One
 * thread's. NULL on failure, and *e is filled. */
EVP_PKEY_CTX *key_maker(enum key_type type, struct err *e);
MUST bool key_make(EVP_PKEY_CTX *maker, EVP_PKEY **out, struct err *e);

/* What KEY (borrowed) signs with: SHA-384 on P-384, else SHA-256. Source:
 * RFC 5480 §4 (the digest is to be as strong as the curve). */
const EVP_MD *key_digest(const EVP_PKEY *key);

/*
 * True when a certificate may be made for KEY (borrowed): EC on P-256 or
 * P-384, or RSA of RSA_BITS_MIN to RSA_BITS_MAX bits; and the public key is
 * valid (a point on its curve, a modulus of no small factor). False:
 * ERR_INPUT names the type it is and the types that are accepted.
 */
MUST bool key_acceptable(EVP_PKEY *key, struct err *e);

/*
 * The key of the PKCS #10 request TEXT (borrowed), PEM or DER, whose signature
 * proves that the sender holds it, and which is acceptable; *out is given:
 * EVP_PKEY_free. Subject, attributes and requested extensions are not looked
 * at: what a certificate says comes from the registry alone. An EC key will be
 * written with its point uncompressed.
 *
 * False: ERR_INPUT. Source: RFC 2986 §3, §4.2.
 */
MUST bool csr_key(struct str text, EVP_PKEY **out, struct err *e);

/* csr_key of the file PATH ("-": standard input). ERR_ENVIRONMENT: it cannot
 * be read. */
MUST bool csr_load(const char *path, EVP_PKEY **out, struct err *e);

#endif
