/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_classes.h"

#include "feed/device_json.h"
#include "feed/feed.h"
#include "feed/turn.h"
#include "io/registry_walk.h"

#include <stdlib.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

#define PREFIX        "/api/v1/classes/"
#define SLOTS_AT_ONCE 256u /* between looks at the clock */

struct classes {
	struct feed *f;
	uint32_t epoch;
	uint32_t next; /* slot, then class */
	bool counted;  /* what follows is good */
	uint32_t only; /* this class alone; METER_NONE: all */
	uint32_t devices[METER_CLASSES], connections[METER_CLASSES];
};

/* True: there is more to do. */
static bool count_some(struct classes *x, struct turn t)
{
	const struct meter_watch *w = &x->f->watch->meter;
	struct meter_map m = segment_map(&w->segment);
	uint32_t slots = meter_watch_reads(w) ? meter_slots(m) : 0;

	for (; x->next < slots; x->next++) {
		const struct meter_slot *s = meter_slot_at(m, x->next);
		uint32_t class = LOAD(s->class);

		if (x->next % SLOTS_AT_ONCE == 0 && turn_over(t))
			return true;
		if (class >= METER_CLASSES)
			continue;
		x->devices[class]++;
		x->connections[class] += meter_slot_connections(w, s);
	}
	x->counted = true;
	x->next = 0;
	return false;
}

static void begin_class(
	const struct classes *x, const char *key, uint32_t i, struct text *out)
{
	const struct meter_watch *w = &x->f->watch->meter;
	struct meter_use u;

	meter_use_load(w, i, &u);
	u.devices = x->devices[i];
	u.connections = x->connections[i];
	use_json_begin(out, key, w, &u);
}

/* True: there is more to do. */
static bool add_some(struct classes *x, struct text *out, struct turn t)
{
	const struct meter_watch *w = &x->f->watch->meter;
	uint32_t n = 0;

	if (meter_watch_reads(w))
		n = meter_classes(segment_map(&w->segment));
	for (; x->next < n; x->next++) {
		if (out->n >= ANSWER_STEP_BYTES || turn_over(t))
			return true;
		begin_class(x, NULL, x->next, out);
		json_close(out, '}');
	}
	json_close(out, ']');
	json_close(out, '}');
	json_line_end(out);
	return false;
}

static void add_one(struct classes *x, struct text *out)
{
	const struct meter_watch *w = &x->f->watch->meter;
	size_t n = meter_rule_uses(w, x->only, NULL, 0);
	struct meter_rule_use *rules = calloc(n + 1, sizeof(*rules));

	if (rules == NULL) {
		out->failed = true;
		return;
	}
	n = n != 0 ? meter_rule_uses(w, x->only, rules, n) : 0;
	begin_class(x, NULL, x->only, out);
	json_open(out, "rules", '[');
	for (size_t i = 0; i < n; i++)
		rule_json(out, &rules[i]);
	json_close(out, ']');
	json_close(out, '}');
	json_line_end(out);
	free(rules);
}

static enum answer_more go_on(struct classes *x, struct text *out)
{
	struct turn t = turn_begin();

	/* By what was counted of another meter nothing is told. */
	if (x->epoch != x->f->watch->epoch)
		return ANSWER_BROKEN;
	if (!x->counted && count_some(x, t))
		return ANSWER_MORE;
	if (x->only == METER_NONE)
		return add_some(x, out, t) ? ANSWER_MORE : ANSWER_END;
	add_one(x, out);
	return ANSWER_END;
}

static enum answer_more more(struct answer *a)
{
	struct classes *x = a->ctx;

	/* text_clear forgot it. */
	a->body.comma = x->counted && x->next != 0;
	return go_on(x, &a->body);
}

/* X is taken. */
static void answer(struct answer *a, struct classes *x)
{
	a->ctx = x;
	a->drop = free;
	if (x->only == METER_NONE) {
		json_open(&a->body, NULL, '{');
		json_open(&a->body, "classes", '[');
	}
	if (go_on(x, &a->body) == ANSWER_MORE)
		a->more = more;
}

static struct classes *classes_new(
	struct feed *f, const struct ask *q, struct answer *a)
{
	struct classes *x;
	struct err e;

	if (!ask_only(q, NULL, 0, &e)) {
		answer_err(a, &e);
		return NULL;
	}
	x = calloc(1, sizeof(*x));
	if (x == NULL) {
		answer_problem(a, 503, "out of memory; try again later");
		return NULL;
	}
	x->f = f;
	x->epoch = f->watch->epoch;
	x->only = METER_NONE;
	return x;
}

void api_classes(struct feed *f, const struct ask *q, struct answer *a)
{
	struct classes *x = classes_new(f, q, a);

	if (x != NULL)
		answer(a, x);
}

/* ----------------------------------------------------------------- one class */

static bool note(void *ctx, const struct device_brief *d)
{
	(void)d;
	*(bool *)ctx = true;
	return false;
}

/* Of a class that was never there nothing was counted: what a class has that
 * only the registry knows. */
static void answer_silent(struct feed *f, struct str name, struct answer *a)
{
	struct device_walk w = {.class_name = name};
	struct meter_use u = {.index = METER_NONE};
	bool known = false;
	struct err e;
	struct registry *r = roster_get(f->roster, &e);

	if (r == NULL || !registry_walk(r, &w, 1, note, &known, &e)) {
		answer_err(a, &e);
		return;
	}
	if (!known) {
		answer_problem(a, 404,
			"class '%.*s' is neither in the meter nor that of a "
			"registered device",
			name.n < 64 ? (int)name.n : 64, name.p);
		return;
	}
	memcpy(u.name, name.p, name.n);
	use_json_begin(&a->body, NULL, &f->watch->meter, &u);
	json_open(&a->body, "rules", '[');
	json_close(&a->body, ']');
	json_close(&a->body, '}');
	json_line_end(&a->body);
}

void api_class(struct feed *f, const struct ask *q, struct answer *a)
{
	struct str rest, name = ask_segment(q, PREFIX, &rest);
	struct classes *x = classes_new(f, q, a);

	if (x == NULL)
		return;
	x->only = meter_class_find(&f->watch->meter, name);
	if (x->only != METER_NONE) {
		answer(a, x);
		return;
	}
	free(x);
	if (class_name_valid(name))
		answer_silent(f, name, a);
	else
		answer_problem(a, 404, "there is no class of such a name");
}
