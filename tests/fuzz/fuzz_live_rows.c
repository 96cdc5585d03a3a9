/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of live.db that weir-feed did not write: any type and any bytes in each
 * column, in tables that only look like its own. The first byte's lowest bit
 * chooses the table; then comes a hostile_row. Oracle: the plugin's reader errs,
 * or what it gives keeps every rule; and it gives the same whichever way it is
 * asked.
 */
#include "core/utf8.h"
#include "io/live_private.h"
#include "tests/support/hostile_row.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	char dir[64], path[80];
	sqlite3 *db;         /* writes what weir-feed would not */
	sqlite3_stmt *st[2]; /* by table */
} fx;

static const int n_columns[2] = {6, 7};

static void remove_all(void)
{
	static const char *const suffix[] = {"", "-wal", "-shm"};
	char name[96];

	for (size_t i = 0; i < 2; i++)
		(void)sqlite3_finalize(fx.st[i]);
	(void)sqlite3_close(fx.db);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", fx.path, suffix[i]);
		(void)unlink(name);
	}
	(void)rmdir(fx.dir);
}

static void sql(const char *text)
{
	CHECK(sqlite3_exec(fx.db, text, NULL, NULL, NULL) == SQLITE_OK);
}

/* The tables take anything, and say that they do not: this connection goes on
 * with what it has read of them. */
static void disguise(void)
{
	static const char *const schema[] = LIVE_SCHEMA_SQL;
	static const char *const names[] = {
		"quarantine", "quarantine_until", "action"};

	sql("PRAGMA writable_schema = ON");
	for (size_t i = 0; i < 3; i++) {
		char *text = sqlite3_mprintf("UPDATE sqlite_schema SET sql = "
					     "%Q WHERE name = %Q",
			schema[i], names[i]);

		CHECK(text != NULL);
		sql(text);
		sqlite3_free(text);
	}
}

static void setup(void)
{
	struct live *l = NULL;
	struct err e = {0};

	(void)snprintf(fx.dir, sizeof(fx.dir), "/tmp/weir-fuzz-XXXXXX");
	CHECK(mkdtemp(fx.dir) != NULL);
	(void)snprintf(fx.path, sizeof(fx.path), "%s/live.db", fx.dir);
	CHECK(live_open(fx.path, LIVE_WRITE, &l, &e));
	live_close(&l);
	CHECK(sqlite3_open(fx.path, &fx.db) == SQLITE_OK);
	sql("PRAGMA synchronous = OFF; DROP TABLE quarantine; DROP TABLE "
	    "action; CREATE TABLE quarantine (device_id PRIMARY KEY, since_s, "
	    "until_s, reason, actor, change) WITHOUT ROWID; CREATE INDEX "
	    "quarantine_until ON quarantine (until_s) WHERE until_s <> 0; "
	    "CREATE TABLE action (change INTEGER PRIMARY KEY, t_s, actor, "
	    "action, device_id, reason, until_s)");
	CHECK(sqlite3_prepare_v2(fx.db,
		      "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?)", -1,
		      &fx.st[0], NULL) == SQLITE_OK);
	CHECK(sqlite3_prepare_v2(fx.db,
		      "INSERT INTO action VALUES (?, ?, ?, ?, ?, ?, ?)", -1,
		      &fx.st[1], NULL) == SQLITE_OK);
	disguise();
	(void)atexit(remove_all);
}

/* -------------------------------------------------------------- what comes */

static bool text_valid(struct str s, size_t cap)
{
	return s.n < cap && utf8_valid(s);
}

struct told {
	int n;
	struct quarantine q;
	struct live_action a;
};

static bool each_quarantine(void *ctx, const struct quarantine *q)
{
	struct told *x = ctx;

	CHECK(device_id_valid(str_from(q->device_id)));
	CHECK(text_valid(str_from(q->reason), sizeof(q->reason)));
	CHECK(text_valid(str_from(q->actor), sizeof(q->actor)));
	x->q = *q;
	x->n++;
	return true;
}

static bool each_change(void *ctx, const struct live_change *c)
{
	struct told *x = ctx;

	CHECK(device_id_valid(c->device_id));
	CHECK(c->quarantined || c->until_s == 0);
	x->n++;
	return true;
}

static bool each_action(void *ctx, const struct live_action *a)
{
	struct told *x = ctx;

	CHECK(device_id_valid(str_from(a->device_id)));
	CHECK(text_valid(str_from(a->reason), sizeof(a->reason)));
	CHECK(text_valid(str_from(a->actor), sizeof(a->actor)));
	x->a = *a;
	x->n++;
	return true;
}

static void look(struct live *l)
{
	struct told x = {.n = 0}, y = {.n = 0}, z = {.n = 0};
	struct quarantine q = {.until_s = 0};
	struct live_heads h;
	struct err e = {0};
	bool found = false, heads = live_heads(l, &h, &e);

	CHECK(heads ? h.oldest >= 0 && h.newest >= h.oldest : check_report(&e));
	if (!live_quarantines(l, "", 9, each_quarantine, &x, &e))
		CHECK(check_report(&e) && x.n == 0);
	if (x.n != 0) {
		CHECK(live_find(l, str_from(x.q.device_id), &q, &found, &e));
		CHECK(found && strcmp(q.device_id, x.q.device_id) == 0 &&
			strcmp(q.reason, x.q.reason) == 0 &&
			q.until_s == x.q.until_s && q.change == x.q.change);
	}
	if (!live_changes(l, INT64_MIN, 9, each_change, &y, &e))
		CHECK(check_report(&e) && y.n == 0);
	if (!live_actions(l, 0, 9, each_action, &z, &e))
		CHECK(check_report(&e) && z.n == 0);
	/* An action that is told whole is a change too. */
	CHECK(z.n == 0 || y.n == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct live *l = NULL;
	struct err e = {0};
	struct str first;

	if (size == 0)
		return 0;
	if (fx.db == NULL)
		setup();
	if (!hostile_row_insert(fx.st[data[0] & 1], n_columns[data[0] & 1],
		    (struct str){(const char *)data + 1, size - 1}, &first))
		return 0;
	if (!live_open(fx.path, LIVE_FOLLOW, &l, &e)) {
		(void)fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	look(l);
	live_close(&l);
	sql("DELETE FROM quarantine; DELETE FROM action");
	return 0;
}
