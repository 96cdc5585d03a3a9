/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_usage.h"

#include "feed/api_top.h"
#include "feed/args.h"
#include "feed/feed.h"
#include "feed/history_json.h"
#include "feed/past.h"
#include "feed/turn.h"
#include "io/registry_walk.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEVICES "/api/v1/devices/"
#define CLASSES "/api/v1/classes/"
#define GAPS    64 /* that are told, the newest */

/* An answer in the making. */
struct series {
	struct feed *f;
	struct history *h;
	struct history_usage *u;
	struct history_ask ask; /* its name is NAME */
	char name[DEVICE_ID_MAX + 1];
	bool by_class; /* TOP: of one class */
	bool any;      /* a row was written */
};

static void series_free(void *ctx)
{
	struct series *x = ctx;

	history_usage_close(&x->u);
	past_close(x->f, &x->h);
	free(x);
}

/* --------------------------------------------------------------- the arguments */

static bool read_time(const struct ask *q, struct history_ask *a, struct err *e)
{
	int64_t now_s = (int64_t)time(NULL);

	/* What is counted in this second belongs to it. */
	a->to_s = now_s + 1;
	if (!args_time(q, "until", now_s, &a->to_s, e))
		return false;
	a->from_s = a->to_s > USAGE_SINCE_S ? a->to_s - USAGE_SINCE_S : 0;
	if (!args_time(q, "since", now_s, &a->from_s, e))
		return false;
	if (a->from_s < a->to_s)
		return true;
	(void)err_set(e, ERR_INPUT, "the time asked for ends before it begins");
	return err_at(e, "until");
}

static bool read_series(const struct ask *q, struct series *x, struct err *e)
{
	static const char *const known[] = {"since", "until", "by"};
	static const char *const levels[] = {"minute", "hour", "day"};
	size_t by = HISTORY_LEVELS;

	if (!ask_only(q, known, 3, e) || !read_time(q, &x->ask, e) ||
		!args_choice(q, "by", levels, 3, &by, e))
		return false;
	x->ask.series = by != HISTORY_LEVELS;
	if (x->ask.series)
		x->ask.by = (enum history_level)by;
	return true;
}

static bool read_top(const struct ask *q, struct series *x, struct err *e)
{
	static const char *const known[] = {
		"since", "until", "sort", "limit", "class"};
	int64_t limit = USAGE_TOP;

	x->ask.what = HISTORY_TOP;
	x->ask.sort = COUNTER_WIRE_BYTES_IN;
	if (!ask_only(q, known, 5, e) || !read_time(q, &x->ask, e) ||
		!args_counter(q, "sort", &x->ask.sort, e) ||
		!args_number(q, "limit", 1, USAGE_TOP_MAX, &limit, e) ||
		!args_class(q, "class", &x->by_class, x->name, e))
		return false;
	x->ask.top = (size_t)limit;
	return true;
}

/* ------------------------------------------------------------------ the answer */

/* What stands before the rows. */
static bool add_head(struct series *x, struct text *out, struct err *e)
{
	struct history_gap gap[GAPS], within = {x->ask.from_s, x->ask.to_s};
	struct history_head head;
	size_t n = 0;

	if (!history_head(x->h, &head, e) ||
		!history_gaps(x->h, within, gap, GAPS, &n, e))
		return false;
	json_open(out, NULL, '{');
	if (x->ask.what == HISTORY_TOP)
		json_text(out, "sort", str_from(meter_count_name(x->ask.sort)));
	else
		json_text(out,
			x->ask.what == HISTORY_DEVICE ? "device" : "class",
			str_from(x->name));
	if (x->ask.series)
		json_text(out, "by", str_from(history_level_name(x->ask.by)));
	else
		json_null(out, "by");
	json_number(out, "from_s", x->ask.from_s);
	json_number(out, "to_s", x->ask.to_s);
	history_reach_members(out, &head, gap, n);
	json_open(out, "rows", '[');
	return true;
}

static enum history_got add_rows(
	struct series *x, struct text *out, struct turn t, struct err *e)
{
	unsigned work = HISTORY_WORK;
	struct history_row row;

	while (out->n < ANSWER_STEP_BYTES && !turn_over(t)) {
		enum history_got got = history_usage_next(x->u, &work, &row, e);

		if (got != HISTORY_ONE)
			return got;
		history_row_json(out, &row);
		x->any = true;
	}
	return HISTORY_LATER;
}

static enum answer_more go_on(struct series *x, struct text *out, struct err *e)
{
	switch (add_rows(x, out, turn_begin(), e)) {
	case HISTORY_FAILED:
		return ANSWER_BROKEN;
	case HISTORY_END:
		json_close(out, ']');
		json_close(out, '}');
		json_line_end(out);
		return ANSWER_END;
	case HISTORY_ONE:
	case HISTORY_LATER:
		break;
	}
	return ANSWER_MORE;
}

