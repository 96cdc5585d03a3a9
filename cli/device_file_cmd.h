/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir device import and export: devices in files.
 */
#ifndef CLI_DEVICE_FILE_CMD_H
#define CLI_DEVICE_FILE_CMD_H

#include "cli/command.h"

extern const struct opt DEVICE_IMPORT_OPTIONS[];
MUST bool run_device_import(struct cli *c, struct err *e);
extern const struct opt DEVICE_EXPORT_OPTIONS[];
MUST bool run_device_export(struct cli *c, struct err *e);

#endif
