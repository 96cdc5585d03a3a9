/* SPDX-License-Identifier: Apache-2.0 */
/*
 * torture [-n MOST] [SCENARIO]…
 *
 * Runs each scenario with its 1st, 2nd, 3rd … allocation failing, alone and
 * with all that follow it, until it runs through. -n MOST: of a scenario that
 * allocates more than that, only as many, evenly spread. A process of its own
 * for each, so that one that dies says where and the others go on.
 *
 * A call must either do what it says or fail, with a report and untouched
 * outputs; nothing may be lost, and what is on disk stays sound.
 */
#include "tests/torture/torture.h"

#include "tests/support/check.h"
#include "tests/torture/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct scenario *const ALL[] = {&POLICY_GOOD, &POLICY_BAD, &ATTRS,
	&LEARN, &RECORD, &ACL_LIST, &DYNSEC, &CERTIFICATE_READ,
	&CERTIFICATE_ISSUE, &CERTIFICATE_MINT, &BUNDLE, &CA_MAKE, &CA_IMPORT,
	&REGISTRY_CREATE, &REGISTRY_CHANGE, &REGISTRY_LOOK_UP, &REGISTRY_AUDIT,
	&REGISTRY_IMPORT, &REGISTRY_BACKUP, &REGISTRY_RESTORE, &LIVE_CREATE,
	&LIVE_CHANGE, &LIVE_READ_ALL, &TAIL, &HISTORY, &SEGMENT};

#define N_ALL (sizeof(ALL) / sizeof(ALL[0]))

/* Shared with the child, to be read when it has died. */
struct progress {
	uint64_t total, k, runs;
	enum alloc_failure how;
};

static char dir[64];

const char *torture_dir(void)
{
	return dir;
}

bool torture_done(bool ok, struct err *e)
{
	if (ok)
		return true;
	if (!alloc_fired() || !check_report(e))
		check_failed(__FILE__, __LINE__,
			"a failure has a cause and a report", e->msg);
	memset(e, 0, sizeof(*e));
	return false;
}

/* One run. False: it went through without a failure. */
static bool run(const struct scenario *s, enum alloc_failure how, uint64_t k)
{
	int64_t live;

	if (s->before != NULL)
		s->before();
	live = alloc_live();
	alloc_arm(how, k);
	s->run();
	(void)alloc_disarm();
	if (s->after != NULL)
		s->after();
	CHECK(alloc_live() == live);
	return alloc_fired();
}

static void torture(const struct scenario *s, uint64_t most, struct progress *p)
{
	uint64_t stride;

	/* The first time, libraries set themselves up. */
	for (int i = 0; i < 2; i++) {
		(void)run(s, ALLOC_NEVER, 0);
		p->total = alloc_count();
	}
	stride = most != 0 && p->total > most ? (p->total - 1) / most + 1 : 1;
	for (int how = ALLOC_ONCE; how <= ALLOC_ON; how++) {
		p->how = (enum alloc_failure)how;
		p->k = 1;
		while (run(s, p->how, p->k)) {
			p->k += stride;
			p->runs++;
		}
	}
	/* What failed before leaves no trace. */
	CHECK(!run(s, ALLOC_NEVER, 0));
}

static void make_dir(void)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	(void)snprintf(dir, sizeof(dir), "%s/weir-torture-XXXXXX", base);
	CHECK(mkdtemp(dir) != NULL);
}

/* The scenario in a child; true when it held. */
static bool judge(const struct scenario *s, uint64_t most, struct progress *p)
{
	int status = 0;
	pid_t child;

	memset(p, 0, sizeof(*p));
	make_dir();
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		alloc_install();
		torture(s, most, p);
		/* Through the leak check; the only thread.
		 * NOLINTNEXTLINE(concurrency-mt-unsafe) */
		exit(EXIT_SUCCESS);
	}
	CHECK(waitpid(child, &status, 0) == child);
	if (status == 0 && rmdir(dir) != 0 && errno != ENOENT) {
		(void)fprintf(stderr, "%s: files left in %s\n", s->name, dir);
		status = 1;
	}
	(void)printf("%-18s %6llu allocations, %6llu runs: %s\n", s->name,
		(unsigned long long)p->total, (unsigned long long)p->runs,
		status == 0 ? "ok" : "FAILED");
	if (status != 0)
		(void)printf("  %s: allocation %llu failing %s; see %s\n",
			s->name, (unsigned long long)p->k,
			p->how == ALLOC_ON ? "and all after it" : "alone", dir);
	(void)fflush(stdout);
	return status == 0;
}

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; i < N_ALL; i++) {
		if (strcmp(ALL[i]->name, name) == 0)
			return ALL[i];
	}
	(void)fprintf(stderr, "torture: no scenario %s\n", name);
	exit(2); /* NOLINT(concurrency-mt-unsafe): the only thread */
}

int main(int argc, char **argv)
{
	struct progress *p;
	uint64_t most = 0;
	bool held = true;
	int first = 1;
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		most = strtoull(argv[2], NULL, 10);
		first = 3;
	}
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(fd >= 0 && p != MAP_FAILED);
	for (int i = first; i < argc; i++)
		held = judge(find(argv[i]), most, p) && held;
	for (size_t i = 0; first == argc && i < N_ALL; i++)
		held = judge(ALL[i], most, p) && held;
	return held ? EXIT_SUCCESS : EXIT_FAILURE;
}
