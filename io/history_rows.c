/* SPDX-License-Identifier: Apache-2.0 */
#include "io/history_private.h"

#include <stdio.h>

/* ------------------------------------------------------------------- marks */

bool hist_mark(
	struct history_db *d, const char *name, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = hist_own_stmt(d, OWN_MARK, e);
	bool row, ok;

	if (!hist_start(d, st, VALS(V_TEXT(str_from(name))), &row, e))
		return false;
	if (!row) {
		*out = 0;
		return true;
	}
	ok = col_int(st, 0, out) || hist_damaged(d, name, e);
	hist_done(st);
	return ok;
}

bool hist_mark_set(
	struct history_db *d, const char *name, int64_t value, struct err *e)
{
	return hist_run(d, hist_own_stmt(d, OWN_MARK_SET, e),
		VALS(V_TEXT(str_from(name)), V_INT(value)), e);
}

void hist_mark_name(char out[static HISTORY_MARK], const char *what,
	enum history_book b, enum history_level l)
{
	(void)snprintf(out, HISTORY_MARK, "%s_%s%s", what,
		b == BOOK_CLASS ? "class_" : "", history_level_name(l));
}

bool hist_reach(struct history_db *d, enum history_book b,
	struct history_reach *out, struct err *e)
{
	struct history_reach r = {.rolled_s[HISTORY_MINUTE] = INT64_MAX};
	char name[HISTORY_MARK];

	for (unsigned i = 0; i < HISTORY_LEVELS; i++) {
		enum history_level l = (enum history_level)i;

		hist_mark_name(name, "purged", b, l);
		if (!hist_mark(d, name, &r.purged_s[l], e))
			return false;
		hist_mark_name(name, "rolled", b, l);
		if (l != HISTORY_MINUTE &&
			!hist_mark(d, name, &r.rolled_s[l], e))
			return false;
	}
	*out = r;
	return true;
}

bool hist_first(
	struct history_db *d, enum history_book b, int64_t *out, struct err *e)
{
	int64_t first = INT64_MAX, key = 0;

	for (unsigned i = 0; i < HISTORY_LEVELS; i++) {
		sqlite3_stmt *st =
			hist_row_stmt(d, b, (enum history_level)i, ROW_NEXT, e);
		bool row;

		if (!hist_start(d, st, VALS(V_INT(0)), &row, e))
			return false;
		if (!row)
			continue;
		if (!col_int(st, 0, &key)) {
			hist_done(st);
			return hist_damaged(d, "a key", e);
		}
		hist_done(st);
		if (hist_key_time(key) < first)
			first = hist_key_time(key);
	}
	*out = first;
	return true;
}

/* -------------------------------------------------------------------- rows */

bool hist_row(struct history_db *d, sqlite3_stmt *st, int i, int64_t *class,
	uint64_t out[static COUNTERS], struct err *e)
{
	const void *p = NULL;
	int n = 0;

	if (sqlite3_column_type(st, i + 1) == SQLITE_BLOB) {
		p = sqlite3_column_blob(st, i + 1);
		n = sqlite3_column_bytes(st, i + 1);
	}
	if (p == NULL || !col_int(st, i, class) ||
		!history_decode(p, (size_t)n, out))
		return hist_damaged(d, "a row", e);
	return true;
}

bool hist_number(struct history_db *d, enum history_book b, struct str name,
	int64_t *no, struct err *e)
{
	sqlite3_stmt *st = hist_book_stmt(d, b, OF_BOOK_NUMBER, e);
	bool row, ok;

	if (!hist_start(d, st, VALS(V_TEXT(name)), &row, e))
		return false;
	*no = 0;
	if (!row)
		return true;
	ok = (col_int(st, 0, no) && *no > 0 && *no <= HISTORY_NO_MAX) ||
	     hist_damaged(d, "a number", e);
	hist_done(st);
	return ok;
}

bool hist_name(struct history_db *d, enum history_book b, int64_t no, char *out,
	size_t cap, struct err *e)
{
	sqlite3_stmt *st = hist_book_stmt(d, b, OF_BOOK_NAME, e);
	bool row, ok;

	if (!hist_start(d, st, VALS(V_INT(no)), &row, e))
		return false;
	if (!row)
		return hist_damaged(d, "the number of a row", e);
	ok = col_copy(st, 0, out, cap) || hist_damaged(d, "a name", e);
	hist_done(st);
	return ok;
}

bool hist_events(
	struct history_db *d, int64_t *first, int64_t *last, struct err *e)
{
	sqlite3_stmt *st = hist_own_stmt(d, OWN_EVENT_ENDS, e);
	bool row, ok;

	if (!hist_start(d, st, NO_VALS, &row, e))
		return false;
	ok = (row && col_int(st, 0, first) && col_int(st, 1, last) &&
		     *first >= 0 && *last >= *first) ||
	     hist_damaged(d, "the events' cursors", e);
	if (row)
		hist_done(st);
	return ok;
}
