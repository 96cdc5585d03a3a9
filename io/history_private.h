/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the history share: its tables, its connection, every
 * statement. For io/history*.c and their tests only.
 *
 *     device  class        their numbers: no, id or name
 *     taken                what a device's counters were when looked at last,
 *     class_taken          and of which segment; a class's
 *     minute hour day      a bucket of a device: key, class, row
 *     class_minute …       a bucket of a class
 *     event                cursor, what happened
 *     gap                  times in which nobody looked
 *     mark                 where all of this stands, by name
 *
 * A key is the minute that the bucket begins with, since 1970, above 24 bits
 * of the device's or class's number. So what is told is appended, which keeps
 * pages full, a bucket is a range, and a device's bucket one look-up.
 */
#ifndef IO_HISTORY_PRIVATE_H
#define IO_HISTORY_PRIVATE_H

#include "io/db.h"
#include "io/history.h"
#include "io/registry_vfs.h"

#define HISTORY_SCHEMA   1
#define HISTORY_APP_ID   0x57656972 /* "Weir" */
#define HISTORY_NO_MAX   0xffffff
#define HISTORY_NO_BITS  24
#define HISTORY_TEXT_MAX 4096 /* bytes of a value */

/* What is told of: rows of either have the same form. */
enum history_book {
	BOOK_DEVICE = 0,
	BOOK_CLASS,
	BOOKS,
};

/* X(name, sql): for each book and level; @ is the table. */
#define HISTORY_ROW_STATEMENTS(X)                                              \
	X(GET, "SELECT class, row FROM @ WHERE key = ?1")                      \
	X(NEXT, "SELECT key FROM @ WHERE key >= ?1 ORDER BY key LIMIT 1")      \
	X(LAST, "SELECT key FROM @ ORDER BY key DESC LIMIT 1")                 \
	X(RANGE, "SELECT key, class, row FROM @ WHERE key >= ?1 AND "          \
		 "key < ?2 ORDER BY key LIMIT ?3")                             \
	X(PUT, "INSERT INTO @ (key, class, row) VALUES (?1, ?2, ?3)")          \
	X(SET, "INSERT OR REPLACE INTO @ (key, class, row) VALUES (?1, "       \
	       "?2, ?3)")                                                      \
	X(PURGE, "DELETE FROM @ WHERE key < coalesce((SELECT key FROM "        \
		 "@ WHERE key < ?1 ORDER BY key LIMIT 1 OFFSET ?2), ?1)")

/* X(name, sql): of a book alone; @ is "" or "class_", $ is "device" or
 * "class", & is "id" or "name". */
#define HISTORY_BOOK_STATEMENTS(X)                                             \
	X(NUMBER, "SELECT no FROM $ WHERE & = ?1")                             \
	X(NAME, "SELECT & FROM $ WHERE no = ?1")                               \
	X(LAST, "SELECT coalesce(max(no), 0) FROM $")                          \
	X(ADD, "INSERT INTO $ (no, &) VALUES (?1, ?2)")                        \
	X(TAKEN, "SELECT segment, row FROM @taken WHERE no = ?1")              \
	X(TAKE, "INSERT OR REPLACE INTO @taken (no, segment, row) "            \
		"VALUES (?1, ?2, ?3)")

/* X(name, sql) */
#define HISTORY_STATEMENTS(X)                                                  \
	X(BEGIN, "BEGIN IMMEDIATE")                                            \
	X(COMMIT, "COMMIT")                                                    \
	X(SNAPSHOT, "BEGIN")                                                   \
	X(MARK, "SELECT value FROM mark WHERE name = ?1")                      \
	X(MARK_SET, "INSERT OR REPLACE INTO mark (name, value) "               \
		    "VALUES (?1, ?2)")                                         \
	X(GAP_ADD, "INSERT OR REPLACE INTO gap (to_s, from_s) VALUES (?1, "    \
		   "?2)")                                                      \
	X(GAPS, "SELECT from_s, to_s FROM gap WHERE to_s > ?1 AND "            \
		"from_s < ?2 ORDER BY to_s DESC LIMIT ?3")                     \
	X(GAP_PURGE, "DELETE FROM gap WHERE to_s < ?1")                        \
	X(EVENT_ADD, "INSERT INTO event (cursor, t_ms, type, device, class, "  \
		     "address, action, reason, qos, value, text, text_bytes) " \
		     "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "  \
		     "?12)")                                                   \
	X(EVENT_ENDS, "SELECT coalesce((SELECT min(cursor) FROM event), 0), "  \
		      "coalesce((SELECT max(cursor) FROM event), 0)")          \
	X(EVENT_OLD, "SELECT t_ms FROM event WHERE cursor = ?1")               \
	X(EVENT_PURGE, "DELETE FROM event WHERE cursor < ?1")                  \
	X(PAGES, "SELECT (SELECT page_count FROM pragma_page_count), "         \
		 "(SELECT freelist_count FROM pragma_freelist_count), "        \
		 "(SELECT page_size FROM pragma_page_size)")

enum row_stmt {
#define STMT_ENUM(name, sql) ROW_##name,
	HISTORY_ROW_STATEMENTS(STMT_ENUM)
#undef STMT_ENUM
		ROW_STMTS
};

