/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/watch.h"

#include "io/segment_guard.h"

#include <stdio.h>
#include <stdlib.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* Looks may be late; what is further from a minute is none: the clock was set,
 * or the machine slept. */
#define MINUTE_MS_MIN 50000
#define MINUTE_MS_MAX 70000

/* ------------------------------------------------------------------- ranking */

static const uint64_t *minute_of(const struct watch *w, uint32_t slot)
{
	return watch_minute(w, slot);
}

static uint64_t wire_bytes(const uint64_t *count)
{
	return count[COUNTER_WIRE_BYTES_IN] + count[COUNTER_WIRE_BYTES_OUT];
}

/* Devices with as many bytes come by what was refused, then by age. */
static bool before(const void *ctx, uint32_t a, uint32_t b)
{
	const uint64_t *x = minute_of(ctx, a), *y = minute_of(ctx, b);

	if (wire_bytes(x) != wire_bytes(y))
		return wire_bytes(x) > wire_bytes(y);
	if (x[MINUTE_REFUSED] != y[MINUTE_REFUSED])
		return x[MINUTE_REFUSED] > y[MINUTE_REFUSED];
	return a < b;
}

/* Of these counters what a minute has. */
static void minute_counts(
	const uint64_t *counter, uint64_t out[static MINUTE_COUNTS])
{
	memcpy(out, counter, MINUTE_REFUSED * sizeof(*out));
	out[MINUTE_REFUSED] = meter_count(counter, METER_REFUSED);
	out[MINUTE_CONNECTS] = counter[COUNTER_CONNECTS];
	out[MINUTE_TAKEOVERS] = counter[COUNTER_TAKEOVERS];
}

/* The slot's minute ends with these counters, and its next one begins. */
static void mark(struct watch *w, uint32_t slot, const uint64_t *counter)
{
	struct watch_page *p = w->page[slot / WATCH_PAGE];
	uint64_t *then = p->mark[slot % WATCH_PAGE];
	uint64_t *minute = p->minute[slot % WATCH_PAGE];
	uint64_t counts[MINUTE_COUNTS], any = 0;

	minute_counts(counter, counts);
	for (unsigned i = 0; i < MINUTE_COUNTS; i++) {
		uint64_t now = counts[i];

		if (now < then[i])
			w->went_back = true;
		minute[i] = now - then[i];
		then[i] = now;
		w->coming.all[i] += minute[i];
		any |= minute[i];
	}
	if (any == 0)
		return;
	w->coming.active++;
	rank_offer(&w->rank, slot);
}

static void keep_top(struct watch *w)
{
	struct meter_map m = segment_map(&w->meter.segment);

	rank_order(&w->rank);
	w->coming.top = w->spare;
	w->coming.n_top = (uint32_t)w->rank.n;
	for (size_t i = 0; i < w->rank.n; i++) {
		struct watch_top *t = &w->coming.top[i];
		const struct meter_slot *s;

		t->slot = w->rank.kept[i];
		s = meter_slot_at(m, t->slot);
		(void)meter_slot_id(s, t->device);
		meter_class_text(&w->meter, LOAD(s->class), t->class_name);
		memcpy(t->count, minute_of(w, t->slot), sizeof(t->count));
	}
}

/* The marking look is done: what it gathered is the last minute, if that was a
 * full one. */
static void end_minute(struct watch *w)
{
	int64_t ms = w->now_ms - w->mark_ms;

	w->coming.full = w->marked && !w->no_memory &&
			 w->now_minute == w->mark_minute + 1 &&
			 ms >= MINUTE_MS_MIN && ms <= MINUTE_MS_MAX;
	w->coming.start_s = w->mark_minute * 60;
	w->coming.ms = ms;
	keep_top(w);
	w->spare = w->minute.top;
	w->minute = w->coming;
	w->marked = true;
	w->mark_minute = w->now_minute;
	w->mark_ms = w->now_ms;
}

/* --------------------------------------------------------------------- slots */

static void look_at(struct watch *w, uint32_t slot)
{
	const struct meter_slot *s =
		meter_slot_at(segment_map(&w->meter.segment), slot);
	struct watch_page *p = w->page[slot / WATCH_PAGE];
	uint32_t i = slot % WATCH_PAGE, class = LOAD(s->class);
	uint32_t connections = meter_slot_connections(&w->meter, s);
	uint64_t counter[COUNTERS], sum = 0, seqs, state;

	seqs = LOAD(s->connect_seq) | (uint64_t)LOAD(s->refusal_seq) << 32;
	state = class | (uint64_t)connections << 32;
	for (unsigned k = 0; k < COUNTERS; k++) {
		counter[k] = LOAD(s->counter[k]);
		sum += counter[k];
	}
	if (slot >= w->n || sum != p->sum[i] || seqs != p->seqs[i] ||
		state != p->state[i])
		p->changed[i] = p->newest = w->tick;
	if (sum < p->sum[i])
		w->went_back = true;
	p->sum[i] = sum;
	p->seqs[i] = seqs;
	p->state[i] = state;
	if (connections != 0)
		w->counted[class < METER_CLASSES ? class : 0]++;
	if (w->marking)
		mark(w, slot, counter);
}

