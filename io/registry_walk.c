/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry_walk.h"

#include "io/registry_private.h"

#include <stdio.h>

/* Greater than any byte of an id. */
#define ID_ABOVE "~"
#define SQL_MAX  256

/* The ids from which and to which is walked. */
struct range {
	char from[DEVICE_ID_MAX + 1], to[DEVICE_ID_MAX + 2];
	bool without_from, has_to;
};

static bool fits(struct str s, struct err *e)
{
	return s.n <= DEVICE_ID_MAX ||
	       err_set(e, ERR_INPUT, "an id has at most %d bytes",
		       DEVICE_ID_MAX);
}

/* Of the two ends that both bound it the nearer one: the index is entered
 * there, and nothing is passed over. */
static void set_range(const struct device_walk *w, struct range *out)
{
	(void)snprintf(
		out->from, sizeof(out->from), "%.*s", STR_ARG(w->prefix));
	if (w->prefix.n != 0)
		(void)snprintf(out->to, sizeof(out->to), "%.*s" ID_ABOVE,
			STR_ARG(w->prefix));
	out->has_to = w->prefix.n != 0;
	if (w->after.n == 0)
		return;
	if (!w->down && str_cmp(w->after, w->prefix) >= 0) {
		(void)snprintf(out->from, sizeof(out->from), "%.*s",
			STR_ARG(w->after));
		out->without_from = true;
	} else if (w->down &&
		   (!out->has_to || str_cmp(w->after, str_from(out->to)) < 0)) {
		(void)snprintf(
			out->to, sizeof(out->to), "%.*s", STR_ARG(w->after));
		out->has_to = true;
	}
}

static bool read_brief(struct registry *r, sqlite3_stmt *st,
	struct device_brief *d, struct err *e)
{
	struct str status;

	if (!col_text(st, 0, DEVICE_ID_MAX, &d->id) ||
		!device_id_valid(d->id)) {
		(void)reg_damaged(r, e, "a device", "id");
		return false;
	}
	d->status = col_text(st, 1, 32, &status) ? device_status_find(status)
						 : DEVICE_NONE;
	if (d->status == DEVICE_NONE || !col_int(st, 2, &d->status_until_s)) {
		(void)reg_damaged(r, e, "a device", "status");
		return false;
	}
	return true;
}

static void set_sql(const struct device_walk *w, const struct range *range,
	char out[static SQL_MAX])
{
	const char *which = "";

	if (w->class_name.p != NULL)
		which = "AND class = ?3 ";
	else if (w->status != DEVICE_NONE)
		which = "AND status = ?3 ";
	(void)snprintf(out, SQL_MAX,
		"SELECT id, status, status_until_s FROM device "
		"WHERE id %s ?1 %s%sORDER BY id%s LIMIT ?4",
		range->without_from ? ">" : ">=",
		range->has_to ? "AND id < ?2 " : "", which,
		w->down ? " DESC" : "");
}

bool registry_walk(struct registry *r, const struct device_walk *w, int limit,
	bool (*each)(void *ctx, const struct device_brief *d), void *ctx,
	struct err *e)
{
	struct str which = w->class_name.p != NULL
				   ? w->class_name
				   : str_from(device_status_name(w->status));
	struct range range = {.has_to = false};
	struct device_brief d;
	sqlite3_stmt *st;
	char sql[SQL_MAX];
	bool row, ok;

	if (!fits(w->prefix, e) || !fits(w->after, e))
		return false;
	set_range(w, &range);
	set_sql(w, &range, sql);
	if (!reg_prepare(r, sql,
		    VALS(V_TEXT(str_from(range.from)),
			    V_TEXT(str_from(range.to)), V_TEXT(which),
			    V_INT(limit)),
		    &st, e))
		return false;
	while ((ok = reg_step(r, st, &row, e)) && row) {
		ok = read_brief(r, st, &d, e);
		if (!ok || !each(ctx, &d))
			break;
	}
	(void)sqlite3_finalize(st);
	return ok;
}
