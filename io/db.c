/* SPDX-License-Identifier: Apache-2.0 */
#include "io/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------- files */

char *db_uri(const char *path, const char *query)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = strlen(path), used;
	char *uri = malloc(3 * len + 64);

	if (uri == NULL)
		return NULL;
	used = (size_t)snprintf(uri, 64, "file:%s", path[0] == '/' ? "//" : "");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)path[i];

		if (strchr("%?#", c) == NULL) {
			uri[used++] = (char)c;
			continue;
		}
		uri[used++] = '%';
		uri[used++] = hex[c >> 4];
		uri[used++] = hex[c & 15];
	}
	(void)snprintf(uri + used, 64, "%s", query);
	return uri;
}

/* By path: opening the file a second time would drop SQLite's locks when that
 * descriptor is closed. */
bool db_share(const char *path, struct err *e)
{
	static const char *const suffix[] = {"", "-wal", "-shm"};
	const char *slash = strrchr(path, '/');
	size_t len = strlen(path), dir_len = 0;
	struct stat dir, st;
	char *name = malloc(len + 8);
	bool ok = true;

	if (name == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (slash != NULL)
		dir_len = slash == path ? 1 : (size_t)(slash - path);
	(void)snprintf(name, len + 8, "%.*s", slash != NULL ? (int)dir_len : 1,
		slash != NULL ? path : ".");
	ok = stat(name, &dir) == 0;
	for (size_t i = 0; ok && i < 3; i++) {
		(void)snprintf(name, len + 8, "%s%s", path, suffix[i]);
		if (lstat(name, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		ok = (st.st_gid == dir.st_gid ||
			     lchown(name, (uid_t)-1, dir.st_gid) == 0) &&
		     ((st.st_mode & 07777) == 0640 || chmod(name, 0640) == 0);
	}
	if (!ok)
		err_set(e, ERR_ENVIRONMENT,
			"cannot give %s the group of its folder and mode 0640, "
			"so the broker could not read it; run weir as root, or "
			"give the folder one of your groups",
			name);
	free(name);
	return ok;
}

bool db_harden(sqlite3 *db, int max)
{
	static const struct {
		int option, value;
	} config[] = {
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
		{SQLITE_DBCONFIG_ENABLE_VIEW, 0},
	};

	for (size_t i = 0; i < sizeof(config) / sizeof(config[0]); i++) {
		if (sqlite3_db_config(db, config[i].option, config[i].value,
			    NULL) != SQLITE_OK)
			return false;
	}
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, max);
	return true;
}

bool db_starved(sqlite3 *db)
{
	return (sqlite3_errcode(db) & 0xff) == SQLITE_NOMEM;
}

/* ------------------------------------------------------------------ values */

static int bind_one(sqlite3_stmt *st, int i, const struct val *v)
{
	switch (v->kind) {
	case VAL_INT:
		return sqlite3_bind_int64(st, i, v->i);
	case VAL_TEXT:
		return sqlite3_bind_text64(st, i, v->s.n != 0 ? v->s.p : "",
			v->s.n, SQLITE_STATIC, SQLITE_UTF8);
	case VAL_BLOB:
		return sqlite3_bind_blob64(
			st, i, v->s.p, v->s.n, SQLITE_STATIC);
	case VAL_NULL:
	default:
		return sqlite3_bind_null(st, i);
	}
}

int db_bind(sqlite3_stmt *st, const struct val *v, size_t n)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; rc == SQLITE_OK && i < n; i++)
		rc = bind_one(st, (int)i + 1, &v[i]);
	return rc;
}

/* ----------------------------------------------------------------- columns */

bool col_int(sqlite3_stmt *st, int i, int64_t *out)
{
	if (sqlite3_column_type(st, i) != SQLITE_INTEGER)
		return false;
	*out = sqlite3_column_int64(st, i);
	return true;
}

bool col_text(sqlite3_stmt *st, int i, size_t max, struct str *out)
{
	const void *p;
	size_t n;

	if (sqlite3_column_type(st, i) != SQLITE_TEXT)
		return false;
	p = sqlite3_column_text(st, i);
	n = (size_t)sqlite3_column_bytes(st, i);
	if (p == NULL || n > max || memchr(p, '\0', n) != NULL)
		return false;
	*out = (struct str){p, n};
	return true;
}

bool col_copy(sqlite3_stmt *st, int i, char *out, size_t cap)
{
	struct str s;

	if (!col_text(st, i, cap - 1, &s))
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

bool col_blob(sqlite3_stmt *st, int i, uint8_t out[static FINGERPRINT_LEN])
{
	if (sqlite3_column_type(st, i) != SQLITE_BLOB ||
		sqlite3_column_bytes(st, i) != FINGERPRINT_LEN)
		return false;
	memcpy(out, sqlite3_column_blob(st, i), FINGERPRINT_LEN);
	return true;
}
