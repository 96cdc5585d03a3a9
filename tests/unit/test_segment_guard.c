/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* ftruncate of what is mapped, SA_SIGINFO */
#include "io/segment_guard.h"
#include "tests/support/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE 4096u
#define SIZE ((size_t)16 * PAGE)

static struct {
	struct tempdir dir;
	char *mem, *other;
	int fd;
} fx;

static int setup(void **state)
{
	(void)state;
	tempdir_make(&fx.dir);
	fx.fd = open(tempdir_at(&fx.dir, "f"), O_RDWR | O_CREAT, 0600);
	assert_true(fx.fd >= 0);
	assert_int_equal(posix_fallocate(fx.fd, 0, (off_t)SIZE), 0);
	fx.mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fx.fd, 0);
	fx.other =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fx.fd, 0);
	assert_true(fx.mem != MAP_FAILED && fx.other != MAP_FAILED);
	memset(fx.mem, 'x', SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	segment_guard_end();
	(void)munmap(fx.mem, SIZE);
	(void)munmap(fx.other, SIZE);
	(void)close(fx.fd);
	(void)tempdir_walk(&fx.dir, 1);
	return 0;
}

static void begin(void)
{
	struct err e;

	assert_true(segment_guard_begin(
		SEGMENT_GUARDED_METER, fx.mem, SIZE, fx.fd, &e));
}

static volatile char sink;

static void test_cut(void **state)
{
	static const struct {
		off_t size;
		size_t kept;
	} rows[] = {{0, 0}, {1, 1}, {100, 1}, {PAGE, 1}, {PAGE + 1, 2},
		{(off_t)SIZE - 1, 16}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (i != 0)
			assert_int_equal(setup(state), 0);
		begin();
		assert_int_equal(ftruncate(fx.fd, rows[i].size), 0);
		errno = 77;
		for (size_t at = 0; at < SIZE; at += PAGE)
			fx.mem[at]++; /* never dies */
		assert_int_equal(errno, 77);
		assert_int_equal(segment_guard_lost(SEGMENT_GUARDED_METER),
			rows[i].kept < 16);
		/* What is there still is the file's, what is not is memory. */
		for (size_t p = 0; p < 16; p++)
			assert_int_equal(fx.mem[p * PAGE],
				p < rows[i].kept && rows[i].size != 0 ? 'y'
								      : 1);
		if (i + 1 < sizeof rows / sizeof rows[0])
			(void)teardown(state);
	}
}

static void test_whole_file_is_no_loss(void **state)
{
	(void)state;
	begin();
	for (size_t at = 0; at < SIZE; at++)
		sink = fx.mem[at];
	assert_false(segment_guard_lost(SEGMENT_GUARDED_METER));
	/* Begun anew, it has lost nothing yet. */
	assert_int_equal(ftruncate(fx.fd, 0), 0);
	sink = fx.mem[0];
	assert_true(segment_guard_lost(SEGMENT_GUARDED_METER));
	begin();
	assert_false(segment_guard_lost(SEGMENT_GUARDED_METER));
}

/* The signal that ends a child which does DEED, 0 if none. */
static int end_of(void (*deed)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		/* CMocka has handlers of its own. */
		(void)signal(SIGBUS, SIG_DFL);
		deed();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void cut_off(void)
{
	if (ftruncate(fx.fd, 0) != 0)
		_exit(9);
}

static void elsewhere(void)
{
	begin();
	cut_off();
	sink = fx.mem[0];
	sink = fx.other[0];
}

static void after_the_end(void)
{
	begin();
	segment_guard_end();
	cut_off();
	sink = fx.mem[0];
}

static void sent(void)
{
	begin();
	(void)raise(SIGBUS);
}

static void simple_handler(int sig)
{
	_exit(40 + (sig == SIGBUS));
}

static void info_handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	_exit(sig == SIGBUS && info->si_addr == fx.other ? 42 : 1);
}

static void to_simple_handler(void)
{
	struct sigaction a = {.sa_handler = simple_handler};

	(void)sigaction(SIGBUS, &a, NULL);
	elsewhere();
}

static void to_info_handler(void)
{
	struct sigaction a = {.sa_flags = SA_SIGINFO};

	a.sa_sigaction = info_handler;
	(void)sigaction(SIGBUS, &a, NULL);
	elsewhere();
}

/* A handler that was there is there again. */
static void given_back(void)
{
	struct sigaction a = {.sa_handler = simple_handler};

	(void)sigaction(SIGBUS, &a, NULL);
	begin();
	segment_guard_end();
	(void)raise(SIGBUS);
}

static void test_faults_that_are_not_ours(void **state)
{
	(void)state;
	assert_int_equal(end_of(elsewhere), SIGBUS);
	assert_int_equal(end_of(after_the_end), SIGBUS);
	assert_int_equal(end_of(sent), SIGBUS);
	assert_int_equal(end_of(to_simple_handler), 41);
	assert_int_equal(end_of(to_info_handler), 42);
	assert_int_equal(end_of(given_back), 41);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_whole_file_is_no_loss, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_faults_that_are_not_ours, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
