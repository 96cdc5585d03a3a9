/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy's text for commands: parsed, its errors told.
 */
#ifndef CLI_POLICY_LOAD_H
#define CLI_POLICY_LOAD_H

#include "cli/command.h"
#include "core/policy.h"

/* Fills *e, for main() to print, with the last of ERRS about the text NAME
 * ("policy.json"), and prints those before. Always false. */
bool policy_errors(const char *name, struct errs *errs, struct err *e);

/* Parses TEXT, called NAME. *out is given: policy_free. False: policy_errors.
 */
MUST bool policy_load_text(
	const char *name, struct str text, struct policy **out, struct err *e);

/* The same of file PATH ("-": standard input). */
MUST bool policy_load_file(
	const char *path, struct policy **out, struct err *e);

/* Revision REVISION of R, 0 for the one in force, into *row (given:
 * policy_row_fini) and, unless OUT is NULL, *out (given: policy_free).
 * ERR_NOT_FOUND: there is no such revision. */
MUST bool policy_load_revision(struct registry *r, int64_t revision,
	struct policy_row *row, struct policy **out, struct err *e);

#endif
