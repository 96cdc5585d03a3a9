/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "io/live.h"

#include "io/file.h"
#include "io/live_private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX    4096              /* bytes of any column */
#define LOG_MAX      INT64_C(4194304)  /* bytes; a follower reads all of it */
#define LOG_LONG     INT64_C(524288)   /* so long a writer leaves it */
#define OPS          50                /* of SQLite's, between two looks at */
#define BUDGET       2000              /* so many of them a call; */
#define SCHEMA       4                 /* for the schema, each row is parsed */
#define CPU_NS       INT64_C(10000000) /* and all of it, from the open on */
#define BUSY_MS      20                /* a writer's, for readers */
#define READ_BUSY_MS 1000

static const char *const schema_sql[] = LIVE_SCHEMA_SQL;
#define N_SCHEMA (sizeof(schema_sql) / sizeof(schema_sql[0]))

/* ------------------------------------------------------------------- errors */

bool live_no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

#define ANEW                                                                   \
	"remove it while weir-feed is stopped; what weir-feed quarantined is " \
	"then forgotten"

bool live_fail(struct live *l, struct err *e)
{
	switch (sqlite3_extended_errcode(l->db) & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return err_set(e, ERR_ENVIRONMENT,
			"%.160s is locked; try again, and if it stays so, "
			"restart weir-feed",
			l->path);
	case SQLITE_INTERRUPT:
	case SQLITE_TOOBIG:
		return err_set(e, ERR_ENVIRONMENT,
			"%.160s holds more than weir-feed would write; " ANEW,
			l->path);
	case SQLITE_FULL:
		return err_set(e, ERR_ENVIRONMENT,
			"the disk of %.160s is full; nothing was changed",
			l->path);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return err_set(e, ERR_ENVIRONMENT,
			"user %ld may not %s %.160s, or the -wal and -shm "
			"files beside it; run weir init as root",
			(long)geteuid(),
			l->mode == LIVE_WRITE ? "write" : "read", l->path);
	case SQLITE_NOMEM:
		return live_no_memory(e);
	case SQLITE_IOERR:
		return err_set(e, ERR_ENVIRONMENT,
			"%.160s cannot be read or written (%.60s); check the "
			"disk",
			l->path, sqlite3_errmsg(l->db));
	default:
		return err_set(e, ERR_ENVIRONMENT,
			"%.160s is damaged or not weir-feed's (%.60s); " ANEW,
			l->path, sqlite3_errmsg(l->db));
	}
}

bool live_damaged(struct live *l, const char *what, struct err *e)
{
	/* Who hears of damage removes the file: not for want of memory. */
	if (db_starved(l->db))
		return live_no_memory(e);
	return err_set(e, ERR_ENVIRONMENT,
		"%.160s is damaged or not weir-feed's (%.60s); " ANEW, l->path,
		what);
}

/* --------------------------------------------------------------- statements */

bool live_prepare(struct live *l, const char *sql, const struct val *v,
	size_t n, sqlite3_stmt **out, struct err *e)
{
	sqlite3_stmt *st = NULL;

	l->budget = l->ours ? BUDGET : SCHEMA;
	if (sqlite3_prepare_v2(l->db, sql, -1, &st, NULL) != SQLITE_OK)
		return live_fail(l, e);
	if (db_bind(st, v, n) != SQLITE_OK) {
		(void)live_fail(l, e);
		(void)sqlite3_finalize(st);
		return false;
	}
	*out = st;
	return true;
}

bool live_step(struct live *l, sqlite3_stmt *st, bool *row, struct err *e)
{
	int rc = sqlite3_step(st);

	*row = rc == SQLITE_ROW;
	return rc == SQLITE_ROW || rc == SQLITE_DONE || live_fail(l, e);
}

bool live_run(struct live *l, const char *sql, const struct val *v, size_t n,
	struct err *e)
{
	sqlite3_stmt *st = NULL;
	bool row, done;

	if (!live_prepare(l, sql, v, n, &st, e))
		return false;
	done = live_step(l, st, &row, e);
	(void)sqlite3_finalize(st);
	return done;
}

