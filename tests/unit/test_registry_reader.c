/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's user: it may read the registry's folder and files, and write
 * nothing. Needs root, to become such a user; says so where it is not run.
 */
#define _DEFAULT_SOURCE 1 /* setgroups */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/registry_fixture.h"

#include <grp.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* Numbers that are nobody's; files and processes need no names. */
#define BROKER   ((uid_t)64123)
#define READERS  ((gid_t)64124)
#define STRANGER ((gid_t)64125)

static int setup(void **state)
{
	struct fixture *fx;

	if (geteuid() != 0) {
		print_message("not run: needs root\n");
		return 0;
	}
	fx = malloc(sizeof(*fx));
	assert_non_null(fx);
	fx_dir(fx);
	assert_int_equal(chown(fx->dir, 0, READERS), 0);
	assert_int_equal(chmod(fx->dir, 0750), 0);
	OK(fx, registry_create(fx->path, FX_ACTOR, FX_NOW, &fx->e));
	OK(fx, registry_open(fx->path, REGISTRY_WRITE, &fx->w, &fx->e));
	fx_add(fx, "a");
	registry_close(&fx->w);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	return *state != NULL ? fx_teardown(state) : 0;
}

#define NEEDS_ROOT(state)                                                      \
	do {                                                                   \
		if (*(state) == NULL) {                                        \
			skip();                                                \
			return;                                                \
		}                                                              \
	} while (0)

/* Runs F in a child as BROKER with the group GID; returns the child. */
static pid_t start(struct fixture *fx, gid_t gid, bool (*f)(struct fixture *fx))
{
	pid_t child;

	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child != 0)
		return child;
	if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(BROKER) != 0)
		_exit(2);
	if (f(fx))
		_exit(0);
	(void)fprintf(stderr, "%s\n", fx->e.msg);
	_exit(1);
}

