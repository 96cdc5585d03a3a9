/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* nftw, setgroups */
#include "io/segment.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[96];
static char note[512];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/weir-segment-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof path, "%s/meter.seg", dir);
	return 0;
}

static int remove_one(
	const char *at, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(at);
}

static int teardown(void **state)
{
	(void)state;
	// NOLINTNEXTLINE(concurrency-mt-unsafe): the test has one thread
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	assert_int_equal(close(fd), 0);
}

static void test_write_and_read(void **state)
{
	struct segment w = {0}, r = {0};
	struct stat st;
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_string_equal(note, "");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, METER_SIZE_MIN);
	assert_int_equal(st.st_mode & 0777, 0640);
	/* all that is always there is allocated, and little else */
	assert_in_range(
		st.st_blocks * 512, METER_RULES_AT, METER_RULES_AT + 65536);
	segment_header(&w)->connected = 3;
	assert_true(segment_open_read(path, &r, &e));
	assert_int_equal(segment_header(&r)->connected, 3);
	assert_true(segment_intact(&r));
	assert_true(segment_writer_alive(&r));
	segment_close(&w);
	assert_null(w.mem);
	assert_false(segment_writer_alive(&r));
	segment_close(&r);
	segment_close(&r);
}

static void test_counters_are_kept(void **state)
{
	struct segment w = {0};
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	segment_header(&w)->refused = 42;
	segment_close(&w);
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_int_equal(segment_header(&w)->refused, 42);
	segment_close(&w);
}

/* Which segment it is stays, and no other one is it. */
static void test_identity(void **state)
{
	struct segment w, r;
	struct err e;
	uint64_t id;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	id = meter_identity(w.mem);
	assert_true(id != 0);
	assert_true(segment_open_read(path, &r, &e));
	assert_true(meter_identity(r.mem) == id);
	segment_close(&r);
	segment_close(&w);
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_true(meter_identity(w.mem) == id);
	/* begun by an older plugin: it gets one, and keeps it */
	meter_identify(w.mem, 0);
	segment_close(&w);
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_true(meter_identity(w.mem) != 0 && meter_identity(w.mem) != id);
	id = meter_identity(w.mem);
	segment_close(&w);
	assert_int_equal(unlink(path), 0);
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_true(meter_identity(w.mem) != 0 && meter_identity(w.mem) != id);
	segment_close(&w);
}

static void test_second_writer(void **state)
{
	struct segment w = {0}, other = {0};
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	segment_header(&w)->pid = 4711;
	assert_false(segment_open_write(path, &other, note, sizeof note, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_non_null(strstr(e.msg, "4711"));
	assert_null(other.mem);
	segment_close(&w);
	assert_true(segment_open_write(path, &other, note, sizeof note, &e));
	segment_close(&other);
}

/* A reader that asks and closes must not drop the writer's lock. */
static void test_reader_leaves_the_lock(void **state)
{
	struct segment w = {0}, r = {0}, other = {0};
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_true(segment_open_read(path, &r, &e));
	assert_true(segment_writer_alive(&r));
	segment_close(&r);
	assert_false(segment_open_write(path, &other, note, sizeof note, &e));
	segment_close(&w);
}

static void test_killed_writer(void **state)
{
	struct segment w = {0};
	struct err e;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		bool up = segment_open_write(path, &w, note, sizeof note, &e);

		_exit(up ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	segment_close(&w);
}

#define READERS 54321 /* a group that nobody is in */
#define NOBODY  65534

/* In a child without privileges, in GROUP beside its own. */
static void write_as_nobody(gid_t group)
{
	struct segment w = {0};
	struct err e;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(setgroups(1, &group) != 0 || setgid(NOBODY) != 0 ||
			setuid(NOBODY) != 0 ||
			!segment_open_write(path, &w, note, sizeof note, &e));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Readers are in the group of the folder: so it is of a file begun later, too. */
static void test_group_of_the_folder(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(dir, NOBODY, READERS), 0);
	/* Who is not in that group cannot give it, and writes all the same. */
	write_as_nobody(NOBODY);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, NOBODY);
	write_as_nobody(READERS);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, READERS);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(unlink(path), 0);
	write_as_nobody(READERS);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, READERS);
}

static void test_set_aside(void **state)
{
	static char bad[METER_SIZE_MIN];
	struct segment w = {0};
	struct err e;

	(void)state;
	put("short", 5);
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_non_null(strstr(note, ".old-"));
	assert_null(meter_problem(w.mem, METER_SIZE_MIN));
	segment_close(&w);
	assert_int_equal(unlink(path), 0);
	put(bad, sizeof bad);
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_non_null(strstr(note, "not a meter segment"));
	segment_close(&w);
}

