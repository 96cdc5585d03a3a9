/* SPDX-License-Identifier: Apache-2.0 */
#include "io/history_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SQL_MAX 512

static const char *const row_sql[] = {
#define STMT_SQL(name, sql) [ROW_##name] = (sql),
	HISTORY_ROW_STATEMENTS(STMT_SQL)
#undef STMT_SQL
};

static const char *const book_sql[] = {
#define STMT_SQL(name, sql) [OF_BOOK_##name] = (sql),
	HISTORY_BOOK_STATEMENTS(STMT_SQL)
#undef STMT_SQL
};

static const char *const own_sql[] = {
#define STMT_SQL(name, sql) [OWN_##name] = (sql),
	HISTORY_STATEMENTS(STMT_SQL)
#undef STMT_SQL
};

static const char *prefix(enum history_book b)
{
	return b == BOOK_CLASS ? "class_" : "";
}

/* ------------------------------------------------------------------ errors */

static bool no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

static bool no_access(const struct history_db *d, struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT,
		"user %ld may not %s %s, or the -wal and -shm files beside "
		"it; %s",
		(long)geteuid(), d->writes ? "write" : "read", d->path,
		d->writes ? "run weir init as root, so that the folder is the "
			    "feed's"
			  : "join the group of the file, or use sudo");
}

static bool io_failed(struct history_db *d, struct err *e)
{
	int no = sqlite3_system_errno(d->db);
	char why[128] = "";

	if (no == 0 || strerror_r(no, why, sizeof(why)) != 0)
		why[0] = '\0';
	return err_set(e, ERR_ENVIRONMENT,
		"cannot read or write %s: %s%s%s; check the disk", d->path,
		sqlite3_errmsg(d->db), why[0] != '\0' ? ": " : "", why);
}

bool hist_fail(struct history_db *d, struct err *e)
{
	switch (sqlite3_extended_errcode(d->db) & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return err_set(e, ERR_ENVIRONMENT,
			"%s is locked by another program; end what has it open",
			d->path);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		d->damaged = true;
		return err_set(e, ERR_ENVIRONMENT,
			"%s is damaged or no history (%s); move it away",
			d->path, sqlite3_errmsg(d->db));
	case SQLITE_FULL:
		return err_set(e, ERR_ENVIRONMENT,
			"the disk of %s is full; make room, or lower "
			"history.max_bytes",
			d->path);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return no_access(d, e);
	case SQLITE_NOMEM:
		return no_memory(e);
	case SQLITE_IOERR:
		return io_failed(d, e);
	default:
		return err_set(e, ERR_ENVIRONMENT,
			"cannot use %s (%s); see that it is weir-feed's, or "
			"move it away",
			d->path, sqlite3_errmsg(d->db));
	}
}

bool hist_damaged(struct history_db *d, const char *what, struct err *e)
{
	/* Who hears of damage sets the file aside: not for want of memory. */
	if (db_starved(d->db))
		return no_memory(e);
	d->damaged = true;
	return err_set(e, ERR_ENVIRONMENT,
		"%s is damaged: %s is not as the feed writes it; move it away",
		d->path, what);
}

/* ------------------------------------------------------------ open, close */

char *hist_path(const char *state, const char *name)
{
	size_t n = strlen(state) + strlen(name) + 2;
	char *path = malloc(n);

	if (path != NULL)
		(void)snprintf(path, n, "%s/%s", state, name);
	return path;
}

static bool is_regular(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT
			       ? err_set(e, ERR_NOT_FOUND,
					 "there is no history at %s: weir-feed "
					 "has not run with this state "
					 "directory",
					 path)
			       : err_set(e, ERR_ENVIRONMENT,
					 "user %ld may not enter the folder of "
					 "%s; join the group of the folder, or "
					 "use sudo",
					 (long)geteuid(), path);
	return S_ISREG(st.st_mode) ||
	       err_set(e, ERR_ENVIRONMENT,
		       "%s is no regular file, so no history; move it away",
		       path);
}

