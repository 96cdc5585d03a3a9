/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a long command is, on standard error when that is a terminal, and
 * otherwise nowhere.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "io/fleet_file.h"

struct progress {
	const char *what; /* "devices" (kept) */
	bool on;
	bool shown; /* a line is on the terminal */
	int64_t start_ms, last_ms;
};

void progress_start(struct progress *p, const char *what);
/* N are done in all, and so much of F is read: shown a few times a second. */
void progress_show(struct progress *p, uint64_t n, const struct fleet_file *f);
/* Clears the line, so that something else can be printed. */
void progress_clear(struct progress *p);

/* Milliseconds since progress_start. */
int64_t progress_ms(const struct progress *p);

#endif
