/* SPDX-License-Identifier: Apache-2.0 */
#include "io/history_writer_private.h"

#include "io/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a step: that many numbers' buckets are made, or so many rows dropped. */
#define ROLL_NUMBERS 64
#define PURGE_ROWS   2000
#define PURGE_EVENTS 1000
/* Over its budget the file loses so much of its oldest level at a time. */
#define OVER_EVENTS 10000

static enum history_level below(enum history_level l)
{
	return l == HISTORY_DAY ? HISTORY_HOUR : HISTORY_MINUTE;
}

static enum history_level above(enum history_level l)
{
	return l == HISTORY_MINUTE ? HISTORY_HOUR : HISTORY_DAY;
}

/* The time of the first bucket of L at or after T_S; INT64_MAX: none. */
static bool first_bucket(struct history_writer *w, enum history_book b,
	enum history_level l, int64_t t_s, int64_t *out, struct err *e)
{
	sqlite3_stmt *st = hist_row_stmt(&w->d, b, l, ROW_NEXT, e);
	int64_t key;
	bool row, ok;

	if (!hist_start(&w->d, st, VALS(V_INT(hist_key(t_s, 0))), &row, e))
		return false;
	*out = INT64_MAX;
	if (!row)
		return true;
	ok = col_int(st, 0, &key) || hist_damaged(&w->d, "a key", e);
	hist_done(st);
	*out = hist_key_time(key);
	return ok;
}

/* ------------------------------------------------------------------ rolling */

/* Buckets of some numbers in the making. */
struct rolled {
	struct {
		bool any;
		int64_t class;
		uint64_t counter[COUNTERS];
	} of[ROLL_NUMBERS];
};

/* Adds what the numbers from FROM on have in the bucket of L at T_S. */
static bool gather(struct history_writer *w, enum history_book b,
	enum history_level l, const int64_t t_from[static 2],
	struct rolled *out, struct err *e)
{
	sqlite3_stmt *st = hist_row_stmt(&w->d, b, l, ROW_RANGE, e);
	int64_t key = hist_key(t_from[0], t_from[1]);
	bool row;

	if (!hist_start(&w->d, st,
		    VALS(V_INT(key), V_INT(key + ROLL_NUMBERS), V_INT(-1)),
		    &row, e))
		return false;
	while (row) {
		uint64_t counter[COUNTERS];
		int64_t at, class;

		if (!col_int(st, 0, &at) || at < key ||
			at - key >= ROLL_NUMBERS ||
			!hist_row(&w->d, st, 1, &class, counter, e)) {
			hist_done(st);
			return hist_damaged(&w->d, "a row", e);
		}
		at -= key;
		out->of[at].any = true;
		out->of[at].class = class;
		history_add(out->of[at].counter, counter);
		if (!hist_step(&w->d, st, &row, e))
			return false;
	}
	return true;
}

/* Makes the buckets of L at T_S, for the numbers from FROM on. */
static bool make(struct history_writer *w, enum history_book b,
	enum history_level l, const int64_t t_from[static 2], struct err *e)
{
	struct rolled *r = calloc(1, sizeof(*r));
	int64_t end = t_from[0] + history_step_s(l);
	bool ok = true;

	if (r == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	for (int64_t t = t_from[0]; ok && t < end;
		t += history_step_s(below(l)))
		ok = gather(
			w, b, below(l), (const int64_t[]){t, t_from[1]}, r, e);
	for (int64_t i = 0; ok && i < ROLL_NUMBERS; i++) {
		if (!r->of[i].any)
			continue;
		ok = writer_put(w, b, l,
			(const struct val[]){
				V_INT(hist_key(t_from[0], t_from[1] + i)),
				V_INT(r->of[i].class)},
			r->of[i].counter, e);
	}
	free(r);
	return ok;
}

/* Until when buckets of L can be made: what they are made of is told. */
static int64_t ripe(const struct history_writer *w, enum history_book b,
	enum history_level l, int64_t told_s)
{
	return history_floor(
		l, l == HISTORY_HOUR ? told_s : w->reach[b].rolled_s[below(l)]);
}

static bool roll(struct history_writer *w, enum history_book b,
	enum history_level l, int64_t told_s, bool *done, struct err *e)
{
	int64_t t = w->reach[b].rolled_s[l], no = w->rolled_no[b][l];
	int64_t end = ripe(w, b, l, told_s), first;

