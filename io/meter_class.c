/* SPDX-License-Identifier: Apache-2.0 */
#include "io/meter_class.h"

#include <stdlib.h>
#include <string.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

void meter_use_load(
	const struct meter_watch *w, uint32_t class, struct meter_use *out)
{
	const struct meter_class *c =
		meter_class_at(segment_map(&w->segment), class);

	memset(out, 0, sizeof(*out));
	out->index = class;
	(void)meter_class_name(c, out->name);
	for (unsigned i = 0; i < COUNTERS; i++)
		out->counter[i] = LOAD(c->counter[i]);
	for (unsigned a = 0; a < METER_ALL_ACTIONS; a++) {
		for (unsigned r = 0; r < METER_ALL_REASONS; r++)
			out->refused[a][r] = LOAD(c->refused[a][r]);
	}
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
	struct meter_rule_use *out, size_t cap)
{
	struct meter_map m = segment_map(&w->segment);
	uint32_t rules = meter_watch_reads(w) ? meter_rules(m) : 0;
	size_t n = 0;

	for (uint32_t i = 0; i < rules; i++) {
		const struct meter_rule *r = meter_rule_at(m, i);

		if (LOAD(r->class) != class)
			continue;
		/* Of the first rule both lists are counted; of any other the
		 * one that it does not stand in is zero. */
		for (uint32_t list = 0; list < 2; list++) {
			struct meter_rule_use use;

			if ((cap != 0 && n == cap) || !load_rule(r, list, &use))
				continue;
			if (cap != 0)
				out[n] = use;
			n++;
		}
	}
	if (cap != 0)
		qsort(out, n, sizeof(*out), by_bytes);
	return n;
}
