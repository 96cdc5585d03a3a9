/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of live.db, which hold whatever somebody wrote there.
 */
#include "core/utf8.h"
#include "io/live_private.h"

#include <string.h>

#define QUARANTINE_COLUMNS "device_id, since_s, until_s, reason, actor, change"

bool quarantine_holds(const struct quarantine *q, int64_t now_s)
{
	return q->until_s == 0 || now_s < q->until_s;
}

static bool read_id(sqlite3_stmt *st, int i, char out[static DEVICE_ID_MAX + 1])
{
	return col_copy(st, i, out, DEVICE_ID_MAX + 1) &&
	       device_id_valid(str_from(out));
}

static bool read_text(sqlite3_stmt *st, int i, char *out, size_t cap)
{
	return col_copy(st, i, out, cap) && utf8_valid(str_from(out));
}

static bool read_quarantine(sqlite3_stmt *st, struct quarantine *q)
{
	return read_id(st, 0, q->device_id) && col_int(st, 1, &q->since_s) &&
	       col_int(st, 2, &q->until_s) &&
	       read_text(st, 3, q->reason, sizeof(q->reason)) &&
	       read_text(st, 4, q->actor, sizeof(q->actor)) &&
	       col_int(st, 5, &q->change);
}

static bool read_action(sqlite3_stmt *st, struct live_action *a)
{
	struct str what;

	if (!col_int(st, 0, &a->change) || !col_int(st, 1, &a->t_s) ||
		!read_text(st, 2, a->actor, sizeof(a->actor)) ||
		!col_text(st, 3, 16, &what) || !read_id(st, 4, a->device_id) ||
		!read_text(st, 5, a->reason, sizeof(a->reason)) ||
		!col_int(st, 6, &a->until_s))
		return false;
	a->quarantine = str_eq(what, STR("quarantine"));
	return a->quarantine || str_eq(what, STR("release"));
}

bool live_find(struct live *l, struct str id, struct quarantine *out,
	bool *found, struct err *e)
{
	struct quarantine q = {.until_s = 0};
	sqlite3_stmt *st;
	bool row = false, done;

	if (!live_prepare(l,
		    "SELECT " QUARANTINE_COLUMNS " FROM quarantine "
		    "WHERE device_id = ?1",
		    VALS(V_TEXT(id)), &st, e))
		return false;
	done = live_step(l, st, &row, e);
	if (done && row)
		done = read_quarantine(st, &q) ||
		       live_damaged(l, "a quarantine", e);
	(void)sqlite3_finalize(st);
	if (!done)
		return false;
	*found = row;
	if (row)
		*out = q;
	return true;
}

bool live_quarantines(struct live *l, const char *after, int limit,
	bool (*each)(void *ctx, const struct quarantine *q), void *ctx,
	struct err *e)
{
	sqlite3_stmt *st;
	bool row = true, done = true;

	if (!live_prepare(l,
		    "SELECT " QUARANTINE_COLUMNS " FROM quarantine "
		    "WHERE device_id > ?1 ORDER BY device_id LIMIT ?2",
		    VALS(V_TEXT(str_from(after)), V_INT(limit)), &st, e))
		return false;
	while (done && row) {
		struct quarantine q;

		done = live_step(l, st, &row, e);
		if (done && row)
			done = read_quarantine(st, &q) ||
			       live_damaged(l, "a quarantine", e);
		if (done && row)
			row = each(ctx, &q);
	}
	(void)sqlite3_finalize(st);
	return done;
}

bool live_heads(struct live *l, struct live_heads *out, struct err *e)
{
	struct live_heads h;

	/* Each by the end of the table that it is at. */
	if (!live_number(l, "SELECT max(change) FROM action", NO_VALS,
		    &h.newest, e) ||
		!live_number(l, "SELECT min(change) FROM action", NO_VALS,
			&h.oldest, e))
		return false;
	if (h.oldest < 0 || h.newest < h.oldest)
		return live_damaged(l, "an action's number", e);
	*out = h;
	return true;
}

static bool read_change(sqlite3_stmt *st, struct live_change *c)
{
	int64_t quarantined;

	if (!col_int(st, 0, &c->change) ||
		!col_text(st, 1, DEVICE_ID_MAX, &c->device_id) ||
		!device_id_valid(c->device_id) || !col_int(st, 2, &quarantined))
		return false;
	c->quarantined = quarantined != 0;
	c->until_s = 0;
	return !c->quarantined || col_int(st, 3, &c->until_s);
}

bool live_changes(struct live *l, int64_t after, int limit,
	bool (*each)(void *ctx, const struct live_change *c), void *ctx,
	struct err *e)
{
	sqlite3_stmt *st;
	bool row = true, done = true;

	if (!live_prepare(l,
		    "SELECT a.change, a.device_id, q.device_id IS NOT NULL, "
		    "q.until_s FROM action AS a LEFT JOIN quarantine AS q "
		    "ON q.device_id = a.device_id WHERE a.change > ?1 "
		    "ORDER BY a.change LIMIT ?2",
		    VALS(V_INT(after), V_INT(limit)), &st, e))
		return false;
	while (done && row) {
		struct live_change c;

		done = live_step(l, st, &row, e);
		if (done && row)
			done = read_change(st, &c) ||
			       live_damaged(l, "an action", e);
		if (done && row)
			row = each(ctx, &c);
	}
	(void)sqlite3_finalize(st);
	return done;
}

bool live_actions(struct live *l, int64_t before, int limit,
	bool (*each)(void *ctx, const struct live_action *a), void *ctx,
	struct err *e)
{
	sqlite3_stmt *st;
	bool row = true, done = true;

	if (!live_prepare(l,
		    "SELECT change, t_s, actor, action, device_id, reason, "
		    "until_s FROM action WHERE change < ?1 "
		    "ORDER BY change DESC LIMIT ?2",
		    VALS(V_INT(before != 0 ? before : INT64_MAX), V_INT(limit)),
		    &st, e))
		return false;
	while (done && row) {
		struct live_action a;

		done = live_step(l, st, &row, e);
		if (done && row)
			done = read_action(st, &a) ||
			       live_damaged(l, "an action", e);
		if (done && row)
			row = each(ctx, &a);
	}
	(void)sqlite3_finalize(st);
	return done;
}
