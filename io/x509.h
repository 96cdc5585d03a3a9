/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 certificates through OpenSSL: from a certificate to the identity it
 * states. Reading only; certs/ makes certificates.
 *
 * SIM identifiers are read from: subjectAltName URIs `urn:gsma:imei:…`
 * (RFC 7254) and `urn:dev:org:<PEN>-iccid|eid|imsi:<n>` (RFC 9039), and the
 * subject serialNumber when it is 32 digits that pass the EID check (GSMA
 * SGP.22). A subjectAltName that is present but malformed or duplicated, an
 * identifier URN that is malformed, a NUL byte in any of these, and one kind
 * stated with two values make the certificate unusable; so does an unreadable
 * validity, and a key in a form that gives it a second digest (an EC point
 * that is compressed or not on a named curve, RSA with odd parameters): a
 * barred key must stay barred.
 *
 * Source: RFC 5280 §4.2.1.6, RFC 7254 §4, RFC 9039 §4.3, GSMA SGP.22 §4.5.2,
 * RFC 4108 §5 (hardwareModuleName), IEEE 802.1AR.
 */
#ifndef IO_X509_H
#define IO_X509_H

#include "core/certificate.h"
#include "core/err.h"

#include <openssl/x509.h>

/*
 * Reads X (borrowed) into *out. Unusable is not a failure: see `usable`.
 * False: ERR_ENVIRONMENT, OpenSSL could not (memory). Costs two SHA-256 and
 * one pass over the subject and subjectAltName: called once a CONNECT. Leaves
 * OpenSSL's error queue as it was.
 */
MUST bool x509_read(X509 *x, struct certificate *out, struct err *e);

/* What people and the registry want to know beyond identity. */
struct x509_names {
	char subject[256], issuer[256]; /* RFC 2253, cut if longer */
	char cn[256];            /* the last CN; "" if none or not plain text */
	char serial_number[128]; /* subject serialNumber (802.1AR); as cn */
	char serial[65];         /* upper-case hex; cut if longer */
	char hw_type[64];        /* RFC 4108 hardwareModuleName: OID; "" */
	char hw_serial[128];     /* its serial: text, or hex if binary */
	char key[32];            /* "EC P-256", "RSA 2048", … */
	bool is_ca, client_auth; /* client_auth: EKU absent or lists it */
};
void x509_names(X509 *x, struct x509_names *out);

/* The one URI of X's subjectAltName that is no SIM identifier into OUT; "" when
 * there is none. ERR_INPUT: several, or one that is not plain text. */
MUST bool x509_san_uri(X509 *x, char *out, size_t cap, struct err *e);

/* X (borrowed) as the registry shall hold it for device ID, active. ERR_INPUT:
 * the broker would refuse it, and why. */
MUST bool x509_device_credential(
	X509 *x, const char *id, struct credential *out, struct err *e);

/* "EC P-256", "RSA 2048", "ED25519"; "unknown" for NULL. NUL terminated. */
void x509_key_name(const EVP_PKEY *key, char *out, size_t cap);

/* The certificate in PEM (the first) or DER that TEXT (at most 2^31 bytes)
 * holds; given: X509_free. NULL when it holds none. */
X509 *x509_decode(struct str text);

/* The certificate in PEM (the first) or DER that PATH holds ("-": standard
 * input); *out is given: X509_free. ERR_ENVIRONMENT: PATH cannot be read;
 * ERR_INPUT: it holds no certificate. */
MUST bool x509_load(const char *path, X509 **out, struct err *e);

/* For OpenSSL's PEM readers: there is no passphrase. Their default asks for one
 * on the terminal. */
int x509_no_passphrase(char *buf, int size, int writing, void *arg);

/* FP as lower-case hex, NUL terminated; the form of JSON and tables. */
#define FINGERPRINT_HEX (2 * FINGERPRINT_LEN + 1)
void fingerprint_format(const uint8_t fp[static FINGERPRINT_LEN],
	char out[static FINGERPRINT_HEX]);
/* 64 hex digits of either case, with or without ':' between bytes. */
MUST bool fingerprint_parse(
	struct str text, uint8_t out[static FINGERPRINT_LEN], struct err *e);

#endif
