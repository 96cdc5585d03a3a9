/* SPDX-License-Identifier: Apache-2.0 */
#include "io/history_writer_private.h"

#include <string.h>

/* ------------------------------------------------------ what the writer knows */

static bool load_book(
	struct history_writer *w, enum history_book b, struct err *e)
{
	sqlite3_stmt *st = hist_book_stmt(&w->d, b, OF_BOOK_LAST, e);
	char name[HISTORY_MARK];
	bool row, ok;

	if (!hist_start(&w->d, st, NO_VALS, &row, e))
		return false;
	ok = (row && col_int(st, 0, &w->last_no[b]) && w->last_no[b] >= 0) ||
	     hist_damaged(&w->d, "a number", e);
	hist_done(st);
	for (unsigned i = HISTORY_HOUR; ok && i < HISTORY_LEVELS; i++) {
		enum history_level l = (enum history_level)i;

		hist_mark_name(name, "rolled_no", b, l);
		ok = hist_mark(&w->d, name, &w->rolled_no[b][l], e);
	}
	return ok && hist_reach(&w->d, b, &w->reach[b], e);
}

bool writer_load(struct history_writer *w, struct err *e)
{
	int64_t first;

	if (!load_book(w, BOOK_DEVICE, e) || !load_book(w, BOOK_CLASS, e) ||
		!hist_events(&w->d, &first, &w->last_event, e))
		return false;
	w->stale = false;
	return true;
}

bool writer_mark(struct history_writer *w, const char *what,
	enum history_book b, enum history_level l, int64_t value, struct err *e)
{
	char name[HISTORY_MARK];

	hist_mark_name(name, what, b, l);
	if (!hist_mark_set(&w->d, name, value, e))
		return false;
	if (strcmp(what, "purged") == 0)
		w->reach[b].purged_s[l] = value;
	else if (strcmp(what, "rolled") == 0)
		w->reach[b].rolled_s[l] = value;
	else
		w->rolled_no[b][l] = value;
	return true;
}

/* ------------------------------------------------------------------ numbers */

static bool number_of(struct history_writer *w, enum history_book b,
	struct str name, int64_t *no, struct err *e)
{
	if (!hist_number(&w->d, b, name, no, e) || *no != 0)
		return *no != 0;
	if (w->last_no[b] >= HISTORY_NO_MAX)
		return err_set(e, ERR_INPUT,
			"%s has no number left for '%.*s'; stop weir-feed, and "
			"move the file away to begin another",
			w->d.path, STR_ARG(name));
	if (!hist_run(&w->d, hist_book_stmt(&w->d, b, OF_BOOK_ADD, e),
		    VALS(V_INT(w->last_no[b] + 1), V_TEXT(name)), e))
		return false;
	*no = ++w->last_no[b];
	return true;
}

bool history_device_number(
	struct history_writer *w, struct str id, int64_t *no, struct err *e)
{
	*no = 0;
	return number_of(w, BOOK_DEVICE, id, no, e);
}

bool history_class_number(
	struct history_writer *w, struct str name, int64_t *no, struct err *e)
{
	*no = 0;
	return number_of(w, BOOK_CLASS, name, no, e);
}

/* --------------------------------------------------------------------- rows */

static struct val row_val(const uint8_t *row, size_t n)
{
	/* NULL would be NULL, not a blob of nothing. */
	return (struct val){
		.kind = VAL_BLOB, .s = {n != 0 ? (const char *)row : "", n}};
}

bool writer_put(struct history_writer *w, enum history_book b,
	enum history_level l, const struct val key_class[static 2],
	const uint64_t counter[static COUNTERS], struct err *e)
{
	uint8_t row[HISTORY_ROW_MAX];
	struct val v[3] = {key_class[0], key_class[1]};

	v[2] = row_val(row, history_encode(counter, row));
	return hist_run(&w->d, hist_row_stmt(&w->d, b, l, ROW_SET, e), v, 3, e);
}