static void finish(pid_t child)
{
	int status = -1;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool sees(struct fixture *fx, struct registry *r, const char *id)
{
	struct device d;
	bool found = false;

	if (!registry_device(r, str_from(id), &d, &found, &fx->e))
		return false;
	device_fini(&d);
	(void)snprintf(fx->e.msg, sizeof(fx->e.msg), "%s: not seen", id);
	return found;
}

static bool refused(
	struct fixture *fx, enum registry_mode mode, const char *text)
{
	struct registry *r = NULL;
	bool opened = registry_open(fx->path, mode, &r, &fx->e);

	registry_close(&r);
	return !opened && fx->e.code == ERR_ENVIRONMENT &&
	       strstr(fx->e.msg, text) != NULL;
}

static bool reads(struct fixture *fx)
{
	struct registry_heads h;
	struct registry *r = NULL;
	int64_t version;
	bool ok = registry_open(fx->path, REGISTRY_READ, &r, &fx->e) &&
		  sees(fx, r, "a") && registry_heads(r, &h, &fx->e) &&
		  h.revision >= 2 && registry_data_version(r, &version, &fx->e);

	registry_close(&r);
	return ok;
}

struct seen {
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

static struct seen look(const struct fixture *fx, const char *suffix)
{
	struct stat st;
	char name[112];

	(void)snprintf(name, sizeof(name), "%s%s", fx->path, suffix);
	assert_int_equal(stat(name, &st), 0);
	return (struct seen){st.st_ino, st.st_size, st.st_mtim};
}

/* The last writer has gone: the files are there, readable, and left alone. */
static void test_after_the_writer(void **state)
{
	static const char *const suffix[] = {"", "-wal", "-shm"};
	struct fixture *fx = *state;
	struct seen before[3], after;

	NEEDS_ROOT(state);
	for (int i = 0; i < 3; i++)
		before[i] = look(fx, suffix[i]);
	assert_int_equal(before[1].size, 0); /* the checkpoint truncated it */
	finish(start(fx, READERS, reads));
	finish(start(fx, READERS, reads));
	for (int i = 0; i < 3; i++) {
		after = look(fx, suffix[i]);
		assert_int_equal(after.ino, before[i].ino);
		assert_int_equal(after.size, before[i].size);
		assert_int_equal(after.mtime.tv_sec, before[i].mtime.tv_sec);
		assert_int_equal(after.mtime.tv_nsec, before[i].mtime.tv_nsec);
	}
}

/* Root as a reader leaves -wal and -shm alone too. */
static void test_root_reads(void **state)
{
	struct fixture *fx = *state;
	struct seen before, after;

	NEEDS_ROOT(state);
	before = look(fx, "-shm");
	assert_true(reads(fx));
	after = look(fx, "-shm");
	assert_int_equal(after.ino, before.ino);
	assert_int_equal(after.mtime.tv_nsec, before.mtime.tv_nsec);
	assert_int_equal(look(fx, "-wal").size, 0);
}

/* Reads until "z" is there; it comes within 10 s or the test fails. */
static bool waits(struct fixture *fx)
{
	const struct timespec pause = {0, 1000000};
	struct registry *r = NULL;
	bool ok = registry_open(fx->path, REGISTRY_READ, &r, &fx->e);
	bool found = false;
	struct device d;

	for (int i = 0; ok && !found && i < 10000; i++) {
		ok = registry_device(r, STR("z"), &d, &found, &fx->e);
		if (ok && found)
			device_fini(&d);
		(void)nanosleep(&pause, NULL);
	}
	registry_close(&r);
	return ok && found;
}

/* A reader that stays open sees what many writers, one after another, leave:
 * no error on the way, and the last commit in the end. */
static void test_open_reader(void **state)
{
	struct fixture *fx = *state;
	pid_t child;
	char id[16];

	NEEDS_ROOT(state);
	child = start(fx, READERS, waits);
	for (int i = 0; i < 60; i++) {
		(void)snprintf(id, sizeof(id), "d%d", i);
		OK(fx, registry_open(fx->path, REGISTRY_WRITE, &fx->w, &fx->e));
		fx_add(fx, i < 59 ? id : "z");
		registry_close(&fx->w);
	}
	finish(child);
}

static bool reads_crashed(struct fixture *fx)
{
	struct registry *r = NULL;
	bool ok = registry_open(fx->path, REGISTRY_READ, &r, &fx->e) &&
		  sees(fx, r, "crashed") && !sees(fx, r, "uncommitted");

	registry_close(&r);
	return ok;
}

/* A writer that was killed: what it committed is there, the rest is not. */
static void test_killed_writer(void **state)
{
	struct fixture *fx = *state;
	struct device d = fx_device("uncommitted");
	int status;
	pid_t child;

	NEEDS_ROOT(state);
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		OK(fx, registry_open(fx->path, REGISTRY_WRITE, &fx->w, &fx->e));
		fx_add(fx, "crashed");
		fx_begin(fx);
		OK(fx, registry_device_add(fx->w, &d, &fx->e));
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_true(look(fx, "-wal").size > 0);
	finish(start(fx, READERS, reads_crashed));
	OK(fx, registry_open(fx->path, REGISTRY_WRITE, &fx->w, &fx->e));
	registry_close(&fx->w);
	assert_int_equal(look(fx, "-wal").size, 0);
	finish(start(fx, READERS, reads_crashed));
}

static bool may_not_write(struct fixture *fx)
{
	return refused(fx, REGISTRY_WRITE, "user 64123 may not write") &&
	       strstr(fx->e.msg, "as the owner of the file") != NULL;
}

static bool may_not_create(struct fixture *fx)
{
	(void)snprintf(fx->path, sizeof(fx->path), "%s/other.db", fx->dir);
	return !registry_create(fx->path, FX_ACTOR, FX_NOW, &fx->e) &&
	       strstr(fx->e.msg, "no permission") != NULL &&
	       strstr(fx->e.msg, "user 64123") != NULL;
}

static void test_writes_nothing(void **state)
{
	struct fixture *fx = *state;

	NEEDS_ROOT(state);
	finish(start(fx, READERS, may_not_write));
	finish(start(fx, READERS, may_not_create));
	assert_true(reads(fx));
}

static bool may_not_enter(struct fixture *fx)
{
	return refused(fx, REGISTRY_READ, "may not enter the folder");
}

static bool may_not_read(struct fixture *fx)
{
	return refused(fx, REGISTRY_READ,
		       "(owner 0, group 64124, mode 0640)") &&
	       strstr(fx->e.msg, "weir init --broker-user") != NULL;
}

static void test_outside_the_group(void **state)
{
	struct fixture *fx = *state;

	NEEDS_ROOT(state);
	finish(start(fx, STRANGER, may_not_enter));
	assert_int_equal(chmod(fx->dir, 0755), 0);
	finish(start(fx, STRANGER, may_not_read));
}

/* A registry copied without -wal and -shm: the message says how to mend it,
 * and that does mend it. */
static void test_without_shm(void **state)
{
	struct fixture *fx = *state;
	char name[112];

	NEEDS_ROOT(state);
	(void)snprintf(name, sizeof(name), "%s-wal", fx->path);
	assert_int_equal(unlink(name), 0);
	(void)snprintf(name, sizeof(name), "%s-shm", fx->path);
	assert_int_equal(unlink(name), 0);
	finish(start(fx, READERS, may_not_read));
	OK(fx, registry_create(fx->path, FX_ACTOR, FX_NOW, &fx->e));
	finish(start(fx, READERS, reads));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_after_the_writer),
		TEST(test_root_reads),
		TEST(test_open_reader),
		TEST(test_killed_writer),
		TEST(test_writes_nothing),
		TEST(test_outside_the_group),
		TEST(test_without_shm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
