/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* open file description locks */
#include "io/history_writer.h"

#include "io/file.h"
#include "io/history_writer_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FILE HISTORY_FOLDER "/lock"
#define DAMAGED   ".damaged"

static bool no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

/* -------------------------------------------------------------------- lock */

static long long holder(int fd)
{
	char text[24] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtoll(text, NULL, 10);
}

static bool lock(int fd, const char *path, struct err *e)
{
	struct flock want = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &want) == 0)
		return true;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(e, ERR_CONFLICT,
			"%s: held by another weir-feed (pid %lld); stop it, or "
			"give each its own state directory",
			path, holder(fd));
	return file_err(e, "lock", path, errno);
}

static bool write_pid(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld\n", (long long)getpid());

	return ftruncate(fd, 0) == 0 &&
	       pwrite(fd, text, (size_t)n, 0) == (ssize_t)n;
}

bool history_lock(const char *state, int *fd, struct err *e)
{
	char *path = hist_path(state, LOCK_FILE);
	bool ok;
	int f;

	if (path == NULL)
		return no_memory(e);
	f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		0640);
	if (f < 0) {
		(void)file_err(e, "open", path, errno);
		free(path);
		return false;
	}
	ok = lock(f, path, e);
	/* On a full disk the pid is not told, and that is all. */
	if (ok && !write_pid(f) && errno != ENOSPC)
		ok = file_err(e, "write", path, errno);
	free(path);
	if (ok)
		*fd = f;
	else
		(void)close(f);
	return ok;
}

/* --------------------------------------------------------------- the schema */

#define BUCKETS(name)                                                          \
	"CREATE TABLE " name " (key INTEGER PRIMARY KEY, "                     \
	"class INTEGER NOT NULL, row BLOB NOT NULL); "

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x

static const char schema[] =
	"CREATE TABLE device (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);"
	"CREATE TABLE class (no INTEGER PRIMARY KEY, name TEXT NOT NULL "
	"UNIQUE);"
	"CREATE TABLE taken (no INTEGER PRIMARY KEY, segment INTEGER NOT NULL, "
	"row BLOB NOT NULL);"
	"CREATE TABLE class_taken (no INTEGER PRIMARY KEY, "
	"segment INTEGER NOT NULL, row BLOB NOT NULL);" BUCKETS(
		"minute") BUCKETS("hour") BUCKETS("day") BUCKETS("class_minute")
		BUCKETS("class_hour") BUCKETS(
			"class_day") "CREATE TABLE event (cursor INTEGER "
				     "PRIMARY KEY, "
				     "t_ms INTEGER NOT NULL, type TEXT NOT "
				     "NULL, device TEXT, class TEXT, "
				     "address BLOB, action TEXT, reason TEXT, "
				     "qos INTEGER NOT NULL, "
				     "value INTEGER NOT NULL, text BLOB NOT "
				     "NULL, "
				     "text_bytes INTEGER NOT NULL);"
				     "CREATE INDEX event_device ON event "
				     "(device);"
				     "CREATE TABLE gap (to_s INTEGER PRIMARY "
				     "KEY, from_s INTEGER NOT NULL);"
				     "CREATE TABLE mark (name TEXT PRIMARY "
				     "KEY, value INTEGER NOT NULL) "
				     "WITHOUT ROWID;"
				     "PRAGMA user_version = " TEXT_OF(
					     HISTORY_SCHEMA);

static bool run_sql(struct history_db *d, const char *sql, struct err *e)
{
	return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
	       hist_fail(d, e);
}

static bool fill(struct history_writer *w, struct err *e)
{
	char app[48];

	(void)snprintf(
		app, sizeof(app), "PRAGMA application_id = %d", HISTORY_APP_ID);
	if (!history_begin(w, e))
		return false;
	if (run_sql(&w->d, schema, e) && run_sql(&w->d, app, e))
		return history_commit(w, e);
	history_rollback(w);
	return false;
}

/* Begun by root, it is the feed's all the same. */
static bool give_to_owner_of_folder(const char *path, struct err *e)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	struct stat dir, st;

	if (geteuid() != 0 || slash == NULL ||
		(size_t)(slash - path) >= sizeof(folder))
		return true;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	if (stat(folder, &dir) != 0 || lstat(path, &st) != 0 ||
		(st.st_uid != dir.st_uid &&
			lchown(path, dir.st_uid, dir.st_gid) != 0))
		return file_err(e, "set the owner of", path, errno);
	return true;
}

/* Before SQLite has it open: closing a descriptor of ours would drop its
 * locks. */
static bool make_file(const char *path, struct err *e)
{
	int fd = open(
		path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd >= 0)
		(void)close(fd);
	else if (errno != EEXIST)
		return file_err(e, "make", path, errno);
	return give_to_owner_of_folder(path, e);
}

/* ------------------------------------------------------------- open, close */

