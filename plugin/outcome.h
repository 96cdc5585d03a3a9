/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of the registry on their way into force: read, waiting for the
 * disconnects they asked for, done. They are reported in order: `applied
 * change N` says that every change up to N is in force.
 */
#ifndef PLUGIN_OUTCOME_H
#define PLUGIN_OUTCOME_H

#include "core/device.h"
#include "core/err.h"

#include <stdint.h>

#define OUTCOMES_MAX 1024u /* under way at once; a power of two */

struct outcome {
	int64_t change;   /* its seq in the registry */
	uint32_t closed;  /* connections ended */
	uint32_t waiting; /* disconnects asked for and not done */
	char device[DEVICE_ID_MAX + 1];
};

struct outcomes {
	struct outcome ring[OUTCOMES_MAX];
	uint32_t first, n;
};

/* How many more changes fit. */
uint32_t outcome_room(const struct outcomes *o);

/* CHANGE, higher than any before, is being applied. There must be room. */
void outcome_begin(struct outcomes *o, int64_t change, struct str device);

/* A disconnect that CHANGE asked for is queued; later, that it is done, CLOSED
 * by us or of its own. A change that is not under way (0: none) is ignored. */
void outcome_wait(struct outcomes *o, int64_t change);
void outcome_done(struct outcomes *o, int64_t change, bool closed);

/* The next change in order that waits for nothing, taken out into *out; false
 * when there is none. */
bool outcome_take(struct outcomes *o, struct outcome *out);

#endif
