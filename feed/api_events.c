/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_events.h"

#include "core/reason.h"
#include "feed/args.h"
#include "feed/cursor.h"
#include "feed/feed.h"
#include "feed/history_json.h"
#include "feed/past.h"
#include "feed/turn.h"

#include <stdlib.h>
#include <time.h>

/* ------------------------------------------------------------------ the filter */

static bool read_type(const struct ask *q, struct str *out, struct err *e)
{
	static const char *const names[] = {"connect", "disconnect", "refusal",
		"observed", "takeover", "policy", "status", "lost"};
	size_t i = 8;

	_Static_assert(EVENT_TYPES == 8, "a name for each, and lost");
	if (!args_choice(q, "type", names, 8, &i, e))
		return false;
	if (i < 8)
		*out = str_from(names[i]);
	return true;
}

static bool read_reason(const struct ask *q, struct str *out, struct err *e)
{
	struct str v = ask_arg(q, "reason");

	if (v.p == NULL)
		return true;
	for (int r = 0; r < REASON_COUNT; r++) {
		if (!str_eq(v, str_from(reason_name((enum reason)r))))
			continue;
		*out = str_from(reason_name((enum reason)r));
		return true;
	}
	(void)err_set(e, ERR_INPUT,
		"'%.*s' is no reason: docs/POLICY.md has them",
		v.n < 40 ? (int)v.n : 40, v.p);
	return err_at(e, "reason");
}

bool event_filter_read(
	const struct ask *q, struct event_filter *out, struct err *e)
{
	struct event_filter f = {.from_s = 0};
	int64_t now_s = (int64_t)time(NULL);
	bool given;

	if (!read_type(q, &f.type, e) || !read_reason(q, &f.reason, e) ||
		!args_id(q, "device", f.device, e) ||
		!args_class(q, "class", &given, f.class, e) ||
		!args_time(q, "since", now_s, &f.from_s, e))
		return false;
	if (ask_arg(q, "until").p != NULL) {
		if (!args_time(q, "until", now_s, &f.to_s, e))
			return false;
		if (f.from_s >= f.to_s) {
			(void)err_set(e, ERR_INPUT,
				"the time asked for ends before it begins");
			return err_at(e, "until");
		}
	} else if (f.from_s != 0) {
		f.to_s = INT64_MAX / 1000;
	}
	*out = f;
	return true;
}

void event_filter_ask(
	const struct event_filter *f, struct history_event_ask *out)
{
	out->type = f->type;
	out->reason = f->reason;
	if (f->device[0] != '\0')
		out->device = str_from(f->device);
	if (f->class[0] != '\0')
		out->class = str_from(f->class);
	out->from_s = f->from_s;
	out->to_s = f->to_s;
}

bool event_cursor_read(
	const struct ask *q, uint32_t bind, int64_t *out, struct err *e)
{
	struct str text = ask_arg(q, "cursor");
	uint8_t place[CURSOR_MAX];
	uint64_t at = 0;
	size_t n;

	*out = 0;
	if (text.p == NULL)
		return true;
	if (!cursor_parse(text, bind, place, &n, e))
		return false;
	if (n == 8)
		at = cursor_take(place);
	if (at == 0 || at > INT64_MAX) {
		/* Nobody but us makes one whose checksum fits. */
		(void)err_set(e, ERR_INPUT, "this is no cursor that was given");
		return err_at(e, "cursor");
	}
	*out = (int64_t)at;
	return true;
}

/* ------------------------------------------------------------------ the answer */

struct page {
	struct feed *f;
	struct history *h;
	struct history_events *events;
	struct event_filter filter;
	uint32_t bind;
	size_t limit, given;
	int64_t last;
};

static void page_free(void *ctx)
{
	struct page *p = ctx;

	history_events_close(&p->events);
	past_close(p->f, &p->h);
	free(p);
}

static void json_cursor(
	struct text *t, const char *key, uint32_t bind, int64_t cursor)
{
	char text[CURSOR_TEXT];
	uint8_t place[8];

	cursor_put((uint64_t)cursor, place);
	cursor_format(bind, place, sizeof(place), text);
	json_text(t, key, str_from(text));
}

static enum history_got add_events(
	struct page *p, struct text *out, struct turn t, struct err *e)
{
	unsigned work = HISTORY_WORK;
	struct history_event x;

	while (out->n < ANSWER_STEP_BYTES && !turn_over(t)) {
		enum history_got got;

		if (p->given == p->limit)
			return HISTORY_END;
		got = history_events_next(p->events, &work, &x, e);
		if (got != HISTORY_ONE)
			return got;
		json_open(out, NULL, '{');
		json_cursor(out, "cursor", p->bind, x.cursor);
		history_event_members(out, &x);
		json_close(out, '}');
		p->last = x.cursor;
		p->given++;
	}
	return HISTORY_LATER;
}

static enum answer_more go_on(struct page *p, struct text *out, struct err *e)
{
	switch (add_events(p, out, turn_begin(), e)) {
	case HISTORY_FAILED:
		return ANSWER_BROKEN;
	case HISTORY_END:
		json_close(out, ']');
		if (p->given == p->limit)
			json_cursor(out, "next", p->bind, p->last);
		else
			json_null(out, "next");
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
	struct page *p = a->ctx;
	struct err e;

	/* text_clear forgot it. */
	a->body.comma = p->given != 0;
	return go_on(p, &a->body, &e);
}

static bool begin(
	struct page *p, const struct ask *q, struct answer *a, struct err *e)
{
	static const char *const known[] = {"type", "device", "class", "reason",
		"since", "until", "order", "limit", "cursor"};
	static const char *const orders[] = {"asc", "desc"};
	struct history_event_ask ask = {.newest_first = true};
	int64_t limit = EVENTS_PAGE;
	enum answer_more left;
	size_t order = 1;

	p->bind = cursor_bind(q);
	if (!ask_only(q, known, sizeof(known) / sizeof(known[0]), e) ||
		!event_filter_read(q, &p->filter, e) ||
		!args_choice(q, "order", orders, 2, &order, e) ||
		!args_number(q, "limit", 1, EVENTS_PAGE_MAX, &limit, e) ||
		!event_cursor_read(q, p->bind, &ask.after, e))
		return false;
	ask.newest_first = order == 1;
	event_filter_ask(&p->filter, &ask);
	p->limit = (size_t)limit;
	if (!past_open(p->f, &p->h, e) ||
		!history_events_open(p->h, &ask, &p->events, e))
		return false;
	json_open(&a->body, NULL, '{');
	json_open(&a->body, "events", '[');
	left = go_on(p, &a->body, e);
	if (left == ANSWER_MORE)
		a->more = more;
	return left != ANSWER_BROKEN;
}

void api_events(struct feed *f, const struct ask *q, struct answer *a)
{
	struct page *p = calloc(1, sizeof(*p));
	struct err e;

	if (p == NULL) {
		answer_problem(a, 503, "out of memory; try again later");
		return;
	}
	p->f = f;
	a->ctx = p;
	a->drop = page_free;
	if (begin(p, q, a, &e))
		return;
	answer_err(a, &e);
	if (e.code == ERR_ENVIRONMENT)
		a->retry_after_s = 1;
}
