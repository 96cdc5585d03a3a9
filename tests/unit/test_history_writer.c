/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the history's file may be when it is opened, read and written: damaged,
 * another one, none, locked by another.
 */
#include "tests/support/history_fixture.h"

#include "io/history_writer_private.h"

#include <fcntl.h>

#define DAY INT64_C(86400)
#define T0  (20000 * DAY)

static void damage_is_set_aside(void **state)
{
	struct history_fixture *f = *state;
	char page[8192];

	memset(page, 0xA5, sizeof(page));
	hf_told(f, "a", T0, 100);
	history_close(&f->r);
	history_writer_close(&f->w);
	tempdir_write(
		&f->usage, "usage.db", "this is no database at all......", 32);
	hf_open_writer(f);
	assert_non_null(strstr(f->note, "set aside as"));
	assert_true(tempdir_mode(&f->usage, "usage.db.damaged") != -1);
	hf_open_reader(f);
	/* nothing of it is known any more: all is told again */
	assert_int_equal(hf_sum(f, "a"), 0);
	hf_told(f, "a", T0, 150);
	assert_int_equal(hf_sum(f, "a"), 150);
	/* once more: a disk that breaks files */
	history_close(&f->r);
	history_writer_close(&f->w);
	tempdir_write(&f->usage, "usage.db", page, sizeof(page));
	tempdir_write(&f->usage, "usage.db-wal", "", 0);
	REFUSED(f,
		history_writer_open(
			f->state.path, &f->w, f->note, sizeof(f->note), &f->e),
		ERR_ENVIRONMENT, "check the disk");
	assert_null(f->w);
}

/* Found while it writes: the same, at its owner's word. */
static void damage_within(void **state)
{
	struct history_fixture *f = *state;

	hf_told(f, "a", T0, 100);
	assert_int_equal(
		sqlite3_exec(f->w->d.db, "UPDATE taken SET row = x'ffff'", NULL,
			NULL, NULL),
		SQLITE_OK);
	OK(f, history_begin(f->w, &f->e));
	REFUSED(f, hf_tell_bytes(f->w, "a", T0 + 60, 200, &f->e),
		ERR_ENVIRONMENT, "is damaged");
	history_rollback(f->w);
	assert_true(history_writer_damaged(f->w));
	/* who reads it keeps what it has, until it is done */
	assert_int_equal(hf_sum(f, "a"), 100);
	history_writer_close(&f->w);
	OK(f, history_writer_renew(
		      f->state.path, &f->w, f->note, sizeof(f->note), &f->e));
	assert_false(history_writer_damaged(f->w));
	assert_non_null(strstr(f->note, "set aside"));
	history_close(&f->r);
	hf_open_reader(f);
	hf_told(f, "a", T0, 200);
	assert_int_equal(hf_sum(f, "a"), 200);
}

