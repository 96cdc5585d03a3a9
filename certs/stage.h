/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and certificates of many devices on their way into a folder, so that a
 * crash at any moment leaves nothing that cannot be told apart:
 *
 *   1  DIR/ID.key.new and DIR/ID.crt.new are written, and made durable
 *   2  the registration is committed
 *   3  they get their names, DIR/ID.key and then DIR/ID.crt
 *
 * What has its name is registered. What is called .new and registered only
 * lacks the third step; what is called .new and not registered is waste.
 */
#ifndef CERTS_STAGE_H
#define CERTS_STAGE_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>

#include <openssl/x509.h>

/* Takes DIR, which exists, for this process alone until stage_unlock. *fd is
 * given. ERR_ENVIRONMENT: another has it. */
MUST bool stage_lock(const char *dir, int *fd, struct err *e);
void stage_unlock(int fd);

/* Step 1 for one device, but for pem_sync. CERT, KEY (borrowed): PEM; KEY
 * empty: the device has it. On false nothing is left. */
MUST bool stage_write(const char *dir, const char *id, struct str key,
	struct str cert, struct err *e);

/* Step 3. ERR_CONFLICT: a name is taken. May be done again. */
MUST bool stage_publish(const char *dir, const char *id, struct err *e);

/* Removes what is called .new. */
void stage_drop(const char *dir, const char *id);

enum stage_found {
	STAGE_NOTHING = 0, /* no name is taken; there may be waste */
	STAGE_NAMED,       /* ID.crt is there */
	STAGE_NEW,         /* ID.crt.new is there, ID.crt is not */
	STAGE_TAKEN,       /* ID.key is there, and no certificate */
};
/* What there is of ID. NAMED, NEW: *cert is that certificate, given: X509_free;
 * NULL when the file holds none. */
MUST bool stage_find(const char *dir, const char *id, enum stage_found *found,
	X509 **cert, struct err *e);

#endif
