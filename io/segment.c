/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* open file description locks */
#include "io/segment.h"

#include "io/segment_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * The lock belongs to the open file, not to the process: another descriptor of
 * the same process neither shares nor drops it, and it ends with the process,
 * however it ends.
 */
static struct flock whole(short type)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
}

static const char *reason_of(int error, char *buf, size_t cap)
{
	return strerror_r(error, buf, cap);
}

bool segment_fault(struct err *e, const char *path, const char *what)
{
	char buf[96];
	int error = errno;

	return err_set(e, ERR_ENVIRONMENT,
		"%s: %s: %s; run: weir init --broker-user mosquitto", path,
		what, reason_of(error, buf, sizeof buf));
}

static void let_go(struct segment *s)
{
	if (s->mem != NULL)
		(void)munmap(s->mem, s->size);
	if (s->fd >= 0)
		(void)close(s->fd);
	*s = (struct segment){NULL, 0, -1};
}

/* Who holds the file, for people. 0 when the header does not say. */
static long long holder(int fd)
{
	struct meter_header h;

	if (pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h ||
		h.magic != METER_MAGIC)
		return 0;
	return (long long)h.pid;
}

static bool lock(const char *path, int fd, struct err *e)
{
	struct flock want = whole(F_WRLCK);

	if (fcntl(fd, F_OFD_SETLK, &want) == 0)
		return true;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(e, ERR_CONFLICT,
			"%s: held by another broker (pid %lld); stop it, or "
			"give each broker its own plugin_opt_state",
			path, holder(fd));
	return segment_fault(e, path, "cannot be locked");
}

/* The folder's group reads: `weir init` says which, for the files that it finds,
 * and so it is for one that is begun later. A broker that is not in the group
 * counts all the same; its readers are told that they may not read. */
static void give_to_group_of_folder(const char *path, int fd)
{
	const char *slash = strrchr(path, '/');
	char folder[4096] = ".";
	struct stat dir, st;

	if (slash != NULL)
		(void)snprintf(folder, sizeof folder, "%.*s",
			slash == path ? 1 : (int)(slash - path), path);
	if (stat(folder, &dir) == 0 && fstat(fd, &st) == 0 &&
		st.st_gid != dir.st_gid &&
		fchown(fd, (uid_t)-1, dir.st_gid) != 0)
		errno = 0;
}

#define ASIDES 100u

