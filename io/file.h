/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files, whole; files that appear whole or not at all; and words for what
 * the system said.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "core/err.h"

#include <dirent.h>
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

/*
 * Links the finished file TEMPORARY to its name PATH, in the same folder, and
 * makes that durable. TEMPORARY stays, for the caller to unlink. False:
 * ERR_CONFLICT, the name is taken, and the file is as it was; ERR_ENVIRONMENT.
 */
MUST bool file_publish(const char *temporary, const char *path, struct err *e);

/* ERR_CONFLICT: PATH exists. Always false. */
bool file_taken(struct err *e, const char *path);

/* A name is on disk only when its folder is: syncs the folder of PATH. On
 * false errno is set. */
bool file_folder_sync(const char *path);

/*
 * The next name in D, the open folder PATH: *name is lent until the next call;
 * NULL: there is no more. One thread at a time. False: ERR_ENVIRONMENT, the
 * folder cannot be read to its end, so what was found is not all.
 */
MUST bool file_folder_next(
	DIR *d, const char *path, const char **name, struct err *e);

#endif
