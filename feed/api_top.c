/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_top.h"

#include "feed/api_usage.h"
#include "feed/args.h"
#include "feed/device_json.h"
#include "feed/device_rank.h"

#include <stdlib.h>

struct top {
	struct feed *f;
	struct rank_ask ask;
	struct device_rank *rank;
	bool ranked;
	size_t given;
};

static void top_free(void *ctx)
{
	struct top *x = ctx;

	device_rank_free(&x->rank);
	free(x);
}

static bool read_args(const struct ask *q, struct top *x, struct err *e)
{
	static const char *const known[] = {
		"since", "until", "sort", "limit", "class"};
	char class[CLASS_NAME_MAX + 1];
	int64_t limit = USAGE_TOP;
	bool given;

	x->ask.sort = COUNTER_WIRE_BYTES_IN;
	if (!ask_only(q, known, 5, e) ||
		!args_counter(q, "sort", &x->ask.sort, e) ||
		!args_number(q, "limit", 1, USAGE_TOP_MAX, &limit, e) ||
		!args_class(q, "class", &given, class, e))
		return false;
	x->ask.n = (size_t)limit;
	x->ask.meter_class = METER_NONE;
	if (!given)
		return true;
	/* One that the meter has not has no devices there. */
	x->ask.meter_class =
		meter_class_find(&x->f->watch->meter, str_from(class));
	if (x->ask.meter_class == METER_NONE)
		x->ask.meter_class = METER_CLASSES;
	return true;
}

/* A turn's worth. False: out of memory. */
static bool add_some(struct top *x, struct text *out, bool *end, struct err *e)
{
	const struct meter_watch *w = &x->f->watch->meter;
	struct turn t = turn_begin();

	*end = false;
	if (!x->ranked) {
		enum rank_step got = device_rank_step(x->rank, x->f, t, e);

		x->ranked = got == RANK_DONE;
		if (!x->ranked)
			return got != RANK_FAILED;
	}
	while (x->given < x->rank->n && out->n < ANSWER_STEP_BYTES &&
		!turn_over(t)) {
		struct meter_device d;

		(void)meter_device_find(
			w, str_from(x->rank->entry[x->given++].id), &d);
		usage_json(out, NULL, w, &d, NULL);
	}
	*end = x->given == x->rank->n;
	if (*end) {
		json_close(out, ']');
		json_close(out, '}');
		json_line_end(out);
	}
	return true;
}

static enum answer_more more(struct answer *a)
{
	struct top *x = a->ctx;
	struct err e;
	bool end;

	/* text_clear forgot it. */
	a->body.comma = x->given != 0;
	if (!add_some(x, &a->body, &end, &e))
		return ANSWER_BROKEN;
	return end ? ANSWER_END : ANSWER_MORE;
}

void api_top(struct feed *f, const struct ask *q, struct answer *a)
{
	struct top *x = calloc(1, sizeof(*x));
	bool end = false;
	struct err e;

	if (x == NULL) {
		answer_problem(a, 503, "out of memory; try again later");
		return;
	}
	x->f = f;
	a->ctx = x;
	a->drop = top_free;
	if (!read_args(q, x, &e) || !device_rank_new(&x->ask, &x->rank, &e)) {
		answer_err(a, &e);
		return;
	}
	json_open(&a->body, NULL, '{');
	json_text(&a->body, "sort", str_from(meter_count_name(x->ask.sort)));
	json_open(&a->body, "devices", '[');
	if (!add_some(x, &a->body, &end, &e))
		answer_err(a, &e);
	else if (!end)
		a->more = more;
}
