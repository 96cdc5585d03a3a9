/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry's records as commands print them. JSON keys are the registry's
 * column names.
 */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include "cli/command.h"
#include "cli/output.h"

/* D with its attributes, each a list, and effective_status. */
cJSON *device_json(const struct device *d, int64_t now_s);
/* The same as fields for people. */
void device_print(const struct cli *c, const struct device *d);

cJSON *credential_json(const struct credential *c);
/* "active", "revoked", "expired" or "not yet valid" at NOW_S. Static. */
const char *credential_state(const struct credential *c, int64_t now_s);

/*
 * Whether the policy in force has CLASS_NAME, told to people as a warning on
 * standard error when not. Any trouble with finding out is told the same way:
 * the command has done its work by then.
 */
void warn_unless_class(struct registry *r, const char *class_name);

#endif
