/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files, whole; and words for what the system said.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "core/err.h"

#include <stddef.h>

/*
 * Reads all of PATH ("-": standard input) into *text, with a NUL behind it
 * that *len does not count. *text is given: file_text_free. False:
 * ERR_ENVIRONMENT, it cannot be read (or memory); ERR_INPUT, it holds more
 * than MAX bytes.
 */
MUST bool file_read(
	const char *path, size_t max, char **text, size_t *len, struct err *e);

/* Wipes and frees what file_read gave: it may have held a key. NULL inside is
 * fine. */
void file_text_free(char **text, size_t len);

/*
 * Fills *e with "cannot WHAT PATH: <the text of ERROR>", a remedy behind it
 * where there is one, as ERR_ENVIRONMENT; ERROR is an errno. Always false.
 */
bool file_err(struct err *e, const char *what, const char *path, int error);

#endif
