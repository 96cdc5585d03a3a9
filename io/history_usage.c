/* SPDX-License-Identifier: Apache-2.0 */
#include "io/history_usage_private.h"

#include <stdlib.h>
#include <string.h>

static bool no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

/* ------------------------------------------------------------- open, close */

static bool check_ask(const struct history_ask *a, struct err *e)
{
	bool named = a->what == HISTORY_DEVICE || a->what == HISTORY_CLASS;

	if (a->name.n > DEVICE_ID_MAX || (named && a->name.p == NULL))
		return err_set(e, ERR_INPUT,
			"a device or class has a name of at most %d bytes",
			DEVICE_ID_MAX);
	if (a->from_s >= a->to_s || a->from_s < 0)
		return err_set(e, ERR_INPUT,
			"the time asked for ends before it begins");
	if (a->by >= HISTORY_LEVELS)
		return err_set(e, ERR_INPUT, "there are no such buckets");
	if (a->series && (a->what == HISTORY_TOP || a->what == HISTORY_EACH))
		return err_set(e, ERR_INPUT,
			"a series is of one device or class, or of all "
			"classes");
	if (a->what == HISTORY_TOP &&
		(a->top == 0 || a->top > HISTORY_TOP_MAX || a->sort > COUNTERS))
		return err_set(e, ERR_INPUT,
			"the first 1 to %u by a counter can be told",
			HISTORY_TOP_MAX);
	return true;
}

/* Longest buckets: all there are when one sum is asked for. */
static enum history_level longest(const struct history_ask *a)
{
	return a->series || a->what == HISTORY_EACH ? a->by : HISTORY_DAY;
}

/* Which numbers and classes: *none when what is named is not there. */
static bool find_named(struct history_usage *u, bool *none, struct err *e)
{
	struct history_db *d = &u->h->d;
	struct str name = u->ask.name;
	int64_t no = 0;

	*none = false;
	u->only_class = -1;
	u->book = u->ask.what == HISTORY_CLASSES || u->ask.what == HISTORY_CLASS
			  ? BOOK_CLASS
			  : BOOK_DEVICE;
	if (u->ask.what == HISTORY_CLASSES || name.p == NULL)
		return true;
	if (!hist_number(d,
		    u->ask.what == HISTORY_DEVICE ? BOOK_DEVICE : BOOK_CLASS,
		    name, &no, e))
		return false;
	*none = no == 0;
	if (u->ask.what == HISTORY_TOP || u->ask.what == HISTORY_EACH)
		u->only_class = no;
	else
		u->only_no = no;
	return true;
}

static int64_t max_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The last moment that anything can be told of: buckets beyond are none. */
static bool last_told(struct history_db *d, int64_t *out, struct err *e)
{
	int64_t last = 0;

	for (unsigned i = 0; i < BOOKS * HISTORY_LEVELS; i++) {
		enum history_level l = (enum history_level)(i / BOOKS);
		sqlite3_stmt *st = hist_row_stmt(
			d, (enum history_book)(i % BOOKS), l, ROW_LAST, e);
		int64_t key;
		bool row;

		if (!hist_start(d, st, NO_VALS, &row, e))
			return false;
		if (!row)
			continue;
		if (!col_int(st, 0, &key)) {
			hist_done(st);
			return hist_damaged(d, "a key", e);
		}
		hist_done(st);
		last = max_of(last, hist_key_time(key) + history_step_s(l));
	}
	*out = last;
	return true;
}

static bool set_walk(struct history_usage *u, struct err *e)
{
	struct history_reach reach;
	struct history_head head;
	int64_t from = u->ask.from_s, to = u->ask.to_s, last = 0, first = 0;

	/* Devices' hours and classes' are not made at the same time. */
	if (!history_head(u->h, &head, e) ||
		!hist_reach(&u->h->d, u->book, &reach, e) ||
		!hist_first(&u->h->d, u->book, &first, e) ||
		!last_told(&u->h->d, &last, e))
		return false;
	if (u->ask.what == HISTORY_EACH && u->ask.after > 0)
		from = max_of(from, hist_key_time(u->ask.after));
	/* Only what is not added to any more, and only as it was asked for. */
	if (u->ask.what == HISTORY_EACH)
		to = min_of(to, u->ask.by == HISTORY_MINUTE
					? head.told_s
					: reach.rolled_s[u->ask.by]);
	history_walk_init(&u->walk, &reach, max_of(from, first),
		min_of(to, last), longest(&u->ask));
	u->again = u->walk;
	return true;
}

bool history_usage_open(struct history *h, const struct history_ask *ask,
	struct history_usage **out, struct err *e)
{
	struct history_usage *u;
	bool none;

	if (!check_ask(ask, e))
		return false;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return no_memory(e);
	u->h = h;
	history_hold(h);
	u->ask = *ask;
	if (ask->name.p != NULL && ask->name.n != 0)
		memcpy(u->name, ask->name.p, ask->name.n);
	if (ask->name.p != NULL)
		u->ask.name.p = u->name;
	if (!find_named(u, &none, e) || !set_walk(u, e)) {
		history_usage_close(&u);
		return false;
	}
	if (none)
		u->stage = USAGE_END;
	*out = u;
	return true;
}

void history_usage_close(struct history_usage **u)
{
	if (u == NULL || *u == NULL)
		return;
	free((*u)->sum);
	free((*u)->count);
	free((*u)->first);
	history_drop((*u)->h);
	free(*u);
	*u = NULL;
}
