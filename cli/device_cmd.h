/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of weir device that have a file of their own, and what they
 * share with the others.
 */
#ifndef CLI_DEVICE_CMD_H
#define CLI_DEVICE_CMD_H

#include "cli/command.h"

/* --mode enforce|observe into *out, which is as it was without; *given. */
MUST bool device_read_mode(
	const struct cli *c, bool *out, bool *given, struct err *e);

/* The device of that id: device_fini. ERR_NOT_FOUND: none. */
MUST bool device_look_up(
	struct registry *r, struct str id, struct device *out, struct err *e);

MUST bool run_device_show(struct cli *c, struct err *e);

extern const struct opt DEVICE_LIST_OPTIONS[];
MUST bool run_device_list(struct cli *c, struct err *e);

MUST bool run_device_find(struct cli *c, struct err *e);

extern const struct opt DEVICE_REMOVE_OPTIONS[];
MUST bool run_device_remove(struct cli *c, struct err *e);

#endif