/* Adds to a row that is there. */
static bool add_to_row(struct history_writer *w, enum history_book b,
	enum history_level l, const struct val key_class[static 2],
	const uint64_t more[static COUNTERS], struct err *e)
{
	sqlite3_stmt *st = hist_row_stmt(&w->d, b, l, ROW_GET, e);
	uint64_t sum[COUNTERS] = {0};
	int64_t class;
	bool row, ok = true;

	if (!hist_start(&w->d, st, key_class, 1, &row, e))
		return false;
	if (row) {
		ok = hist_row(&w->d, st, 0, &class, sum, e);
		hist_done(st);
	}
	history_add(sum, more);
	return ok && writer_put(w, b, l, key_class, sum, e);
}

/* Most rows are new: so that is tried first. */
static bool tell_row(struct history_writer *w, enum history_book b,
	enum history_level l, const struct val key_class[static 2],
	const uint64_t counter[static COUNTERS], struct err *e)
{
	sqlite3_stmt *st = hist_row_stmt(&w->d, b, l, ROW_PUT, e);
	uint8_t row[HISTORY_ROW_MAX];
	struct val v[3] = {key_class[0], key_class[1]};
	int rc;

	if (st == NULL)
		return false;
	v[2] = row_val(row, history_encode(counter, row));
	rc = db_bind(st, v, 3);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc != SQLITE_DONE && rc != SQLITE_CONSTRAINT)
		(void)hist_fail(&w->d, e);
	hist_done(st);
	if (rc == SQLITE_CONSTRAINT)
		return add_to_row(w, b, l, key_class, counter, e);
	return rc == SQLITE_DONE;
}

/* True when the bucket of NO that begins at T_S has been made of those below
 * it: what comes late goes into both. */
static bool is_made(const struct history_writer *w, enum history_book b,
	enum history_level l, int64_t t_s, int64_t no)
{
	int64_t rolled_s = w->reach[b].rolled_s[l];

	return l == HISTORY_MINUTE || t_s < rolled_s ||
	       (t_s == rolled_s && no < w->rolled_no[b][l]);
}

static bool tell(struct history_writer *w, enum history_book b, int64_t t_s,
	const struct history_look *k, const uint64_t delta[static COUNTERS],
	struct err *e)
{
	const struct history_reach *r = &w->reach[b];

