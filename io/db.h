/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all files of SQLite's have in common: how one is named and hardened,
 * values that are bound, and columns that are read without trusting what they
 * hold. For io/ and its tests only.
 */
#ifndef IO_DB_H
#define IO_DB_H

#include "core/certificate.h"
#include "core/err.h"
#include "core/str.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------- files */

/* PATH as a URI of SQLite's with QUERY ("?mode=ro"). Given: free(). NULL: no
 * memory. */
char *db_uri(const char *path, const char *query);

/* Gives the file and what SQLite puts beside it the folder's group and mode
 * 0640, so that the broker's user reads all three. */
MUST bool db_share(const char *path, struct err *e);

/* DB's file may come from anywhere: nothing in it is run, and no value is
 * longer than MAX bytes. False: SQLite cannot. */
MUST bool db_harden(sqlite3 *db, int max);

/* True when DB's last call found no memory: a text that could not be fetched
 * for it looks like one of another type. */
bool db_starved(sqlite3 *db);

/* ------------------------------------------------------------------ values */

struct val {
	enum { VAL_NULL = 0, VAL_INT, VAL_TEXT, VAL_BLOB } kind;
	int64_t i;
	struct str s; /* borrowed until the statement is done */
};
#define V_NULL                                                                 \
	{                                                                      \
		.kind = VAL_NULL                                               \
	}
#define V_INT(x)                                                               \
	{                                                                      \
		.kind = VAL_INT, .i = (x)                                      \
	}
#define V_TEXT(x)                                                              \
	{                                                                      \
		.kind = VAL_TEXT, .s = (x)                                     \
	}
#define V_BLOB(ptr)                                                            \
	{                                                                      \
		.kind = VAL_BLOB, .s = {(const char *)(ptr), FINGERPRINT_LEN } \
	}
/* Two arguments: the values and how many. */
#define VALS(...)                                                              \
	(const struct val[]){__VA_ARGS__},                                     \
		sizeof((const struct val[]){__VA_ARGS__}) / sizeof(struct val)
#define NO_VALS NULL, 0

/* Binds the N values V to ST. SQLITE_OK, or what failed: then ST must not be
 * run, for what was not bound is NULL. */
MUST int db_bind(sqlite3_stmt *st, const struct val *v, size_t n);

/* ---------------------------------------------------------------- columns */

/* True only when column I has the type and, where given, at most MAX bytes
 * without a NUL (exactly N for a blob). *out of col_text is lent until ST
 * steps. */
bool col_int(sqlite3_stmt *st, int i, int64_t *out);
bool col_text(sqlite3_stmt *st, int i, size_t max, struct str *out);
/* Into OUT of CAP bytes, NUL terminated. */
bool col_copy(sqlite3_stmt *st, int i, char *out, size_t cap);
bool col_blob(sqlite3_stmt *st, int i, uint8_t out[static FINGERPRINT_LEN]);

#endif
