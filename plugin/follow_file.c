/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/follow_file.h"

#include "plugin/guard.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_time(const struct follow *f, const struct stat *st)
{
	return st->st_mtim.tv_sec == f->changed.tv_sec &&
	       st->st_mtim.tv_nsec == f->changed.tv_nsec;
}

/* Opens the file at the path as it is now, in the place of the open one, and
 * remembers which it was. What fails leaves the open one. */
static bool open_file(struct guard *g, enum registry_mode mode, struct err *e)
{
	struct follow *f = &g->follow;
	struct registry *r = NULL;
	struct stat st, after;

	if (stat(g->registry_path, &st) != 0)
		memset(&st, 0, sizeof(st)); /* registry_open says why */
	if (!registry_open(g->registry_path, mode, &r, e))
		return false;
	/* What was opened must be what is remembered, or a file that took the
	 * place in between would pass for it. */
	if (stat(g->registry_path, &after) != 0 || after.st_dev != st.st_dev ||
		after.st_ino != st.st_ino) {
		registry_close(&r);
		return err_set(e, ERR_ENVIRONMENT,
			"%s: it was replaced or taken away while it was "
			"opened; if it is gone, run: weir init",
			g->registry_path);
	}
	registry_close(&g->registry);
	g->registry = r;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->changed = st.st_mtim;
	f->waits = mode != REGISTRY_FOLLOW;
	f->data_version = -1;
	return true;
}

bool follow_open(struct guard *g, struct err *e)
{
	/* A start waits for a command that is about to end; nobody is kept
	 * from anything by it. */
	return open_file(g, REGISTRY_READ, e);
}

bool follow_file(struct guard *g, struct err *e)
{
	struct follow *f = &g->follow;
	struct stat st;
	bool same;

	if (stat(g->registry_path, &st) != 0) {
		int error = errno;

		registry_close(&g->registry);
		return err_set(e, ERR_ENVIRONMENT,
			"%s: %s; put it back, or run: weir init",
			g->registry_path,
			error == ENOENT ? "it is gone" : "cannot be reached");
	}
	same = st.st_dev == f->dev && st.st_ino == f->ino;
	if (g->registry != NULL && same && same_time(f, &st) && !f->waits &&
		f->failures == 0)
		return true;
	if (!same) {
		f->is_new = true;
		f->went_back = false;
	}
	/*
	 * Beside an open one SQLite takes a descriptor it has, and would not
	 * notice that the file may not be read any more; and what keeps the
	 * open one from reading can be the index of the log that it shares: a
	 * command was killed before it had made it, and nobody makes it while
	 * somebody holds it open.
	 */
	if (!same || f->failures != 0 || access(g->registry_path, R_OK) != 0)
		registry_close(&g->registry);
	return open_file(g, REGISTRY_FOLLOW, e);
}
