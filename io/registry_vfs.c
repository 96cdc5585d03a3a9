/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define WAL_HEADER 32   /* bytes; Source: sqlite.org/fileformat2.html §4.1 */
#define NAP_MAX_US 1000 /* naps grow: shorter ones come to 2 ms in all */

/* What a log's methods are replaced by. First in it, so that a file's methods
 * lead back here. */
struct log_methods {
	sqlite3_io_methods m;
	const sqlite3_io_methods *below;
};

/* A connection has one log open at a time. */
struct reader_vfs {
	sqlite3_vfs vfs;
	sqlite3_vfs *below;
	struct log_methods log;
	char name[32];
};

static int log_size(sqlite3_file *f, sqlite3_int64 *size)
{
	const struct log_methods *log = (const void *)f->pMethods;
	int rc = log->below->xFileSize(f, size);

	if (rc == SQLITE_OK && *size <= WAL_HEADER)
		*size = 0;
	return rc;
}

static int reader_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f,
	int flags, int *out_flags)
{
	struct reader_vfs *v = vfs->pAppData;
	int rc = v->below->xOpen(v->below, name, f, flags, out_flags);

	if (rc != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0)
		return rc;
	v->log.below = f->pMethods;
	v->log.m = *f->pMethods;
	v->log.m.xFileSize = log_size;
	f->pMethods = &v->log.m;
	return rc;
}

static int reader_nap(sqlite3_vfs *vfs, int us)
{
	struct reader_vfs *v = vfs->pAppData;

	return us > NAP_MAX_US ? 0 : v->below->xSleep(v->below, us);
}

bool reader_vfs_new(bool impatient, struct reader_vfs **out)
{
	sqlite3_vfs *below = sqlite3_vfs_find("unix");
	struct reader_vfs *v = calloc(1, sizeof(*v));

	if (below == NULL || v == NULL) {
		free(v);
		return false;
	}
	v->below = below;
	v->vfs = *below;
	v->vfs.pNext = NULL;
	v->vfs.pAppData = v;
	v->vfs.xOpen = reader_open;
	if (impatient)
		v->vfs.xSleep = reader_nap;
	/* SQLite keeps a list of all; the address makes the name unique. */
	(void)snprintf(v->name, sizeof(v->name), "weir-%p", (void *)v);
	v->vfs.zName = v->name;
	if (sqlite3_vfs_register(&v->vfs, 0) != SQLITE_OK) {
		free(v);
		return false;
	}
	*out = v;
	return true;
}

const char *reader_vfs_name(const struct reader_vfs *v)
{
	return v->name;
}

void reader_vfs_free(struct reader_vfs **v)
{
	if (*v == NULL)
		return;
	(void)sqlite3_vfs_unregister(&(*v)->vfs);
	free(*v);
	*v = NULL;
}