bool live_number(struct live *l, const char *sql, const struct val *v, size_t n,
	int64_t *out, struct err *e)
{
	sqlite3_stmt *st = NULL;
	bool row, done;

	if (!live_prepare(l, sql, v, n, &st, e))
		return false;
	done = live_step(l, st, &row, e);
	*out = 0;
	if (done && row && sqlite3_column_type(st, 0) != SQLITE_NULL)
		done = col_int(st, 0, out) || live_damaged(l, "a number", e);
	(void)sqlite3_finalize(st);
	return done;
}

/* ---------------------------------------------------------------- the schema */

/* Rows are asked for only when the tables are ours: a view, a virtual table or
 * a generated column would run what somebody else wrote. */
static bool same_schema(struct live *l, sqlite3_stmt *st, struct err *e)
{
	bool row;

	for (size_t i = 0; i <= N_SCHEMA; i++) {
		struct str sql;

		if (!live_step(l, st, &row, e))
			return false;
		if (row != (i < N_SCHEMA) ||
			(row && (!col_text(st, 0, VALUE_MAX, &sql) ||
					!str_eq(sql, str_from(schema_sql[i])))))
			return live_damaged(l, "its tables", e);
	}
	return true;
}

static bool check_schema(struct live *l, struct err *e)
{
	int64_t version, page;
	sqlite3_stmt *st = NULL;
	bool same;

	if (!live_number(l, "PRAGMA user_version", NO_VALS, &version, e) ||
		!live_number(l, "PRAGMA page_size", NO_VALS, &page, e))
		return false;
	/* A look-up reads many pages of a tree that is made to be deep. */
	if (page != LIVE_PAGE)
		return live_damaged(l, "its pages", e);
	if (version != LIVE_SCHEMA && version != 0)
		return err_set(e, ERR_ENVIRONMENT,
			"%.160s has schema %lld, this weir (" WEIR_VERSION
			") reads schema %d; use weir-feed, weir and plugin of "
			"one version",
			l->path, (long long)version, LIVE_SCHEMA);
	if (!live_prepare(l, "SELECT sql FROM sqlite_schema ORDER BY rowid",
		    NO_VALS, &st, e))
		return false;
	same = same_schema(l, st, e);
	(void)sqlite3_finalize(st);
	if (same && version == 0)
		return live_damaged(l, "no schema version", e);
	l->ours = same;
	return same;
}

/* -------------------------------------------------------------- open, close */

