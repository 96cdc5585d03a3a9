/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of the meter when its file is cut short, or taken away, under
 * the broker: the broker lives (io/segment_guard.h), and counts in a new file.
 */
#ifndef PLUGIN_REFIT_H
#define PLUGIN_REFIT_H

#include <stdbool.h>
#include <stdint.h>

#define REFIT_MS 1000u /* between two looks, and two attempts */

struct guard;

/* What the header said at the last look: it may be lost itself. */
struct refit {
	uint64_t next_ms;
	uint64_t size, generation;
	int64_t started_s, pid, applied_change, highest_revision;
	bool told; /* that there is no new file yet */
	uint64_t unmetered;
	bool told_full; /* since there was room for a slot last */
	uint32_t slots;
};

/* Before a tick's work: looks at the file once a second, at once when a fault
 * told of it, and begins a new one when it must. */
void refit_tick(struct guard *g);

#endif