static enum answer_more more(struct answer *a)
{
	struct series *x = a->ctx;
	struct err e;

	/* text_clear forgot it. */
	a->body.comma = x->any;
	return go_on(x, &a->body, &e);
}

/* The first turn is made at once: what fails then is told with its status. */
static bool begin(struct series *x, struct answer *a, struct err *e)
{
	enum answer_more left;

	if (x->ask.what != HISTORY_TOP || x->by_class)
		x->ask.name = str_from(x->name);
	if ((x->h == NULL && !past_open(x->f, &x->h, e)) ||
		!history_usage_open(x->h, &x->ask, &x->u, e) ||
		!add_head(x, &a->body, e))
		return false;
	left = go_on(x, &a->body, e);
	if (left == ANSWER_MORE)
		a->more = more;
	return left != ANSWER_BROKEN;
}

static struct series *series_new(struct feed *f, struct answer *a)
{
	struct series *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		answer_problem(a, 503, "out of memory; try again later");
		return NULL;
	}
	x->f = f;
	a->ctx = x;
	a->drop = series_free;
	return x;
}

static void fail(struct answer *a, const struct err *e)
{
	answer_err(a, e);
	if (e->code == ERR_ENVIRONMENT)
		a->retry_after_s = 1;
}

/* --------------------------------------------------------------------- of whom */

static bool take_name(struct series *x, struct str name)
{
	if (name.n > DEVICE_ID_MAX)
		return false;
	memcpy(x->name, name.p, name.n);
	x->name[name.n] = '\0';
	return true;
}

/* A wrong name must not look like a device that was silent. */
static bool known_device(struct series *x, bool *known, struct err *e)
{
	struct str id = str_from(x->name);
	struct meter_device seen;
	struct registry *r;
	struct device d;

	*known = meter_device_find(&x->f->watch->meter, id, &seen);
	if (*known || !history_knows_device(x->h, id, known, e) || *known)
		return *known;
	r = roster_get(x->f->roster, e);
	if (r == NULL || !registry_device(r, id, &d, known, e))
		return false;
	if (*known)
		device_fini(&d);
	return true;
}

static bool note(void *ctx, const struct device_brief *d)
{
	(void)d;
	*(bool *)ctx = true;
	return false;
}

static bool known_class(struct series *x, bool *known, struct err *e)
{
	struct device_walk w = {.class_name = str_from(x->name)};
	struct registry *r;

	*known = meter_class_find(&x->f->watch->meter, w.class_name) !=
		 METER_NONE;
	if (*known || !history_knows_class(x->h, w.class_name, known, e) ||
		*known)
		return *known;
	r = roster_get(x->f->roster, e);
	return r != NULL && registry_walk(r, &w, 1, note, known, e);
}

static bool named(struct series *x, struct str name, struct err *e)
{
	bool device = x->ask.what == HISTORY_DEVICE, known = false;

	if (!past_open(x->f, &x->h, e))
		return false;
	if (take_name(x, name) &&
		!(device ? known_device : known_class)(x, &known, e))
		return false;
	return known || err_set(e, ERR_NOT_FOUND,
				"%s '%.*s' is neither registered nor in the "
				"meter nor in the history",
				device ? "device" : "class",
				name.n < 64 ? (int)name.n : 64, name.p);
}

static void answer_series(struct feed *f, const struct ask *q, struct answer *a,
	enum history_what what)
{
	struct str rest,
		name = ask_segment(
			q, what == HISTORY_DEVICE ? DEVICES : CLASSES, &rest);
	struct series *x = series_new(f, a);
	struct err e;

	if (x == NULL)
		return;
	x->ask.what = what;
	if (!read_series(q, x, &e) || !named(x, name, &e) || !begin(x, a, &e))
		fail(a, &e);
}

void api_device_usage(struct feed *f, const struct ask *q, struct answer *a)
{
	answer_series(f, q, a, HISTORY_DEVICE);
}

void api_class_usage(struct feed *f, const struct ask *q, struct answer *a)
{
	answer_series(f, q, a, HISTORY_CLASS);
}

void api_usage_top(struct feed *f, const struct ask *q, struct answer *a)
{
	struct series *x;
	struct err e;

	if (ask_arg(q, "since").p == NULL && ask_arg(q, "until").p == NULL) {
		api_top(f, q, a);
		return;
	}
	x = series_new(f, a);
	if (x != NULL && (!read_top(q, x, &e) || !begin(x, a, &e)))
		fail(a, &e);
}
