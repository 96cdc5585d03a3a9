/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir policy import-acl: a policy from what a Mosquitto without Weir went by.
 */
#ifndef CLI_POLICY_IMPORT_CMD_H
#define CLI_POLICY_IMPORT_CMD_H

#include "cli/command.h"

extern const struct opt POLICY_IMPORT_OPTIONS[];

MUST bool run_policy_import(struct cli *c, struct err *e);

#endif
