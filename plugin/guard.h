/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin's one instance, which hangs off the broker's userdata. Everything
 * runs in the broker's one thread.
 */
#ifndef PLUGIN_GUARD_H
#define PLUGIN_GUARD_H

#include "io/registry.h"
#include "io/segment.h"
#include "plugin/absent.h"
#include "plugin/binding.h"
#include "plugin/due.h"
#include "plugin/follow.h"
#include "plugin/kick.h"
#include "plugin/ledger.h"
#include "plugin/outcome.h"
#include "plugin/refusal.h"

#include <limits.h>

struct guard {
	/* What a message touches comes first. */
	struct binding_table bindings;
	struct policy *policy; /* in force; never NULL after init */
	uint32_t policy_gen;   /* +1 at every swap; 0: no policy */
	uint32_t reloads;      /* +1 at the beginning and at the end of each */
	bool reloading;        /* between RELOAD and the next TICK */
	bool admitting;        /* the registry is to be trusted */
	int64_t now_s;         /* Unix time, of the last tick */
	uint64_t now_ms;       /* monotonic, of the last tick */

	struct registry *registry; /* NULL: cannot be read now */
	struct segment segment;
	struct meter_header *meter; /* the segment's */
	struct due due;
	struct kick_queue kicks;
	struct outcomes outcomes;
	struct absent absent;
	struct ledger ledger;
	struct follow follow;
	struct refusal_log refusals;
	uint64_t bypass_told_ms; /* when a bypassing listener was last named */

	void *identifier; /* the broker's name for the plugin */
	char state_dir[PATH_MAX];
	char ca_dir[PATH_MAX]; /* "" when not given */
	char registry_path[PATH_MAX];
	char segment_path[PATH_MAX];
};

/* Counters have one writer: a load and a store, without the bus lock that an
 * atomic addition would take. */
static inline void count_u64(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c,
		atomic_load_explicit(c, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static inline void count_i64(_Atomic int64_t *c, int64_t n)
{
	atomic_store_explicit(c,
		atomic_load_explicit(c, memory_order_relaxed) + n,
		memory_order_relaxed);
}

#endif
