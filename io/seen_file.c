/* SPDX-License-Identifier: Apache-2.0 */
#include "io/seen_file.h"

#include "core/seen_write.h"
#include "io/segment_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool map_it(const char *path, int fd, int prot, struct seen_file *out,
	struct err *e)
{
	void *mem = mmap(NULL, SEEN_SIZE, prot, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		return segment_fault(e, path, "cannot be mapped");
	*out = (struct seen_file){mem, fd};
	return true;
}

/* Why the locked file, which is not empty, is not one to go on with. */
static const char *problem_of(const char *path, int fd)
{
	struct seen_file f = {NULL, -1};
	struct stat st;
	const char *problem;
	struct err e;

	if (fstat(fd, &st) != 0 || st.st_size < (off_t)SEEN_SIZE)
		return seen_problem(NULL, 0);
	if (!map_it(path, fd, PROT_READ, &f, &e))
		return "it cannot be mapped";
	problem = seen_problem(f.mem, SEEN_SIZE);
	(void)munmap(f.mem, SEEN_SIZE);
	return problem;
}

/* Allocates every block, maps and, if fresh, formats. */
static bool take(const char *path, int fd, bool fresh, int64_t now_s,
	struct seen_file *out, struct err *e)
{
	if (fresh && fchmod(fd, 0640) != 0)
		return segment_fault(e, path, "cannot be given its mode");
	errno = posix_fallocate(fd, 0, (off_t)SEEN_SIZE);
	if (errno != 0)
		return segment_fault(e, path, "no room for it");
	if (!map_it(path, fd, PROT_READ | PROT_WRITE, out, e))
		return false;
	if (fresh)
		seen_format(out->mem, now_s);
	return true;
}

bool seen_file_open_write(const char *path, int64_t now_s,
	struct seen_file *out, char *note, size_t note_cap, struct err *e)
{
	const char *problem;
	bool fresh = false;
	int fd = -1;

	if (note_cap != 0)
		note[0] = '\0';
	if (!segment_open_locked(path, &fd, &fresh, e))
		return false;
	problem = fresh ? NULL : problem_of(path, fd);
	if (problem != NULL) {
		bool moved =
			segment_set_aside(path, problem, note, note_cap, e);

		(void)close(fd);
		if (!moved || !segment_open_locked(path, &fd, &fresh, e))
			return false;
	}
	if (take(path, fd, fresh, now_s, out, e))
		return true;
	(void)close(fd);
	return false;
}

bool seen_file_open_read(const char *path, struct seen_file *out, struct err *e)
{
	const char *problem;
	struct seen_file f = {NULL, -1};
	struct stat st;

	/* As in segment_open_read: a FIFO would hold the reader. */
	f.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (f.fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND,
			"%.100s: nothing was observed with this state "
			"directory yet",
			path);
	if (f.fd < 0)
		return segment_fault(e, path, "cannot be read");
	if (fstat(f.fd, &st) != 0 || !S_ISREG(st.st_mode) ||
		st.st_size < (off_t)SEEN_SIZE) {
		(void)close(f.fd);
		return err_set(e, ERR_ENVIRONMENT, "%.100s: %s", path,
			seen_problem(NULL, 0));
	}
	if (!map_it(path, f.fd, PROT_READ, &f, e)) {
		(void)close(f.fd);
		return false;
	}
	problem = seen_problem(f.mem, SEEN_SIZE);
	if (problem != NULL) {
		seen_file_close(&f);
		return err_set(e, ERR_ENVIRONMENT,
			"%.100s: %s; use the weir command of the plugin's "
			"version",
			path, problem);
	}
	*out = f;
	return true;
}

void seen_file_close(struct seen_file *f)
{
	if (f->mem == NULL)
		return;
	(void)munmap(f->mem, SEEN_SIZE);
	(void)close(f->fd);
	*f = (struct seen_file){NULL, -1};
}
