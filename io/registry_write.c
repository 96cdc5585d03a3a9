/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema, and the transaction that every change is.
 */
#include "core/utf8.h"
#include "io/registry_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of an empty registry: nobody may do anything. */
#define FIRST_POLICY "{\"version\": 1, \"classes\": {}}"

/* STRICT: a column holds its type or the write fails. device goes without
 * rowid: it is read by id, in id order. */
static const char schema_sql[] =
	"CREATE TABLE device ("
	" id TEXT PRIMARY KEY NOT NULL,"
	" class TEXT NOT NULL,"
	" status TEXT NOT NULL CHECK (status IN"
	"  ('active', 'suspended', 'quarantined', 'retired')),"
	" status_reason TEXT NOT NULL,"
	" status_until_s INTEGER NOT NULL,"
	" iccid TEXT UNIQUE, imsi TEXT UNIQUE, eid TEXT UNIQUE,"
	" imei TEXT UNIQUE," /* 15 digits: its first 14 give the last */
	" attrs TEXT NOT NULL,"
	" created_s INTEGER NOT NULL,"
	" updated_s INTEGER NOT NULL,"
	" revision INTEGER NOT NULL,"
	" mode TEXT NOT NULL DEFAULT 'enforce' CHECK (mode IN"
	"  ('enforce', 'observe'))"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX device_class ON device (class);"
	"CREATE INDEX device_status ON device (status);"
	"CREATE TABLE credential ("
	" fingerprint BLOB PRIMARY KEY NOT NULL,"
	" device_id TEXT NOT NULL,"
	" serial TEXT NOT NULL,"
	" issuer TEXT NOT NULL,"
	" not_before_s INTEGER NOT NULL,"
	" not_after_s INTEGER NOT NULL,"
	" status TEXT NOT NULL CHECK (status IN ('active', 'revoked')),"
	" revoked_s INTEGER NOT NULL,"
	" reason TEXT NOT NULL,"
	" spki BLOB NOT NULL,"
	" revision INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX credential_device ON credential (device_id, status);"
	"CREATE INDEX credential_serial ON credential (serial);"
	"CREATE INDEX credential_key ON credential (spki);"
	/* Nearly empty, so that "is the key barred?" costs one page. */
	"CREATE INDEX credential_barred ON credential (spki)"
	" WHERE reason = '" KEY_COMPROMISE "';"
	"CREATE TABLE policy ("
	" revision INTEGER PRIMARY KEY,"
	" t_s INTEGER NOT NULL,"
	" actor TEXT NOT NULL,"
	" text TEXT NOT NULL,"
	" hash TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE change ("
	" seq INTEGER PRIMARY KEY,"
	" device_id TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE audit ("
	" seq INTEGER PRIMARY KEY,"
	" t_s INTEGER NOT NULL,"
	" actor TEXT NOT NULL,"
	" action TEXT NOT NULL,"
	" device_id TEXT,"
	" detail TEXT NOT NULL,"
	" prev BLOB NOT NULL,"
	" hash BLOB NOT NULL"
	") STRICT;"
	"CREATE TABLE meta ("
	" key TEXT PRIMARY KEY NOT NULL,"
	" value TEXT NOT NULL"
	") STRICT, WITHOUT ROWID;";

/* ------------------------------------------------------------- transaction */

/* BEGIN IMMEDIATE, and a clean slate in R. */
static bool tx_open(
	struct registry *r, const char *actor, int64_t now_s, struct err *e)
{
	struct str who = str_from(actor);

	if (r->mode != REGISTRY_WRITE || r->in_tx)
		return err_set(e, ERR_ENVIRONMENT,
			"%s: opened for reading, or a change is under way",
			r->path);
	if (who.n == 0 || who.n > REGISTRY_ACTOR_MAX || !utf8_valid(who))
		return err_set(e, ERR_INPUT,
			"the actor's name must be 1 to %d bytes of UTF-8 "
			"without control characters",
			REGISTRY_ACTOR_MAX);
	if (!reg_run(r, STMT_BEGIN, NO_VALS, e))
		return false;
	r->in_tx = true;
	r->wrote = false;
	r->failed = false;
	r->bulk = false;
	r->in_doubt = false;
	memcpy(r->actor, who.p, who.n + 1);
	r->now_s = now_s;
	r->change_seq = 0;
	return true;
}

/*
 * The chain goes on from the head in meta, not from the last row: otherwise
 * the next change would hide that entries were cut off.
 */
static bool tx_heads(struct registry *r, struct err *e)
{
	bool valid;

	if (!reg_meta_int(r, "revision", &r->revision, e) ||
		!reg_audit_head(r, &r->audit_seq, r->audit_hash, &valid, e))
		return false;
	r->revision++;
	return valid || reg_damaged(r, e, "audit_head", "meta.value");
}

bool registry_begin(
	struct registry *r, const char *actor, int64_t now_s, struct err *e)
{
	if (!tx_open(r, actor, now_s, e))
		return false;
	if (tx_heads(r, e))
		return true;
	registry_rollback(r);
	return false;
}

