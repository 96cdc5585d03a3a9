/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/device_rank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

#define SLOTS_AT_ONCE   256u /* between looks at the clock */
#define DEVICES_AT_ONCE 256

/* Those with more first; the older of two that are alike. */
static bool comes_before(
	const struct device_rank *x, struct rank_place a, struct rank_place b)
{
	if (a.value != b.value)
		return (a.value > b.value) != x->ask.least;
	return a.slot < b.slot;
}

static bool before(const void *ctx, uint32_t a, uint32_t b)
{
	const struct device_rank *x = ctx;

	return comes_before(x, x->entry[a].place, x->entry[b].place);
}

bool device_rank_new(
	const struct rank_ask *ask, struct device_rank **out, struct err *e)
{
	struct device_rank *x = calloc(1, sizeof(*x));

	/* One more than are kept: the one that is offered. */
	if (x != NULL)
		x->entry = calloc(RANK_MAX + 1, sizeof(*x->entry));
	if (x == NULL || x->entry == NULL) {
		free(x);
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	}
	x->ask = *ask;
	if (x->ask.n > RANK_MAX)
		x->ask.n = RANK_MAX;
	x->by_registry =
		ask->class_name[0] != '\0' || ask->status != DEVICE_NONE;
	x->rank = (struct rank){
		.kept = x->kept, .cap = x->ask.n, .before = before, .ctx = x};
	*out = x;
	return true;
}

void device_rank_free(struct device_rank **x)
{
	if (*x == NULL)
		return;
	free((*x)->entry);
	free(*x);
	*x = NULL;
}

/* ---------------------------------------------------------------- one device */

static uint64_t value_of(const struct meter_slot *s, unsigned what)
{
	uint64_t counter[COUNTERS];

	if (what < COUNTERS)
		return LOAD(s->counter[what]);
	for (unsigned i = 0; i < COUNTERS; i++)
		counter[i] = LOAD(s->counter[i]);
	return meter_count(counter, what);
}

static bool asked_for(const struct device_rank *x, const struct meter_slot *s)
{
	size_t n = strlen(x->ask.prefix);
	char id[DEVICE_ID_MAX + 1];

	if (x->ask.meter_class != METER_NONE &&
		LOAD(s->class) != x->ask.meter_class)
		return false;
	if (x->ask.by_connected &&
		x->ask.connected != (meter_slot_connections(x->meter, s) != 0))
		return false;
	/* The registry's walk has the prefix. */
	return x->by_registry || n == 0 ||
	       (meter_slot_id(s, id) >= n && memcmp(id, x->ask.prefix, n) == 0);
}

/* Puts it into the spare entry, which the rank then has, or which stays spare;
 * or another one falls out and is. */
static void offer(struct device_rank *x, uint32_t slot)
{
	const struct meter_slot *s =
		meter_slot_at(segment_map(&x->meter->segment), slot);
	struct rank_place p = {.slot = slot};
	bool full = x->rank.n == x->rank.cap, enters;
	uint32_t last = full && x->rank.n != 0 ? x->kept[0] : x->spare;

	if (!asked_for(x, s))
		return;
	p.value = value_of(s, x->ask.sort);
	if (x->ask.behind && !comes_before(x, x->ask.place, p))
		return;
	x->entry[x->spare].place = p;
	enters = !full || (x->rank.n != 0 && before(x, x->spare, last));
	rank_offer(&x->rank, x->spare);
	if (!full)
		x->spare = (uint32_t)x->rank.n;
	else if (enters)
		x->spare = last;
}

/* ------------------------------------------------------------------- the walk */

static void begin(struct device_rank *x, uint32_t epoch)
{
	x->epoch = epoch;
	x->next = 0;
	x->at[0] = '\0';
	x->rank.n = 0;
	x->spare = 0;
	x->now_s = (int64_t)time(NULL);
}

/* In order, with their names: what follows needs no slot any more. */
static bool finish(struct device_rank *x, struct err *e)
{
	struct meter_map m = segment_map(&x->meter->segment);
	struct rank_entry *all = calloc(x->rank.n + 1, sizeof(*all));

	rank_order(&x->rank);
	x->n = 0;
	if (all == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	for (size_t i = 0; i < x->rank.n; i++) {
		all[i] = x->entry[x->kept[i]];
		(void)meter_slot_id(
			meter_slot_at(m, all[i].place.slot), all[i].id);
	}
	free(x->entry);
	x->entry = all;
	x->n = x->rank.n;
	return true;
}

static bool each_device(void *ctx, const struct device_brief *d)
{
	struct device_rank *x = ctx;
	uint32_t slot;

	x->walked++;
	(void)snprintf(x->at, sizeof(x->at), "%.*s", STR_ARG(d->id));
	if (x->ask.status != DEVICE_NONE &&
		x->ask.status != held_status(x->held, d, x->now_s))
		return true;
	slot = meter_slot_find(segment_map(&x->meter->segment), d->id);
	if (slot != METER_NONE)
		offer(x, slot);
	return true;
}

static enum rank_step walk_registry(
	struct device_rank *x, struct feed *f, struct turn t, struct err *e)
{
	struct device_walk w = {.prefix = str_from(x->ask.prefix)};
	struct registry *r = roster_get(f->roster, e);

	x->held = f->held;
	if (r == NULL)
		return RANK_FAILED;
	if (x->ask.class_name[0] != '\0')
		w.class_name = str_from(x->ask.class_name);
	else if (held_by_registry(x->ask.status))
		w.status = x->ask.status;
	do {
		char after[DEVICE_ID_MAX + 1];

		memcpy(after, x->at, sizeof(after));
		w.after = str_from(after);
		x->walked = 0;
		if (!registry_walk(r, &w, DEVICES_AT_ONCE, each_device, x, e))
			return RANK_FAILED;
		if (x->walked < DEVICES_AT_ONCE)
			return RANK_DONE;
	} while (!turn_over(t));
	return RANK_MORE;
}

static enum rank_step walk_slots(struct device_rank *x, struct turn t)
{
	uint32_t slots = meter_slots(segment_map(&x->meter->segment));

	do {
		uint32_t end = x->next + SLOTS_AT_ONCE;

		if (end > slots)
			end = slots;
		while (x->next < end)
			offer(x, x->next++);
		if (x->next >= slots)
			return RANK_DONE;
	} while (!turn_over(t));
	return RANK_MORE;
}

enum rank_step device_rank_step(
	struct device_rank *x, struct feed *f, struct turn t, struct err *e)
{
	enum rank_step got = RANK_DONE;

	x->meter = &f->watch->meter;
	if (x->now_s == 0 || x->epoch != f->watch->epoch)
		begin(x, f->watch->epoch);
	if (!meter_watch_reads(x->meter))
		return RANK_DONE;
	got = x->by_registry ? walk_registry(x, f, t, e) : walk_slots(x, t);
	return got == RANK_DONE && !finish(x, e) ? RANK_FAILED : got;
}
