/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the audit ends.
 */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include "io/registry.h"

/* The seq of the newest audit entry of R, 0 if there is none. O(log entries)
 * look-ups, as entries are numbered without gaps. */
MUST bool audit_newest(struct registry *r, int64_t *seq, struct err *e);

#endif
