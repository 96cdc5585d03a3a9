/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of io/live*.c share.
 */
#ifndef IO_LIVE_PRIVATE_H
#define IO_LIVE_PRIVATE_H

#include "io/db.h"
#include "io/live.h"
#include "io/registry_vfs.h"

struct live {
	sqlite3 *db;
	char *path; /* its folder without links */
	enum live_mode mode;
	struct reader_vfs *vfs; /* NULL: a writer's */
	bool ours;              /* the schema was compared */
	int budget;             /* of a follower, for the call under way */
	int64_t until_ns;       /* and of all calls: by the thread's CPU time */
};

#define LIVE_PAGE 4096 /* bytes, of the file */

/* Says what SQLite's last error means and what to do. Returns false. */
bool live_fail(struct live *l, struct err *e);
/* WHAT cannot be what weir-feed wrote, unless it was only memory that was
 * missing. Returns false. */
bool live_damaged(struct live *l, const char *what, struct err *e);
bool live_no_memory(struct err *e);

/* Prepares SQL with V bound: sqlite3_finalize *out. */
MUST bool live_prepare(struct live *l, const char *sql, const struct val *v,
	size_t n, sqlite3_stmt **out, struct err *e);
/* *row: ST stands on a row. */
MUST bool live_step(struct live *l, sqlite3_stmt *st, bool *row, struct err *e);
/* Runs SQL, which gives no row. */
MUST bool live_run(struct live *l, const char *sql, const struct val *v,
	size_t n, struct err *e);
/* The one number that SQL gives; *out is 0 when it gives no row or NULL. */
MUST bool live_number(struct live *l, const char *sql, const struct val *v,
	size_t n, int64_t *out, struct err *e);

/* Makes the file, whole or not at all, where there is none. */
MUST bool live_create(const char *path, struct err *e);

/* The statements that make the schema, which a reader compares. */
#define LIVE_SCHEMA_SQL                                                        \
	{                                                                      \
		"CREATE TABLE quarantine (device_id TEXT PRIMARY KEY "         \
		"NOT NULL, since_s INTEGER NOT NULL, until_s INTEGER NOT "     \
		"NULL, reason TEXT NOT NULL, actor TEXT NOT NULL, change "     \
		"INTEGER NOT NULL) STRICT, WITHOUT ROWID",                     \
			"CREATE INDEX quarantine_until ON quarantine "         \
			"(until_s) WHERE until_s <> 0",                        \
			"CREATE TABLE action (change INTEGER PRIMARY KEY, "    \
			"t_s INTEGER NOT NULL, actor TEXT NOT NULL, action "   \
			"TEXT NOT NULL CHECK (action IN ('quarantine', "       \
			"'release')), device_id TEXT NOT NULL, reason TEXT "   \
			"NOT NULL, until_s INTEGER NOT NULL) STRICT"           \
	}

#endif
