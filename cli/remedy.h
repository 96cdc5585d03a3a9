/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person can do about a refusal that no rule would lift.
 */
#ifndef CLI_REMEDY_H
#define CLI_REMEDY_H

#include "cli/explain_print.h"

#define REMEDY_MAX 512

/* Writes one sentence; false, and OUT is "", when there is none. */
bool remedy_text(const struct explained *x, char out[static REMEDY_MAX]);

#endif
