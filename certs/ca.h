/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate authority of a fleet: a folder with
 *   ca.crt   its certificate, 0644: what the broker and the devices trust;
 *            behind it, where it is no root, those that are above it
 *   ca.key   its key, 0600, unencrypted PKCS #8: whoever has it can issue
 *   ca.json  {"version": 1, "name": …, "pen": …}: what ca_create was told;
 *            with "key", a PKCS #11 URI or null, where there is no ca.key:
 *            the key is in a token, or elsewhere altogether
 *
 * One that ca_create made: self-signed; subject O=<name>, CN=<name> CA; serial
 * of 128 random bits; basicConstraints CA:TRUE, pathlen 0 (critical); keyUsage
 * keyCertSign, cRLSign (critical); subjectKeyIdentifier.
 *
 * Threads may share a loaded CA to issue with, wherever its key is: a key in a
 * token signs for one at a time, which is no loss, for a token does no more.
 *
 * Source: RFC 5280 §4.1.2, §4.2.1; RFC 7512.
 */
#ifndef CERTS_CA_H
#define CERTS_CA_H

#include "certs/key.h"
#include "core/err.h"
#include "io/pkcs11.h"

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
	enum key_type key_type;
	/* The URI of a key that is in a token, which then signs; NULL: a new
	 * key of key_type in ca.key. */
	const char *key_uri;
	const struct pkcs11_pin *pin; /* for key_uri; NULL: no one to ask */
};

/*
 * Makes a CA in DIR, and DIR where it is missing. ERR_CONFLICT: one of the
 * three files is there already; nothing is touched. ERR_INPUT: name, days, or
 * a key in a token that is not acceptable (key.h).
 * ERR_ENVIRONMENT: folder, disk or token; what was written is removed again.
 */
MUST bool ca_create(const char *dir, const struct ca_options *o, struct err *e);

struct ca_import {
	const char
		*cert; /* file: the CA's certificate, those above it behind */
	/* A file ("-": standard input) with its unencrypted key in PEM, which
	 * is copied; the URI of a key in a token; NULL: its certificates are
	 * issued elsewhere. */
	const char *key;
	const char *name; /* NULL: its subject's O, else its CN */
	uint32_t pen;
	int64_t now_s;
	const struct pkcs11_pin *pin;
};

/*
 * Makes DIR the folder of a CA from elsewhere. As ca_create; ERR_INPUT also: it
 * is no CA's certificate, or not valid now (chain.h), its chain is out of
 * order, the key is not its key, or it has no name and is given none.
 */
MUST bool ca_import(const char *dir, const struct ca_import *i, struct err *e);

/*
 * The CA of DIR without its key; *out is given: ca_free. ERR_ENVIRONMENT: a
 * file is missing or unreadable. ERR_INPUT: a file is malformed, or the
 * certificate is no CA's. Dates are not looked at: see issue.h.
 */
MUST bool ca_look(const char *dir, struct ca **out, struct err *e);

/*
 * ca_look, and reads ca.key where there is one. ERR_ENVIRONMENT also: ca.key
 * can be read by others than its owner. ERR_INPUT: it is not its key. A token
 * is not asked before ca_open_key.
 */
MUST bool ca_load(const char *dir, struct ca **out, struct err *e);

/*
 * Opens the key of a CA that ca_load gave, so that it can issue: does nothing
 * where ca.key was read. ERR_CONFLICT: the CA has no key here. ERR_INPUT,
 * ERR_ENVIRONMENT: the token's, see pkcs11_open; its key is not the CA's.
 */
MUST bool ca_open_key(
	struct ca *ca, const struct pkcs11_pin *pin, struct err *e);

/* Frees and wipes. *ca may be NULL; becomes NULL. */
void ca_free(struct ca **ca);

/* Signs X, which is not yet shared, with the CA's key. ERR_CONFLICT: no key is
 * open. ERR_ENVIRONMENT: OpenSSL or the token could not. */
MUST bool ca_sign(const struct ca *ca, X509 *x, struct err *e);

/* For many signatures by a key that was read from ca.key: what EVP_PKEY_sign
 * takes, set up once, one thread's; given: EVP_PKEY_CTX_free. NULL: there is no
 * such key, or OpenSSL could not. */
EVP_PKEY_CTX *ca_signer(const struct ca *ca);

enum ca_key_place {
	CA_KEY_NONE = 0, /* elsewhere */
	CA_KEY_FILE,
	CA_KEY_TOKEN,
};

/* All lent until ca_free. */
X509 *ca_cert(const struct ca *ca);
STACK_OF(X509) *ca_chain(const struct ca *ca); /* ca.crt, all of it */
EVP_PKEY *ca_public(const struct ca *ca);      /* its public key */
const char *ca_name(const struct ca *ca);      /* the organisation: subject O */
uint32_t ca_pen(const struct ca *ca);          /* 0: none */
enum ca_key_place ca_key_place(const struct ca *ca);
const char *ca_key_uri(const struct ca *ca); /* NULL: not in a token */

#endif
