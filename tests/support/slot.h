/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's slot in a segment that a test writes, as the plugin takes one.
 * Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_SLOT_H
#define TESTS_SUPPORT_SLOT_H

#include "io/segment.h"
#include "tests/support/tempdir.h"

/* The next slot of S, made for ID of CLASS in the segment's generation. */
static inline struct meter_slot *slot_add(
	struct segment *s, const char *id, const char *class)
{
	struct meter_range need[2];
	struct meter_slot *slot;
	size_t n;

	assert_true(meter_slots_need(s->mem, need, &n));
	for (size_t i = 0; i < n; i++)
		assert_true(segment_reserve(s, need[i]));
	if (n != 0)
		meter_slots_grown(s->mem);
	slot = meter_slot_mut(
		s->mem, meter_slot_add(s->mem, str_from(id), 1000));
	slot->class = meter_class_add(s->mem, str_from(class));
	slot->generation = (uint32_t)segment_header(s)->generation;
	return slot;
}

#endif
