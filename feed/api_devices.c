/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_devices.h"

#include "feed/args.h"
#include "feed/cursor.h"
#include "feed/device_json.h"
#include "feed/device_rank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How often in a row the registry may be locked before an answer is cut. Each
 * time takes some 2 ms: longer than a command holds it for. */
#define TRIES        100
#define WALK_AT_ONCE 64 /* devices looked at between looks at the clock */

_Static_assert(DEVICES_PAGE_MAX <= RANK_MAX, "a page is ranked at once");

/* A page being made. */
struct page {
	struct feed *f;
	/* What is asked for. */
	struct device_walk walk; /* by id; its texts are of ask and at */
	struct rank_ask ask;     /* by a counter; and all filters */
	bool by_counter;
	size_t limit;
	uint32_t bind;
	/* How far it is. */
	struct device_rank *rank;
	char at[DEVICE_ID_MAX + 1]; /* by id: the last one looked at */
	char chunk[WALK_AT_ONCE][DEVICE_ID_MAX + 1];
	enum device_status status[WALK_AT_ONCE]; /* now */
	size_t n_chunk;
	size_t given;   /* by a counter: looked at */
	size_t written; /* devices */
	struct rank_place last;
	bool begun, at_end, ended;
	unsigned failures;
	int64_t now_s;
};

static void page_free(void *ctx)
{
	struct page *p = ctx;

	device_rank_free(&p->rank);
	free(p);
}

/* --------------------------------------------------------------- the arguments */

static const char *const ARGS[] = {"class", "status", "connected", "q", "sort",
	"order", "limit", "cursor"};

static bool read_sort(const struct ask *q, struct page *p, struct err *e)
{
	static const char *const orders[] = {"asc", "desc"};
	struct str sort = ask_arg(q, "sort");
	size_t order;

	p->by_counter = sort.p != NULL && !str_eq(sort, STR("id"));
	if (p->by_counter && !args_counter(q, "sort", &p->ask.sort, e))
		return false;
	order = p->by_counter ? 1 : 0;
	if (!args_choice(q, "order", orders, 2, &order, e))
		return false;
	p->walk.down = order == 1;
	p->ask.least = order == 0;
	return true;
}

/* By id: the id. By a counter: 8 bytes of it and the slot in 8. */
static bool read_cursor(const struct ask *q, struct page *p, struct err *e)
{
	struct str text = ask_arg(q, "cursor");
	uint8_t place[CURSOR_MAX];
	size_t n;

	p->bind = cursor_bind(q);
	if (text.p == NULL)
		return true;
	if (!cursor_parse(text, p->bind, place, &n, e))
		return false;
	if (p->by_counter && n == 16) {
		p->ask.behind = true;
		p->ask.place = (struct rank_place){
			cursor_take(place), (uint32_t)cursor_take(place + 8)};
		return true;
	}
	if (!p->by_counter && n != 0 && n <= DEVICE_ID_MAX) {
		memcpy(p->at, place, n);
		if (device_id_valid(str_from(p->at)) && strlen(p->at) == n)
			return true;
	}
	/* Nobody but us makes one whose checksum fits. */
	(void)err_set(e, ERR_INPUT, "this is no cursor that was given");
	return err_at(e, "cursor");
}

static bool read_args(const struct ask *q, struct page *p, struct err *e)
{
	static const char *const statuses[] = {
		"active", "suspended", "quarantined", "retired"};
	size_t status = 4;
	int64_t limit = DEVICES_PAGE;
	bool given;

	if (!ask_only(q, ARGS, sizeof(ARGS) / sizeof(ARGS[0]), e) ||
		!args_class(q, "class", &given, p->ask.class_name, e) ||
		!args_choice(q, "status", statuses, 4, &status, e) ||
		!args_truth(q, "connected", &p->ask.by_connected,
			&p->ask.connected, e) ||
		!args_id(q, "q", p->ask.prefix, e) || !read_sort(q, p, e) ||
		!args_number(q, "limit", 1, DEVICES_PAGE_MAX, &limit, e) ||
		!read_cursor(q, p, e))
		return false;
	p->limit = (size_t)limit;
	p->ask.n = p->limit;
	p->ask.meter_class = METER_NONE;
	if (status < 4)
		p->ask.status = device_status_find(str_from(statuses[status]));
	return true;
}

/* ----------------------------------------------------------------- one device */

/* Adds device ID; *added: it is registered. */
static bool add_device(struct page *p, struct text *out, const char *id,
	bool *added, struct err *e)
{
	struct registry *r = roster_get(p->f->roster, e);
	const struct meter_watch *w = &p->f->watch->meter;
	struct meter_device seen;
	struct quarantine q;
	struct device d;
	bool held;

	if (r == NULL || !registry_device(r, str_from(id), &d, added, e))
		return false;
	if (!*added)
		return true;
	(void)meter_device_find(w, str_from(d.id), &seen);
	json_open(out, NULL, '{');
	held = held_read(p->f->held, str_from(d.id), p->now_s, &q);
	device_json_begin(out, "device", &d, held ? &q : NULL, p->now_s);
	json_close(out, '}');
	usage_json(out, "usage", w, &seen, NULL);
	json_close(out, '}');
	device_fini(&d);
	p->written++;
	return true;
}

/* ---------------------------------------------------------------------- by id */

