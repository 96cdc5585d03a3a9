/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plugin says of itself in meter.seg, copied: for status, doctor and
 * whoever must know what the broker has seen of the registry.
 */
#ifndef CLI_METER_VIEW_H
#define CLI_METER_VIEW_H

#include "cli/command.h"
#include "io/meter_watch.h"

struct meter_view {
	enum broker_state state;
	char problem[ERR_MSG_MAX];
	uint64_t generation, closed, refused;
	uint64_t unmetered, strangers;
	uint32_t metered; /* devices that have a slot */
	int64_t pid, started_s, heartbeat_s, connected;
	int64_t applied_change, applied_live, policy_revision;
	int64_t highest_revision, load_error_s;
	char load_error[METER_TEXT + 1]; /* "" : the last load succeeded */
};

/* Reads C's meter. One that cannot be read is no failure: see problem. */
void meter_view_read(const struct cli *c, struct meter_view *out);

/* Calls EACH for each change above AFTER of which the meter still names the
 * device, in order, until it returns false. The text is the broker's word. */
void meter_view_changes(const struct cli *c, int64_t after,
	bool (*each)(void *ctx, int64_t change, const char *device_id),
	void *ctx);

/* Says on standard error what state the broker is in, unless it runs. */
void meter_watch_note(const struct meter_watch *w);

/* For commands that need what the meter holds. ERR_ENVIRONMENT: it cannot be
 * read, or there is no state directory. A broker that never ran is fine: then
 * there is nothing. */
MUST bool meter_watch_need(
	const struct cli *c, const struct meter_watch *w, struct err *e);

#endif
