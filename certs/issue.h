/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate profile: what Weir's CA signs, in memory. Writing files is
 * pem_file.h's, registering the registry's.
 *
 * Both kinds: X.509 v3; SHA-256, or SHA-384 by a CA on P-384; serial of 128
 * random bits; subject O = the CA's name; basicConstraints CA:FALSE (critical);
 * keyUsage digitalSignature (critical; and keyEncipherment for a server's RSA
 * key); subjectKeyIdentifier, authorityKeyIdentifier; notBefore five minutes
 * before now, but not before the CA's; notAfter never after the CA's.
 *   device  CN = its id, extendedKeyUsage clientAuth; no SIM identifier unless
 *           asked for (a SIM swap then needs no new certificate, and a TLS 1.2
 *           handshake shows no IMSI to those who listen)
 *   server  CN = its first name, extendedKeyUsage serverAuth, subjectAltName
 *
 * Nothing here keeps state: threads may share a CA to issue in bulk.
 *
 * Source: RFC 5280 §4.1, §4.2; RFC 7254 (IMEI), RFC 9039 (other identifiers),
 * GSMA SGP.22 §4.5.2 (EID as serialNumber); RFC 6125 §6.4 (server names).
 */
#ifndef CERTS_ISSUE_H
#define CERTS_ISSUE_H

#include "certs/ca.h"
#include "core/device.h"
#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#define DEVICE_DAYS_DEFAULT 730
#define SERVER_DAYS_DEFAULT 365
#define SERVER_NAMES_MAX    32 /* hosts and addresses together */

struct issue_options {
	int64_t now_s; /* Unix time */
	int days;      /* 1..CERT_DAYS_MAX */
	/*
	 * Devices only: carry the device's SIM identifiers as URIs, IMEI by
	 * RFC 7254, the others by RFC 9039 under the CA's enterprise number.
	 * A CA without one carries the IMEI so, the EID as the subject's
	 * serialNumber, and leaves ICCID and IMSI out: see
	 * issue_left_out().
	 */
	bool sim_in_cert;
	/*
	 * For many at once. KEY is one that key_generate or csr_key gave, and
	 * is not checked again. *out is to be written, not used: an EC key is
	 * in it as bytes (X509_get0_pubkey: NULL); and it was not read as the
	 * broker will, which is left to x509_device_credential.
	 */
	bool lean;
};

/*
 * A client certificate for D (borrowed: id and sim) and KEY (borrowed; the
 * public half is enough), signed by CA; *out is given: X509_free.
 * ERR_CONFLICT: the CA's key is not open (ca_open_key). ERR_INPUT: the id or
 * days are not valid; KEY is not acceptable (key.h) or is the CA's own; the certificate would outlive the CA's (both dates are named);
 * sim_in_cert, and nothing to carry.
 */
MUST bool issue_device(const struct ca *ca, const struct device *d,
	EVP_PKEY *key, const struct issue_options *o, X509 **out,
	struct err *e);

/* True when D has an identifier of KIND that a certificate of CA cannot carry:
 * an ICCID or IMSI without an enterprise number. For a warning. */
bool issue_left_out(
	const struct ca *ca, const struct device *d, enum simid_kind kind);

struct server_names {
	const char *const *hosts; /* DNS names; "*." may start one */
	size_t n_hosts;
	const char *const *addresses; /* IPv4 or IPv6, as text */
	size_t n_addresses;
};

/*
 * A server certificate for the names N (borrowed), otherwise as issue_device.
 * CN is the first host, or the first address; left out when it is longer than
 * the 64 bytes that X.520 gives it. ERR_INPUT also: no name, more than
 * SERVER_NAMES_MAX, or a name that is none (the message says which).
 */
MUST bool issue_server(const struct ca *ca, const struct server_names *n,
	EVP_PKEY *key, const struct issue_options *o, X509 **out,
	struct err *e);

#endif
