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

/* A new EC P-256 key; *out is given: EVP_PKEY_free, which wipes it. P-256 is
 * what every TLS stack of a modem and every broker's default groups know. */
MUST bool key_generate(EVP_PKEY **out, struct err *e);

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
