/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file the registry is read from: the one at its path, whatever is moved
 * there or copied over it while the broker runs.
 */
#ifndef PLUGIN_FOLLOW_FILE_H
#define PLUGIN_FOLLOW_FILE_H

#include "core/err.h"

#include <stdbool.h>

struct guard;

/* Opens the registry for a start, which may wait for a command that is about
 * to end; the first follow_file opens it anew, as one that never waits.
 * False: the plugin must not start; E says what to do. */
MUST bool follow_open(struct guard *g, struct err *e);

/*
 * Once a second: is the file that is open the one at the path? The open one
 * would be read for ever. A file that was written into is opened anew too: if
 * it was overwritten where it lies, SQLite would go on with the pages it has.
 * So is one that could not be read at the last poll. False: it cannot be
 * opened; what is open then, if anything, is the file at the path.
 */
MUST bool follow_file(struct guard *g, struct err *e);

#endif