	/* Before all that is kept: into the oldest day there can be. */
	if (t_s < r->purged_s[HISTORY_DAY])
		t_s = r->purged_s[HISTORY_DAY];
	for (unsigned i = 0; i < HISTORY_LEVELS; i++) {
		enum history_level l = (enum history_level)i;
		int64_t at = history_floor(l, t_s);
		struct val v[2] = {V_INT(hist_key(at, k->no)), V_INT(k->class)};

		if (at < r->purged_s[l] || !is_made(w, b, l, at, k->no))
			continue;
		if (!tell_row(w, b, l, v, delta, e))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------- deltas */

/* What NO was taken at; *found: it was. */
static bool taken(struct history_writer *w, enum history_book b, int64_t no,
	struct history_base *out, bool *found, struct err *e)
{
	sqlite3_stmt *st = hist_book_stmt(&w->d, b, OF_BOOK_TAKEN, e);
	int64_t segment = 0;
	bool ok;

	if (!hist_start(&w->d, st, VALS(V_INT(no)), found, e))
		return false;
	if (!*found)
		return true;
	/* The identity has the place that a row has its class in. */
	ok = hist_row(&w->d, st, 0, &segment, out->counter, e);
	out->segment = (uint64_t)segment;
	hist_done(st);
	return ok;
}

static bool take(struct history_writer *w, enum history_book b,
	const struct history_look *k, struct err *e)
{
	uint8_t row[HISTORY_ROW_MAX];
	size_t n = history_encode(k->counter, row);

	return hist_run(&w->d, hist_book_stmt(&w->d, b, OF_BOOK_TAKE, e),
		VALS(V_INT(k->no), V_INT((int64_t)k->segment), row_val(row, n)),
		e);
}

static bool tell_look(struct history_writer *w, enum history_book b,
	int64_t t_s, const struct history_look *k, struct err *e)
{
	struct history_base base;
	uint64_t delta[COUNTERS];
	bool found;

	if (!taken(w, b, k->no, &base, &found, e))
		return false;
	if (history_delta(
		    found ? &base : NULL, k->segment, k->counter, delta) &&
		!tell(w, b, t_s, k, delta, e))
		return false;
	if (found && base.segment == k->segment &&
		memcmp(base.counter, k->counter, sizeof(base.counter)) == 0)
		return true;
	return take(w, b, k, e);
}

bool history_tell_device(struct history_writer *w, int64_t t_s,
	const struct history_look *l, struct err *e)
{
	return tell_look(w, BOOK_DEVICE, t_s, l, e);
}

bool history_tell_class(struct history_writer *w, int64_t t_s,
	const struct history_look *l, struct err *e)
{
	return tell_look(w, BOOK_CLASS, t_s, l, e);
}

/* -------------------------------------------------------------------- place */

bool history_place(
	struct history_writer *w, struct history_place *out, struct err *e)
{
	int64_t segment, ring, looked, told;

	if (!hist_mark(&w->d, "segment", &segment, e) ||
		!hist_mark(&w->d, "ring", &ring, e) ||
		!hist_mark(&w->d, "looked", &looked, e) ||
		!hist_mark(&w->d, "told", &told, e))
		return false;
	*out = (struct history_place){
		(uint64_t)segment, (uint64_t)ring, looked, told};
	return true;
}

bool history_place_set(
	struct history_writer *w, const struct history_place *p, struct err *e)
{
	return hist_mark_set(&w->d, "segment", (int64_t)p->segment, e) &&
	       hist_mark_set(&w->d, "ring", (int64_t)p->ring, e) &&
	       hist_mark_set(&w->d, "looked", p->looked_s, e) &&
	       hist_mark_set(&w->d, "told", p->told_s, e);
}

bool history_tell_gap(
	struct history_writer *w, const struct history_gap *g, struct err *e)
{
	return hist_run(&w->d, hist_own_stmt(&w->d, OWN_GAP_ADD, e),
		VALS(V_INT(g->to_s), V_INT(g->from_s)), e);
}

/* ------------------------------------------------------------------- events */

static struct val text_or_null(struct str s)
{
	struct val null = V_NULL, text = V_TEXT(s);

	return s.n != 0 ? text : null;
}

static bool is_zero(const uint8_t a[static 16])
{
	static const uint8_t zero[16];

	return memcmp(a, zero, 16) == 0;
}

static bool add_event(
	struct history_writer *w, const struct val v[static 11], struct err *e)
{
	struct val all[12];

	all[0] = (struct val)V_INT(w->last_event + 1);
	memcpy(all + 1, v, 11 * sizeof(v[0]));
	if (!hist_run(
		    &w->d, hist_own_stmt(&w->d, OWN_EVENT_ADD, e), all, 12, e))
		return false;
	w->last_event++;
	return true;
}

/* Refusals and what is observed are of an action, for a reason. */
static bool has_reason(const struct event *v)
{
	return v->type == EVENT_REFUSAL || v->type == EVENT_OBSERVED;
}

bool history_tell_event(struct history_writer *w, const struct event_copy *v,
	const char *class, struct err *e)
{
	const struct event *x = &v->e;
	struct str none = {NULL, 0}, named = str_from(class);
	bool why = has_reason(x);
	struct val address = row_val(x->address, 16);

	if (is_zero(x->address))
		address.kind = VAL_NULL;
	/* Names that nobody can have are not kept. */
	return add_event(w,
		(const struct val[]){V_INT(x->t_ms),
			V_TEXT(str_from(event_name(x->type))),
			text_or_null(
				device_id_valid(x->device) ? x->device : none),
			text_or_null(class_name_valid(named) ? named : none),
			address,
			text_or_null(why ? str_from(action_name(
						   (enum action)x->action))
					 : none),
			text_or_null(why ? str_from(reason_name(
						   (enum reason)x->reason))
					 : none),
			V_INT(x->qos), V_INT((int64_t)x->value),
			row_val((const uint8_t *)x->text.p, x->text.n),
			V_INT((int64_t)v->text_len)},
		e);
}

bool history_tell_lost(
	struct history_writer *w, int64_t t_ms, uint64_t n, struct err *e)
{
	return add_event(w,
		(const struct val[]){V_INT(t_ms), V_TEXT(STR("lost")), V_NULL,
			V_NULL, V_NULL, V_NULL, V_NULL, V_INT(0),
			V_INT((int64_t)n), row_val(NULL, 0), V_INT(0)},
		e);
}
