/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/class_median.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

#define SLOTS_AT_ONCE 256u /* between looks at the clock */

void class_median_init(
	struct class_median *x, const struct feed *f, uint32_t class)
{
	x->class = class;
	x->epoch = f->watch->epoch;
	x->next = 0;
	median_init(&x->median, COUNTERS);
}

static void look_at(struct class_median *x, struct meter_map m, uint32_t slot)
{
	const struct meter_slot *s = meter_slot_at(m, slot);
	uint64_t row[COUNTERS];

	if (LOAD(s->class) != x->class)
		return;
	for (unsigned i = 0; i < COUNTERS; i++)
		row[i] = LOAD(s->counter[i]);
	median_row(&x->median, row);
}

bool class_median_step(
	struct class_median *x, const struct feed *f, struct turn t)
{
	const struct meter_watch *w = &f->watch->meter;
	struct meter_map m = segment_map(&w->segment);
	uint32_t slots = meter_watch_reads(w) ? meter_slots(m) : 0;

	if (x->class == METER_NONE || x->epoch != f->watch->epoch) {
		median_init(&x->median, COUNTERS);
		return false;
	}
	do {
		uint32_t end = x->next + SLOTS_AT_ONCE;

		if (end > slots)
			end = slots;
		while (x->next < end)
			look_at(x, m, x->next++);
		if (x->next < slots)
			continue;
		x->next = 0;
		if (!median_pass(&x->median))
			return false;
	} while (!turn_over(t));
	return true;
}

void class_median_get(
	const struct class_median *x, uint64_t out[static COUNTERS])
{
	for (unsigned i = 0; i < COUNTERS; i++)
		out[i] = median_of(&x->median, i);
}
