/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meter holds of a class and of its rules, copied.
 */
#ifndef IO_METER_CLASS_H
#define IO_METER_CLASS_H

#include "io/meter_device.h"

struct meter_use {
	char name[CLASS_NAME_MAX + 1]; /* "": strangers, quarantine, … */
	uint32_t index;
	/* That are of this class now: counted by who walks over the slots. */
	uint32_t devices, connections;
	uint64_t counter[COUNTERS];
	uint64_t refused[METER_ALL_ACTIONS][METER_ALL_REASONS];
};

/* Class CLASS, less than meter_classes(), without devices and connections. */
void meter_use_load(
	const struct meter_watch *w, uint32_t class, struct meter_use *out);

struct meter_rule_use {
	char topic[METER_RULE_TOPIC + 1]; /* "": what no rule let pass */
	uint32_t topic_len;               /* of the whole topic */
	uint32_t list;                    /* 0: publish, 1: subscribe */
	uint64_t messages, payload_bytes, mqtt_bytes;
};

/* The rules of class CLASS that let something pass, those with the most bytes
 * first, into OUT, CAP of them at most. Returns how many; with CAP 0, how many
 * there are. */
size_t meter_rule_uses(const struct meter_watch *w, uint32_t class,
	struct meter_rule_use *out, size_t cap);

#endif
