/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry.h"

#include "core/utf8.h"
#include "io/registry_private.h"
#include "io/registry_vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The last checkpoint waits this long for readers. It is for their speed
 * only: what was committed is on disk. */
#define BUSY_CLOSE_MS 250
#define WRITER_CACHE  "-32768" /* KiB, so that a bulk import does not thrash */

void registry_alone(void)
{
	/* It is refused only when SQLite is in use already. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* ------------------------------------------------------------ open, close */

static bool configure_reader(struct registry *r)
{
	return sqlite3_db_config(r->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
		       NULL) == SQLITE_OK &&
	       sqlite3_busy_timeout(r->db,
		       r->mode == REGISTRY_FOLLOW ? 0 : REGISTRY_BUSY_MS) ==
		       SQLITE_OK &&
	       sqlite3_exec(r->db, "PRAGMA query_only = ON", NULL, NULL,
		       NULL) == SQLITE_OK;
}

static bool configure_writer(struct registry *r)
{
	int persist = 1;

	return sqlite3_busy_timeout(r->db, REGISTRY_BUSY_MS) == SQLITE_OK &&
	       sqlite3_file_control(r->db, "main", SQLITE_FCNTL_PERSIST_WAL,
		       &persist) == SQLITE_OK &&
	       sqlite3_exec(r->db,
		       "PRAGMA synchronous = FULL; "
		       "PRAGMA cache_size = " WRITER_CACHE,
		       NULL, NULL, NULL) == SQLITE_OK;
}

static bool open_db(struct registry *r, struct err *e)
{
	const struct reader_rules rules = {
		.impatient = r->mode == REGISTRY_FOLLOW};
	int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
	const char *vfs = NULL;
	char *uri;
	int rc;

	if (r->mode != REGISTRY_WRITE) {
		if (!reader_vfs_new(&rules, &r->vfs))
			return reg_no_memory(e);
		vfs = reader_vfs_name(r->vfs);
	}
	/* readonly_shm: a reader leaves -shm alone even if it could write. */
	uri = db_uri(r->path, r->mode == REGISTRY_WRITE
				      ? "?mode=rw"
				      : "?mode=ro&readonly_shm=1");
	if (uri == NULL)
		return reg_no_memory(e);
	flags |= r->mode == REGISTRY_WRITE ? SQLITE_OPEN_READWRITE
					   : SQLITE_OPEN_READONLY;
	rc = sqlite3_open_v2(uri, &r->db, flags, vfs);
	free(uri);
	if (r->db == NULL)
		return reg_no_memory(e);
	if (rc != SQLITE_OK || !db_harden(r->db, REGISTRY_TEXT_MAX + 1048576))
		return reg_fail(r, e);
	if (r->mode != REGISTRY_WRITE)
		return configure_reader(r) || reg_fail(r, e);
	/* SQLite falls back to reading where it may not write. */
	if (sqlite3_db_readonly(r->db, "main") != 0)
		return reg_no_access(r->path, "write", e);
	return configure_writer(r) || reg_fail(r, e);
}

bool reg_check_schema(struct registry *r, struct err *e)
{
	int64_t schema;

	if (!reg_meta_int(r, "schema", &schema, e))
		return false;
	if (schema == REGISTRY_SCHEMA)
		return true;
	return err_set(e, ERR_ENVIRONMENT,
		"%s has schema %lld, this weir (" WEIR_VERSION
		") reads schema %d; use the weir that wrote it, or newer",
		r->path, (long long)schema, REGISTRY_SCHEMA);
}

bool reg_wal(struct registry *r, struct err *e)
{
	return sqlite3_exec(r->db, "PRAGMA journal_mode = WAL", NULL, NULL,
		       NULL) == SQLITE_OK ||
	       reg_fail(r, e);
}

/* LOCKED: the caller has the folder's lock. */
static bool open_file(const char *path, enum registry_mode mode, bool locked,
	struct registry **out, struct err *e)
{
	struct registry *r;
	struct stat st;

	if (stat(path, &st) != 0) {
		(void)reg_no_access(path, "read", e);
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_ENVIRONMENT,
			"%s is no regular file, so no registry", path);
		return false;
	}
	r = calloc(1, sizeof(*r));
	if (r != NULL)
		r->path = strdup(path);
	if (r == NULL || r->path == NULL) {
		free(r);
		(void)reg_no_memory(e);
		return false;
	}
	r->mode = mode;
	r->folder = -1;
	if ((mode == REGISTRY_WRITE && !locked &&
		    (!reg_folder(path, &r->folder, e) ||
			    !reg_lock(r->folder, false, path, e))) ||
		!open_db(r, e)) {
		registry_close(&r);
		return false;
	}
	*out = r;
	return true;
}