	*done = t < end;
	if (t >= end)
		return true;
	if (no == 0) {
		/* What is empty is stepped over. */
		if (!first_bucket(w, b, below(l), t, &first, e))
			return false;
		first = first < end ? history_floor(l, first) : end;
		if (first > t)
			return writer_mark(w, "rolled", b, l, first, e);
	}
	if (!make(w, b, l, (const int64_t[]){t, no}, e))
		return false;
	no += ROLL_NUMBERS;
	if (no <= w->last_no[b])
		return writer_mark(w, "rolled_no", b, l, no, e);
	return writer_mark(w, "rolled_no", b, l, 0, e) &&
	       writer_mark(w, "rolled", b, l, t + history_step_s(l), e);
}

/* ----------------------------------------------------------------- dropping */

/* Drops some of what is before CUT_S, which is never read again from the first
 * step on. */
static bool purge(struct history_writer *w, enum history_book b,
	enum history_level l, int64_t cut_s, bool *done, struct err *e)
{
	int64_t first;

	*done = false;
	if (!first_bucket(w, b, l, 0, &first, e))
		return false;
	if (first >= cut_s)
		return true;
	*done = true;
	if (cut_s > w->reach[b].purged_s[l] &&
		!writer_mark(w, "purged", b, l, cut_s, e))
		return false;
	return hist_run(&w->d, hist_row_stmt(&w->d, b, l, ROW_PURGE, e),
		VALS(V_INT(hist_key(cut_s, 0)), V_INT(PURGE_ROWS)), e);
}

/* What may go of L without that anything is lost that is kept longer. */
static int64_t may_go(const struct history_writer *w, enum history_book b,
	enum history_level l, int64_t until_s)
{
	int64_t made =
		l == HISTORY_DAY ? INT64_MAX : w->reach[b].rolled_s[above(l)];

	return history_floor(above(l), until_s < made ? until_s : made);
}

static bool purge_old(struct history_writer *w, enum history_book b,
	const struct history_limits *limits, int64_t now_s, bool *done,
	struct err *e)
{
	const int64_t keep_s[HISTORY_LEVELS] = {
		limits->minute_s, limits->hour_s, limits->day_s};

	*done = false;
	for (unsigned i = 0; i < HISTORY_LEVELS && !*done; i++) {
		enum history_level l = (enum history_level)i;
		int64_t cut = may_go(w, b, l, now_s - keep_s[l]);

		/* What a drop for room has begun goes on. */
		if (cut < w->reach[b].purged_s[l])
			cut = w->reach[b].purged_s[l];
		if (!purge(w, b, l, cut, done, e))
			return false;
	}
	return true;
}

static bool drop_events(
	struct history_writer *w, int64_t before, bool *done, struct err *e)
{
	int64_t first, last;

	if (!hist_events(&w->d, &first, &last, e))
		return false;
	/* The last one stays: the next gets a cursor after it. */
	if (before > last)
		before = last;
	*done = first != 0 && first < before;
	if (!*done)
		return true;
	if (before > first + PURGE_EVENTS)
		before = first + PURGE_EVENTS;
	return hist_run(&w->d, hist_own_stmt(&w->d, OWN_EVENT_PURGE, e),
		VALS(V_INT(before)), e);
}

/* Events that are too many, or of which the newest of some is too old. */
static bool purge_events(struct history_writer *w,
	const struct history_limits *limits, int64_t now_s, bool *done,
	struct err *e)
{
	sqlite3_stmt *st = hist_own_stmt(&w->d, OWN_EVENT_OLD, e);
	int64_t first, last, t_ms = INT64_MAX;
	bool row;

