/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a quarantine by weir-feed makes of a device. The registry alone says
 * what a device may do; weir-feed, which is trusted less, can only take of it:
 *
 *     the registry says      weir-feed's quarantine makes it
 *     active                 quarantined, and its class's rules hold as well
 *     any other status       what it is
 *
 * So what the quarantine's allowlist lets pass, and the class's rules do not,
 * is not let pass either: decide() with it allows a part of what it allows
 * without, whatever weir-feed writes.
 */
#ifndef CORE_CONFINE_H
#define CORE_CONFINE_H

#include "core/decide.h"

/* WHO's device D, whose status is what the registry's amounts to at NOW_S, is in
 * weir-feed's quarantine until UNTIL_S (Unix time; 0: no end). */
void confine(
	struct subject *who, struct device *d, int64_t until_s, int64_t now_s);

/* Makes D what the registry says again. Nothing when it is not confined. */
void confine_end(struct subject *who, struct device *d);

#endif
