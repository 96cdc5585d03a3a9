/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a file that is mapped and has one exclusive writer is opened: shared by
 * the meter (segment.c) and the record of observations (seen_file.c).
 */
#ifndef IO_SEGMENT_PRIVATE_H
#define IO_SEGMENT_PRIVATE_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>

/* ERR_ENVIRONMENT with PATH, WHAT failed, errno's reason and the remedy.
 * Always false. */
bool segment_fault(struct err *e, const char *path, const char *what);

/* Opens PATH for writing, made if missing (0640), and locks it; *fresh when it
 * holds nothing yet. ERR_CONFLICT: another writer has it. */
MUST bool segment_open_locked(
	const char *path, int *fd, bool *fresh, struct err *e);

/* Renames PATH, which has PROBLEM, out of the way and says so in NOTE. */
MUST bool segment_set_aside(const char *path, const char *problem, char *note,
	size_t note_cap, struct err *e);

#endif
