/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_CAP 4096

struct roster {
	char path[PATH_CAP];
	struct registry *r; /* NULL: it could not be opened, for: */
	struct err why;
	struct stat file; /* what was at the path when r was opened */
};

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool same_time(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void look_at(const struct roster *x, struct stat *out)
{
	if (stat(x->path, out) != 0)
		memset(out, 0, sizeof(*out));
}

/* Closed first: what keeps an open one from reading can be the index of the
 * log that it shares, which nobody makes anew while somebody holds it. */
static void reopen(struct roster *x)
{
	registry_close(&x->r);
	look_at(x, &x->file);
	if (!registry_open(x->path, REGISTRY_FOLLOW, &x->r, &x->why))
		x->r = NULL;
}

/* A file that was written into: SQLite would go on with the pages it has if it
 * was overwritten where it lies. While it cannot be opened, as in the moment in
 * which a command ends, the open one answers. */
static void renew(struct roster *x, const struct stat *now)
{
	struct registry *r = NULL;
	struct err e;

	if (!registry_open(x->path, REGISTRY_FOLLOW, &r, &e))
		return;
	registry_close(&x->r);
	x->r = r;
	x->file = *now;
}

bool roster_open(const char *state, struct roster **out, struct err *e)
{
	struct roster *x = calloc(1, sizeof(*x));
	int n;

	if (x == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	n = snprintf(x->path, sizeof(x->path), "%s/" REGISTRY_FILE, state);
	if (n < 0 || (size_t)n >= sizeof(x->path)) {
		free(x);
		return err_set(e, ERR_INPUT,
			"the path %.80s…/" REGISTRY_FILE " is too long", state);
	}
	reopen(x);
	*out = x;
	return true;
}

void roster_close(struct roster **x)
{
	if (*x == NULL)
		return;
	registry_close(&(*x)->r);
	free(*x);
	*x = NULL;
}

void roster_look(struct roster *x)
{
	struct stat now;

	look_at(x, &now);
	if (x->r == NULL || !same_file(&now, &x->file))
		reopen(x);
	else if (!same_time(&now, &x->file))
		renew(x, &now);
}

struct registry *roster_get(struct roster *x, struct err *e)
{
	if (x->r == NULL)
		*e = x->why;
	return x->r;
}

struct registry *roster_retry(struct roster *x, struct err *e)
{
	reopen(x);
	return roster_get(x, e);
}
