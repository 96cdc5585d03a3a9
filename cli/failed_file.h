/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DIR/failed.csv: the lines of a manifest that could not be done, and why. It
 * is there only when there are some, and only whole: this run's take the place
 * of the last one's when it is done.
 */
#ifndef CLI_FAILED_FILE_H
#define CLI_FAILED_FILE_H

#include "core/err.h"

#include <stdint.h>
#include <stdio.h>

/* Zeroed: ready for failed_init. */
struct failed_file {
	char *path, *path_new;
	FILE *file; /* NULL: nothing has failed */
	uint64_t n;
};

MUST bool failed_init(struct failed_file *f, const char *dir, struct err *e);
/* ID "": not known. ERR_ENVIRONMENT: it cannot be written. */
MUST bool failed_note(struct failed_file *f, uint32_t line, const char *id,
	const struct err *why, struct err *e);
MUST bool failed_finish(struct failed_file *f, struct err *e);
void failed_fini(struct failed_file *f);

#endif
