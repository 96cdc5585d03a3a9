/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry_private.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const stmt_sql[] = {
#define STMT_SQL(name, sql) [STMT_##name] = (sql),
	REGISTRY_STATEMENTS(STMT_SQL)
#undef STMT_SQL
};

/* ------------------------------------------------------------------ errors */

bool reg_no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

bool reg_no_access(const char *path, const char *verb, struct err *e)
{
	struct stat st;

	if (stat(path, &st) != 0 && errno == ENOENT)
		return err_set(e, ERR_ENVIRONMENT,
			"there is no registry at %s; run weir init", path);
	if (stat(path, &st) != 0)
		return err_set(e, ERR_ENVIRONMENT,
			"user %ld may not enter the folder of %s; give the "
			"folder a group that the user is in, and mode 0750 "
			"(weir init --broker-user USER does)",
			(long)geteuid(), path);
	return err_set(e, ERR_ENVIRONMENT,
		"user %ld may not %s %s (owner %ld, group %ld, mode %04o), or "
		"the -wal and -shm files beside it; %s",
		(long)geteuid(), verb, path, (long)st.st_uid, (long)st.st_gid,
		(unsigned)(st.st_mode & 07777),
		strcmp(verb, "read") == 0
			? "run weir init --broker-user USER as root"
			: "run weir as the owner of the file");
}

static bool fail_io(struct registry *r, struct err *e)
{
	int no = sqlite3_system_errno(r->db);
	char why[128] = "";

	if (no == 0 || strerror_r(no, why, sizeof(why)) != 0)
		why[0] = '\0';
	return err_set(e, ERR_ENVIRONMENT,
		"cannot read or write %s: %s%s%s; check the disk", r->path,
		sqlite3_errmsg(r->db), why[0] != '\0' ? ": " : "", why);
}

bool reg_fail(struct registry *r, struct err *e)
{
	switch (sqlite3_extended_errcode(r->db) & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return err_set(e, ERR_ENVIRONMENT,
			"%s is in use by another weir command; try again when "
			"that is done",
			r->path);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(e, ERR_ENVIRONMENT,
			"%s is damaged or no registry (%s); put a backup in "
			"its place",
			r->path, sqlite3_errmsg(r->db));
	case SQLITE_CONSTRAINT:
		return err_set(e, ERR_ENVIRONMENT,
			"%s contradicts itself (%s); nothing was changed; see "
			"weir audit verify",
			r->path, sqlite3_errmsg(r->db));
	case SQLITE_FULL:
		return err_set(e, ERR_ENVIRONMENT,
			"the disk of %s is full; nothing was changed", r->path);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return reg_no_access(r->path,
			r->mode == REGISTRY_WRITE ? "write" : "read", e);
	case SQLITE_NOMEM:
		return reg_no_memory(e);
	case SQLITE_IOERR:
		return fail_io(r, e);
	default:
		return err_set(e, ERR_ENVIRONMENT,
			"%s is no registry that this weir can use (%s); run "
			"weir init, or put a backup in its place",
			r->path, sqlite3_errmsg(r->db));
	}
}

bool reg_damaged(
	struct registry *r, struct err *e, const char *what, const char *column)
{
	/* Who hears of damage restores a backup: not for want of memory. */
	if (db_starved(r->db))
		return reg_no_memory(e);
	return err_set(e, ERR_ENVIRONMENT,
		"%s is damaged: %s: column %s; put a backup in its place",
		r->path, what, column);
}

/* -------------------------------------------------------------- statements */

/* A bind that fails must not become a look-up of NULL: "not barred". */
static bool bind_all(struct registry *r, sqlite3_stmt *st, const struct val *v,
	size_t n, struct err *e)
{
	return db_bind(st, v, n) == SQLITE_OK || reg_fail(r, e);
}

bool reg_prepare(struct registry *r, const char *sql, const struct val *v,
	size_t n, sqlite3_stmt **out, struct err *e)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(r->db, sql, -1, &st, NULL) != SQLITE_OK)
		return reg_fail(r, e);
	if (!bind_all(r, st, v, n, e)) {
		(void)sqlite3_finalize(st);
		return false;
	}
	*out = st;
	return true;
}

bool reg_step(struct registry *r, sqlite3_stmt *st, bool *row, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		(void)reg_fail(r, e);
		(void)sqlite3_reset(st);
		return false;
	}
	*row = rc == SQLITE_ROW;
	return true;
}

void reg_done(sqlite3_stmt *st)
{
	if (st == NULL)
		return;
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
}

bool reg_find(struct registry *r, enum stmt id, const struct val *v, size_t n,
	sqlite3_stmt **row, struct err *e)
{
	sqlite3_stmt *st;
	bool found = false, ok;

	*row = NULL;
	if (r->st[id] == NULL && sqlite3_prepare_v3(r->db, stmt_sql[id], -1,
					 SQLITE_PREPARE_PERSISTENT, &r->st[id],
					 NULL) != SQLITE_OK)
		return reg_fail(r, e);
	st = r->st[id];
	ok = bind_all(r, st, v, n, e) && reg_step(r, st, &found, e);
	if (!ok || !found)
		reg_done(st);
	else
		*row = st;
	return ok;
}

bool reg_run(struct registry *r, enum stmt id, const struct val *v, size_t n,
	struct err *e)
{
	sqlite3_stmt *row;

	if (!reg_find(r, id, v, n, &row, e))
		return false;
	if (row != NULL)
		reg_done(row);
	return true;
}

bool reg_number(struct str s, int64_t *out)
{
	int64_t v = 0;

	if (s.n == 0 || s.n > 18)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
	}
	*out = v;
	return true;
}