static bool has_page(struct watch *w, uint32_t slot)
{
	struct watch_page **p = &w->page[slot / WATCH_PAGE];

	if (*p == NULL)
		*p = calloc(1, sizeof(**p));
	return *p != NULL;
}

/* ---------------------------------------------------------------------- looks */

/* The meter is another one, or none: nothing of what was kept holds. */
static void forget(struct watch *w)
{
	for (uint32_t i = 0; i < WATCH_PAGES; i++) {
		free(w->page[i]);
		w->page[i] = NULL;
	}
	w->epoch++;
	w->n = w->next = w->to = 0;
	w->marked = w->went_back = false;
	w->minute.full = false;
	memset(w->connected, 0, sizeof(w->connected));
}

/* The guard goes where the mapping went. Without one a file that is cut short
 * ends the process, and whoever started it starts it again. */
static void guard(struct watch *w)
{
	const struct segment *s = &w->meter.segment;
	size_t size = s->mem != NULL ? s->size : 0;
	struct err e;

	if (w->guarded == s->mem && w->guarded_size == size)
		return;
	if (!segment_guard_begin(
		    SEGMENT_GUARDED_METER, s->mem, size, s->fd, &e))
		return;
	w->guarded = s->mem;
	w->guarded_size = size;
}

/* Which meter it is; 0: none, or one that does not say. */
static uint64_t identity(const struct watch *w)
{
	return meter_watch_reads(&w->meter)
		       ? meter_identity(w->meter.segment.mem)
		       : 0;
}

/* A broker goes on with its file, under a higher number. One that was begun
 * anew in place has another identity. */
static bool is_another(const struct watch *w, enum watch_change change)
{
	return change == WATCH_FILE || w->meter.generation < w->generation ||
	       identity(w) != w->identity ||
	       (meter_watch_reads(&w->meter) &&
		       meter_slots(segment_map(&w->meter.segment)) < w->n);
}

static void begin_marking(struct watch *w)
{
	memset(&w->coming, 0, sizeof(w->coming));
	w->rank.n = 0;
}

static void finish(struct watch *w)
{
	w->next = w->to = 0;
	if (w->went_back || segment_guard_lost(SEGMENT_GUARDED_METER)) {
		/* The next look opens it again. */
		meter_watch_close(&w->meter);
		guard(w);
		forget(w);
		return;
	}
	memcpy(w->connected, w->counted, sizeof(w->connected));
	if (w->marking)
		end_minute(w);
	w->done = w->tick;
}

enum watch_change watch_look(struct watch *w, int64_t now_s, int64_t now_ms)
{
	enum watch_change change;

	if (watch_busy(w))
		return WATCH_SAME;
	change = meter_watch_look(&w->meter);
	guard(w);
	if (is_another(w, change)) {
		change = WATCH_FILE;
		forget(w);
	}
	w->generation = w->meter.generation;
	w->identity = identity(w);
	w->tick++;
	w->no_memory = false;
	w->now_minute = now_s / 60;
	w->now_ms = now_ms;
	memset(w->counted, 0, sizeof(w->counted));
	w->next = w->to = 0;
	if (!meter_watch_reads(&w->meter))
		return change;
	w->to = meter_slots(segment_map(&w->meter.segment));
	w->marking = !w->marked || w->now_minute != w->mark_minute;
	if (w->marking)
		begin_marking(w);
	if (w->to == 0)
		finish(w);
	return change;
}

bool watch_step(struct watch *w)
{
	uint32_t end = w->next + WATCH_STEP;

	if (!watch_busy(w))
		return false;
	if (end > w->to)
		end = w->to;
	for (; w->next < end; w->next++) {
		if (!has_page(w, w->next)) {
			w->no_memory = true;
			w->to = w->next;
			break;
		}
		look_at(w, w->next);
		if (w->next >= w->n)
			w->n = w->next + 1;
	}
	if (watch_busy(w))
		return true;
	finish(w);
	return false;
}

/* ---------------------------------------------------------------- open, close */

bool watch_open(
	const char *meter, uint32_t top, struct watch **out, struct err *e)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (top > WATCH_TOP)
		top = WATCH_TOP;
	if (w == NULL ||
		(w->minute.top = calloc(top + 1, sizeof(*w->spare))) == NULL ||
		(w->spare = calloc(top + 1, sizeof(*w->spare))) == NULL ||
		(w->rank.kept = calloc(top + 1, sizeof(*w->rank.kept))) ==
			NULL) {
		watch_close(&w);
		return err_set(e, ERR_ENVIRONMENT, "no memory for the watch");
	}
	w->rank.cap = top;
	w->rank.before = before;
	w->rank.ctx = w;
	if (!meter_watch_open(meter, &w->meter, e)) {
		watch_close(&w);
		return false;
	}
	w->generation = w->meter.generation;
	w->identity = identity(w);
	guard(w);
	*out = w;
	return true;
}

void watch_close(struct watch **w)
{
	struct watch *x = *w;

	if (x == NULL)
		return;
	if (x->meter.path[0] != '\0')
		meter_watch_close(&x->meter);
	segment_guard_end();
	forget(x);
	free(x->minute.top);
	free(x->spare);
	free(x->rank.kept);
	free(x);
	*w = NULL;
}