static bool keep_brief(void *ctx, const struct device_brief *d)
{
	struct page *p = ctx;

	p->status[p->n_chunk] = held_status(p->f->held, d, p->now_s);
	(void)snprintf(p->chunk[p->n_chunk++], sizeof(p->chunk[0]), "%.*s",
		STR_ARG(d->id));
	return true;
}

static bool fits(const struct page *p, size_t i)
{
	struct meter_device seen;

	if (p->ask.status != DEVICE_NONE && p->ask.status != p->status[i])
		return false;
	if (!p->ask.by_connected)
		return true;
	(void)meter_device_find(
		&p->f->watch->meter, str_from(p->chunk[i]), &seen);
	return p->ask.connected == (seen.connections != 0);
}

static bool add_by_id(
	struct page *p, struct text *out, struct turn t, struct err *e)
{
	struct registry *r = roster_get(p->f->roster, e);
	char after[DEVICE_ID_MAX + 1];

	memcpy(after, p->at, sizeof(after));
	p->walk.after = str_from(after);
	p->n_chunk = 0;
	if (r == NULL ||
		!registry_walk(r, &p->walk, WALK_AT_ONCE, keep_brief, p, e))
		return false;
	for (size_t i = 0; i < p->n_chunk; i++) {
		bool added = false;

		if (p->given == p->limit || out->n >= ANSWER_STEP_BYTES ||
			turn_over(t))
			return true;
		if (fits(p, i) && !add_device(p, out, p->chunk[i], &added, e))
			return false;
		p->given += added ? 1 : 0;
		memcpy(p->at, p->chunk[i], sizeof(p->at));
	}
	p->at_end = p->n_chunk < WALK_AT_ONCE;
	return true;
}

/* ---------------------------------------------------------------- by a counter */

static bool add_by_counter(
	struct page *p, struct text *out, struct turn t, struct err *e)
{
	if (!p->begun) {
		enum rank_step got = device_rank_step(p->rank, p->f, t, e);

		p->begun = got == RANK_DONE;
		return got != RANK_FAILED;
	}
	while (p->given < p->rank->n && out->n < ANSWER_STEP_BYTES &&
		!turn_over(t)) {
		const struct rank_entry *x = &p->rank->entry[p->given];
		bool added = false;

		/* One that is not registered is passed over: the page is then
		 * shorter. */
		if (device_id_valid(str_from(x->id)) &&
			!add_device(p, out, x->id, &added, e))
			return false;
		p->last = x->place;
		p->given++;
	}
	p->at_end = p->given == p->rank->n && p->rank->n < p->limit;
	return true;
}

/* ------------------------------------------------------------------- the answer */

static void end_page(struct page *p, struct text *out)
{
	char cursor[CURSOR_TEXT];
	uint8_t place[16];

	json_close(out, ']');
	if (p->at_end) {
		json_null(out, "next");
	} else {
		cursor_put(p->last.value, place);
		cursor_put(p->last.slot, place + 8);
		if (p->by_counter)
			cursor_format(p->bind, place, sizeof(place), cursor);
		else
			cursor_format(p->bind, (const uint8_t *)p->at,
				strlen(p->at), cursor);
		json_text(out, "next", str_from(cursor));
	}
	json_close(out, '}');
	json_line_end(out);
	p->ended = true;
}

/* A turn's worth. False: the registry cannot be read. */
static bool add_some(struct page *p, struct text *out, struct err *e)
{
	struct turn t = turn_begin();

	if (!(p->by_counter ? add_by_counter : add_by_id)(p, out, t, e))
		return false;
	if (p->at_end || p->given == p->limit)
		end_page(p, out);
	return true;
}

static enum answer_more more(struct answer *a)
{
	struct page *p = a->ctx;
	struct err e;

	/* text_clear forgot it. */
	a->body.comma = p->written != 0;
	if (!add_some(p, &a->body, &e)) {
		if (++p->failures == TRIES)
			return ANSWER_BROKEN;
		(void)roster_retry(p->f->roster, &e);
		return ANSWER_MORE;
	}
	p->failures = 0;
	return p->ended ? ANSWER_END : ANSWER_MORE;
}

static bool begin(
	struct feed *f, const struct ask *q, struct page *p, struct err *e)
{
	p->f = f;
	p->now_s = (int64_t)time(NULL);
	if (!read_args(q, p, e))
		return false;
	p->walk.prefix = str_from(p->ask.prefix);
	if (p->ask.class_name[0] != '\0')
		p->walk.class_name = str_from(p->ask.class_name);
	else if (held_by_registry(p->ask.status))
		p->walk.status = p->ask.status;
	return !p->by_counter || device_rank_new(&p->ask, &p->rank, e);
}

/* The first turn is made at once: what fails then is told with its status. */
static bool first_turn(struct page *p, struct text *out, struct err *e)
{
	json_open(out, NULL, '{');
	json_open(out, "devices", '[');
	return add_some(p, out, e) ||
	       (roster_retry(p->f->roster, e) != NULL && add_some(p, out, e));
}

void api_devices(struct feed *f, const struct ask *q, struct answer *a)
{
	struct page *p = calloc(1, sizeof(*p));
	struct err e;

	if (p == NULL) {
		answer_problem(a, 503, "out of memory; try again later");
		return;
	}
	a->ctx = p;
	a->drop = page_free;
	if (!begin(f, q, p, &e) || !first_turn(p, &a->body, &e)) {
		answer_err(a, &e);
		return;
	}
	if (!p->ended)
		a->more = more;
}
