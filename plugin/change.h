/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change of one device does to its connections and sessions, whoever
 * made it: the registry, or weir-feed.
 */
#ifndef PLUGIN_CHANGE_H
#define PLUGIN_CHANGE_H

#include "core/err.h"
#include "core/reason.h"
#include "core/str.h"

#include <stdint.h>

struct guard;
struct binding;

/* Judges all bindings of DEVICE anew, by its rows, on behalf of CHANGE. False:
 * the registry could not tell. */
MUST bool change_apply(
	struct guard *g, int64_t change, struct str device, struct err *e);

/* What B may do cannot be told: its connection ends, and a session of it that
 * may hold QoS 2 messages is not resumed. */
void change_unknown(struct guard *g, struct binding *b, int64_t change);

/* CHANGE still cannot be read: it ends the device's connections. They were
 * barred when it failed, and come back when the registry can tell. */
void change_give_up(struct guard *g, int64_t change, struct str device);

/* Judges all bindings of DEVICE anew, by weir-feed's quarantine. */
void change_confine(struct guard *g, struct str device);

/* Tells of DEVICE's status, by CHANGE of the registry, or (0) for REASON; and
 * remembers what its sessions may hold. */
void change_tell(
	struct guard *g, int64_t change, enum reason reason, struct str device);

#endif
