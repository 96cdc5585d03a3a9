/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry_backup.h"

#include "io/file.h"
#include "io/registry_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct restore {
	char *path; /* of the registry */
	char *dir;  /* "<its folder>/restore.XXXXXX"; NULL: not made yet */
	char *copy; /* in dir */
	struct registry *r;
	struct registry_copy found;
};

/* Given: free(). NULL when there is no memory. */
static char *joined(const char *a, const char *b)
{
	size_t n = strlen(a) + strlen(b) + 1;
	char *text = malloc(n);

	if (text != NULL)
		(void)snprintf(text, n, "%s%s", a, b);
	return text;
}

/* --------------------------------------------------------------------- prepare */

/* FROM has changes that are not in it: a copy without them would be an older
 * state, or none. */
static bool check_beside(const char *from, const char *suffix, struct err *e)
{
	char *name = joined(from, suffix);
	struct stat st;
	bool empty;

	if (name == NULL)
		return reg_no_memory(e);
	empty = stat(name, &st) != 0 || st.st_size == 0;
	free(name);
	return empty || err_set(e, ERR_INPUT,
				"%.160s has changes in %s beside it, so it is "
				"no backup; make one with weir backup",
				from, suffix);
}

static bool check_from(const char *path, const char *from, struct err *e)
{
	struct stat a, b;

	if (stat(from, &a) != 0)
		return file_err(e, "read", from, errno);
	if (!S_ISREG(a.st_mode))
		return err_set(e, ERR_INPUT,
			"%.160s is no regular file, so no backup", from);
	if (stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return err_set(e, ERR_INPUT,
			"%.160s is the registry itself; nothing to restore",
			from);
	return check_beside(from, "-wal", e) &&
	       check_beside(from, "-journal", e);
}

/* The folder of the copy, closed to all but us and the group that reads the
 * registry. */
static bool make_dir(struct restore *x, struct err *e)
{
	const char *slash = strrchr(x->path, '/');
	size_t n = slash != NULL ? (size_t)(slash - x->path) + 1 : 0;
	char *above = n != 0 ? strndup(x->path, n) : strdup("./");
	char *dir = above != NULL ? joined(above, "restore.XXXXXX") : NULL;
	struct stat st;
	bool done = false;

	if (dir == NULL)
		(void)reg_no_memory(e);
	else if (stat(above, &st) != 0 || mkdtemp(dir) == NULL)
		(void)file_err(e, "make a folder in", above, errno);
	else {
		x->dir = dir;
		done = lchown(dir, (uid_t)-1, st.st_gid) == 0 ||
		       file_err(e, "set the group of", dir, errno);
	}
	if (x->dir == NULL)
		free(dir);
	free(above);
	return done;
}

static bool make_copy(struct restore *x, struct err *e)
{
	int fd;

	x->copy = joined(x->dir, "/" REGISTRY_FILE);
	if (x->copy == NULL)
		return reg_no_memory(e);
	fd = open(x->copy, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return file_err(e, "make", x->copy, errno);
	(void)close(fd);
	return true;
}

/* FROM is read as it lies there: nothing is made or locked beside it. */
static bool copy_from(struct restore *x, char *from, struct err *e)
{
	struct registry source = {.path = from, .mode = REGISTRY_READ};
	char *uri = db_uri(from, "?mode=ro&immutable=1");
	bool done;

	if (uri == NULL)
		return reg_no_memory(e);
	done = sqlite3_open_v2(uri, &source.db,
		       SQLITE_OPEN_READONLY | SQLITE_OPEN_URI |
			       SQLITE_OPEN_NOMUTEX,
		       NULL) == SQLITE_OK;
	free(uri);
	if (source.db == NULL)
		return reg_no_memory(e);
	done = (done || reg_fail(&source, e)) && reg_copy(&source, x->copy, e);
	(void)sqlite3_close(source.db);
	return done;
}

/* What is in the copy, in words about FROM. */
static bool examine(struct restore *x, const char *from, struct err *e)
{
	char *own, *name = strdup(from);
	bool done;

	if (name == NULL)
		return reg_no_memory(e);
	if (!reg_open(x->copy, REGISTRY_WRITE, &x->r, e)) {
		free(name);
		return false;
	}
	own = x->r->path;
	x->r->path = name;
	done = reg_examine(x->r, &x->found, e) && reg_wal(x->r, e);
	x->r->path = own;
	done = done && db_share(x->copy, e);
	free(name);
	if (done && x->found.bad_seq != 0)
		done = err_set(e, ERR_ENVIRONMENT,
			"%.160s: audit entry %lld was altered, removed or "
			"moved, so that nobody can say who made this state; "
			"take another backup",
			from, (long long)x->found.bad_seq);
	return done;
}

bool restore_prepare(
	const char *path, const char *from, struct restore **out, struct err *e)
{
	struct restore *x = calloc(1, sizeof(*x));
	char *name = strdup(from);
	bool done;

	if (x != NULL)
		x->path = strdup(path);
	done = x != NULL && x->path != NULL && name != NULL;
	if (!done)
		(void)reg_no_memory(e);
	else
		done = check_from(path, from, e) && make_dir(x, e) &&
		       make_copy(x, e) && copy_from(x, name, e) &&
		       (examine(x, from, e) || err_at(e, "%.180s", from));
	free(name);
	if (done)
		*out = x;
	else
		restore_free(&x);
	return done;
}

const struct registry_copy *restore_copy(const struct restore *x)
{
	return &x->found;
}

struct registry *restore_registry(struct restore *x)
{
	return x->r;
}

void restore_free(struct restore **x)
{
	struct restore *y = *x;

	if (y == NULL)
		return;
	*x = NULL;
	registry_close(&y->r);
	if (y->copy != NULL)
		reg_remove(y->copy);
	if (y->dir != NULL)
		(void)rmdir(y->dir);
	free(y->copy);
	free(y->dir);
	free(y->path);
	free(y);
}

/* ---------------------------------------------------- the registry in place */

/* The registry in place while it is replaced: no writer but us. */
struct place {
	struct registry *old; /* NULL: missing, damaged, or not ours */
	int folder;           /* the lock; old's when there is one */
	bool unaccepted;      /* old is a backup that is not accepted */
	const char *actor;    /* who does this, and when */
	int64_t now_s;
	int64_t audit_seq; /* what its chain ends in */
	uint8_t audit_hash[FINGERPRINT_LEN];
};

/* All that was committed to OLD is in its one file from now on. */
static bool flush(struct registry *old, struct err *e)
{
	return sqlite3_wal_checkpoint_v2(old->db, "main",
		       SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK ||
	       reg_fail(old, e);
}

static bool readable(struct place *p, struct restore_result *out)
{
	bool valid = false;

	return registry_heads(p->old, &out->old, NULL) &&
	       reg_audit_head(
		       p->old, &p->audit_seq, p->audit_hash, &valid, NULL) &&
	       valid;
}

static bool take_place(const struct restore *x, struct place *p,
	struct restore_result *out, struct err *e)
{
	if (!reg_folder(x->path, &p->folder, e) ||
		!reg_lock(p->folder, true, x->path, e))
		return false;
	/* Under the lock of this process. */
	if (!reg_open_locked(x->path, &p->old, NULL))
		return true;
	out->had_old = reg_check_schema(p->old, NULL) && readable(p, out);
	p->unaccepted = out->had_old && out->old.restored;
	if (out->had_old)
		return flush(p->old, e);
	registry_close(&p->old);
	return true;
}

static void leave_place(struct place *p)
{
	registry_close(&p->old);
	if (p->folder >= 0)
		(void)close(p->folder);
}

struct link_of_chain {
	const struct place *p;
	bool same;
};

static bool compare(void *ctx, const struct audit_row *a)
{
	struct link_of_chain *l = ctx;

	l->same = a->seq == l->p->audit_seq &&
		  memcmp(a->hash, l->p->audit_hash, sizeof(a->hash)) == 0;
	return false;
}

/* *out: nothing can be lost by the copy, which lags behind nothing SEEN. Its
 * chain holds all entries of the old one; or nobody was admitted by the old
 * one, which is a backup not accepted yet, and the broker has seen others. */
static bool carries_on(const struct restore *x, const struct place *p,
	const struct registry_seen *seen, bool *out, struct err *e)
{
	struct link_of_chain l = {.p = p};

	if (p->old != NULL && p->unaccepted)
		l.same = seen->revision != 0;
	else if (p->old != NULL &&
		 !registry_audit(x->r, p->audit_seq - 1, compare, &l, e))
		return false;
	*out = l.same && x->found.heads.revision >= seen->revision;
	return true;
}

static int64_t greater(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Marks the copy unless nothing can have been lost by it. */
static bool mark(struct restore *x, const struct place *p,
	const struct restore_result *found, const struct registry_seen *seen,
	struct err *e)
{
	struct registry_seen most = *seen;
	int64_t change;
	bool same = false;

	if (!p->unaccepted) {
		most.revision = greater(seen->revision, found->old.revision);
		most.change_seq =
			greater(seen->change_seq, found->old.change_seq);
	}
	return carries_on(x, p, &most, &same, e) &&
	       (same || (registry_begin(x->r, p->actor, p->now_s, e) &&
				registry_note_restored(x->r, &most, e) &&
				registry_commit(x->r, &change, e)));
}

/* ------------------------------------------------------------------ the swap */

/* Gives what is at the path's SUFFIX a second name, if there is anything in
 * it: "registry.db.replaced-wal". */
static bool keep(const struct restore *x, const char *suffix, struct err *e)
{
	char *from = joined(x->path, suffix);
	char *kept = joined(x->path, RESTORE_KEPT);
	char *to = kept != NULL ? joined(kept, suffix) : NULL;
	struct stat st;
	bool done = true;

	if (from == NULL || to == NULL)
		done = reg_no_memory(e);
	else if ((unlink(to) != 0 && errno != ENOENT) ||
		 (stat(from, &st) == 0 && st.st_size != 0 &&
			 link(from, to) != 0))
		done = file_err(e, "keep the replaced registry as", to, errno);
	free(to);
	free(kept);
	free(from);
	return done;
}

static bool move(const struct restore *x, const char *suffix, struct err *e)
{
	char *from = joined(x->copy, suffix), *to = joined(x->path, suffix);
	bool done;

	if (from == NULL || to == NULL)
		done = reg_no_memory(e);
	else
		done = rename(from, to) == 0 ||
		       file_err(e, "put a file at", to, errno);
	free(from);
	free(to);
	return done;
}

/* The log must be empty: it stands beside the old file for a moment. */
static bool log_empty(const struct restore *x, struct err *e)
{
	char *log = joined(x->copy, "-wal");
	struct stat st;
	bool empty;

	if (log == NULL)
		return reg_no_memory(e);
	empty = stat(log, &st) == 0 && st.st_size == 0;
	free(log);
	return empty || err_set(e, ERR_ENVIRONMENT,
				"the copy at %s could not be finished; check "
				"the disk",
				x->copy);
}

/*
 * The log and its index go first. They are empty, and no process has them
 * open, so that whoever opens the old file beside them reads it as it is; the
 * old index, with the old number of pages, would make a wrong registry of the
 * new file.
 */
static bool swap(const struct restore *x, int folder, struct err *e)
{
	if (!log_empty(x, e) || !keep(x, "", e) || !keep(x, "-wal", e) ||
		!move(x, "-wal", e) || !move(x, "-shm", e) || !move(x, "", e))
		return false;
	/* Some file systems cannot sync a folder, and say EINVAL. */
	return fsync(folder) == 0 || errno == EINVAL ||
	       err_set(e, ERR_ENVIRONMENT,
		       "%.160s is restored, but the disk did not confirm it; "
		       "check the disk, then weir status",
		       x->path);
}

bool restore_commit(struct restore *x, const struct registry_seen *seen,
	const char *actor, int64_t now_s, struct restore_result *out,
	struct err *e)
{
	struct restore_result result = {.marked = false};
	struct place p = {.folder = -1, .actor = actor, .now_s = now_s};
	struct registry_heads heads;
	bool done;

	done = take_place(x, &p, &result, e) && mark(x, &p, &result, seen, e) &&
	       registry_heads(x->r, &heads, e);
	registry_close(&x->r);
	done = done && swap(x, p.folder, e);
	leave_place(&p);
	if (!done)
		return false;
	result.marked = heads.restored;
	*out = result;
	return true;
}
