/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin's one instance, which hangs off the broker's userdata. Everything
 * runs in the broker's one thread.
 */
#ifndef PLUGIN_GUARD_H
#define PLUGIN_GUARD_H

#include "core/seen_write.h"
#include "io/registry.h"
#include "io/seen_file.h"
#include "io/segment.h"
#include "plugin/absent.h"
#include "plugin/binding.h"
#include "plugin/due.h"
#include "plugin/follow.h"
#include "plugin/follow_live.h"
#include "plugin/gauge.h"
#include "plugin/kick.h"
#include "plugin/ledger.h"
#include "plugin/outcome.h"
#include "plugin/refit.h"
#include "plugin/refusal.h"

#include <limits.h>

/* The record of what is observed: plugin/record.h. */
struct record {
	struct seen_file file; /* mem NULL: not open */
	struct seen_writer writer;
	bool failed;       /* to open it, and that was said */
	const void *later; /* whose publish is due, compared only */
	uint8_t later_reason;
};

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
	int64_t ahead_ns;      /* how far Unix time is ahead of that */

	struct registry *registry; /* NULL: cannot be read now */
	struct segment segment;
	struct meter_header *meter; /* the segment's */
	struct due due;
	struct kick_queue kicks;
	struct outcomes outcomes;
	struct absent absent;
	struct ledger ledger;
	struct follow follow;
	struct live_follow live;
	struct gauge gauge;
	struct wires wires;
	struct refit refit;
	struct record record;
	struct refusal_log refusals, event_limit;
	void *leaving; /* given by the broker, see admission_disconnect(): the
			* certificate of who disconnected last, or NULL */
	uint64_t bypass_told_ms; /* when a bypassing listener was last named */

	void *identifier; /* the broker's name for the plugin */
	char state_dir[PATH_MAX];
	char ca_dir[PATH_MAX]; /* "" when not given */
	char registry_path[PATH_MAX];
	char live_path[PATH_MAX];
	char segment_path[PATH_MAX];
};

#endif