static bool set_up(struct history_writer *w, struct err *e)
{
	bool empty = false;
	struct stat st;

	if (lstat(w->d.path, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_ENVIRONMENT,
			"%s is no regular file, so no history; move it away",
			w->d.path);
	return hist_check(&w->d, &empty, e) &&
	       run_sql(&w->d, "PRAGMA journal_mode = WAL", e) &&
	       (!empty || fill(w, e)) && hist_check(&w->d, NULL, e) &&
	       db_share(w->d.path, e) && writer_load(w, e);
}

/* *damaged: it failed because of what is in the file. */
static bool open_file(const char *path, struct history_writer **out,
	bool *damaged, struct err *e)
{
	struct history_writer *w = calloc(1, sizeof(*w));
	bool ok;

	*damaged = false;
	if (w == NULL)
		return no_memory(e);
	ok = make_file(path, e) && hist_open(&w->d, path, HISTORY_WRITE, e) &&
	     set_up(w, e);
	if (ok) {
		*out = w;
		return true;
	}
	*damaged = w->d.damaged;
	history_writer_close(&w);
	return false;
}

void history_writer_close(struct history_writer **w)
{
	struct history_writer *x = w != NULL ? *w : NULL;

	if (x == NULL)
		return;
	if (x->d.db != NULL) {
		history_rollback(x);
		/* For the readers' speed, and for nothing else. */
		(void)sqlite3_wal_checkpoint_v2(
			x->d.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	}
	hist_close(&x->d);
	free(x);
	*w = NULL;
}

bool history_writer_damaged(const struct history_writer *w)
{
	return w->d.damaged;
}

/* ------------------------------------------------------------- set aside */

static bool move_aside(
	const char *path, const char *suffix, bool needed, struct err *e)
{
	char from[4096], to[4096];

	if (snprintf(from, sizeof(from), "%s%s", path, suffix) >=
			(int)sizeof(from) ||
		snprintf(to, sizeof(to), "%s" DAMAGED "%s", path, suffix) >=
			(int)sizeof(to))
		return file_err(e, "set aside", path, ENAMETOOLONG);
	if (rename(from, to) == 0 || (errno == ENOENT && !needed))
		return true;
	return file_err(e, "set aside", from, errno);
}

/* One damaged file is kept for who may want to look at it. A second one is a
 * disk that breaks files: writing on would fill it with them. */
static bool set_aside(const char *path, const char *why, char *note,
	size_t note_cap, struct err *e)
{
	char aside[4096];
	struct stat st;

	if (snprintf(aside, sizeof(aside), "%s" DAMAGED, path) >=
		(int)sizeof(aside))
		return file_err(e, "set aside", path, ENAMETOOLONG);
	if (lstat(aside, &st) == 0)
		return err_set(e, ERR_ENVIRONMENT,
			"%s is damaged, and so was %s before it; check the "
			"disk, and move that file away",
			path, aside);
	/* The log first: without it the file is none that goes on. */
	if (!move_aside(path, "-wal", false, e) ||
		!move_aside(path, "-shm", false, e) ||
		!move_aside(path, "", true, e))
		return false;
	(void)snprintf(
		note, note_cap, "%s; set aside as %s, begun anew", why, aside);
	return true;
}

static bool open_or_renew(const char *state, bool renew,
	struct history_writer **out, char *note, size_t note_cap, struct err *e)
{
	char *path = hist_path(state, HISTORY_FILE);
	bool damaged = renew, ok = false;
	struct err why;

	if (note_cap != 0)
		note[0] = '\0';
	if (path == NULL)
		return no_memory(e);
	err_set(&why, ERR_ENVIRONMENT, "%s is damaged", path);
	if (!renew)
		ok = open_file(path, out, &damaged, &why);
	if (!ok && damaged)
		ok = set_aside(path, why.msg, note, note_cap, &why) &&
		     open_file(path, out, &damaged, &why);
	if (!ok && e != NULL)
		*e = why;
	free(path);
	return ok;
}

bool history_writer_open(const char *state, struct history_writer **out,
	char *note, size_t note_cap, struct err *e)
{
	return open_or_renew(state, false, out, note, note_cap, e);
}

bool history_writer_renew(const char *state, struct history_writer **out,
	char *note, size_t note_cap, struct err *e)
{
	return open_or_renew(state, true, out, note, note_cap, e);
}

/* ------------------------------------------------------------- transactions */

bool history_begin(struct history_writer *w, struct err *e)
{
	if (hist_run(&w->d, hist_own_stmt(&w->d, OWN_BEGIN, e), NO_VALS, e) &&
		(!w->stale || writer_load(w, e)))
		return true;
	/* One that was interrupted may have begun all the same. */
	history_rollback(w);
	return false;
}

bool history_commit(struct history_writer *w, struct err *e)
{
	if (hist_run(&w->d, hist_own_stmt(&w->d, OWN_COMMIT, e), NO_VALS, e))
		return true;
	history_rollback(w);
	return false;
}

void history_rollback(struct history_writer *w)
{
	if (sqlite3_get_autocommit(w->d.db) != 0)
		return;
	(void)sqlite3_exec(w->d.db, "ROLLBACK", NULL, NULL, NULL);
	w->stale = true;
}

/* ----------------------------------------------------------------- the disk */

static uint64_t size_of(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;

	if (snprintf(name, sizeof(name), "%s%s", path, suffix) >=
			(int)sizeof(name) ||
		stat(name, &st) != 0)
		return 0;
	return (uint64_t)st.st_size;
}

uint64_t history_writer_bytes(const struct history_writer *w)
{
	return size_of(w->d.path, "") + size_of(w->d.path, "-wal");
}

bool history_writer_sync(struct history_writer *w, struct err *e)
{
	return sqlite3_wal_checkpoint_v2(w->d.db, NULL,
		       SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK ||
	       hist_fail(&w->d, e);
}
