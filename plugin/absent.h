/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that the broker asks about without a connection of theirs: the
 * publisher of a retained message under check_retain_source, and the will of
 * a session restored from disk. Resolved by username, by a look-up in the
 * registry, kept for as long as the registry does not change.
 */
#ifndef PLUGIN_ABSENT_H
#define PLUGIN_ABSENT_H

#include "plugin/binding.h"

#define ABSENT_SLOTS    256u  /* a power of two */
#define ABSENT_PER_POLL 1000u /* look-ups between two polls: some 50 ms */

struct guard;

struct absent {
	struct badge *slot[ABSENT_SLOTS];
	int64_t revision; /* of the registry that the slots were read from */
	uint32_t left;    /* look-ups until the next poll */
};

/* The badge of device ID without certificate, lent until the next call; NULL
 * when it is not known or cannot be told now. */
struct badge *absent_find(struct guard *g, struct str id);

void absent_fini(struct absent *a);

#endif
