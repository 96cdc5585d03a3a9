/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices: the options --class, --status and --mode.
 */
#ifndef CLI_DEVICE_PICK_H
#define CLI_DEVICE_PICK_H

#include "cli/command.h"

struct device_pick {
	struct device_filter filter; /* for registry_devices; then: */
	enum device_status status;   /* effective; DEVICE_NONE: any */
	bool by_mode, observe;       /* by_mode: only those of that mode */
};

#define DEVICE_PICK_OPTIONS                                                    \
	{"class", '\0', OPT_VALUE, "C", "only devices of this class"},         \
		{"status", '\0', OPT_VALUE, "S",                               \
			"only active, suspended, quarantined or retired "      \
			"ones"},                                               \
	{                                                                      \
		"mode", '\0', OPT_VALUE, "M",                                  \
			"only those that enforce, or that observe"             \
	}

/* *out lives as long as C's arguments. */
MUST bool device_pick_read(
	const struct cli *c, struct device_pick *out, struct err *e);
/* D, which registry_devices gave for the filter, is one of them at NOW_S. */
bool device_picked(
	const struct device_pick *p, const struct device *d, int64_t now_s);

#endif