bool segment_open_locked(const char *path, int *fd, bool *fresh, struct err *e)
{
	struct stat st;
	int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (f < 0)
		return segment_fault(e, path, "cannot be opened for writing");
	if (!lock(path, f, e)) {
		(void)close(f);
		return false;
	}
	if (fstat(f, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(f);
		return err_set(e, ERR_ENVIRONMENT,
			"%s: not a regular file; move it away", path);
	}
	give_to_group_of_folder(path, f);
	*fresh = st.st_size == 0;
	*fd = f;
	return true;
}

bool segment_reserve(const struct segment *s, struct meter_range r)
{
	if (r.len != 0)
		errno = posix_fallocate(s->fd, (off_t)r.at, (off_t)r.len);
	return r.len == 0 || errno == 0;
}

/* Maps the locked FD, with all that it can grow to. */
static bool map_written(
	const char *path, int fd, struct segment *out, struct err *e)
{
	void *mem = mmap(NULL, METER_SIZE_MAX, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (mem == MAP_FAILED)
		return segment_fault(e, path, "cannot be mapped");
	*out = (struct segment){mem, METER_SIZE_MAX, fd};
	return true;
}

/* Header, outcomes, events and classes are always there. */
static const struct meter_range always = {0, METER_RULES_AT};

static bool no_room(struct err *e, const char *path)
{
	char buf[96];
	int error = errno;

	return err_set(e, ERR_ENVIRONMENT,
		"%s: no room for it: %s; make room on its disk", path,
		reason_of(error, buf, sizeof buf));
}

/* Without random numbers, which no system that runs lacks, it goes without. */
static void identify(void *mem)
{
	uint64_t id = 0;

	if (meter_identity(mem) == 0 &&
		getrandom(&id, sizeof id, 0) == (ssize_t)sizeof id)
		meter_identify(mem, id);
}

/* Makes the fresh file a segment. Blocks come first: touching a page that the
 * disk has no room for kills the process. */
static bool format(const char *path, struct segment *s, struct err *e)
{
	if (!segment_reserve(s, always) ||
		ftruncate(s->fd, METER_SIZE_MIN) != 0) {
		bool said = no_room(e, path);

		/* Empty it is begun again; else it would be set aside. */
		return ftruncate(s->fd, 0) == 0 && said;
	}
	identify(s->mem);
	meter_format(s->mem);
	return true;
}

/* The file may have been copied with holes. */
static bool fill_holes(const char *path, struct segment *s, struct err *e)
{
	struct meter_range used[2];

	meter_slots_used(s->mem, used);
	if (!segment_reserve(s, always) ||
		!segment_reserve(s, meter_rules_used(s->mem)) ||
		!segment_reserve(s, used[0]) || !segment_reserve(s, used[1]))
		return no_room(e, path);
	/* An older plugin may have begun it. */
	identify(s->mem);
	return true;
}

/* Why the locked file is not one to go on with, or NULL. */
static const char *problem_of(int fd)
{
	struct stat st;
	const char *problem;
	void *mem;

	if (fstat(fd, &st) != 0 || st.st_size < (off_t)METER_SIZE_MIN)
		return meter_problem(NULL, 0);
	mem = mmap(NULL, METER_SIZE_MIN, PROT_READ, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return "it cannot be mapped";
	problem = meter_problem(mem, (size_t)st.st_size);
	(void)munmap(mem, METER_SIZE_MIN);
	return problem;
}

/* A file that was set aside is never written over: in one second there may be
 * several. */
static bool rename_aside(const char *path, char *aside, size_t cap)
{
	long long now_s = (long long)time(NULL);
	int n;

	for (unsigned i = 0; i < ASIDES; i++) {
		n = i == 0 ? snprintf(aside, cap, "%s.old-%lld", path, now_s)
			   : snprintf(aside, cap, "%s.old-%lld-%u", path, now_s,
				     i);
		if (n < 0 || (size_t)n >= cap) {
			errno = ENAMETOOLONG;
			return false;
		}
		if (access(aside, F_OK) != 0)
			return rename(path, aside) == 0;
	}
	errno = EEXIST;
	return false;
}

bool segment_set_aside(const char *path, const char *problem, char *note,
	size_t note_cap, struct err *e)
{
	char aside[4096];

	if (!rename_aside(path, aside, sizeof aside))
		return segment_fault(e, path, "cannot be set aside");
	(void)snprintf(note, note_cap, "%s: %s; set aside as %s and begun anew",
		path, problem, aside);
	return true;
}

bool segment_open_write(const char *path, struct segment *out, char *note,
	size_t note_cap, struct err *e)
{
	struct segment s = {NULL, 0, -1};
	const char *problem;
	bool fresh = false;
	int fd = -1;

	if (note_cap != 0)
		note[0] = '\0';
	if (!segment_open_locked(path, &fd, &fresh, e))
		return false;
	problem = fresh ? NULL : problem_of(fd);
	if (problem != NULL) {
		bool moved =
			segment_set_aside(path, problem, note, note_cap, e);

		(void)close(fd);
		if (!moved || !segment_open_locked(path, &fd, &fresh, e))
			return false;
	}
	if (fresh && fchmod(fd, 0640) != 0) {
		(void)segment_fault(e, path, "cannot be given its mode");
		(void)close(fd);
		return false;
	}
	if (!map_written(path, fd, &s, e)) {
		(void)close(fd);
		return false;
	}
	if (fresh ? !format(path, &s, e) : !fill_holes(path, &s, e)) {
		let_go(&s);
		return false;
	}
	*out = s;
	return true;
}

static bool same_file(const char *path, int fd)
{
	struct stat there, ours;

	return lstat(path, &there) == 0 && fstat(fd, &ours) == 0 &&
	       there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

bool segment_holds(const char *path, const struct segment *s, uint64_t size)
{
	struct stat st;

	return fstat(s->fd, &st) == 0 && (uint64_t)st.st_size >= size &&
	       same_file(path, s->fd);
}

bool segment_replace(const char *path, const struct segment *old,
	struct segment *out, char *note, size_t note_cap, struct err *e)
{
	char why[ERR_MSG_MAX];

	(void)snprintf(why, sizeof why,
		"%s: taken away under the broker; begun anew", path);
	if (same_file(path, old->fd) &&
		!segment_set_aside(
			path, "cut short under the broker", why, sizeof why, e))
		return false;
	if (!segment_open_write(path, out, note, note_cap, e))
		return false;
	if (note_cap != 0 && note[0] == '\0')
		(void)snprintf(note, note_cap, "%s", why);
	return true;
}

/* Maps all of the open file that there is. */
static bool map_read(const char *path, struct segment *s, struct err *e)
{
	const char *problem = NULL;
	struct stat st;
	void *mem;

	if (fstat(s->fd, &st) != 0 || !S_ISREG(st.st_mode) ||
		st.st_size < (off_t)METER_SIZE_MIN)
		return err_set(e, ERR_ENVIRONMENT, "%s: %s", path,
			meter_problem(NULL, 0));
	s->size = st.st_size < (off_t)METER_SIZE_MAX ? (size_t)st.st_size
						     : METER_SIZE_MAX;
	mem = mmap(NULL, s->size, PROT_READ, MAP_SHARED, s->fd, 0);
	if (mem == MAP_FAILED)
		return segment_fault(e, path, "cannot be mapped");
	s->mem = mem;
	problem = meter_problem(mem, s->size);
	if (problem != NULL)
		return err_set(e, ERR_ENVIRONMENT,
			"%s: %s; use the weir command of the plugin's version",
			path, problem);
	return true;
}

bool segment_open_read(const char *path, struct segment *out, struct err *e)
{
	struct segment s = {NULL, 0, -1};

	/* The folder is the broker's user's: a FIFO in the file's place must
	 * not hold whoever reads. */
	s.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (s.fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND,
			"%s: no broker has run with this state directory yet",
			path);
	if (s.fd < 0) {
		char buf[96];
		int error = errno;

		return err_set(e, ERR_ENVIRONMENT,
			"%s: %s; it is readable by its group: join that "
			"group, or use sudo",
			path, reason_of(error, buf, sizeof buf));
	}
	if (!map_read(path, &s, e)) {
		let_go(&s);
		return false;
	}
	*out = s;
	return true;
}

bool segment_refresh(struct segment *s, struct err *e)
{
	struct segment more = {NULL, 0, s->fd};

	if (!map_read(SEGMENT_FILE, &more, e)) {
		if (more.mem != NULL)
			(void)munmap(more.mem, more.size);
		return false;
	}
	(void)munmap(s->mem, s->size);
	*s = more;
	return true;
}

struct meter_map segment_map(const struct segment *s)
{
	return (struct meter_map){s->mem, s->size};
}

struct meter_header *segment_header(const struct segment *s)
{
	return s->mem;
}

bool segment_intact(const struct segment *s)
{
	struct stat st;

	return s->fd >= 0 && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size >= (off_t)s->size;
}

bool segment_writer_alive(const struct segment *s)
{
	struct flock found = whole(F_WRLCK);

	/* A question only: a lock of ours, however short, could make a broker
	 * fail to start. */
	return fcntl(s->fd, F_OFD_GETLK, &found) == 0 &&
	       found.l_type != F_UNLCK;
}

void segment_close(struct segment *s)
{
	/* A zeroed struct holds no descriptor: 0 with no mapping is not ours. */
	if (s->mem == NULL)
		return;
	let_go(s);
	s->fd = 0;
}
