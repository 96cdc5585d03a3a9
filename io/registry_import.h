/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many devices in one change, with one entry in the audit.
 *
 *     registry_begin, registry_bulk_begin
 *     registry_import …
 *     registry_bulk_end, registry_commit
 *
 * An import takes rights away, and never gives one back: of two statuses, the
 * file's and the registry's, the stricter counts (active, quarantined,
 * suspended, retired), and what is revoked stays revoked. What so stays as it
 * is, is told in the outcome.
 */
#ifndef IO_REGISTRY_IMPORT_H
#define IO_REGISTRY_IMPORT_H

#include "io/fleet_file.h"
#include "io/registry.h"

/* What becomes of a device that is registered already. */
enum import_rule {
	IMPORT_NEW = 0, /* ERR_CONFLICT */
	IMPORT_MATCH,   /* ERR_CONFLICT unless it is what the line says */
	IMPORT_UPSERT,  /* it becomes what the line says */
};

struct import_outcome {
	bool added, changed;    /* the device */
	bool status_kept;       /* the registry's, which is stricter */
	unsigned certs_added;   /* credentials */
	unsigned certs_revoked; /* registered as active, revoked by the line */
	unsigned certs_kept;    /* active by the line, and stay revoked */
};

/* Until registry_bulk_end no write of the transaction under way is audited by
 * itself, and SQLite may use BULK_CACHE_MB, so that a million rows in random
 * order are written once. */
#define BULK_CACHE_MB 512
MUST bool registry_bulk_begin(struct registry *r, struct err *e);

/*
 * X (borrowed): the device, with its credentials. False, with ERR_INPUT or
 * ERR_CONFLICT: what is wrong, and the transaction can only be rolled back;
 * more lines may be tried, for their errors. ERR_ENVIRONMENT: give up.
 */
MUST bool registry_import(struct registry *r, const struct fleet_entry *x,
	enum import_rule rule, struct import_outcome *out, struct err *e);

/* The same, but a line that fails leaves the transaction as it was. */
MUST bool registry_import_try(struct registry *r, const struct fleet_entry *x,
	enum import_rule rule, struct import_outcome *out, struct err *e);

/* Audits all since registry_bulk_begin as ACTION: how many DEVICES and
 * CREDENTIALS, and the file's SHA-256. Nothing when nothing was written. */
struct bulk_audit {
	const char *action; /* "device.import" */
	int64_t devices, credentials;
	const uint8_t *digest; /* FINGERPRINT_LEN; NULL: not known */
};
MUST bool registry_bulk_end(
	struct registry *r, const struct bulk_audit *a, struct err *e);

#endif
