/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* renameat2 */
#include "certs/stage.h"

#include "certs/pem_file.h"
#include "io/file.h"
#include "io/x509.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum name { KEY, CRT, KEY_NEW, CRT_NEW, NAMES };

struct paths {
	char *p[NAMES];
};

static void paths_fini(struct paths *x)
{
	for (int i = 0; i < NAMES; i++)
		free(x->p[i]);
}

static bool paths_init(
	struct paths *x, const char *dir, const char *id, struct err *e)
{
	static const char *const suffix[NAMES] = {
		".key", ".crt", ".key.new", ".crt.new"};
	bool done = true;

	for (int i = 0; i < NAMES; i++) {
		x->p[i] = path_join(dir, id, suffix[i]);
		done = done && x->p[i] != NULL;
	}
	if (done)
		return true;
	paths_fini(x);
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

bool stage_lock(const char *dir, int *fd, struct err *e)
{
	int error;
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (d < 0)
		return file_err(e, "open", dir, errno);
	if (flock(d, LOCK_EX | LOCK_NB) == 0) {
		*fd = d;
		return true;
	}
	error = errno;
	(void)close(d);
	if (error != EWOULDBLOCK)
		return file_err(e, "lock", dir, error);
	return err_set(e, ERR_ENVIRONMENT,
		"another weir cert bulk is at work in %.160s; wait for it, or "
		"choose another folder",
		dir);
}

void stage_unlock(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

bool stage_write(const char *dir, const char *id, struct str key,
	struct str cert, struct err *e)
{
	struct paths x;
	bool done;

	if (!paths_init(&x, dir, id, e))
		return false;
	/* Without a key of ours none may be left over. */
	if (key.n == 0)
		(void)unlink(x.p[KEY_NEW]);
	done = (key.n == 0 || pem_stage(x.p[KEY_NEW], key, PEM_PRIVATE, e)) &&
	       pem_stage(x.p[CRT_NEW], cert, PEM_PUBLIC, e);
	if (!done)
		(void)unlink(x.p[KEY_NEW]);
	paths_fini(&x);
	return done;
}

/* FROM becomes TO, if there is a FROM: in one step, for between two a kill
 * leaves both. */
static bool name(const char *from, const char *to, struct err *e)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ||
		errno == ENOENT)
		return true;
	if (errno == EEXIST)
		return err_set(e, ERR_CONFLICT,
			"%.200s exists already and is not overwritten; move it "
			"away, and run the command again",
			to);
	if (errno == EINVAL)
		return err_set(e, ERR_ENVIRONMENT,
			"the file system of %.200s cannot rename without "
			"replacing; use a folder on a local disk",
			to);
	return file_err(e, "create", to, errno);
}

bool stage_publish(const char *dir, const char *id, struct err *e)
{
	struct paths x;
	bool done;

	if (!paths_init(&x, dir, id, e))
		return false;
	done = name(x.p[KEY_NEW], x.p[KEY], e) &&
	       name(x.p[CRT_NEW], x.p[CRT], e);
	paths_fini(&x);
	return done;
}

void stage_drop(const char *dir, const char *id)
{
	struct paths x;

	if (!paths_init(&x, dir, id, NULL))
		return;
	(void)unlink(x.p[KEY_NEW]);
	(void)unlink(x.p[CRT_NEW]);
	paths_fini(&x);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

bool stage_find(const char *dir, const char *id, enum stage_found *found,
	X509 **cert, struct err *e)
{
	const char *read = NULL;
	struct paths x;
	struct err why = {0};
	bool done = true;

	if (!paths_init(&x, dir, id, e))
		return false;
	*found = STAGE_NOTHING;
	*cert = NULL;
	if (exists(x.p[CRT])) {
		*found = STAGE_NAMED;
		read = x.p[CRT];
	} else if (exists(x.p[CRT_NEW])) {
		*found = STAGE_NEW;
		read = x.p[CRT_NEW];
	} else if (exists(x.p[KEY])) {
		*found = STAGE_TAKEN;
	}
	if (read != NULL && !x509_load(read, cert, &why) &&
		why.code == ERR_ENVIRONMENT) {
		*e = why;
		done = false;
	}
	paths_fini(&x);
	return done;
}
