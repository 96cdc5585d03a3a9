/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices and classes by name, where a wrong name must not look like a device
 * that is silent: the meter knows those that have been there, the registry and
 * its policy those that may come.
 */
#ifndef CLI_METER_KNOWN_H
#define CLI_METER_KNOWN_H

#include "cli/meter_print.h"

/* What the meter holds of device ID; nothing (zero, but for the id), if it is
 * registered and was never there. ERR_NOT_FOUND: neither. */
MUST bool meter_known_device(const struct cli *c, const struct meter_watch *w,
	struct str id, struct meter_device *out, struct err *e);

/* The meter's index of class NAME; METER_NONE if the policy in force has it
 * and the meter does not. ERR_NOT_FOUND: neither. */
MUST bool meter_known_class(const struct cli *c, const struct meter_watch *w,
	const char *name, uint32_t *class, struct err *e);

#endif
