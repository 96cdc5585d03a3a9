/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/meter_class.h"

#include <stdlib.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

static void load_use(
	const struct meter_watch *w, uint32_t class, struct meter_use *out)
{
	const struct meter_class *c =
		meter_class_at(segment_map(&w->segment), class);

	out->index = class;
	(void)meter_class_name(c, out->name);
	for (unsigned i = 0; i < COUNTERS; i++)
		out->counter[i] = LOAD(c->counter[i]);
	for (unsigned a = 0; a < METER_ALL_ACTIONS; a++) {
		for (unsigned r = 0; r < METER_ALL_REASONS; r++)
			out->refused[a][r] = LOAD(c->refused[a][r]);
	}
}

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
		load_use(w, i, &(*out)[i]);
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

/* ------------------------------------------------------------------ medians */

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t median(uint64_t *v, size_t n)
{
	uint64_t low, high;

	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), by_number);
	low = v[(n - 1) / 2];
	high = v[n / 2];
	return low + (high - low) / 2;
}

void meter_medians(const struct meter_watch *w, uint32_t class,
	uint64_t out[static COUNTERS])
{
	struct meter_map m = segment_map(&w->segment);
	uint32_t slots = meter_watch_reads(w) ? meter_slots(m) : 0;
	uint64_t *v = need_memory(slots, sizeof(*v));

	for (unsigned c = 0; c < COUNTERS; c++) {
		size_t n = 0;

		for (uint32_t i = 0; i < slots; i++) {
			const struct meter_slot *s = meter_slot_at(m, i);

			if (LOAD(s->class) == class)
				v[n++] = LOAD(s->counter[c]);
		}
		out[c] = median(v, n);
	}
	free(v);
}

/* -------------------------------------------------------------------- rules */

static bool load_rule(
	const struct meter_rule *r, uint32_t list, struct meter_rule_use *out)
{
	const struct meter_flow *f = &r->flow[list];

	out->list = list;
	out->messages = LOAD(f->messages);
	out->payload_bytes = LOAD(f->payload_bytes);
	out->mqtt_bytes = LOAD(f->mqtt_bytes);
	if (out->messages == 0)
		return false;
	out->topic_len = (uint32_t)meter_rule_topic(r, out->topic);
	return true;
}

static int by_bytes(const void *a, const void *b)
{
	const struct meter_rule_use *x = a, *y = b;

	return (x->mqtt_bytes < y->mqtt_bytes) -
	       (x->mqtt_bytes > y->mqtt_bytes);
}

size_t meter_rule_uses(const struct meter_watch *w, uint32_t class,
	struct meter_rule_use **out)
{
	struct meter_map m = segment_map(&w->segment);
	uint32_t rules = meter_watch_reads(w) ? meter_rules(m) : 0;
	size_t n = 0;

	*out = need_memory(2 * (size_t)rules, sizeof(**out));
	for (uint32_t i = 0; i < rules; i++) {
		const struct meter_rule *r = meter_rule_at(m, i);

		if (LOAD(r->class) != class)
			continue;
		/* Of the first rule both lists are counted; of any other the
		 * one that it does not stand in is zero. */
		for (uint32_t list = 0; list < 2; list++)
			n += load_rule(r, list, &(*out)[n]) ? 1 : 0;
	}
	qsort(*out, n, sizeof(**out), by_bytes);
	return n;
}
