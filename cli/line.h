/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of text as they come, from a terminal or a pipe too: each is there
 * before the next was written. No line is longer than LINE_BYTES, so a file that
 * has none takes no memory.
 */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include "core/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Room for the longest topic, and all that may stand beside it. */
#define LINE_BYTES ((size_t)128 * 1024)

struct line {
	uint64_t number; /* from 1; 0: none is read yet */
	size_t n;
	char text[LINE_BYTES + 1]; /* N bytes and a NUL; may hold others */
};

/*
 * The next line of IN, called NAME in messages, without its end (LF or CRLF), or
 * *end. False: ERR_INPUT, it is too long; ERR_ENVIRONMENT, it cannot be read.
 */
MUST bool line_next(
	struct line *l, FILE *in, const char *name, bool *end, struct err *e);

/* Says in *E that the line is where it happened. Always false. */
bool line_at(const struct line *l, const char *name, struct err *e);

#endif