static void rewrite(struct history_fixture *f, const char *sql)
{
	assert_int_equal(
		sqlite3_exec(f->w->d.db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void other_files_are_refused(void **state)
{
	struct history_fixture *f = *state;
	static const struct {
		const char *sql, *why;
	} rows[] = {
		{"PRAGMA user_version = 2", "has schema 2"},
		{"PRAGMA user_version = 1; PRAGMA application_id = 5",
			"something else"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct history_writer *w = NULL;
		struct history *r = NULL;

		rewrite(f, rows[i].sql);
		REFUSED(f,
			history_writer_open(f->state.path, &w, f->note,
				sizeof(f->note), &f->e),
			ERR_ENVIRONMENT, rows[i].why);
		REFUSED(f, history_open(f->state.path, &r, &f->e),
			ERR_ENVIRONMENT, rows[i].why);
		assert_true(w == NULL && r == NULL);
		assert_string_equal(f->note, "");
	}
}

static void readers_find_damage(void **state)
{
	struct history_fixture *f = *state;
	struct history_ask ask = {
		.what = HISTORY_DEVICE, .name = STR("a"), .to_s = T0 + DAY};
	static const char *const sql[] = {
		"UPDATE minute SET row = x'00ff'",
		"UPDATE minute SET row = 'text'",
		"UPDATE minute SET row = x'0180'",
		"UPDATE minute SET row = x'00', class = 77",
		"UPDATE minute SET class = 'text'",
		"UPDATE device SET no = 99999999",
		"UPDATE mark SET value = 'text'",
	};

	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		struct history_usage *u = NULL;
		struct history_row row;
		unsigned work = 1000;
		bool found;

		hf_told(f, "a", T0, 100);
		rewrite(f, sql[i]);
		found = !history_usage_open(f->r, &ask, &u, &f->e) ||
			history_usage_next(u, &work, &row, &f->e) ==
				HISTORY_FAILED;
		history_usage_close(&u);
		if (!found || strstr(f->e.msg, "damaged") == NULL)
			fail_msg("%s: %s", sql[i], f->e.msg);
		(void)hf_teardown(state);
		(void)hf_setup(state);
		f = *state;
	}
}

/* A program that holds the file's lock is a failure, not a wait. */
static void locked_by_another(void **state)
{
	struct history_fixture *f = *state;
	sqlite3 *other;
	char path[sizeof(f->usage.at)];

	hf_told(f, "a", T0, 100);
	(void)snprintf(
		path, sizeof(path), "%s", tempdir_at(&f->usage, "usage.db"));
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
		SQLITE_OK);
	REFUSED(f, hf_minute(f->w, T0 + 60, 200, &f->e), ERR_ENVIRONMENT,
		"locked");
	assert_false(history_writer_damaged(f->w));
	assert_int_equal(hf_sum(f, "a"), 100);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	hf_told(f, "a", T0 + 60, 200);
	assert_int_equal(hf_sum(f, "a"), 200);
}

static void one_feed_at_a_time(void **state)
{
	struct history_fixture *f = *state;
	int fd = -1, other = -1;
	char pid[48];

	OK(f, history_lock(f->state.path, &fd, &f->e));
	(void)snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	REFUSED(f, history_lock(f->state.path, &other, &f->e), ERR_CONFLICT,
		pid);
	assert_int_equal(other, -1);
	assert_int_equal(close(fd), 0);
	OK(f, history_lock(f->state.path, &other, &f->e));
	assert_int_equal(close(other), 0);
	REFUSED(f, history_lock("/nonexistent", &other, &f->e), ERR_ENVIRONMENT,
		"/nonexistent");
}

static void there_is_none(void **state)
{
	struct history_fixture *f = *state;
	struct history *r = NULL;
	char path[sizeof(f->usage.at)];

	history_close(&f->r);
	history_writer_close(&f->w);
	(void)snprintf(
		path, sizeof(path), "%s", tempdir_at(&f->usage, "usage.db"));
	assert_int_equal(unlink(path), 0);
	REFUSED(f, history_open(f->state.path, &r, &f->e), ERR_NOT_FOUND,
		"weir-feed has not run");
	/* a feed that died before it made the tables */
	tempdir_write(&f->usage, "usage.db", "", 0);
	REFUSED(f, history_open(f->state.path, &r, &f->e), ERR_NOT_FOUND,
		"nothing in");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0640), 0);
	REFUSED(f, history_open(f->state.path, &r, &f->e), ERR_ENVIRONMENT,
		"no regular file");
	REFUSED(f,
		history_writer_open(
			f->state.path, &f->w, f->note, sizeof(f->note), &f->e),
		ERR_ENVIRONMENT, "");
	assert_null(f->w);
}

static void modes(void **state)
{
	struct history_fixture *f = *state;

	assert_int_equal(tempdir_mode(&f->usage, "usage.db"), 0640);
	assert_int_equal(tempdir_mode(&f->usage, "usage.db-wal"), 0640);
	assert_int_equal(tempdir_mode(&f->usage, "usage.db-shm"), 0640);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, hf_setup, hf_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(damage_is_set_aside),
		TEST(damage_within),
		TEST(other_files_are_refused),
		TEST(readers_find_damage),
		TEST(locked_by_another),
		TEST(one_feed_at_a_time),
		TEST(there_is_none),
		TEST(modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