	if (!hist_events(&w->d, &first, &last, e))
		return false;
	if (last - first >= HISTORY_EVENTS)
		return drop_events(w, last - HISTORY_EVENTS + 1, done, e);
	*done = false;
	if (first == 0 || last - first < PURGE_EVENTS)
		return true;
	if (!hist_start(&w->d, st, VALS(V_INT(first + PURGE_EVENTS)), &row, e))
		return false;
	if (row && !col_int(st, 0, &t_ms)) {
		hist_done(st);
		return hist_damaged(&w->d, "an event", e);
	}
	if (row)
		hist_done(st);
	return t_ms / 1000 >= now_s - limits->event_s ||
	       drop_events(w, first + PURGE_EVENTS, done, e);
}

/* ------------------------------------------------------------------- budget */

/* Bytes of the file that hold something. */
static bool bytes_used(struct history_writer *w, uint64_t *out, struct err *e)
{
	sqlite3_stmt *st = hist_own_stmt(&w->d, OWN_PAGES, e);
	int64_t pages = 0, unused = 0, size = 0;
	bool row, ok;

	if (!hist_start(&w->d, st, NO_VALS, &row, e))
		return false;
	ok = (row && col_int(st, 0, &pages) && col_int(st, 1, &unused) &&
		     col_int(st, 2, &size) && pages >= unused && unused >= 0 &&
		     size > 0) ||
	     hist_damaged(&w->d, "the number of pages", e);
	if (row)
		hist_done(st);
	if (ok)
		*out = (uint64_t)(pages - unused) * (uint64_t)size;
	return ok;
}

uint64_t history_writer_used(struct history_writer *w)
{
	uint64_t used;

	return bytes_used(w, &used, NULL) ? used : 0;
}

/* Drops the oldest hour of minutes, or day of hours, or day, that may go.
 * *done false: there is none. */
static bool drop_oldest(struct history_writer *w, bool *done,
	char note[static HISTORY_NOTE], struct err *e)
{
	const enum history_book b = BOOK_DEVICE;
	int64_t first, cut;

	*done = false;
	for (unsigned i = 0; i < HISTORY_LEVELS && !*done; i++) {
		enum history_level l = (enum history_level)i;
		char when[TIME_TEXT];

		if (!first_bucket(w, b, l, 0, &first, e))
			return false;
		if (first == INT64_MAX)
			continue;
		cut = history_floor(above(l), first) + history_step_s(above(l));
		if (cut > may_go(w, b, l, INT64_MAX - 86400))
			continue;
		if (!purge(w, b, l, cut, done, e))
			return false;
		time_format(cut, when);
		(void)snprintf(note, HISTORY_NOTE,
			"over history.max_bytes: %ss before %s dropped",
			history_level_name(l), when);
	}
	return true;
}

static bool keep_budget(struct history_writer *w, uint64_t max_bytes,
	enum history_tidied *out, char note[static HISTORY_NOTE], struct err *e)
{
	uint64_t used;
	bool done = false;

	if (!bytes_used(w, &used, e))
		return false;
	if (used <= max_bytes)
		return true;
	if (!drop_oldest(w, &done, note, e))
		return false;
	if (!done) {
		if (!drop_events(w, w->last_event - OVER_EVENTS, &done, e))
			return false;
		if (done)
			(void)snprintf(note, HISTORY_NOTE,
				"over history.max_bytes: old events dropped");
	}
	if (done)
		*out = HISTORY_DROPPED;
	return true;
}

/* --------------------------------------------------------------------- tidy */

static bool tidy_book(struct history_writer *w, enum history_book b,
	const struct history_limits *limits, const int64_t now_told[static 2],
	bool *done, struct err *e)
{
	return roll(w, b, HISTORY_HOUR, now_told[1], done, e) &&
	       (*done || roll(w, b, HISTORY_DAY, now_told[1], done, e)) &&
	       (*done || purge_old(w, b, limits, now_told[0], done, e));
}

static bool tidy(struct history_writer *w, const struct history_limits *limits,
	int64_t now_s, enum history_tidied *out, char note[static HISTORY_NOTE],
	struct err *e)
{
	int64_t now_told[2] = {now_s, 0};
	bool done = false;

	if (!hist_mark(&w->d, "told", &now_told[1], e))
		return false;
	if (!tidy_book(w, BOOK_CLASS, limits, now_told, &done, e) ||
		(!done && !tidy_book(w, BOOK_DEVICE, limits, now_told, &done,
				  e)) ||
		(!done && !purge_events(w, limits, now_s, &done, e)))
		return false;
	*out = done ? HISTORY_MADE : HISTORY_TIDY;
	return done || (hist_run(&w->d, hist_own_stmt(&w->d, OWN_GAP_PURGE, e),
				VALS(V_INT(now_s - limits->day_s)), e) &&
			       keep_budget(w, limits->max_bytes, out, note, e));
}

bool history_tidy(struct history_writer *w, const struct history_limits *limits,
	int64_t now_s, enum history_tidied *done,
	char note[static HISTORY_NOTE], struct err *e)
{
	enum history_tidied made = HISTORY_TIDY;

	note[0] = '\0';
	if (!history_begin(w, e))
		return false;
	if (!tidy(w, limits, now_s, &made, note, e)) {
		history_rollback(w);
		return false;
	}
	if (!history_commit(w, e))
		return false;
	*done = made;
	return true;
}