void registry_rollback(struct registry *r)
{
	if (!r->in_tx)
		return;
	/* It can fail only when SQLite has rolled back already. */
	(void)sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	r->in_tx = false;
}

/*
 * A COMMIT that failed. Where SQLite has given the change up (it keeps one open
 * that nothing was written of), all of it may be in the log: whoever opens the
 * registry next then finds it whole, for a log is believed by what it holds,
 * not by what its disk said. A full disk had no room for its end.
 */
static void note_doubt(struct registry *r, struct err *e)
{
	struct err why;

	r->in_doubt = sqlite3_get_autocommit(r->db) != 0 &&
		      (sqlite3_errcode(r->db) & 0xff) != SQLITE_FULL;
	if (!r->in_doubt || e == NULL)
		return;
	why = *e;
	(void)err_set(e, why.code,
		"it is not known whether the change is committed; see weir "
		"audit list: %s",
		why.msg);
}

bool registry_in_doubt(const struct registry *r)
{
	return r != NULL && r->in_doubt;
}

bool registry_commit(struct registry *r, int64_t *change_seq, struct err *e)
{
	char revision[32];
	bool ok = reg_may_write(r, e);

	if (ok && r->wrote) {
		(void)snprintf(revision, sizeof(revision), "%lld",
			(long long)r->revision);
		ok = reg_meta_put(r, "revision", revision, e) &&
		     reg_audit_head_put(r, e);
	}
	if (ok && !reg_run(r, STMT_COMMIT, NO_VALS, e)) {
		note_doubt(r, e);
		ok = false;
	}
	if (!ok) {
		registry_rollback(r);
		return false;
	}
	r->in_tx = false;
	*change_seq = r->change_seq;
	return true;
}

bool reg_may_write(struct registry *r, struct err *e)
{
	if (!r->in_tx)
		return err_set(e, ERR_ENVIRONMENT, "%s: no change is under way",
			r->path);
	if (r->failed)
		return err_set(e, ERR_CONFLICT,
			"%s: an earlier step of this change failed, so that "
			"nothing of it is kept",
			r->path);
	return true;
}

bool reg_wrote(struct registry *r, bool ok)
{
	if (!ok)
		r->failed = true;
	return ok;
}

/* ------------------------------------------------------------------ create */

/* So that mode and group are right from the first byte: SQLite gives -wal and
 * -shm what the file has. */
static bool make_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd >= 0) {
		(void)close(fd);
		return db_share(path, e);
	}
	if (errno == EEXIST)
		return true;
	return err_set(e, ERR_ENVIRONMENT,
		"cannot make %s: %s; --state DIR names the folder, which must "
		"exist and be writable for user %ld",
		path,
		errno == ENOENT                     ? "no such folder"
		: errno == EACCES || errno == EPERM ? "no permission"
		: errno == EROFS                    ? "read-only disk"
						    : "the disk refuses it",
		(long)geteuid());
}

static bool is_empty(struct registry *r, bool *empty, struct err *e)
{
	sqlite3_stmt *st;
	bool row = false, ok;

	if (!reg_prepare(
		    r, "SELECT 1 FROM sqlite_schema LIMIT 1", NO_VALS, &st, e))
		return false;
	ok = reg_step(r, st, &row, e);
	(void)sqlite3_finalize(st);
	*empty = !row;
	return ok;
}

/* The schema and revision 1, in the transaction under way. */
static bool fill(struct registry *r, struct err *e)
{
	char schema[16];
	int64_t revision;

	r->revision = 1;
	r->audit_seq = 0;
	memset(r->audit_hash, 0, sizeof(r->audit_hash));
	(void)snprintf(schema, sizeof(schema), "%d", REGISTRY_SCHEMA);
	if (sqlite3_exec(r->db, schema_sql, NULL, NULL, NULL) != SQLITE_OK)
		return reg_fail(r, e);
	return reg_meta_put(r, "schema", schema, e) &&
	       registry_policy_put(
		       r, STR(FIRST_POLICY), "registry.init", &revision, e);
}

static bool create(
	struct registry *r, const char *actor, int64_t now_s, struct err *e)
{
	int64_t change_seq;
	bool empty;

	if (!is_empty(r, &empty, e))
		return false;
	if (!empty)
		return reg_check_schema(r, e);
	if (!reg_wal(r, e) || !tx_open(r, actor, now_s, e))
		return false;
	/* Another process may have been here since. */
	if (!is_empty(r, &empty, e) || (empty && !fill(r, e))) {
		registry_rollback(r);
		return false;
	}
	return registry_commit(r, &change_seq, e) && reg_check_schema(r, e);
}

bool registry_create(
	const char *path, const char *actor, int64_t now_s, struct err *e)
{
	struct registry *r = NULL;
	bool ok;

	if (!make_file(path, e) || !reg_open(path, REGISTRY_WRITE, &r, e))
		return false;
	ok = create(r, actor, now_s, e) && db_share(path, e);
	registry_close(&r);
	return ok;
}