/* Of the thread's own work: on a busy machine the same file takes no more. */
static int64_t cpu_ns(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int spend(void *ctx)
{
	struct live *l = ctx;

	return --l->budget <= 0 || cpu_ns() >= l->until_ns;
}

static bool set_limits(struct live *l)
{
	static const struct {
		int limit, value;
	} limits[] = {
		{SQLITE_LIMIT_SQL_LENGTH, VALUE_MAX},
		{SQLITE_LIMIT_COLUMN, 32},
		{SQLITE_LIMIT_EXPR_DEPTH, 32},
		{SQLITE_LIMIT_ATTACHED, 0},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		(void)sqlite3_limit(l->db, limits[i].limit, limits[i].value);
	return db_harden(l->db, VALUE_MAX * 16);
}

static bool configure_reader(struct live *l)
{
	l->budget = SCHEMA;
	l->until_ns = cpu_ns() + CPU_NS;
	if (l->mode == LIVE_FOLLOW)
		sqlite3_progress_handler(l->db, OPS, spend, l);
	return sqlite3_db_config(l->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
		       NULL) == SQLITE_OK &&
	       sqlite3_busy_timeout(
		       l->db, l->mode == LIVE_FOLLOW ? 0 : READ_BUSY_MS) ==
		       SQLITE_OK &&
	       sqlite3_exec(l->db,
		       "PRAGMA query_only = ON; PRAGMA mmap_size = 0; "
		       "PRAGMA cell_size_check = ON; BEGIN",
		       NULL, NULL, NULL) == SQLITE_OK;
}

static bool configure_writer(struct live *l)
{
	int persist = 1;

	return sqlite3_busy_timeout(l->db, BUSY_MS) == SQLITE_OK &&
	       sqlite3_db_config(l->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
		       NULL) == SQLITE_OK &&
	       sqlite3_file_control(l->db, "main", SQLITE_FCNTL_PERSIST_WAL,
		       &persist) == SQLITE_OK &&
	       sqlite3_exec(l->db, "PRAGMA synchronous = FULL", NULL, NULL,
		       NULL) == SQLITE_OK;
}

static bool open_db(struct live *l, struct err *e)
{
	const struct reader_rules rules = {.impatient = l->mode == LIVE_FOLLOW,
		.own_index = true,
		.log_max = LOG_MAX};
	bool writes = l->mode == LIVE_WRITE;
	char *uri;
	int rc;

	if (!writes && !reader_vfs_new(&rules, &l->vfs))
		return live_no_memory(e);
	uri = db_uri(l->path, writes ? "?mode=rw" : "?mode=ro&readonly_shm=1");
	if (uri == NULL)
		return live_no_memory(e);
	rc = sqlite3_open_v2(uri, &l->db,
		SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
			(writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY),
		writes ? NULL : reader_vfs_name(l->vfs));
	free(uri);
	if (l->db == NULL)
		return live_no_memory(e);
	return (rc == SQLITE_OK && set_limits(l) &&
		       (writes ? configure_writer(l) : configure_reader(l))) ||
	       live_fail(l, e);
}

/* PATH with its folder's links resolved, in OUT: of the rest none is
 * followed. */
static bool resolve(const char *path, char out[static PATH_MAX], struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	char dir[PATH_MAX], real[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%.*s",
		slash == NULL   ? 1
		: slash == path ? 1
				: (int)(slash - path),
		slash == NULL ? "." : path);

	if (n < 0 || (size_t)n >= sizeof(dir) || realpath(dir, real) == NULL)
		return file_err(e, "open the folder of", path, errno);
	n = snprintf(out, PATH_MAX, "%s/%s", real, name);
	return (n > 0 && n < PATH_MAX) ||
	       file_err(e, "open", path, ENAMETOOLONG);
}

/* *there: there is a file at PATH, and it is one to open. */
static bool look(const char *path, bool *there, struct err *e)
{
	struct stat st;

	*there = false;
	if (lstat(path, &st) != 0)
		return errno == ENOENT || file_err(e, "look at", path, errno);
	*there = true;
	return S_ISREG(st.st_mode) ||
	       err_set(e, ERR_ENVIRONMENT,
		       "%.160s is no regular file, so not weir-feed's; " ANEW,
		       path);
}

static bool open_file(
	const char *path, enum live_mode mode, struct live **out, struct err *e)
{
	char real[PATH_MAX];
	struct live *l;

	if (!resolve(path, real, e))
		return false;
	l = calloc(1, sizeof(*l));
	if (l != NULL)
		l->path = strdup(real);
	if (l == NULL || l->path == NULL) {
		free(l);
		return live_no_memory(e);
	}
	l->mode = mode;
	if (!open_db(l, e) || !check_schema(l, e) ||
		(mode == LIVE_WRITE && !db_share(l->path, e))) {
		live_close(&l);
		return false;
	}
	*out = l;
	return true;
}

bool live_open(
	const char *path, enum live_mode mode, struct live **out, struct err *e)
{
	bool there;

	if (!look(path, &there, e))
		return false;
	if (there)
		return open_file(path, mode, out, e);
	if (mode == LIVE_WRITE)
		return live_create(path, e) && open_file(path, mode, out, e);
	*out = NULL;
	return true;
}

/* What was committed is on disk in the log, by one sync. To move it into the
 * file takes three more, so it is not done for each action. */
static bool log_is_long(const struct live *l)
{
	char log[PATH_MAX];
	struct stat st;
	int n = snprintf(log, sizeof(log), "%s-wal", l->path);

	return n > 0 && (size_t)n < sizeof(log) && stat(log, &st) == 0 &&
	       st.st_size > LOG_LONG;
}

void live_close(struct live **l)
{
	struct live *x = l != NULL ? *l : NULL;

	if (x == NULL)
		return;
	*l = NULL;
	if (x->db != NULL && x->mode == LIVE_WRITE) {
		if (sqlite3_get_autocommit(x->db) == 0)
			(void)sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL);
		if (log_is_long(x))
			(void)sqlite3_wal_checkpoint_v2(x->db, "main",
				SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	}
	(void)sqlite3_close(x->db);
	reader_vfs_free(&x->vfs);
	free(x->path);
	free(x);
}
