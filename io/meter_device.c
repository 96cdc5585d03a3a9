/* SPDX-License-Identifier: Apache-2.0 */
#include "io/meter_device.h"

#include <string.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

uint32_t meter_slot_connections(
	const struct meter_watch *w, const struct meter_slot *s)
{
	/* Those of an earlier start have ended with it. */
	if (w->state != BROKER_RUNNING ||
		LOAD(s->generation) != (uint32_t)w->generation)
		return 0;
	return LOAD(s->connections);
}

void meter_device_load(
	const struct meter_watch *w, uint32_t slot, struct meter_device *out)
{
	const struct meter_slot *s =
		meter_slot_at(segment_map(&w->segment), slot);

	(void)meter_slot_id(s, out->id);
	out->class = LOAD(s->class);
	out->connections = meter_slot_connections(w, s);
	out->first_seen_s = LOAD(s->first_seen_s);
	out->last_seen_s = LOAD(s->last_seen_s);
	for (unsigned i = 0; i < COUNTERS; i++)
		out->counter[i] = LOAD(s->counter[i]);
	for (unsigned i = 0; i < METER_REASONS; i++)
		out->reason[i] = LOAD(s->reason[i]);
	meter_slot_last_connect(s, &out->connect);
	meter_slot_last_refusal(s, &out->refusal);
}

bool meter_device_find(
	const struct meter_watch *w, struct str id, struct meter_device *out)
{
	uint32_t slot = METER_NONE;

	memset(out, 0, sizeof(*out));
	if (id.n > DEVICE_ID_MAX)
		id.n = DEVICE_ID_MAX;
	if (id.n != 0)
		memcpy(out->id, id.p, id.n);
	if (meter_watch_reads(w))
		slot = meter_slot_find(segment_map(&w->segment), id);
	if (slot == METER_NONE)
		return false;
	meter_device_load(w, slot, out);
	return true;
}

/* ----------------------------------------------------------------- counters */

uint64_t meter_count(const uint64_t counter[static COUNTERS], unsigned what)
{
	if (what < COUNTERS)
		return counter[what];
	return counter[COUNTER_REFUSED_PUBLISHES] +
	       counter[COUNTER_REFUSED_SUBSCRIBES] +
	       counter[COUNTER_REFUSED_DELIVERIES] +
	       counter[COUNTER_REFUSED_CONNECTS];
}

const char *meter_count_name(unsigned what)
{
	return what < COUNTERS ? counter_name((enum counter)what) : "refused";
}

/* ------------------------------------------------------------------ classes */

void meter_class_text(const struct meter_watch *w, uint32_t class,
	char out[static CLASS_NAME_MAX + 1])
{
	struct meter_map m = segment_map(&w->segment);

	out[0] = '\0';
	if (meter_watch_reads(w) && class < meter_classes(m))
		(void)meter_class_name(meter_class_at(m, class), out);
}

uint32_t meter_class_find(const struct meter_watch *w, struct str name)
{
	char own[CLASS_NAME_MAX + 1];
	uint32_t n = 0;

	if (meter_watch_reads(w))
		n = meter_classes(segment_map(&w->segment));
	for (uint32_t i = 1; i < n; i++) {
		meter_class_text(w, i, own);
		if (str_eq(str_from(own), name))
			return i;
	}
	return METER_NONE;
}
