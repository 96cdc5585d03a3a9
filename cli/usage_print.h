/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir usage prints of one device or one class.
 */
#ifndef CLI_USAGE_PRINT_H
#define CLI_USAGE_PRINT_H

#include "cli/meter_class.h"

/* Adds every counter under its name. */
void usage_counters_json(cJSON *o, const uint64_t counter[static COUNTERS]);

/* One device, with the medians of its class beside. */
void usage_device_print(
	const struct meter_watch *w, const struct meter_device *d);
void usage_device_json(
	const struct meter_watch *w, const struct meter_device *d);

/* One class, with its refusals and its rules. */
void usage_class_print(const struct meter_watch *w, const struct meter_use *u);
void usage_class_json(const struct meter_watch *w, const struct meter_use *u);

#endif
