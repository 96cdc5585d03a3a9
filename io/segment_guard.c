/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "io/segment_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct range {
	uintptr_t from, to; /* both 0: none */
	int fd;
	atomic_bool lost;
};

/* Written while no guarded byte is touched, read by the handler in the thread
 * that touches one. */
static struct {
	bool on;
	struct range range[SEGMENT_GUARDED];
	uintptr_t page;
	struct sigaction before;
} guard;

/* As if this handler had never been there: a fault comes again when the
 * instruction does, and finds the handler of before. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	if ((guard.before.sa_flags & SA_SIGINFO) != 0) {
		guard.before.sa_sigaction(sig, info, context);
	} else if (guard.before.sa_handler != SIG_DFL &&
		   guard.before.sa_handler != SIG_IGN) {
		guard.before.sa_handler(sig);
	} else {
		(void)sigaction(SIGBUS, &guard.before, NULL);
		/* One that was sent, and would not come again. */
		if (info->si_code <= 0)
			(void)raise(SIGBUS);
	}
}

/* From the file's end on all is lost; before it, as in a hole that the disk has
 * no room for, one page. */
static bool replace(const struct range *r, uintptr_t at)
{
	uintptr_t begin = at & ~(guard.page - 1), end = begin + guard.page;
	uintptr_t file_end = r->from;
	struct stat st;

	if (fstat(r->fd, &st) == 0 && st.st_size > 0)
		file_end += ((uintptr_t)st.st_size + guard.page - 1) &
			    ~(guard.page - 1);
	if (begin >= file_end) {
		begin = file_end;
		end = r->to;
	}
	return mmap((void *)begin, end - begin, PROT_READ | PROT_WRITE,
		       MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0) != MAP_FAILED;
}

/* The range that AT lies in, or NULL. */
static struct range *range_of(uintptr_t at)
{
	for (unsigned i = 0; guard.on && i < SEGMENT_GUARDED; i++)
		if (at >= guard.range[i].from && at < guard.range[i].to)
			return &guard.range[i];
	return NULL;
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	struct range *r = info->si_code > 0 ? range_of(at) : NULL;
	int error = errno;

	if (r != NULL && replace(r, at))
		atomic_store(&r->lost, true);
	else
		pass_on(sig, info, context);
	errno = error;
}

bool segment_guard_begin(enum segment_guarded which, void *mem, size_t size,
	int fd, struct err *e)
{
	struct range *r = &guard.range[which];
	struct sigaction ours = {.sa_flags = SA_SIGINFO};
	long page = sysconf(_SC_PAGESIZE);

	ours.sa_sigaction = on_bus_error;
	(void)sigemptyset(&ours.sa_mask);
	if (page <= 0 ||
		(!guard.on && sigaction(SIGBUS, &ours, &guard.before) != 0))
		return err_set(e, ERR_ENVIRONMENT,
			"no handler for SIGBUS can be installed");
	guard.page = (uintptr_t)page;
	r->from = (uintptr_t)mem;
	r->to = r->from + size;
	r->fd = fd;
	guard.on = true;
	atomic_store(&r->lost, false);
	return true;
}

bool segment_guard_lost(enum segment_guarded which)
{
	return atomic_load(&guard.range[which].lost);
}

void segment_guard_end(void)
{
	if (!guard.on)
		return;
	(void)sigaction(SIGBUS, &guard.before, NULL);
	guard.on = false;
	for (unsigned i = 0; i < SEGMENT_GUARDED; i++)
		guard.range[i].from = guard.range[i].to = 0;
}
