/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meter holds of one device, copied. What is
 * in the file is the broker's word: any bytes.
 */
#ifndef IO_METER_DEVICE_H
#define IO_METER_DEVICE_H

#include "core/meter_total.h"
#include "io/meter_watch.h"

struct meter_device {
	char id[DEVICE_ID_MAX + 1];
	uint32_t class; /* the meter's index of it; 0: none */
	uint32_t connections;
	int64_t first_seen_s, last_seen_s; /* Unix time; 0: never */
	uint64_t counter[COUNTERS];
	uint64_t reason[METER_REASONS];
	struct meter_connect connect;
	struct meter_refusal refusal;
};

/* The connections that the device of S has now. */
uint32_t meter_slot_connections(
	const struct meter_watch *w, const struct meter_slot *s);

/* The device of slot SLOT, less than meter_slots(). */
void meter_device_load(
	const struct meter_watch *w, uint32_t slot, struct meter_device *out);

/* The device ID; false when the meter does not have it: then *out has its id
 * and is otherwise zero. */
bool meter_device_find(
	const struct meter_watch *w, struct str id, struct meter_device *out);

/* What can be counted, sorted by and shown: the counters, and after them all
 * that was refused, as one. */
enum {
	METER_REFUSED = COUNTERS,
	METER_COUNTS,
};
uint64_t meter_count(const uint64_t counter[static COUNTERS], unsigned what);
const char *meter_count_name(unsigned what);

/* The meter's index of class NAME; METER_NONE when it does not have it. */
uint32_t meter_class_find(const struct meter_watch *w, struct str name);

/* The name of class CLASS; "" when it has none. */
void meter_class_text(const struct meter_watch *w, uint32_t class,
	char out[static CLASS_NAME_MAX + 1]);

#endif
