/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir-feed writes: each action is one transaction, on disk before it is
 * answered.
 */
#include "core/utf8.h"
#include "io/file.h"
#include "io/live_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PURGE     256 /* rows that have ended or are too old, an action */
#define NAME_MORE 16

/* ------------------------------------------------------------------ the file */

static const char *const schema_sql[] = LIVE_SCHEMA_SQL;

static bool fill(struct live *l, struct err *e)
{
	if (!live_run(l, "PRAGMA page_size = 4096", NO_VALS, e) ||
		!live_run(l, "BEGIN", NO_VALS, e))
		return false;
	for (size_t i = 0; i < sizeof(schema_sql) / sizeof(schema_sql[0]); i++)
		if (!live_run(l, schema_sql[i], NO_VALS, e))
			return false;
	return live_run(l, "PRAGMA user_version = 1", NO_VALS, e) &&
	       live_run(l, "COMMIT", NO_VALS, e);
}
_Static_assert(LIVE_SCHEMA == 1 && LIVE_PAGE == 4096, "as the pragmas say");

/* SQLite says which mode it is in, whether or not it could change it. */
static bool make_wal(struct live *l, struct err *e)
{
	sqlite3_stmt *st;
	struct str mode;
	bool row, done;

	if (!live_prepare(l, "PRAGMA journal_mode = WAL", NO_VALS, &st, e))
		return false;
	done = live_step(l, st, &row, e);
	if (done)
		done = (row && col_text(st, 0, 16, &mode) &&
			       str_eq(mode, STR("wal"))) ||
		       live_fail(l, e);
	(void)sqlite3_finalize(st);
	return done;
}

static bool fill_file(char *path, struct err *e)
{
	struct live l = {.path = path, .mode = LIVE_WRITE};
	bool done = sqlite3_open_v2(path, &l.db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				    SQLITE_OPEN_NOMUTEX,
			    NULL) == SQLITE_OK;

	if (l.db == NULL)
		return live_no_memory(e);
	if (!done)
		(void)live_fail(&l, e);
	/* All is in the file itself, and nothing in a log beside it, which
	 * would not get the file's new name. */
	done = done && fill(&l, e) && make_wal(&l, e);
	(void)sqlite3_close(l.db);
	return done;
}

/* PATH with MORE behind it, in OUT of CAP bytes. */
static void name(const char *path, const char *more, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s%s", path, more);
}

/* A log and its index that were left by a file before would be taken for the
 * new one's. Empty, they are there for readers who may not make them. */
static bool renew_beside(
	const char *path, char *scratch, size_t cap, struct err *e)
{
	static const char *const beside[] = {"-wal", "-shm"};

	for (size_t i = 0; i < 2; i++) {
		int fd;

		name(path, beside[i], scratch, cap);
		if (unlink(scratch) != 0 && errno != ENOENT)
			return file_err(e, "remove", scratch, errno);
		fd = open(scratch,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0640);
		if (fd < 0)
			return file_err(e, "make", scratch, errno);
		(void)close(fd);
	}
	return true;
}

static void remove_new(const char *path, char *scratch, size_t cap)
{
	static const char *const parts[] = {
		".new", ".new-wal", ".new-shm", ".new-journal"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		name(path, parts[i], scratch, cap);
		(void)unlink(scratch);
	}
}

/* Makes MADE and, when it is whole, gives it the name PATH. */
static bool make(
	const char *path, char *made, char *scratch, size_t cap, struct err *e)
{
	bool done;

	remove_new(path, scratch, cap);
	name(path, ".new", made, cap);
	done = fill_file(made, e) && renew_beside(path, scratch, cap, e) &&
	       file_publish(made, path, e) && db_share(path, e);
	remove_new(path, scratch, cap);
	return done;
}

bool live_create(const char *path, struct err *e)
{
	size_t cap = strlen(path) + NAME_MORE;
	char *made = malloc(cap), *scratch = malloc(cap);
	bool done = made != NULL && scratch != NULL
			    ? make(path, made, scratch, cap, e)
			    : live_no_memory(e);

	free(made);
	free(scratch);
	return done;
}

/* ------------------------------------------------------------------- actions */

static bool text_fits(struct str s, size_t max)
{
	return s.n <= max && utf8_valid(s);
}

static bool check(const struct quarantine *q, struct err *e)
{
	if (!device_id_valid(str_from(q->device_id)))
		return err_set(e, ERR_INPUT, "that is no device id");
	if (!text_fits(str_from(q->reason), STATUS_REASON_MAX))
		return err_set(e, ERR_INPUT,
			"the reason is not text of at most %d bytes without "
			"control characters",
			STATUS_REASON_MAX);
	if (q->actor[0] == '\0' ||
		!text_fits(str_from(q->actor), LIVE_ACTOR_MAX))
		return err_set(e, ERR_INPUT,
			"who does it is not text of 1 to %d bytes without "
			"control characters",
			LIVE_ACTOR_MAX);
	if (q->until_s != 0 && q->until_s <= q->since_s)
		return err_set(e, ERR_INPUT,
			"the quarantine would end before it begins");
	return true;
}

