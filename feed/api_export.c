/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_export.h"

#include "feed/api_events.h"
#include "feed/args.h"
#include "feed/cursor.h"
#include "feed/feed.h"
#include "feed/history_json.h"
#include "feed/past.h"
#include "feed/turn.h"

#include <stdlib.h>
#include <time.h>

/* How often in a row the history may fail before an answer is cut: a lock of a
 * moment is none any more at the next turn. */
#define TRIES 100

struct export
{
	struct feed *f;
	struct history *h;
	/* One of the two. */
	bool of_events;
	struct history_usage *usage;
	struct history_events *events;
	/* What is asked for; `after` of them is the last line's cursor. */
	struct history_ask ask;
	struct history_event_ask event_ask;
	char class[CLASS_NAME_MAX + 1];
	struct event_filter filter;
	uint32_t bind;
	int64_t told_s;
	uint64_t lines;
	unsigned failures;
};

static void export_close(struct export *x)
{
	history_usage_close(&x->usage);
	history_events_close(&x->events);
	past_close(x->f, &x->h);
}

static void export_free(void *ctx)
{
	export_close(ctx);
	free(ctx);
}

static bool export_open(struct export *x, struct err *e)
{
	struct history_head head;

	export_close(x);
	if (!past_open(x->f, &x->h, e) || !history_head(x->h, &head, e))
		return false;
	x->told_s = head.told_s;
	return x->of_events
		       ? history_events_open(x->h, &x->event_ask, &x->events, e)
		       : history_usage_open(x->h, &x->ask, &x->usage, e);
}

/* ------------------------------------------------------------------- the lines */

static int64_t *last_of(struct export *x)
{
	return x->of_events ? &x->event_ask.after : &x->ask.after;
}

static void add_cursor(struct export *x, struct text *out)
{
	char text[CURSOR_TEXT];
	uint8_t place[8];

	if (*last_of(x) == 0) {
		json_null(out, "cursor");
		return;
	}
	cursor_put((uint64_t)*last_of(x), place);
	cursor_format(x->bind, place, sizeof(place), text);
	json_text(out, "cursor", str_from(text));
}

static void end_line(struct export *x, struct text *out)
{
	json_close(out, '}');
	json_line_end(out);
	x->lines++;
}

static enum history_got add_row(
	struct export *x, struct text *out, unsigned *work, struct err *e)
{
	struct history_row row;
	enum history_got got = history_usage_next(x->usage, work, &row, e);

	if (got != HISTORY_ONE)
		return got;
	x->ask.after = row.cursor;
	json_open(out, NULL, '{');
	add_cursor(x, out);
	history_row_members(out, &row);
	end_line(x, out);
	return got;
}

static enum history_got add_event(
	struct export *x, struct text *out, unsigned *work, struct err *e)
{
	struct history_event event;
	enum history_got got = history_events_next(x->events, work, &event, e);

	if (got != HISTORY_ONE)
		return got;
	x->event_ask.after = event.cursor;
	json_open(out, NULL, '{');
	add_cursor(x, out);
	history_event_members(out, &event);
	end_line(x, out);
	return got;
}

/* The line that says that there is no more. */
static void add_end(struct export *x, struct text *out)
{
	uint64_t lines = x->lines;

	json_open(out, NULL, '{');
	json_truth(out, "end", true);
	add_cursor(x, out);
	json_count(out, "lines", lines);
	if (!x->of_events)
		json_number(out, "told_s", x->told_s);
	end_line(x, out);
}

static enum history_got add_some(
	struct export *x, struct text *out, struct err *e)
{
	struct turn t = turn_begin();
	unsigned work = HISTORY_WORK;
	enum history_got got = HISTORY_ONE;

	while (got == HISTORY_ONE && out->n < ANSWER_STEP_BYTES &&
		!turn_over(t))
		got = (x->of_events ? add_event : add_row)(x, out, &work, e);
	if (got == HISTORY_END)
		add_end(x, out);
	return got;
}

static enum answer_more more(struct answer *a)
{
	struct export *x = a->ctx;
	struct err e;

	switch (add_some(x, &a->body, &e)) {
	case HISTORY_END:
		return ANSWER_END;
	case HISTORY_ONE:
	case HISTORY_LATER:
		x->failures = 0;
		break;
	case HISTORY_FAILED:
		/* It goes on behind the last line that was written. */
		if (++x->failures == TRIES || !export_open(x, &e))
			return ANSWER_BROKEN;
		break;
	}
	return ANSWER_MORE;
}

/* ------------------------------------------------------------------- arguments */

static bool read_usage(const struct ask *q, struct export *x, struct err *e)
{
	static const char *const known[] = {
		"since", "until", "by", "class", "cursor"};
	static const char *const levels[] = {"minute", "hour", "day"};
	int64_t now_s = (int64_t)time(NULL);
	size_t by = HISTORY_MINUTE;
	bool given;

	x->ask.what = HISTORY_EACH;
	x->ask.to_s = now_s + 1;
	if (!ask_only(q, known, 5, e) ||
		!args_choice(q, "by", levels, 3, &by, e) ||
		!args_time(q, "since", now_s, &x->ask.from_s, e) ||
		!args_time(q, "until", now_s, &x->ask.to_s, e) ||
		!args_class(q, "class", &given, x->class, e) ||
		!event_cursor_read(q, x->bind, &x->ask.after, e))
		return false;
	x->ask.by = (enum history_level)by;
	if (given)
		x->ask.name = str_from(x->class);
	if (x->ask.from_s < x->ask.to_s)
		return true;
	(void)err_set(e, ERR_INPUT, "the time asked for ends before it begins");
	return err_at(e, "until");
}

static bool read_events(const struct ask *q, struct export *x, struct err *e)
{
	static const char *const known[] = {"since", "until", "type", "device",
		"class", "reason", "cursor"};

	x->of_events = true;
	if (!ask_only(q, known, 7, e) || !event_filter_read(q, &x->filter, e) ||
		!event_cursor_read(q, x->bind, &x->event_ask.after, e))
		return false;
	event_filter_ask(&x->filter, &x->event_ask);
	return true;
}

/* The first turn is made at once: what fails then is told with its status. */
static bool first_turn(struct export *x, struct answer *a, struct err *e)
{
	enum history_got got;

	if (!export_open(x, e))
		return false;
	got = add_some(x, &a->body, e);
	a->content_type = "application/x-ndjson";
	if (got != HISTORY_END)
		a->more = more;
	return got != HISTORY_FAILED;
}

static void answer(struct feed *f, const struct ask *q, struct answer *a,
	bool (*read)(const struct ask *q, struct export *x, struct err *e))
{
	struct export *x = calloc(1, sizeof(*x));
	struct err e;

	if (x == NULL) {
		answer_problem(a, 503, "out of memory; try again later");
		return;
	}
	x->f = f;
	x->bind = cursor_bind(q);
	a->ctx = x;
	a->drop = export_free;
	if (read(q, x, &e) && first_turn(x, a, &e))
		return;
	answer_err(a, &e);
	if (e.code == ERR_ENVIRONMENT)
		a->retry_after_s = 1;
}

void api_export_usage(struct feed *f, const struct ask *q, struct answer *a)
{
	answer(f, q, a, read_usage);
}

void api_export_events(struct feed *f, const struct ask *q, struct answer *a)
{
	answer(f, q, a, read_events);
}
