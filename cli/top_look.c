/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_look.h"

#include <stdlib.h>
#include <time.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

static const uint64_t nothing[COUNTERS];

static int64_t monotonic_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --------------------------------------------------------------------- looks */

static void make_room(struct top_look *l, uint32_t n)
{
	if (n <= l->cap)
		return;
	free(l->counter);
	l->counter = need_memory(n, sizeof(*l->counter));
	l->cap = n;
}

static void load_slots(struct top_look *l, struct meter_map m)
{
	uint32_t n = meter_slots(m);

	make_room(l, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct meter_slot *s = meter_slot_at(m, i);

		for (unsigned k = 0; k < COUNTERS; k++)
			l->counter[i][k] = LOAD(s->counter[k]);
	}
	l->n = n;
}

static void load_classes(struct top_look *l, struct meter_map m)
{
	uint32_t n = meter_classes(m);

	memset(l->class, 0, METER_CLASSES * sizeof(*l->class));
	for (uint32_t i = 0; i < n; i++) {
		const struct meter_class *c = meter_class_at(m, i);

		for (unsigned k = 0; k < COUNTERS; k++)
			l->class[i][k] = LOAD(c->counter[k]);
	}
}

static void load(struct top *t)
{
	struct meter_map m = segment_map(&t->w.segment);

	t->now.n = 0;
	t->now.t_ms = monotonic_ms();
	if (!meter_watch_reads(&t->w)) {
		memset(t->now.class, 0, METER_CLASSES * sizeof(*t->now.class));
		return;
	}
	load_slots(&t->now, m);
	load_classes(&t->now, m);
}

void top_look(struct top *t)
{
	struct top_look older = t->then;
	bool same = meter_watch_look(&t->w) != WATCH_FILE;

	t->then = t->now;
	t->now = older;
	t->both = same && meter_watch_reads(&t->w);
	load(t);
}

bool top_open(const struct cli *c, struct top *t, struct err *e)
{
	memset(t, 0, sizeof(*t));
	if (!meter_watch_open(c->meter, &t->w, e))
		return false;
	t->now.class = need_memory(METER_CLASSES, sizeof(*t->now.class));
	t->then.class = need_memory(METER_CLASSES, sizeof(*t->then.class));
	t->view.sort = COUNTER_WIRE_BYTES_IN;
	load(t);
	return true;
}

void top_close(struct top *t)
{
	meter_watch_close(&t->w);
	free(t->now.counter);
	free(t->now.class);
	free(t->then.counter);
	free(t->then.class);
	free(t->rank.kept);
	memset(t, 0, sizeof(*t));
}

/* -------------------------------------------------------------------- values */

double top_seconds(const struct top *t)
{
	int64_t ms = t->now.t_ms - t->then.t_ms;

	return t->both && ms > 0 ? (double)ms / 1000 : 0;
}

/* What grew from THEN to NOW, a second. A counter that went back is another
 * meter's. */
static double value(const struct top *t, const uint64_t *now,
	const uint64_t *then, unsigned what, bool totals)
{
	double seconds = top_seconds(t);
	uint64_t x = meter_count(now, what), y = meter_count(then, what);

	if (totals)
		return (double)x;
	return seconds > 0 && x > y ? (double)(x - y) / seconds : 0;
}

double top_value(const struct top *t, uint32_t slot, unsigned what, bool totals)
{
	return value(t, t->now.counter[slot],
		slot < t->then.n ? t->then.counter[slot] : nothing, what,
		totals);
}

double top_sum(const struct top *t, unsigned what, bool totals)
{
	return value(t, t->sum_now, t->sum_then, what, totals);
}

/* ---------------------------------------------------------------------- order */

/* Devices of which there is as much come by what they say, then by age. */
static bool before(const void *ctx, uint32_t a, uint32_t b)
{
	const struct top *t = ctx;
	const unsigned by[] = {t->view.sort, COUNTER_MQTT_BYTES_IN};

	for (size_t i = 0; i < 2; i++) {
		double x = top_value(t, a, by[i], t->view.totals);
		double y = top_value(t, b, by[i], t->view.totals);

		if (x > y || x < y)
			return (x > y) != t->view.reverse;
	}
	return a < b;
}

static bool fits(const struct top *t, uint32_t slot)
{
	const struct top_view *v = &t->view;
	const struct meter_slot *s =
		meter_slot_at(segment_map(&t->w.segment), slot);
	char id[DEVICE_ID_MAX + 1];

	if (v->one_class && LOAD(s->class) != t->class)
		return false;
	if (v->refused && meter_count(t->now.counter[slot], METER_REFUSED) == 0)
		return false;
	if (v->device[0] == '\0')
		return true;
	(void)meter_slot_id(s, id);
	return strstr(id, v->device) != NULL;
}

/* No further than to the last. */
static void hold_offset(struct top *t, size_t rows)
{
	size_t last = t->fit > rows ? t->fit - rows : 0;

	if (t->view.offset > last)
		t->view.offset = last;
}

/* Of the class that is shown, or of all. */
static void sum_up(const struct top *t, const struct top_look *l,
	uint64_t sum[static COUNTERS])
{
	memset(sum, 0, COUNTERS * sizeof(*sum));
	for (uint32_t i = 0; i < METER_CLASSES; i++) {
		if (t->view.one_class && i != t->class)
			continue;
		for (unsigned k = 0; k < COUNTERS; k++)
			sum[k] += l->class[i][k];
	}
}

void top_find(struct top *t, size_t rows)
{
	size_t cap;

	t->class = meter_class_find(&t->w, str_from(t->view.class_name));
	sum_up(t, &t->now, t->sum_now);
	sum_up(t, &t->then, t->sum_then);
	t->fit = 0;
	for (uint32_t i = 0; i < t->now.n; i++)
		t->fit += fits(t, i) ? 1 : 0;
	hold_offset(t, rows);
	cap = t->view.offset + rows;
	cap = cap < t->fit ? cap : t->fit;
	if (cap > t->rank_cap) {
		free(t->rank.kept);
		t->rank.kept = need_memory(cap, sizeof(*t->rank.kept));
		t->rank_cap = cap;
	}
	t->rank = (struct rank){
		.kept = t->rank.kept, .cap = cap, .before = before, .ctx = t};
	for (uint32_t i = 0; i < t->now.n && cap != 0; i++) {
		if (fits(t, i))
			rank_offer(&t->rank, i);
	}
	rank_order(&t->rank);
	t->shown = t->rank.n > t->view.offset ? t->rank.n - t->view.offset : 0;
}
