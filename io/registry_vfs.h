/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a registry as its readers see them: SQLite's own, but for two
 * things that a reader without write access, which has to make an index of the
 * log for itself, cannot live with.
 *
 * - A log of 32 bytes or less is shown as empty. It holds a header and no
 *   change: a writer is about to append the first, or was killed before it
 *   could. SQLite 3.40 takes the header as news, finds none, and tries again
 *   for ten seconds before it gives up, as long as the log is so.
 * - A reader that must not wait never sleeps long. SQLite's hundred attempts
 *   to begin reading come to those ten seconds of sleep; so bounded they end
 *   after about two milliseconds, with SQLITE_PROTOCOL.
 *
 * For io/registry.c only.
 */
#ifndef IO_REGISTRY_VFS_H
#define IO_REGISTRY_VFS_H

#include "core/err.h"

#include <stdbool.h>

struct reader_vfs;

/* *out is given: reader_vfs_free, after the last connection through it is
 * closed. IMPATIENT: the second item holds as well. False: SQLite has no VFS
 * `unix`, or there is no memory; *out is untouched. */
MUST bool reader_vfs_new(bool impatient, struct reader_vfs **out);

/* What sqlite3_open_v2 knows it by; lent until reader_vfs_free. */
const char *reader_vfs_name(const struct reader_vfs *v);

/* *v may be NULL; becomes NULL. */
void reader_vfs_free(struct reader_vfs **v);

#endif