static void test_refused(void **state)
{
	static char bad[METER_SIZE_MIN];
	struct segment s = {0};
	char missing[128];
	struct err e;

	(void)state;
	assert_false(segment_open_read(path, &s, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	put(bad, sizeof bad);
	assert_false(segment_open_read(path, &s, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	put(bad, METER_SIZE_MIN - 1);
	assert_false(segment_open_read(path, &s, &e));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_false(segment_open_read(path, &s, &e));
	assert_false(segment_open_write(path, &s, note, sizeof note, &e));
	assert_int_equal(unlink(path), 0);
	(void)snprintf(missing, sizeof missing, "%s/none/meter.seg", dir);
	assert_false(segment_open_write(missing, &s, note, sizeof note, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_non_null(strstr(e.msg, "weir init"));
	assert_null(s.mem);
}

static void test_cut_short(void **state)
{
	struct segment w = {0}, r = {0};
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_true(segment_open_read(path, &r, &e));
	assert_int_equal(truncate(path, 100), 0);
	assert_false(segment_intact(&r));
	segment_close(&r);
	segment_close(&w);
}

static size_t slot_take(const struct segment *w, const char *id)
{
	struct meter_range need[2];
	size_t n;

	assert_true(meter_slots_need(w->mem, need, &n));
	for (size_t i = 0; i < n; i++)
		assert_true(segment_reserve(w, need[i]));
	if (n != 0)
		meter_slots_grown(w->mem);
	return meter_slot_add(w->mem, str_from(id), 1);
}

/* 1,025 devices: one step and one more. */
static void test_growth(void **state)
{
	struct segment w = {0}, r = {0};
	char id[16];
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_true(segment_open_read(path, &r, &e));
	for (unsigned i = 0; i <= METER_SLOTS_STEP; i++) {
		(void)snprintf(id, sizeof id, "dev-%u", i);
		assert_int_equal(slot_take(&w, id), i);
	}
	/* The reader sees no more than it has mapped, until it looks again. */
	assert_int_equal(meter_slots(segment_map(&r)), 0);
	assert_int_equal(
		meter_slot_find(segment_map(&r), STR("dev-7")), METER_NONE);
	assert_true(segment_refresh(&r, &e));
	assert_int_equal(meter_slots(segment_map(&r)), METER_SLOTS_STEP + 1);
	assert_int_equal(
		meter_slot_find(segment_map(&r), STR("dev-1024")), 1024);
	/* One that is cut cannot be looked at again, and stays as it was. */
	assert_int_equal(truncate(path, METER_SIZE_MIN), 0);
	assert_false(segment_refresh(&r, &e));
	assert_true(r.mem != NULL && r.size > METER_SIZE_MIN);
	segment_close(&r);
	segment_close(&w);
}

/* Copied by something that leaves holes out: all that is used is allocated
 * again before it is touched. */
static void test_sparse_copy(void **state)
{
	struct segment w = {0};
	char copy[128], command[320];
	struct stat st;
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_int_equal(slot_take(&w, "dev-1"), 0);
	segment_close(&w);
	(void)snprintf(copy, sizeof copy, "%s.copy", path);
	(void)snprintf(command, sizeof command, "cp --sparse=always %s %s",
		path, copy);
	// NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): a fixed command
	assert_int_equal(system(command), 0);
	assert_int_equal(stat(copy, &st), 0);
	assert_true(st.st_blocks * 512 < (off_t)METER_RULES_AT);
	assert_true(segment_open_write(copy, &w, note, sizeof note, &e));
	assert_string_equal(note, "");
	assert_int_equal(stat(copy, &st), 0);
	assert_true(st.st_blocks * 512 >=
		    (off_t)(METER_RULES_AT + METER_SLOTS_STEP * 760u));
	assert_int_equal(meter_slot_find(segment_map(&w), STR("dev-1")), 0);
	segment_close(&w);
}

static void test_other_version(void **state)
{
	struct segment w = {0}, r = {0};
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	segment_header(&w)->version = METER_VERSION + 1;
	segment_close(&w);
	assert_false(segment_open_read(path, &r, &e));
	assert_non_null(strstr(e.msg, "another version"));
	assert_true(segment_open_write(path, &w, note, sizeof note, &e));
	assert_non_null(strstr(note, "another version; set aside"));
	assert_int_equal(segment_header(&w)->version, METER_VERSION);
	segment_close(&w);
}

static void test_replace(void **state)
{
	struct segment w[3] = {{0}, {0}, {0}};
	struct err e;

	(void)state;
	assert_true(segment_open_write(path, &w[0], note, sizeof note, &e));
	assert_true(segment_holds(path, &w[0], METER_SIZE_MIN));
	assert_false(segment_holds(path, &w[0], METER_SIZE_MIN + 1));
	/* Cut: set aside, also twice in a second. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(truncate(path, 0), 0);
		assert_false(segment_holds(path, &w[i], METER_SIZE_MIN));
		assert_true(segment_replace(
			path, &w[i], &w[i + 1], note, sizeof note, &e));
		assert_non_null(strstr(note, "cut short"));
		assert_true(segment_holds(path, &w[i + 1], METER_SIZE_MIN));
		segment_close(&w[i]);
	}
	/* Gone. */
	assert_int_equal(unlink(path), 0);
	assert_false(segment_holds(path, &w[2], METER_SIZE_MIN));
	assert_true(segment_replace(path, &w[2], &w[0], note, sizeof note, &e));
	assert_non_null(strstr(note, "taken away"));
	segment_close(&w[2]);
	/* Another broker's in its place: not taken from it. */
	assert_int_equal(unlink(path), 0);
	assert_true(segment_open_write(path, &w[1], note, sizeof note, &e));
	assert_false(
		segment_replace(path, &w[0], &w[2], note, sizeof note, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_null(w[2].mem);
	segment_close(&w[0]);
	segment_close(&w[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_write_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_counters_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_second_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_reader_leaves_the_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_killed_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_group_of_the_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_cut_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_sparse_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_other_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
