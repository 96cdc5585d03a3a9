/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen.seg, the record of observations (core/seen.h), as a file.
 */
#ifndef IO_SEEN_FILE_H
#define IO_SEEN_FILE_H

#include "core/err.h"
#include "core/seen.h"

#include <stdbool.h>
#include <stddef.h>

#define SEEN_FILE "meter/seen.seg" /* in the state directory */

struct seen_file {
	void *mem; /* SEEN_SIZE bytes, mapped shared */
	int fd;
};

/* Opens PATH for its one writer, made if missing; all of it is allocated before
 * a byte is touched. What is no record of this version is set aside and said in
 * NOTE ("" if not), as by segment_open_write. Release: seen_file_close. */
MUST bool seen_file_open_write(const char *path, int64_t now_s,
	struct seen_file *out, char *note, size_t note_cap, struct err *e);

/* Maps PATH read-only. ERR_NOT_FOUND: nothing was observed yet. */
MUST bool seen_file_open_read(
	const char *path, struct seen_file *out, struct err *e);

/* Unmaps, unlocks, closes; a zeroed *F is fine. */
void seen_file_close(struct seen_file *f);

#endif
