/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live.db in a folder of its own, for tests: made before each, removed
 * after. Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_LIVE_FIXTURE_H
#define TESTS_SUPPORT_LIVE_FIXTURE_H

#include "io/live.h"
#include "tests/support/expect.h"
#include "tests/support/tempdir.h"

#include <sqlite3.h>

#define FX_NOW   INT64_C(1700000000)
#define FX_ACTOR "token ops"

struct fixture {
	struct tempdir dir;
	char path[96];
	struct live *l; /* open, or NULL */
	struct err e;
};

static inline int fx_setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));

	if (fx == NULL)
		return -1;
	tempdir_make(&fx->dir);
	(void)snprintf(fx->path, sizeof(fx->path), "%s/live.db", fx->dir.path);
	*state = fx;
	return 0;
}

static inline int fx_teardown(void **state)
{
	struct fixture *fx = *state;

	live_close(&fx->l);
	(void)tempdir_walk(&fx->dir, 1);
	free(fx);
	return 0;
}

static inline struct quarantine fx_of(const char *id, int64_t until_s)
{
	struct quarantine q = {.since_s = FX_NOW, .until_s = until_s};

	(void)snprintf(q.device_id, sizeof(q.device_id), "%s", id);
	(void)snprintf(q.reason, sizeof(q.reason), "sends too much");
	(void)snprintf(q.actor, sizeof(q.actor), FX_ACTOR);
	return q;
}

/* Puts ID in quarantine as weir-feed does: opens, writes, closes. */
static inline int64_t fx_put(
	struct fixture *fx, const char *id, int64_t until_s)
{
	struct quarantine q = fx_of(id, until_s);
	struct live *l = NULL;
	int64_t change = 0;

	OK(fx, live_open(fx->path, LIVE_WRITE, &l, &fx->e));
	OK(fx, live_quarantine(l, &q, &change, &fx->e));
	live_close(&l);
	return change;
}

static inline int64_t fx_release(
	struct fixture *fx, const char *id, int64_t now_s)
{
	struct live *l = NULL;
	int64_t change = 0;

	OK(fx, live_open(fx->path, LIVE_WRITE, &l, &fx->e));
	OK(fx, live_release(l, str_from(id), FX_ACTOR, now_s, &change, &fx->e));
	live_close(&l);
	return change;
}

/* Runs SQL in the file as somebody who may write anything. */
static inline void fx_sql(struct fixture *fx, const char *sql)
{
	sqlite3 *db = NULL;
	char *why = NULL;
	int persist = 1;

	assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_file_control(db, "main",
				 SQLITE_FCNTL_PERSIST_WAL, &persist),
		SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#endif
