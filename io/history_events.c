/* SPDX-License-Identifier: Apache-2.0 */
#include "io/history_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_TEXT 80 /* bytes of a filter, with its NUL */

/* What may be asked for: a filter, and its column. */
enum filter {
	BY_TYPE = 0,
	BY_DEVICE,
	BY_CLASS,
	BY_REASON,
	FILTERS,
};

struct history_events {
	struct history *h; /* held */
	sqlite3_stmt *st;
	bool newest_first, by_device;
	int64_t after, from_ms, to_ms;
	bool asked[FILTERS];
	char want[FILTERS][ASK_TEXT];
};

#define COLUMNS                                                                \
	"cursor, t_ms, type, device, class, address, action, reason, qos, "    \
	"value, text, text_bytes"

static const char *query(const struct history_events *v)
{
	if (v->by_device)
		return v->newest_first ? "SELECT " COLUMNS " FROM event WHERE "
					 "device = ?3 AND cursor < ?1 "
					 "ORDER BY cursor DESC LIMIT ?2"
				       : "SELECT " COLUMNS " FROM event WHERE "
					 "device = ?3 AND cursor > ?1 "
					 "ORDER BY cursor LIMIT ?2";
	return v->newest_first ? "SELECT " COLUMNS " FROM event WHERE "
				 "cursor < ?1 ORDER BY cursor DESC LIMIT ?2"
			       : "SELECT " COLUMNS " FROM event WHERE "
				 "cursor > ?1 ORDER BY cursor LIMIT ?2";
}

/* One that is too long is no name of anything, and neither is what is left. */
static void want(struct history_events *v, enum filter f, struct str s)
{
	size_t n = s.n < ASK_TEXT - 1 ? s.n : ASK_TEXT - 1;

	v->asked[f] = s.p != NULL;
	if (s.p != NULL && n != 0)
		memcpy(v->want[f], s.p, n);
}

bool history_events_open(struct history *h, const struct history_event_ask *ask,
	struct history_events **out, struct err *e)
{
	struct history_events *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	v->newest_first = ask->newest_first;
	v->after = ask->after != 0     ? ask->after
		   : ask->newest_first ? INT64_MAX
				       : 0;
	v->from_ms =
		ask->from_s < INT64_MAX / 1000 ? ask->from_s * 1000 : INT64_MAX;
	v->to_ms = ask->to_s != 0 && ask->to_s < INT64_MAX / 1000
			   ? ask->to_s * 1000
			   : INT64_MAX;
	want(v, BY_TYPE, ask->type);
	want(v, BY_DEVICE, ask->device);
	want(v, BY_CLASS, ask->class);
	want(v, BY_REASON, ask->reason);
	v->by_device = v->asked[BY_DEVICE];
	if (sqlite3_prepare_v3(h->d.db, query(v), -1, 0, &v->st, NULL) !=
		SQLITE_OK) {
		(void)hist_fail(&h->d, e);
		free(v);
		return false;
	}
	v->h = h;
	history_hold(h);
	*out = v;
	return true;
}

void history_events_close(struct history_events **v)
{
	if (v == NULL || *v == NULL)
		return;
	(void)sqlite3_finalize((*v)->st);
	history_drop((*v)->h);
	free(*v);
	*v = NULL;
}

/* ------------------------------------------------------------------ columns */

static bool text_or_none(sqlite3_stmt *st, int i, char *out, size_t cap)
{
	if (sqlite3_column_type(st, i) == SQLITE_NULL) {
		out[0] = '\0';
		return true;
	}
	return col_copy(st, i, out, cap);
}

static bool address(sqlite3_stmt *st, int i, uint8_t out[static 16])
{
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		return true;
	if (sqlite3_column_type(st, i) != SQLITE_BLOB ||
		sqlite3_column_bytes(st, i) != 16)
		return false;
	memcpy(out, sqlite3_column_blob(st, i), 16);
	return true;
}

static bool text(sqlite3_stmt *st, int i, struct history_event *x)
{
	int64_t whole;
	int n;

	if (sqlite3_column_type(st, i) != SQLITE_BLOB)
		return false;
	n = sqlite3_column_bytes(st, i);
	if (n > (int)EVENT_TEXT || !col_int(st, i + 1, &whole) || whole < n)
		return false;
	if (n != 0)
		memcpy(x->text, sqlite3_column_blob(st, i), (size_t)n);
	x->text_len = (size_t)n;
	x->text_bytes = (size_t)whole;
	return true;
}

static bool load(struct history_db *d, sqlite3_stmt *st,
	struct history_event *out, struct err *e)
{
	int64_t qos, value;

	memset(out, 0, sizeof(*out));
	if (!col_int(st, 0, &out->cursor) || !col_int(st, 1, &out->t_ms) ||
		!col_copy(st, 2, out->type, sizeof(out->type)) ||
		!text_or_none(st, 3, out->device, sizeof(out->device)) ||
		!text_or_none(st, 4, out->class, sizeof(out->class)) ||
		!address(st, 5, out->address) ||
		!text_or_none(st, 6, out->action, sizeof(out->action)) ||
		!text_or_none(st, 7, out->reason, sizeof(out->reason)) ||
		!col_int(st, 8, &qos) || !col_int(st, 9, &value) ||
		!text(st, 10, out))
		return hist_damaged(d, "an event", e);
	out->qos = (uint8_t)qos;
	out->value = (uint64_t)value;
	return true;
}

/* -------------------------------------------------------------------- turns */

static bool fits(const struct history_events *v, const struct history_event *x)
{
	const char *const has[FILTERS] = {
		[BY_TYPE] = x->type,
		[BY_DEVICE] = x->device,
		[BY_CLASS] = x->class,
		[BY_REASON] = x->reason,
	};

	for (unsigned f = 0; f < FILTERS; f++) {
		if (v->asked[f] && strcmp(v->want[f], has[f]) != 0)
			return false;
	}
	return x->t_ms >= v->from_ms && x->t_ms < v->to_ms;
}

/* Each call is a query of its own, so that nothing is held between turns. */
enum history_got history_events_next(struct history_events *v, unsigned *work,
	struct history_event *out, struct err *e)
{
	struct history_db *d = &v->h->d;
	size_t n = v->by_device ? 3 : 2;
	struct val ask[3] = {V_INT(v->after), V_INT(*work),
		V_TEXT(str_from(v->want[BY_DEVICE]))};
	bool row;

	if (*work == 0)
		return HISTORY_LATER;
	if (!hist_start(d, v->st, ask, n, &row, e))
		return HISTORY_FAILED;
	while (row) {
		--*work;
		if (!load(d, v->st, out, e)) {
			hist_done(v->st);
			return HISTORY_FAILED;
		}
		v->after = out->cursor;
		if (fits(v, out)) {
			hist_done(v->st);
			return HISTORY_ONE;
		}
		if (!hist_step(d, v->st, &row, e))
			return HISTORY_FAILED;
	}
	/* As many as there was work for: there may be more. */
	return *work == 0 ? HISTORY_LATER : HISTORY_END;
}
