/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom weir-feed has in quarantine, at hand for lists of many devices: live.db,
 * which weir-feed alone writes, looked at each second and after each action.
 */
#ifndef FEED_HELD_H
#define FEED_HELD_H

#include "io/live.h"
#include "io/registry_walk.h"

struct held;

/* Of state directory STATE. *out is given: held_close. A live.db that cannot be
 * read is no failure: nobody is known to be held, and the log says so. False: no
 * memory, or the path is too long. */
MUST bool held_open(const char *state, struct held **out, struct err *e);
/* *h may be NULL; becomes NULL. */
void held_close(struct held **h);

/* Each second, and after what was written. */
void held_look(struct held *h);

/* Where live.db is. */
const char *held_path(const struct held *h);

/* What the device's status amounts to at NOW_S, by registry and weir-feed. */
enum device_status held_status(
	const struct held *h, const struct device_brief *d, int64_t now_s);

/* True when all devices of status S (effective) have it in the registry: others
 * may have come to it by time, or by weir-feed. */
bool held_by_registry(enum device_status s);

/* True when ID is held at NOW_S; *out is its quarantine. */
bool held_read(const struct held *h, struct str id, int64_t now_s,
	struct quarantine *out);

#endif
