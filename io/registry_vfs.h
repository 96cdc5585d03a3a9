/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a registry as its readers see them: SQLite's own, but for a few
 * things that a reader without write access, which has to make an index of the
 * log for itself, cannot live with.
 *
 * - No file is waited for: a FIFO in its place, or a lease on it, would keep
 *   an open() for as long as another process likes.
 * - A log of 32 bytes or less is shown as empty. It holds a header and no
 *   change: a writer is about to append the first, or was killed before it
 *   could. SQLite 3.40 takes the header as news, finds none, and tries again
 *   for ten seconds before it gives up, as long as the log is so.
 * - A reader that must not wait never sleeps long. SQLite's hundred attempts
 *   to begin reading come to those ten seconds of sleep; so bounded they end
 *   after about two milliseconds, with SQLITE_PROTOCOL.
 * - A file that is written by somebody who is not trusted (live.db) has an
 *   index of the log, -shm, that may hold anything and may be cut short while
 *   it is mapped, which is a signal that kills. Such a reader takes SQLite's
 *   locks there, and never looks at what it holds. And its log has a greatest
 *   length, because the index is made from all of it.
 */
#ifndef IO_REGISTRY_VFS_H
#define IO_REGISTRY_VFS_H

#include "core/err.h"

#include <stdbool.h>
#include <stdint.h>

struct reader_vfs;

struct reader_rules {
	bool impatient;  /* never sleeps long */
	bool own_index;  /* never looks into -shm */
	int64_t log_max; /* bytes; a longer log is SQLITE_TOOBIG. 0: any */
};

/* *out is given: reader_vfs_free, after the last connection through it is
 * closed. False: SQLite has no VFS `unix`, or there is no memory; *out is
 * untouched. */
MUST bool reader_vfs_new(
	const struct reader_rules *rules, struct reader_vfs **out);

/* What sqlite3_open_v2 knows it by; lent until reader_vfs_free. */
const char *reader_vfs_name(const struct reader_vfs *v);

/* *v may be NULL; becomes NULL. */
void reader_vfs_free(struct reader_vfs **v);

#endif
