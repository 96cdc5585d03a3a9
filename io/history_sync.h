/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings what was committed to usage.db from its log into the file and to the
 * disk, in a thread of its own: the one thing of the history that waits for
 * the disk, for as long as the disk likes. It shares nothing with its owner
 * but this handle; to SQLite it is another connection.
 */
#ifndef IO_HISTORY_SYNC_H
#define IO_HISTORY_SYNC_H

#include "core/err.h"

struct history_sync;

/* Starts the thread, for the history of STATE, which its owner has open. *out is
 * given: history_sync_stop. */
MUST bool history_sync_start(
	const char *state, struct history_sync **out, struct err *e);

/* Asks for it to be done, and does not wait. Asked again before it is begun, it
 * is done once. */
void history_sync_ask(struct history_sync *s);

/* False: the last time it failed, *e says why. */
MUST bool history_sync_well(struct history_sync *s, struct err *e);

/* Waits for the end of what is being done. *s may be NULL; becomes NULL. */
void history_sync_stop(struct history_sync **s);

#endif