/* Rows that say nothing any more. */
static bool purge(struct live *l, int64_t now_s, struct err *e)
{
	return live_run(l,
		       "DELETE FROM quarantine WHERE device_id IN (SELECT "
		       "device_id FROM quarantine WHERE until_s <> 0 AND "
		       "until_s <= ?1 LIMIT ?2)",
		       VALS(V_INT(now_s), V_INT(PURGE)), e) &&
	       live_run(l,
		       "DELETE FROM action WHERE change IN (SELECT change "
		       "FROM action WHERE change <= (SELECT max(change) FROM "
		       "action) - ?1 ORDER BY change LIMIT ?2)",
		       VALS(V_INT(LIVE_ACTIONS_MAX), V_INT(PURGE)), e);
}

static bool add_action(struct live *l, const char *action,
	const struct quarantine *q, int64_t *change, struct err *e)
{
	if (!live_run(l,
		    "INSERT INTO action (t_s, actor, action, device_id, "
		    "reason, until_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		    VALS(V_INT(q->since_s), V_TEXT(str_from(q->actor)),
			    V_TEXT(str_from(action)),
			    V_TEXT(str_from(q->device_id)),
			    V_TEXT(str_from(q->reason)), V_INT(q->until_s)),
		    e))
		return false;
	*change = sqlite3_last_insert_rowid(l->db);
	return true;
}

/* Ends the transaction under way: all of it, or nothing. */
static bool end(struct live *l, bool done, struct err *e)
{
	if (done && live_run(l, "COMMIT", NO_VALS, e))
		return true;
	(void)sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

static bool has_room(struct live *l, struct err *e)
{
	int64_t n;

	if (!live_number(l, "SELECT count(*) FROM quarantine", NO_VALS, &n, e))
		return false;
	return n < (int64_t)LIVE_QUARANTINES_MAX ||
	       err_set(e, ERR_CONFLICT,
		       "%u devices are in weir-feed's quarantine, and no more "
		       "can be; use: weir quarantine",
		       LIVE_QUARANTINES_MAX);
}

static bool is_same(const struct quarantine *a, const struct quarantine *b)
{
	return a->until_s == b->until_s && strcmp(a->reason, b->reason) == 0 &&
	       strcmp(a->actor, b->actor) == 0;
}

/* Q, in the transaction under way. */
static bool put(struct live *l, const struct quarantine *q, int64_t *change,
	struct err *e)
{
	struct quarantine old;
	bool found;

	if (!purge(l, q->since_s, e) ||
		!live_find(l, str_from(q->device_id), &old, &found, e))
		return false;
	if (found && is_same(&old, q)) {
		*change = old.change;
		return true;
	}
	return (found || has_room(l, e)) &&
	       add_action(l, "quarantine", q, change, e) &&
	       live_run(l,
		       "INSERT OR REPLACE INTO quarantine (device_id, "
		       "since_s, until_s, reason, actor, change) "
		       "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		       VALS(V_TEXT(str_from(q->device_id)),
			       V_INT(found ? old.since_s : q->since_s),
			       V_INT(q->until_s), V_TEXT(str_from(q->reason)),
			       V_TEXT(str_from(q->actor)), V_INT(*change)),
		       e);
}

bool live_quarantine(struct live *l, const struct quarantine *q,
	int64_t *change, struct err *e)
{
	int64_t made = 0;

	if (!check(q, e) || !live_run(l, "BEGIN IMMEDIATE", NO_VALS, e) ||
		!end(l, put(l, q, &made, e), e))
		return false;
	*change = made;
	return true;
}

/* The end of Q's quarantine, in the transaction under way. */
static bool take(struct live *l, const struct quarantine *q, int64_t *change,
	struct err *e)
{
	struct quarantine old;
	bool found;

	if (!purge(l, q->since_s, e) ||
		!live_find(l, str_from(q->device_id), &old, &found, e))
		return false;
	if (!found)
		return true;
	return add_action(l, "release", q, change, e) &&
	       live_run(l, "DELETE FROM quarantine WHERE device_id = ?1",
		       VALS(V_TEXT(str_from(q->device_id))), e);
}

bool live_release(struct live *l, struct str id, const char *actor,
	int64_t now_s, int64_t *change, struct err *e)
{
	struct quarantine q = {.since_s = now_s};
	int64_t made = 0;

	(void)snprintf(q.device_id, sizeof(q.device_id), "%.*s", STR_ARG(id));
	(void)snprintf(q.actor, sizeof(q.actor), "%s", actor);
	if (id.n > DEVICE_ID_MAX || strlen(actor) > LIVE_ACTOR_MAX)
		q.device_id[0] = '\0'; /* none that check() lets pass */
	if (!check(&q, e) || !live_run(l, "BEGIN IMMEDIATE", NO_VALS, e) ||
		!end(l, take(l, &q, &made, e), e))
		return false;
	*change = made;
	return true;
}
