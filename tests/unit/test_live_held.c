/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.db while somebody holds it: a lock, a lease, a spoilt index; and beside
 * a weir-feed that writes.
 */
#define _GNU_SOURCE /* F_SETLEASE */
#include "tests/support/live_reader.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* ------------------------------------------------------------ who holds it */

/* Runs HOLD in another process until *OUT, which ends it, is closed. */
static pid_t beside(
	const struct fixture *fx, bool (*hold)(const char *path), int *out)
{
	int there[2], back[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(there) | pipe(back), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(there[1]);
		if (!hold(fx->path) || write(back[1], &byte, 1) != 1)
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

static void end(pid_t pid, int out)
{
	int status;

	(void)close(out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static bool lock(const char *path, const char *suffix, off_t at, off_t n)
{
	struct flock l = {.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = at,
		.l_len = n};
	char name[128];
	int fd;

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	fd = open(name, O_RDWR);
	return fd >= 0 && fcntl(fd, F_SETLK, &l) == 0;
}

/* Source: sqlite3.c, PENDING_BYTE; sqlite.org/walformat.html §2.3. */
static bool lock_file(const char *path)
{
	return lock(path, "", 0x40000000, 512);
}

static bool lock_index(const char *path)
{
	return lock(path, "-shm", 120, 9);
}

static bool take_lease(const char *path)
{
	int fd = open(path, O_RDWR);

	/* What it is asked to give back it never does. */
	return fd >= 0 && signal(SIGIO, SIG_IGN) != SIG_ERR &&
	       fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
}

static void test_held(void **state)
{
	static bool (*const hold[])(const char *path) = {
		lock_file, lock_index, take_lease};
	struct fixture *fx = *state;

	good(fx);
	for (size_t i = 0; i < sizeof(hold) / sizeof(hold[0]); i++) {
		int out;
		pid_t pid = beside(fx, hold[i], &out);

		if (read_all(fx))
			fail_msg("read, though held: %zu", i);
		end(pid, out);
		if (!read_all(fx))
			fail_msg("still held: %s", fx->e.msg);
	}
}

/* Stays a writer, which vouches for the index, and spoils it. */
static bool spoil_index(const char *path)
{
	sqlite3 *db = NULL;
	char name[128], bytes[32768];
	int fd;

	if (sqlite3_open(path, &db) != SQLITE_OK ||
		sqlite3_exec(db, "UPDATE quarantine SET reason = 'again'", NULL,
			NULL, NULL) != SQLITE_OK)
		return false;
	(void)snprintf(name, sizeof(name), "%s-shm", path);
	memset(bytes, 0xff, sizeof(bytes));
	fd = open(name, O_RDWR);
	return fd >= 0 &&
	       pwrite(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes);
}

static bool cut_index(const char *path)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s-shm", path);
	return spoil_index(path) && truncate(name, 0) == 0;
}

/* What the index holds, and how long it is, is nothing to the reader. */
static void test_index(void **state)
{
	static bool (*const hold[])(const char *path) = {
		spoil_index, cut_index};
	struct fixture *fx = *state;

	for (size_t i = 0; i < 2; i++) {
		struct quarantine q = {.since_s = 0};
		bool found = false;
		int out;
		pid_t pid;

		good(fx);
		pid = beside(fx, hold[i], &out);
		OK(fx, live_open(fx->path, LIVE_FOLLOW, &fx->l, &fx->e));
		OK(fx, live_find(fx->l, STR("meter-1"), &q, &found, &fx->e));
		/* The log's newest, by an index of its own. */
		assert_true(found);
		assert_string_equal(q.reason, "again");
		live_close(&fx->l);
		(void)kill(pid, SIGKILL);
		(void)close(out);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(unlink(fx->path), 0);
	}
}

/* ------------------------------------------------------- beside the writer */

#define ROUNDS 200

/* Puts one more in quarantine each time, as weir-feed does. */
static void write_rounds(struct fixture *fx)
{
	for (int i = 1; i <= ROUNDS; i++) {
		char id[32];
		struct quarantine q;
		struct live *l = NULL;
		int64_t change;

		(void)snprintf(id, sizeof(id), "device-%05d", i);
		q = fx_of(id, 0);
		/* For ever would outlive a parent that has failed. */
		for (int tries = 0;
			!live_open(fx->path, LIVE_WRITE, &l, &fx->e) ||
			!live_quarantine(l, &q, &change, &fx->e);
			tries++) {
			live_close(&l);
			if (tries == 1000)
				_exit(1);
		}
		live_close(&l);
	}
}

/* One state: as many in quarantine as the newest action's number says. */
static bool is_consistent(struct fixture *fx, int64_t *newest)
{
	struct live_heads h;
	struct live *l = NULL;
	int n = 0;
	bool told = live_open(fx->path, LIVE_FOLLOW, &l, &fx->e) &&
		    live_heads(l, &h, &fx->e) &&
		    live_quarantines(l, "", 4096, see_quarantine, &n, &fx->e);

	live_close(&l);
	if (!told)
		return false;
	if (n != (int)h.newest || h.newest < *newest)
		fail_msg("%d rows at change %d, after %d", n, (int)h.newest,
			(int)*newest);
	*newest = h.newest;
	return true;
}

static void test_beside_writer(void **state)
{
	struct fixture *fx = *state;
	int64_t newest = 0;
	size_t told = 0, untold = 0;
	int status;
	pid_t pid;

	OK(fx, live_open(fx->path, LIVE_WRITE, &fx->l, &fx->e));
	live_close(&fx->l);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		write_rounds(fx);
		_exit(0);
	}
	while (newest < ROUNDS) {
		if (is_consistent(fx, &newest))
			told++;
		else
			untold++;
		assert_true(told + untold < 10000000);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* What a poll may miss once it does not miss ten times in a row. */
	assert_true(told > untold);
	print_message(
		"%zu looks, %zu of them refused\n", told + untold, untold);
}

/* A writer that stays puts one more into quarantine. */
static void put_by(sqlite3 *db, const char *id)
{
	char *sql = sqlite3_mprintf(
		"BEGIN;"
		"INSERT INTO action SELECT max(change) + 1, t_s, actor, "
		"action, %Q, reason, until_s FROM action;"
		"INSERT INTO quarantine SELECT %Q, since_s, until_s, reason, "
		"actor, change + 1 FROM quarantine ORDER BY change DESC LIMIT "
		"1;"
		"COMMIT",
		id, id);

	assert_non_null(sql);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	sqlite3_free(sql);
}

/* The log is in the database as a whole: the next writer begins it anew, over
 * what a reader with an index of its own still reads. */
static void test_log_begun_anew(void **state)
{
	struct fixture *fx = *state;
	struct live_heads h;
	sqlite3 *db = NULL;
	int n = 0;

	(void)fx_put(fx, "a", 0);
	assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
	put_by(db, "b");
	assert_int_equal(sqlite3_exec(db, "PRAGMA wal_checkpoint(PASSIVE)",
				 NULL, NULL, NULL),
		SQLITE_OK);
	OK(fx, live_open(fx->path, LIVE_FOLLOW, &fx->l, &fx->e));
	OK(fx, live_heads(fx->l, &h, &fx->e));
	for (int i = 0; i < 50; i++) {
		char id[8];

		(void)snprintf(id, sizeof(id), "c%d", i);
		put_by(db, id);
	}
	OK(fx, live_quarantines(fx->l, "", 4096, see_quarantine, &n, &fx->e));
	assert_int_equal(h.newest, 2);
	assert_int_equal(n, 2);
	/* And the next look has them all. */
	live_close(&fx->l);
	n = 0;
	OK(fx, live_open(fx->path, LIVE_FOLLOW, &fx->l, &fx->e));
	OK(fx, live_quarantines(fx->l, "", 4096, see_quarantine, &n, &fx->e));
	assert_int_equal(n, 52);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_held),
		TEST(test_index),
		TEST(test_beside_writer),
		TEST(test_log_begun_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
