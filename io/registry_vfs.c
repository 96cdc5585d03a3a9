/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define WAL_HEADER 32 /* bytes; Source: sqlite.org/fileformat2.html §4.1 */
/* The first of SQLite's locks of readers. Source: sqlite.org/walformat.html
 * §2.3. */
#define READ_LOCK_0 3
#define NAP_MAX_US  1000 /* naps grow: shorter ones come to 2 ms in all */

/* What a file's methods are replaced by. First in it, so that a file's methods
 * lead back here. */
struct own_methods {
	sqlite3_io_methods m;
	const sqlite3_io_methods *below;
	struct reader_vfs *vfs;
};

/* A connection has one database and one log open at a time. */
struct reader_vfs {
	sqlite3_vfs vfs;
	sqlite3_vfs *below;
	struct reader_rules rules;
	struct own_methods db, log;
	char name[32];
};

static const struct own_methods *own(const sqlite3_file *f)
{
	return (const void *)f->pMethods;
}

/* ------------------------------------------------------- nothing is waited for */

/* For a regular file O_NONBLOCK changes nothing but this. */
static int open_at_once(const char *path, int flags, int mode)
{
	return open(path, flags | O_NONBLOCK, mode);
}

/* SQLite opens by this function, for all: so it is put there for one call
 * only. Returns the one that was there before. */
static sqlite3_syscall_ptr open_by(struct reader_vfs *v, sqlite3_syscall_ptr fn)
{
	sqlite3_syscall_ptr before = v->below->xGetSystemCall(v->below, "open");

	(void)v->below->xSetSystemCall(v->below, "open", fn);
	return before;
}

/* ------------------------------------------------------------------ the files */

static int log_size(sqlite3_file *f, sqlite3_int64 *size)
{
	const struct own_methods *log = own(f);
	int64_t max = log->vfs->rules.log_max;
	int rc = log->below->xFileSize(f, size);

	if (rc == SQLITE_OK && *size <= WAL_HEADER)
		*size = 0;
	return rc == SQLITE_OK && max != 0 && *size > max ? SQLITE_TOOBIG : rc;
}

/*
 * READONLY_CANTINIT is what a reader is told that finds no writer to vouch for
 * the index: it then makes its own, in memory, and holds off checkpoints by a
 * lock while it reads. Source: sqlite3.c, walBeginShmUnreliable().
 */
static int db_shm_map(
	sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	const struct own_methods *db = own(f);
	sqlite3_syscall_ptr before =
		open_by(db->vfs, (sqlite3_syscall_ptr)open_at_once);
	int rc = db->below->xShmMap(f, page, size, extend, out);

	(void)open_by(db->vfs, before);
	if (!db->vfs->rules.own_index ||
		(rc != SQLITE_OK && (rc & 0xff) != SQLITE_READONLY))
		return rc;
	*out = NULL;
	return SQLITE_READONLY_CANTINIT;
}

/*
 * A reader with an index of its own reads under the first of the readers' locks,
 * which keeps checkpoints from writing into the database. It does not keep a
 * writer from beginning the log anew, over what that index leads to, once a
 * checkpoint is through: SQLite takes such a reader for one that never looks
 * into the log. The second lock, which stands for readers of the log, does.
 */
static int db_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	const struct own_methods *db = own(f);
	int rc;

	if (at != READ_LOCK_0 || n != 1 || (flags & SQLITE_SHM_SHARED) == 0)
		return db->below->xShmLock(f, at, n, flags);
	if ((flags & SQLITE_SHM_UNLOCK) != 0) {
		(void)db->below->xShmLock(f, at + 1, 1, flags);
		return db->below->xShmLock(f, at, 1, flags);
	}
	rc = db->below->xShmLock(f, at + 1, 1, flags);
	if (rc != SQLITE_OK)
		return rc;
	rc = db->below->xShmLock(f, at, 1, flags);
	if (rc != SQLITE_OK)
		(void)db->below->xShmLock(
			f, at + 1, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
	return rc;
}

static void take_over(
	struct reader_vfs *v, struct own_methods *own_methods, sqlite3_file *f)
{
	own_methods->below = f->pMethods;
	own_methods->m = *f->pMethods;
	own_methods->vfs = v;
	f->pMethods = &own_methods->m;
}

static int reader_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f,
	int flags, int *out_flags)
{
	struct reader_vfs *v = vfs->pAppData;
	sqlite3_syscall_ptr before =
		open_by(v, (sqlite3_syscall_ptr)open_at_once);
	int rc = v->below->xOpen(v->below, name, f, flags, out_flags);

	(void)open_by(v, before);
	if (rc != SQLITE_OK)
		return rc;
	if ((flags & SQLITE_OPEN_WAL) != 0) {
		take_over(v, &v->log, f);
		v->log.m.xFileSize = log_size;
	} else if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
		take_over(v, &v->db, f);
		v->db.m.xShmMap = db_shm_map;
		if (v->rules.own_index)
			v->db.m.xShmLock = db_shm_lock;
	}
	return rc;
}

static int reader_nap(sqlite3_vfs *vfs, int us)
{
	struct reader_vfs *v = vfs->pAppData;

	return us > NAP_MAX_US ? 0 : v->below->xSleep(v->below, us);
}

bool reader_vfs_new(const struct reader_rules *rules, struct reader_vfs **out)
{
	sqlite3_vfs *below = sqlite3_vfs_find("unix");
	struct reader_vfs *v = calloc(1, sizeof(*v));

	if (below == NULL || v == NULL) {
		free(v);
		return false;
	}
	v->below = below;
	v->rules = *rules;
	v->vfs = *below;
	v->vfs.pNext = NULL;
	v->vfs.pAppData = v;
	v->vfs.xOpen = reader_open;
	if (rules->impatient)
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