enum book_stmt {
#define STMT_ENUM(name, sql) OF_BOOK_##name,
	HISTORY_BOOK_STATEMENTS(STMT_ENUM)
#undef STMT_ENUM
		BOOK_STMTS
};

enum own_stmt {
#define STMT_ENUM(name, sql) OWN_##name,
	HISTORY_STATEMENTS(STMT_ENUM)
#undef STMT_ENUM
		OWN_STMTS
};

/* A connection. */
struct history_db {
	sqlite3 *db;
	char *path;
	struct reader_vfs *vfs;
	bool writes;
	bool one_view; /* all is read in one transaction */
	bool damaged;  /* SQLite said so of the file */
	sqlite3_stmt *row[BOOKS][HISTORY_LEVELS][ROW_STMTS];
	sqlite3_stmt *of_book[BOOKS][BOOK_STMTS];
	sqlite3_stmt *own[OWN_STMTS];
};

/* A reader; those who read hold it too. */
struct history {
	struct history_db d;
	unsigned users;
};
void history_hold(struct history *h);
void history_drop(struct history *h);

enum history_way {
	HISTORY_READ_ALONE = 0, /* of another process than the writer */
	HISTORY_READ_BESIDE,    /* of the writer's own process */
	HISTORY_WRITE,
};

/* Opens PATH; what is in it is not looked at. *d is the caller's, zeroed:
 * hist_close, also after a failure. */
MUST bool hist_open(struct history_db *d, const char *path,
	enum history_way way, struct err *e);
void hist_close(struct history_db *d);

/* STATE/NAME, given: free(). NULL: no memory. */
char *hist_path(const char *state, const char *name);

/* ERR_ENVIRONMENT unless the file is one of this version. *empty, if not NULL:
 * there is nothing in it at all, which is no error then. */
MUST bool hist_check(struct history_db *d, bool *empty, struct err *e);

/* Says what SQLite's last call on D failed of. Always false. */
bool hist_fail(struct history_db *d, struct err *e);
/* WHAT is not as a feed writes it. Always false. */
bool hist_damaged(struct history_db *d, const char *what, struct err *e);

/* The prepared statement; NULL: *e says why. */
sqlite3_stmt *hist_row_stmt(struct history_db *d, enum history_book b,
	enum history_level l, enum row_stmt s, struct err *e);
sqlite3_stmt *hist_book_stmt(struct history_db *d, enum history_book b,
	enum book_stmt s, struct err *e);
sqlite3_stmt *hist_own_stmt(
	struct history_db *d, enum own_stmt s, struct err *e);

/* Binds the values and takes the first step. *row: ST stands on a row, which
 * hist_done ends; else it is done. ST NULL: false, *e is as it was. */
MUST bool hist_start(struct history_db *d, sqlite3_stmt *st,
	const struct val *v, size_t n, bool *row, struct err *e);
/* The next step; as hist_start. */
MUST bool hist_step(
	struct history_db *d, sqlite3_stmt *st, bool *row, struct err *e);
void hist_done(sqlite3_stmt *st);
/* Of a statement without rows. */
MUST bool hist_run(struct history_db *d, sqlite3_stmt *st, const struct val *v,
	size_t n, struct err *e);

/* A mark; 0 when it was never set. */
MUST bool hist_mark(
	struct history_db *d, const char *name, int64_t *out, struct err *e);
MUST bool hist_mark_set(
	struct history_db *d, const char *name, int64_t value, struct err *e);

/* The names of marks: "purged_minute", "rolled_class_hour". */
#define HISTORY_MARK 32
void hist_mark_name(char out[static HISTORY_MARK], const char *what,
	enum history_book b, enum history_level l);

/* What there is of BOOK. */
MUST bool hist_reach(struct history_db *d, enum history_book b,
	struct history_reach *out, struct err *e);

/* When the oldest bucket of BOOK began; INT64_MAX: there is none. */
MUST bool hist_first(
	struct history_db *d, enum history_book b, int64_t *out, struct err *e);

static inline int64_t hist_key(int64_t t_s, int64_t no)
{
	return t_s / 60 * ((int64_t)1 << HISTORY_NO_BITS) + no;
}

static inline int64_t hist_key_time(int64_t key)
{
	return (key >> HISTORY_NO_BITS) * 60;
}

static inline int64_t hist_key_no(int64_t key)
{
	return key & HISTORY_NO_MAX;
}

/* A row as ST has it from column I on: class, row. */
MUST bool hist_row(struct history_db *d, sqlite3_stmt *st, int i,
	int64_t *class, uint64_t out[static COUNTERS], struct err *e);

/* The number of NAME; 0: it has none. */
MUST bool hist_number(struct history_db *d, enum history_book b,
	struct str name, int64_t *no, struct err *e);
/* The name of number NO into OUT, of CAP bytes. */
MUST bool hist_name(struct history_db *d, enum history_book b, int64_t no,
	char *out, size_t cap, struct err *e);

/* The newest event's cursor, and the oldest's; 0: none. */
MUST bool hist_events(
	struct history_db *d, int64_t *first, int64_t *last, struct err *e);

#endif
