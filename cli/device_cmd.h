/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of weir device that have a file of their own.
 */
#ifndef CLI_DEVICE_CMD_H
#define CLI_DEVICE_CMD_H

#include "cli/command.h"

MUST bool run_device_find(struct cli *c, struct err *e);

extern const struct opt DEVICE_REMOVE_OPTIONS[];
MUST bool run_device_remove(struct cli *c, struct err *e);

#endif
