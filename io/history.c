/* SPDX-License-Identifier: Apache-2.0 */
#include "io/history.h"

#include "io/history_private.h"
#include "io/history_writer.h"

#include <stdlib.h>

/* ------------------------------------------------------------- open, close */

/*
 * Who reads alone does so in one transaction. While no writer has the file open,
 * SQLite makes its index of the log anew for each transaction, and what a feed
 * that was killed has left may be long. The daemon must not hold one: its log
 * could not be begun anew.
 */
static bool begin_view(
	struct history_db *d, enum history_way way, struct err *e)
{
	d->one_view = way == HISTORY_READ_ALONE;
	return !d->one_view ||
	       hist_run(d, hist_own_stmt(d, OWN_SNAPSHOT, e), NO_VALS, e);
}

static bool open_way(const char *state, enum history_way way,
	struct history **out, struct err *e)
{
	char *path = hist_path(state, HISTORY_FILE);
	struct history *h = calloc(1, sizeof(*h));
	bool ok = path != NULL && h != NULL;

	if (!ok)
		err_set(e, ERR_ENVIRONMENT, "out of memory");
	ok = ok && hist_open(&h->d, path, way, e) &&
	     begin_view(&h->d, way, e) && hist_check(&h->d, NULL, e);
	free(path);
	if (ok) {
		h->users = 1;
		*out = h;
		return true;
	}
	if (h != NULL)
		hist_close(&h->d);
	free(h);
	return false;
}

bool history_open(const char *state, struct history **out, struct err *e)
{
	return open_way(state, HISTORY_READ_ALONE, out, e);
}

bool history_open_beside(const char *state, struct history **out, struct err *e)
{
	return open_way(state, HISTORY_READ_BESIDE, out, e);
}

void history_hold(struct history *h)
{
	h->users++;
}

void history_drop(struct history *h)
{
	if (--h->users != 0)
		return;
	hist_close(&h->d);
	free(h);
}

void history_close(struct history **h)
{
	if (h == NULL || *h == NULL)
		return;
	history_drop(*h);
	*h = NULL;
}

/* -------------------------------------------------------------------- head */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The oldest bucket of all; 0: none. */
static bool oldest(struct history_db *d, int64_t *out, struct err *e)
{
	int64_t device, class;

	if (!hist_first(d, BOOK_DEVICE, &device, e) ||
		!hist_first(d, BOOK_CLASS, &class, e))
		return false;
	*out = earlier(device, class);
	if (*out == INT64_MAX)
		*out = 0;
	return true;
}

bool history_head(struct history *h, struct history_head *out, struct err *e)
{
	struct history_head head = {0};

	if (!hist_mark(&h->d, "told", &head.told_s, e) ||
		!hist_reach(&h->d, BOOK_DEVICE, &head.reach, e) ||
		!oldest(&h->d, &head.first_s, e) ||
		!hist_events(&h->d, &head.first_event, &head.last_event, e))
		return false;
	*out = head;
	return true;
}

bool history_gaps(struct history *h, struct history_gap within,
	struct history_gap *out, size_t cap, size_t *n, struct err *e)
{
	sqlite3_stmt *st = hist_own_stmt(&h->d, OWN_GAPS, e);
	size_t got = 0;
	bool row;

	if (!hist_start(&h->d, st,
		    VALS(V_INT(within.from_s), V_INT(within.to_s),
			    V_INT((int64_t)cap)),
		    &row, e))
		return false;
	while (row && got < cap) {
		struct history_gap *g = &out[got++];

		if (!col_int(st, 0, &g->from_s) || !col_int(st, 1, &g->to_s)) {
			hist_done(st);
			return hist_damaged(&h->d, "a gap", e);
		}
		if (!hist_step(&h->d, st, &row, e))
			return false;
	}
	if (row)
		hist_done(st);
	/* The newest came first. */
	for (size_t i = 0; i < got / 2; i++) {
		struct history_gap g = out[i];

		out[i] = out[got - 1 - i];
		out[got - 1 - i] = g;
	}
	*n = got;
	return true;
}

static bool knows(struct history *h, enum history_book b, struct str name,
	bool *known, struct err *e)
{
	int64_t no;

	if (!hist_number(&h->d, b, name, &no, e))
		return false;
	*known = no != 0;
	return true;
}

bool history_knows_device(
	struct history *h, struct str name, bool *known, struct err *e)
{
	return knows(h, BOOK_DEVICE, name, known, e);
}

bool history_knows_class(
	struct history *h, struct str name, bool *known, struct err *e)
{
	return knows(h, BOOK_CLASS, name, known, e);
}
