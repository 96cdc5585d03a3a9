/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of devices, read line by line: what device import, cert bulk and
 * device export have in common. CSV with a line of column names, or JSON Lines
 * as `weir --json device export` prints them; docs/CLI.md has the columns.
 *
 * In CSV an empty field is no value, and attr.NAME, given several times, has
 * several values; in JSON null is no value.
 */
#ifndef IO_FLEET_FILE_H
#define IO_FLEET_FILE_H

#include "core/certificate.h"
#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLEET_COLUMNS_MAX     256
#define FLEET_CREDENTIALS_MAX 64 /* of one device */

/* X(NAME, "name", kind): the columns besides attr.NAME. Kinds: BOTH in any
 * file, KEPT only where rows come from a registry, CSR only where keys get
 * certificates, PAST is known and says nothing. */
#define FLEET_COLUMN_LIST(X)                                                   \
	X(ID, "id", BOTH)                                                      \
	X(CLASS, "class", BOTH)                                                \
	X(MODE, "mode", BOTH)                                                  \
	X(ICCID, "iccid", BOTH)                                                \
	X(IMSI, "imsi", BOTH)                                                  \
	X(IMEI, "imei", BOTH)                                                  \
	X(EID, "eid", BOTH)                                                    \
	X(STATUS, "status", KEPT)                                              \
	X(STATUS_REASON, "status_reason", KEPT)                                \
	X(STATUS_UNTIL, "status_until_s", KEPT)                                \
	X(CREDENTIALS, "credentials", KEPT)                                    \
	X(CERTIFICATE, "certificate", KEPT)                                    \
	X(CSR, "csr", CSR)                                                     \
	X(ATTRS, "attrs", BOTH)                                                \
	X(EFFECTIVE, "effective_status", PAST)                                 \
	X(CREATED, "created_s", PAST)                                          \
	X(UPDATED, "updated_s", PAST)                                          \
	X(REVISION, "revision", PAST)

enum fleet_column {
#define X(NAME, name, kind) FLEET_##NAME,
	FLEET_COLUMN_LIST(X)
#undef X
		FLEET_COLUMNS
};
#define FLEET_BIT(column) (1u << (column))

/* What one line says. */
struct fleet_entry {
	uint32_t line;
	/* FLEET_BIT of each column that the file has, or whose key is in the
	 * object: what is not here is not said. */
	unsigned given;
	struct device device; /* status DEVICE_NONE: not said */
	/* With FLEET_ATTRS: only these attributes are said; NULL: all are.
	 * Lent until fleet_close. */
	const struct str *attr_names;
	size_t n_attr_names;
	struct credential *credentials; /* of FLEET_CREDENTIALS and one more of
					   FLEET_CERTIFICATE */
	size_t n_credentials;
	char *csr; /* PEM, or DER in Base64; NULL: none */
};

/* Frees what fleet_next filled in, and zeroes *x. */
void fleet_entry_fini(struct fleet_entry *x);

struct fleet_file;

enum fleet_use {
	FLEET_IMPORT = 0, /* columns of kind KEPT */
	FLEET_BULK,       /* columns of kind CSR */
};

/*
 * Opens PATH ("-": standard input) and reads CSV's column names. *out is
 * given: fleet_close. ANY_CHECK_DIGIT: as SIMID_ANY_CHECK_DIGIT. ERR_INPUT: a
 * column is unknown, twice, not for USE, or id is missing.
 */
MUST bool fleet_open(const char *path, enum fleet_use use, bool any_check_digit,
	struct fleet_file **out, struct err *e);
void fleet_close(struct fleet_file **f);

/*
 * The next device into *out, given: fleet_entry_fini; *end: there is none.
 * False: ERR_INPUT, with the place and line: the next call goes on behind it,
 * or ends when the rest cannot be told apart. ERR_ENVIRONMENT: give up.
 */
MUST bool fleet_next(struct fleet_file *f, struct fleet_entry *out, bool *end,
	struct err *e);

/* Gives *e the place of a line, unless it is of the environment. Returns
 * false. */
bool fleet_at(const struct fleet_file *f, uint32_t line, struct err *e);

/* How many bytes have been taken, of how many; *size 0: not known. */
void fleet_position(const struct fleet_file *f, uint64_t *at, uint64_t *size);

/* SHA-256 of the file, after *end. */
MUST bool fleet_digest(
	struct fleet_file *f, uint8_t out[static 32], struct err *e);

/* "iccid"; lent for ever. */
const char *fleet_column_name(enum fleet_column c);

#endif
