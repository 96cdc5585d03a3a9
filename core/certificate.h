/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client certificate says, and what the registry says of it.
 */
#ifndef CORE_CERTIFICATE_H
#define CORE_CERTIFICATE_H

#include "core/device.h"
#include "core/simid.h"

#include <stdbool.h>
#include <stdint.h>

#define FINGERPRINT_LEN 32 /* bytes of SHA-256 */

/*
 * A certificate, read. `usable` false: its identity is malformed or stated
 * twice, and problem says what; the fingerprint is right all the same.
 */
struct certificate {
	uint8_t fingerprint[FINGERPRINT_LEN]; /* SHA-256 over the DER */
	uint8_t spki[FINGERPRINT_LEN]; /* over SubjectPublicKeyInfo: the key */
	int64_t not_before_s, not_after_s; /* Unix time, both inclusive */
	bool usable;
	char problem[128];
	/* SIM identifiers as stated, by kind; "" where not stated. Compared
	 * leniently: simid_same(). */
	char stated[SIMID_KINDS][SIMID_MAX + 2];
};

/* Zero: the registry does not know the certificate. */
enum credential_status {
	CREDENTIAL_NONE = 0,
	CREDENTIAL_ACTIVE,
	CREDENTIAL_REVOKED,
};

/* A certificate as the registry holds it. */
struct credential {
	uint8_t fingerprint[FINGERPRINT_LEN];
	uint8_t spki[FINGERPRINT_LEN];
	char device_id[DEVICE_ID_MAX + 1];
	char serial[65];  /* upper-case hex, as openssl x509 -serial prints */
	char issuer[256]; /* RFC 2253 */
	int64_t not_before_s, not_after_s;
	uint8_t status;    /* enum credential_status */
	int64_t revoked_s; /* 0: not revoked */
	char reason[32]; /* of the revocation; "key_compromise" bars the key */
	int64_t revision;
};

#endif
