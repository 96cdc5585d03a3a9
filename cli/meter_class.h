/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meter holds of classes and rules, copied.
 */
#ifndef CLI_METER_CLASS_H
#define CLI_METER_CLASS_H

#include "cli/meter_print.h"

struct meter_use {
	char name[CLASS_NAME_MAX + 1]; /* "": strangers, quarantine, … */
	uint32_t index;
	uint32_t devices, connections; /* now of this class */
	uint64_t counter[COUNTERS];
	uint64_t refused[METER_ALL_ACTIONS][METER_ALL_REASONS];
};

/* All classes, the nameless first, into *out (given: free()). Returns how
 * many; 0 without a meter. */
size_t meter_uses(const struct meter_watch *w, struct meter_use **out);

/* The counters' medians over the devices that are of class CLASS now, into
 * OUT; zero when there are none. */
void meter_medians(const struct meter_watch *w, uint32_t class,
	uint64_t out[static COUNTERS]);

struct meter_rule_use {
	char topic[METER_RULE_TOPIC + 1]; /* "": what no rule let pass */
	uint32_t topic_len;               /* of the whole topic */
	uint32_t list;                    /* 0: publish, 1: subscribe */
	uint64_t messages, payload_bytes, mqtt_bytes;
};

/* The rules of class CLASS that let something pass, those with the most bytes
 * first, into *out (given: free()). Returns how many. */
size_t meter_rule_uses(const struct meter_watch *w, uint32_t class,
	struct meter_rule_use **out);

#endif
