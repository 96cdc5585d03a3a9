/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/meter_class.h"

#include "core/median.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

size_t meter_uses(const struct meter_watch *w, struct meter_use **out)
{
	struct meter_map m = segment_map(&w->segment);
	uint32_t n, slots;

	*out = NULL;
	if (!meter_watch_reads(w))
		return 0;
	n = meter_classes(m);
	slots = meter_slots(m);
	*out = need_memory(n, sizeof(**out));
	for (uint32_t i = 0; i < n; i++)
		meter_use_load(w, i, &(*out)[i]);
	for (uint32_t i = 0; i < slots; i++) {
		const struct meter_slot *s = meter_slot_at(m, i);
		uint32_t class = LOAD(s->class);

		if (class >= n)
			continue;
		(*out)[class].devices++;
		(*out)[class].connections += meter_slot_connections(w, s);
	}
	return n;
}

_Static_assert(COUNTERS <= MEDIAN_COLUMNS, "a column for each");

void meter_medians(const struct meter_watch *w, uint32_t class,
	uint64_t out[static COUNTERS])
{
	struct meter_map m = segment_map(&w->segment);
	uint32_t slots = meter_watch_reads(w) ? meter_slots(m) : 0;
	struct median median;

	median_init(&median, COUNTERS);
	do {
		for (uint32_t i = 0; i < slots; i++) {
			const struct meter_slot *s = meter_slot_at(m, i);
			uint64_t row[COUNTERS];

			if (LOAD(s->class) != class)
				continue;
			for (unsigned c = 0; c < COUNTERS; c++)
				row[c] = LOAD(s->counter[c]);
			median_row(&median, row);
		}
	} while (median_pass(&median));
	for (unsigned c = 0; c < COUNTERS; c++)
		out[c] = median_of(&median, c);
}
