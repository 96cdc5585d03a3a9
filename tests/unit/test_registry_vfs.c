/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader beside a log that holds a header only, as a writer leaves it that
 * was killed before its first change, and beside a checkpoint that lasts.
 */
#define _GNU_SOURCE /* clocks */
#include "tests/support/registry_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>

#define HEADER_LEN 32
/* Of -shm, the lock of those who read the database file alone: the 4th of the
 * bytes from 120. Source: sqlite.org/walformat.html §2.3. */
#define READ_LOCK_0 123

static double now_s(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void write_log(const struct fixture *fx, size_t n)
{
	char name[112], bytes[HEADER_LEN + 1];
	FILE *f;

	(void)snprintf(name, sizeof(name), "%s-wal", fx->path);
	memset(bytes, 0x5a, sizeof(bytes));
	f = fopen(name, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static bool read_once(struct fixture *fx, enum registry_mode mode)
{
	struct registry *r = NULL;
	struct registry_heads heads;
	bool told = registry_open(fx->path, mode, &r, &fx->e) &&
		    registry_heads(r, &heads, &fx->e);

	if (told)
		assert_int_equal(heads.revision, 1);
	registry_close(&r);
	return told;
}

static void test_header_only(void **state)
{
	static const enum registry_mode modes[] = {
		REGISTRY_READ, REGISTRY_FOLLOW};
	static const size_t lengths[] = {0, 1, HEADER_LEN - 1, HEADER_LEN};
	struct fixture *fx = *state;

	registry_close(&fx->w);
	for (size_t i = 0; i < 8; i++) {
		double begin = now_s();

		write_log(fx, lengths[i / 2]);
		OK(fx, read_once(fx, modes[i % 2]));
		assert_true(now_s() - begin < 1);
	}
}

/* Changes the registry when *OUT is closed, in a process that knows nothing of
 * this one's connections: SQLite would share what a reader has of -shm. */
static pid_t change_later(struct fixture *fx, int *out)
{
	int there[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(there), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int64_t seq;
		bool done;

		(void)close(there[1]);
		done = read(there[0], &byte, 1) == 0 &&
		       registry_open(
			       fx->path, REGISTRY_WRITE, &fx->w, &fx->e) &&
		       registry_begin(fx->w, FX_ACTOR, FX_NOW, &fx->e) &&
		       registry_meta_set(fx->w, "k", "v", &fx->e) &&
		       registry_commit(fx->w, &seq, &fx->e);
		registry_close(&fx->w);
		_exit(done ? 0 : 1);
	}
	(void)close(there[0]);
	*out = there[1];
	return pid;
}

static void end(pid_t pid, int out)
{
	int status;

	(void)close(out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Under a connection that stays, and sees the next change. */
static void test_header_appears(void **state)
{
	struct fixture *fx = *state;
	struct registry *r = NULL;
	struct registry_heads heads;
	int out;
	pid_t pid;

	registry_close(&fx->w);
	pid = change_later(fx, &out);
	OK(fx, registry_open(fx->path, REGISTRY_FOLLOW, &r, &fx->e));
	OK(fx, registry_heads(r, &heads, &fx->e));
	write_log(fx, HEADER_LEN);
	OK(fx, registry_heads(r, &heads, &fx->e));
	assert_int_equal(heads.revision, 1);
	end(pid, out);
	OK(fx, registry_heads(r, &heads, &fx->e));
	assert_int_equal(heads.revision, 2);
	registry_close(&r);
}

/* Holds the lock in another process until *OUT, which ends it, is closed. */
static pid_t lock_out_readers(const struct fixture *fx, int *out)
{
	struct flock lock = {.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = READ_LOCK_0,
		.l_len = 1};
	int there[2], back[2], fd;
	char name[112], byte = 0;
	pid_t pid;

	(void)snprintf(name, sizeof(name), "%s-shm", fx->path);
	assert_int_equal(pipe(there) | pipe(back), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(there[1]);
		fd = open(name, O_RDWR);
		if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0 ||
			write(back[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(there[0], &byte, 1) == 0 ? 0 : 1);
	}
	(void)close(there[0]);
	(void)close(back[1]);
	assert_int_equal(read(back[0], &byte, 1), 1);
	(void)close(back[0]);
	*out = there[1];
	return pid;
}

static void test_follower_never_waits(void **state)
{
	struct fixture *fx = *state;
	int out = -1;
	double begin;
	pid_t pid;

	registry_close(&fx->w);
	pid = lock_out_readers(fx, &out);
	begin = now_s();
	REFUSED(fx, read_once(fx, REGISTRY_FOLLOW), ERR_ENVIRONMENT, "in use");
	assert_true(now_s() - begin < 0.5);
	end(pid, out);
	OK(fx, read_once(fx, REGISTRY_FOLLOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_header_only, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			test_header_appears, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			test_follower_never_waits, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
