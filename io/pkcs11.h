/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys that never leave a PKCS #11 token (a smart card, an HSM,
 * SoftHSM), through OpenSSL's engine "pkcs11" (Debian: libengine-pkcs11-openssl).
 *
 * A key is named by a URI as RFC 7512 writes it, with `object` or `id` to say
 * which. Of the query, `pin-source` names a file that holds the PIN and
 * `module-path` the token's library (else p11-kit's modules are asked). A
 * `pin-value` is refused: who may list processes would read it.
 *
 * One token a process: the engine keeps the token's library loaded, its login
 * and its own copy of the PIN until the process ends.
 */
#ifndef IO_PKCS11_H
#define IO_PKCS11_H

#include "core/err.h"
#include "core/str.h"

#include <openssl/x509.h>

#define PKCS11_URI_MAX 512 /* bytes, with the NUL */
#define PKCS11_PIN_MAX 128 /* bytes, with the NUL */

/* "pkcs11:…", good or not. */
bool pkcs11_is_uri(const char *text);

/* ERR_INPUT: URI is none that this module takes, and why. */
MUST bool pkcs11_uri_check(const char *uri, struct err *e);

/* Where a PIN comes from when URI names no file. ASK fills OUT, NUL terminated;
 * "" : the token asks by itself, or asks nothing. It is wiped by the caller. */
struct pkcs11_pin {
	bool (*ask)(void *ctx, const char *uri, char out[static PKCS11_PIN_MAX],
		struct err *e);
	void *ctx;
};

struct pkcs11; /* an open key: opaque */

/*
 * Opens the key of URI; *out is given: pkcs11_close. Our copy of the PIN is
 * wiped. ERR_INPUT: the URI; ERR_ENVIRONMENT: no engine, no token, a
 * wrong PIN, no such key, a PIN file that others can read.
 */
MUST bool pkcs11_open(const char *uri, const struct pkcs11_pin *pin,
	struct pkcs11 **out, struct err *e);

/* NULL is fine. */
void pkcs11_close(struct pkcs11 **k);

/* Its public half, as a key of OpenSSL's own; lent until pkcs11_close. */
EVP_PKEY *pkcs11_public(const struct pkcs11 *k);

/* Signs X with MD. Threads may share K: the token signs for one at a time.
 * ERR_ENVIRONMENT: the token is gone or refuses. */
MUST bool pkcs11_sign(
	struct pkcs11 *k, X509 *x, const EVP_MD *md, struct err *e);

#endif
