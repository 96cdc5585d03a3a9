/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several certificates in a row, each issued by the next: a CA's with those
 * above it, a device's with those between it and its CA.
 */
#ifndef CERTS_CHAIN_H
#define CERTS_CHAIN_H

#include "core/err.h"

#include <stdint.h>

#include <openssl/x509.h>

#define CHAIN_MAX 8 /* certificates */

/* All certificates of the file PATH, in its order: PEM, or one in DER. *out is
 * given: chain_free. ERR_ENVIRONMENT: it cannot be read; ERR_INPUT: it holds
 * none, a broken one, or more than CHAIN_MAX. */
MUST bool chain_load(const char *path, STACK_OF(X509) **out, struct err *e);

/* NULL inside is fine. */
void chain_free(STACK_OF(X509) **chain);

/*
 * X may sign certificates for TLS clients, at NOW_S: basicConstraints CA:TRUE,
 * a keyUsage (where there is one) with keyCertSign, an extendedKeyUsage (where
 * there is one) that lets clients be, an acceptable key (key.h), and its time.
 * ERR_INPUT says which of these is not so. Source: RFC 5280 §4.2.1.
 */
MUST bool chain_check_ca(X509 *x, int64_t now_s, struct err *e);

/* Each of CHAIN is a CA's that the next one has issued. ERR_INPUT otherwise. */
MUST bool chain_check_order(
	STACK_OF(X509) *chain, int64_t now_s, struct err *e);

/* True when X has issued itself: nothing is missing above it. */
bool chain_is_root(X509 *x);

/*
 * DEVICE's first certificate is for TLS clients and leads, by way of its
 * others, to one of CA's: what a broker with CA as its cafile checks, dates
 * aside. False: ERR_INPUT with OpenSSL's reason.
 */
MUST bool chain_verify(
	STACK_OF(X509) *device, STACK_OF(X509) *ca, struct err *e);

#endif