static bool configure(struct history_db *d, struct err *e)
{
	int persist = 1;

	if (!d->writes)
		return (sqlite3_db_config(d->db,
				SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
				NULL) == SQLITE_OK &&
			       sqlite3_exec(d->db, "PRAGMA query_only = ON",
				       NULL, NULL, NULL) == SQLITE_OK) ||
		       hist_fail(d, e);
	/* Else SQLite falls back to reading where it may not write. */
	if (sqlite3_db_readonly(d->db, "main") != 0)
		return no_access(d, e);
	/*
	 * NORMAL: after a power failure the last minutes may be missing, and
	 * with them where they were taken from, so that they are taken again.
	 * Checkpoints wait for the disk: they have their own place.
	 */
	return (sqlite3_file_control(d->db, "main", SQLITE_FCNTL_PERSIST_WAL,
			&persist) == SQLITE_OK &&
		       sqlite3_exec(d->db,
			       "PRAGMA synchronous = NORMAL; "
			       "PRAGMA wal_autocheckpoint = 0; "
			       "PRAGMA journal_size_limit = 67108864; "
			       "PRAGMA cache_size = -16384",
			       NULL, NULL, NULL) == SQLITE_OK) ||
	       hist_fail(d, e);
}

static const char *uri_query(enum history_way way)
{
	switch (way) {
	case HISTORY_WRITE:
		return "?mode=rwc";
	case HISTORY_READ_BESIDE:
		/* The index of the log is the process's, and is written. */
		return "?mode=ro";
	case HISTORY_READ_ALONE:
		break;
	}
	return "?mode=ro&readonly_shm=1";
}

bool hist_open(struct history_db *d, const char *path, enum history_way way,
	struct err *e)
{
	const char *vfs = NULL;
	char *uri;
	int rc;

	d->writes = way == HISTORY_WRITE;
	d->path = strdup(path);
	if (d->path == NULL)
		return no_memory(e);
	if (!d->writes && !is_regular(path, e))
		return false;
	if (way == HISTORY_READ_ALONE) {
		if (!reader_vfs_new(&(struct reader_rules){0}, &d->vfs))
			return no_memory(e);
		vfs = reader_vfs_name(d->vfs);
	}
	uri = db_uri(path, uri_query(way));
	if (uri == NULL)
		return no_memory(e);
	rc = sqlite3_open_v2(uri, &d->db,
		SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
			(d->writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
				   : SQLITE_OPEN_READONLY),
		vfs);
	free(uri);
	if (d->db == NULL)
		return no_memory(e);
	if (rc != SQLITE_OK || !db_harden(d->db, HISTORY_TEXT_MAX))
		return hist_fail(d, e);
	return configure(d, e);
}

static void finalize(sqlite3_stmt **st, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)sqlite3_finalize(st[i]);
}

void hist_close(struct history_db *d)
{
	finalize(&d->row[0][0][0], (size_t)BOOKS * HISTORY_LEVELS * ROW_STMTS);
	finalize(&d->of_book[0][0], (size_t)BOOKS * BOOK_STMTS);
	finalize(d->own, OWN_STMTS);
	(void)sqlite3_close(d->db);
	reader_vfs_free(&d->vfs);
	free(d->path);
	memset(d, 0, sizeof(*d));
}

static bool pragma_int(
	struct history_db *d, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = NULL;
	bool ok = sqlite3_prepare_v2(d->db, sql, -1, &st, NULL) == SQLITE_OK &&
		  sqlite3_step(st) == SQLITE_ROW && col_int(st, 0, out);

	if (!ok)
		(void)hist_fail(d, e);
	(void)sqlite3_finalize(st);
	return ok;
}