bool reg_open(const char *path, enum registry_mode mode, struct registry **out,
	struct err *e)
{
	return open_file(path, mode, false, out, e);
}

bool reg_open_locked(const char *path, struct registry **out, struct err *e)
{
	return open_file(path, REGISTRY_WRITE, true, out, e);
}

bool registry_open(const char *path, enum registry_mode mode,
	struct registry **out, struct err *e)
{
	struct registry *r = NULL;

	if (!reg_open(path, mode, &r, e))
		return false;
	if (!reg_check_schema(r, e) ||
		(mode == REGISTRY_WRITE &&
			(!reg_wal(r, e) || !db_share(path, e)))) {
		registry_close(&r);
		return false;
	}
	*out = r;
	return true;
}

void registry_close(struct registry **r)
{
	struct registry *x = r != NULL ? *r : NULL;

	if (x == NULL)
		return;
	*r = NULL;
	registry_rollback(x);
	if (x->db != NULL)
		registry_snapshot_end(x);
	for (size_t i = 0; i < STMT_COUNT; i++)
		(void)sqlite3_finalize(x->st[i]);
	if (x->db != NULL && x->mode == REGISTRY_WRITE) {
		(void)sqlite3_busy_timeout(x->db, BUSY_CLOSE_MS);
		(void)sqlite3_wal_checkpoint_v2(
			x->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	}
	(void)sqlite3_close(x->db);
	if (x->folder >= 0)
		(void)close(x->folder);
	reader_vfs_free(&x->vfs);
	free(x->path);
	free(x);
}

bool registry_snapshot(struct registry *r, struct err *e)
{
	if (sqlite3_get_autocommit(r->db) == 0)
		return err_set(e, ERR_ENVIRONMENT,
			"%s: a change or a snapshot is under way", r->path);
	return reg_run(r, STMT_SNAPSHOT, NO_VALS, e);
}

void registry_snapshot_end(struct registry *r)
{
	if (!r->in_tx && sqlite3_get_autocommit(r->db) == 0)
		(void)sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ------------------------------------------------------------------- meta */

bool registry_meta(struct registry *r, const char *key, char *out, size_t cap,
	struct err *e)
{
	sqlite3_stmt *row;
	char value[REGISTRY_META_MAX + 1] = "";
	bool fits;

	if (!reg_find(r, STMT_META_GET, VALS(V_TEXT(str_from(key))), &row, e))
		return false;
	fits = row == NULL || col_copy(row, 0, value, sizeof(value));
	reg_done(row);
	if (!fits || strlen(value) >= cap)
		return reg_damaged(r, e, key, "meta.value");
	memcpy(out, value, strlen(value) + 1);
	return true;
}

bool reg_meta_int(
	struct registry *r, const char *key, int64_t *out, struct err *e)
{
	char text[32];

	if (!registry_meta(r, key, text, sizeof(text), e))
		return false;
	return reg_number(str_from(text), out) ||
	       reg_damaged(r, e, key, "meta.value");
}

bool reg_meta_put(
	struct registry *r, const char *key, const char *value, struct err *e)
{
	return reg_run(r, STMT_META_SET,
		VALS(V_TEXT(str_from(key)), V_TEXT(str_from(value))), e);
}

static bool meta_set(
	struct registry *r, const char *key, const char *value, struct err *e)
{
	/* What the registry keeps about itself. */
	static const char *const own[] = {
		"schema", "revision", "audit_head", "restored"};
	cJSON *detail;

	if (!reg_may_write(r, e))
		return false;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (strcmp(key, own[i]) == 0)
			return err_set(e, ERR_INPUT,
				"meta '%s' is the registry's own", key);
	}
	if (strlen(key) > 64 || strlen(value) > REGISTRY_META_MAX ||
		!utf8_valid(str_from(key)) || !utf8_valid(str_from(value)))
		return err_set(e, ERR_INPUT,
			"a meta key is at most 64 bytes of UTF-8, its value "
			"at most %d, without control characters",
			REGISTRY_META_MAX);
	if (!reg_meta_put(r, key, value, e))
		return false;
	detail = cJSON_CreateObject();
	if (cJSON_AddStringToObject(detail, "key", key) == NULL ||
		cJSON_AddStringToObject(detail, "value", value) == NULL) {
		cJSON_Delete(detail);
		return reg_no_memory(e);
	}
	return reg_audit(r, "meta.set", NO_DEVICE, detail, e);
}

bool registry_meta_set(
	struct registry *r, const char *key, const char *value, struct err *e)
{
	return reg_wrote(r, meta_set(r, key, value, e));
}

/* ------------------------------------------------------- for the follower */

bool registry_data_version(struct registry *r, int64_t *out, struct err *e)
{
	sqlite3_stmt *row;
	bool ok;

	if (!reg_find(r, STMT_DATA_VERSION, NO_VALS, &row, e))
		return false;
	ok = row != NULL && col_int(row, 0, out);
	reg_done(row);
	return ok || reg_damaged(r, e, "data_version", "0");
}

bool registry_heads(
	struct registry *r, struct registry_heads *out, struct err *e)
{
	struct registry_heads h = {0};
	sqlite3_stmt *row;
	struct str revision;
	int64_t restored = 0;
	bool ok;

	if (!reg_find(r, STMT_HEADS, NO_VALS, &row, e))
		return false;
	ok = row != NULL && col_text(row, 0, 18, &revision) &&
	     reg_number(revision, &h.revision) &&
	     col_int(row, 1, &h.policy_revision) &&
	     col_int(row, 2, &h.change_seq) && col_int(row, 3, &restored);
	reg_done(row);
	if (!ok)
		return reg_damaged(r, e, "revision", "meta.value");
	h.restored = restored != 0;
	*out = h;
	return true;
}

bool registry_changes(struct registry *r, int64_t after, int limit,
	bool (*each)(void *ctx, int64_t seq, struct str device_id), void *ctx,
	struct err *e)
{
	sqlite3_stmt *st;
	bool row, ok = true;

	if (!reg_find(
		    r, STMT_CHANGES, VALS(V_INT(after), V_INT(limit)), &st, e))
		return false;
	for (row = st != NULL; ok && row;) {
		int64_t seq;
		struct str id;

		if (!col_int(st, 0, &seq) ||
			!col_text(st, 1, DEVICE_ID_MAX, &id) ||
			!device_id_valid(id))
			ok = reg_damaged(r, e, "a change", "device_id");
		else if (!each(ctx, seq, id))
			row = false;
		else
			ok = reg_step(r, st, &row, e);
	}
	reg_done(st);
	return ok;
}

bool reg_change(struct registry *r, struct str id, struct err *e)
{
	if (!reg_run(r, STMT_CHANGE_ADD, VALS(V_TEXT(id)), e))
		return false;
	r->change_seq = sqlite3_last_insert_rowid(r->db);
	return true;
}
