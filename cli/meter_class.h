/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meter holds of all classes, and what is usual in one.
 */
#ifndef CLI_METER_CLASS_H
#define CLI_METER_CLASS_H

#include "cli/meter_print.h"
#include "io/meter_class.h"

/* All classes, the nameless first, into *out (given: free()). Returns how
 * many; 0 without a meter. */
size_t meter_uses(const struct meter_watch *w, struct meter_use **out);

/* The counters' medians over the devices that are of class CLASS now, into
 * OUT; zero when there are none. */
void meter_medians(const struct meter_watch *w, uint32_t class,
	uint64_t out[static COUNTERS]);

#endif