bool hist_check(struct history_db *d, bool *empty, struct err *e)
{
	int64_t app, schema, tables;

	if (!pragma_int(d, "PRAGMA application_id", &app, e) ||
		!pragma_int(d, "PRAGMA user_version", &schema, e) ||
		!pragma_int(
			d, "SELECT count(*) FROM sqlite_schema", &tables, e))
		return false;
	if (empty != NULL)
		*empty = app == 0 && schema == 0 && tables == 0;
	if ((empty != NULL && *empty) ||
		(app == HISTORY_APP_ID && schema == HISTORY_SCHEMA))
		return true;
	/* A feed that has just begun it: its tables are not there yet. */
	if (tables == 0)
		return err_set(e, ERR_NOT_FOUND,
			"there is nothing in %s yet; see that weir-feed runs",
			d->path);
	if (app == HISTORY_APP_ID)
		return err_set(e, ERR_ENVIRONMENT,
			"%s has schema %" PRId64 ", this weir (" WEIR_VERSION
			") knows schema %d; use the weir that wrote it, or "
			"newer",
			d->path, schema, HISTORY_SCHEMA);
	return err_set(e, ERR_ENVIRONMENT,
		"%s is a database of something else; move it away", d->path);
}

/* -------------------------------------------------------------- statements */

/* SQL with its three placeholders replaced, into OUT. */
static void expand(const char *sql, const char *at, const char *dollar,
	const char *ampersand, char out[static SQL_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	for (; *sql != '\0' && n < SQL_MAX - 1; sql++) {
		const char one[2] = {*sql, '\0'}, *put = one;

		if (*sql == '@')
			put = at;
		else if (*sql == '$')
			put = dollar;
		else if (*sql == '&')
			put = ampersand;
		(void)snprintf(out + n, SQL_MAX - n, "%s", put);
		n += strlen(out + n);
	}
}

static sqlite3_stmt *prepared(struct history_db *d, sqlite3_stmt **kept,
	const char *sql, struct err *e)
{
	if (*kept == NULL &&
		sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
			kept, NULL) != SQLITE_OK)
		(void)hist_fail(d, e);
	return *kept;
}

sqlite3_stmt *hist_row_stmt(struct history_db *d, enum history_book b,
	enum history_level l, enum row_stmt s, struct err *e)
{
	char table[HISTORY_MARK], sql[SQL_MAX];

	if (d->row[b][l][s] != NULL)
		return d->row[b][l][s];
	(void)snprintf(
		table, sizeof(table), "%s%s", prefix(b), history_level_name(l));
	expand(row_sql[s], table, "", "", sql);
	return prepared(d, &d->row[b][l][s], sql, e);
}

sqlite3_stmt *hist_book_stmt(struct history_db *d, enum history_book b,
	enum book_stmt s, struct err *e)
{
	char sql[SQL_MAX];

	if (d->of_book[b][s] != NULL)
		return d->of_book[b][s];
	expand(book_sql[s], prefix(b), b == BOOK_CLASS ? "class" : "device",
		b == BOOK_CLASS ? "name" : "id", sql);
	return prepared(d, &d->of_book[b][s], sql, e);
}

sqlite3_stmt *hist_own_stmt(
	struct history_db *d, enum own_stmt s, struct err *e)
{
	return prepared(d, &d->own[s], own_sql[s], e);
}

bool hist_step(struct history_db *d, sqlite3_stmt *st, bool *row, struct err *e)
{
	int rc = sqlite3_step(st);

	*row = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		(void)hist_fail(d, e);
	hist_done(st);
	return rc == SQLITE_DONE;
}

bool hist_start(struct history_db *d, sqlite3_stmt *st, const struct val *v,
	size_t n, bool *row, struct err *e)
{
	*row = false;
	if (st == NULL)
		return false;
	if (db_bind(st, v, n) != SQLITE_OK) {
		(void)hist_fail(d, e);
		hist_done(st);
		return false;
	}
	return hist_step(d, st, row, e);
}

void hist_done(sqlite3_stmt *st)
{
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
}

bool hist_run(struct history_db *d, sqlite3_stmt *st, const struct val *v,
	size_t n, struct err *e)
{
	bool row;

	if (!hist_start(d, st, v, n, &row, e))
		return false;
	if (row)
		hist_done(st);
	return true;
}
