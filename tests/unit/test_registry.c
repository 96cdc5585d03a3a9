/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry's file: made, opened, refused; transactions, two writers, a
 * reader beside a writer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/registry_private.h"
#include "tests/support/registry_fixture.h"

#include <sqlite3.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------- file */

static void check_mode(const struct fixture *fx, const char *suffix)
{
	char name[112];
	struct stat st, dir;

	(void)snprintf(name, sizeof(name), "%s%s", fx->path, suffix);
	assert_int_equal(stat(fx->dir, &dir), 0);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_gid, dir.st_gid);
}

static void test_create(void **state)
{
	struct fixture *fx = *state;
	struct registry_heads h;
	struct policy_row p;
	bool found = false;

	OK(fx, registry_heads(fx->w, &h, &fx->e));
	assert_int_equal(h.revision, 1);
	assert_int_equal(h.policy_revision, 1);
	assert_int_equal(h.change_seq, 0);
	OK(fx, registry_policy(fx->w, 0, &p, &found, &fx->e));
	assert_true(found);
	assert_string_equal(p.text, "{\"version\": 1, \"classes\": {}}");
	assert_string_equal(p.actor, FX_ACTOR);
	assert_int_equal(p.t_s, FX_NOW);
	policy_row_fini(&p);
	check_mode(fx, "");
	check_mode(fx, "-wal");
	check_mode(fx, "-shm");
}

static void test_create_again(void **state)
{
	struct fixture *fx = *state;
	struct registry_heads h;

	fx_add(fx, "a");
	OK(fx, registry_create(fx->path, "other", FX_NOW + 9, &fx->e));
	OK(fx, registry_heads(fx->w, &h, &fx->e));
	assert_int_equal(h.revision, 2);
	assert_int_equal(h.policy_revision, 1);
}

/* Whatever umask and mode were, a writer leaves files the group can read. */
static void test_modes_are_mended(void **state)
{
	struct fixture *fx = *state;
	mode_t old = umask(077);

	registry_close(&fx->w);
	fx_remove(fx);
	assert_int_equal(mkdir(fx->dir, 0750), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(fx->dir, (uid_t)-1, 12), 0);
	OK(fx, registry_create(fx->path, FX_ACTOR, FX_NOW, &fx->e));
	check_mode(fx, "");
	check_mode(fx, "-wal");
	check_mode(fx, "-shm");
	assert_int_equal(chmod(fx->path, 0600), 0);
	OK(fx, registry_open(fx->path, REGISTRY_WRITE, &fx->w, &fx->e));
	(void)umask(old);
	check_mode(fx, "");
}

static void put_file(const struct fixture *fx, const void *bytes, size_t n)
{
	FILE *f = fopen(fx->path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void check_refused(struct fixture *fx, const char *text)
{
	struct registry *r = NULL;

	REFUSED(fx, registry_open(fx->path, REGISTRY_READ, &r, &fx->e),
		ERR_ENVIRONMENT, text);
	assert_null(r);
	REFUSED(fx, registry_open(fx->path, REGISTRY_WRITE, &r, &fx->e),
		ERR_ENVIRONMENT, text);
	assert_null(r);
}

static void test_no_registry(void **state)
{
	struct fixture fx;
	char garbage[8192];

	(void)state;
	fx_dir(&fx);
	check_refused(&fx, "run weir init");
	put_file(&fx, "", 0);
	check_refused(&fx, "run weir init");
	memset(garbage, 'x', sizeof(garbage));
	put_file(&fx, garbage, sizeof(garbage));
	check_refused(&fx, "put a backup in its place");
	REFUSED(&fx, registry_create(fx.path, FX_ACTOR, FX_NOW, &fx.e),
		ERR_ENVIRONMENT, "put a backup in its place");
	assert_int_equal(unlink(fx.path), 0);
	assert_int_equal(mkdir(fx.path, 0750), 0);
	check_refused(&fx, "no regular file");
	fx_remove(&fx);
	REFUSED(&fx, registry_create(fx.path, FX_ACTOR, FX_NOW, &fx.e),
		ERR_ENVIRONMENT, "no such folder");
}

/* Someone else's database is neither taken nor changed. */
static void test_foreign_database(void **state)
{
	struct fixture fx;
	char magic[20] = "";
	FILE *f;

	(void)state;
	fx_dir(&fx);
	fx_sql(&fx, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
	check_refused(&fx, "no such table: meta");
	REFUSED(&fx, registry_create(fx.path, FX_ACTOR, FX_NOW, &fx.e),
		ERR_ENVIRONMENT, "no such table: meta");
	f = fopen(fx.path, "rb");
	assert_non_null(f);
	assert_int_equal(fread(magic, 1, sizeof(magic), f), sizeof(magic));
	(void)fclose(f);
	assert_int_equal(magic[18], 1); /* not WAL: SQLite file format §1.3.3 */
	fx_remove(&fx);
}

static void test_other_schema(void **state)
{
	static const struct {
		const char *sql, *text;
	} table[] = {
		{"UPDATE meta SET value = '2' WHERE key = 'schema'",
			"has schema 2"},
		{"UPDATE meta SET value = '0' WHERE key = 'schema'",
			"has schema 0"},
		{"UPDATE meta SET value = '1x' WHERE key = 'schema'",
			"is damaged"},
		{"DELETE FROM meta WHERE key = 'schema'", "is damaged"},
		{"DROP TABLE meta", "no such table"},
	};
	struct fixture *fx = *state;

	registry_close(&fx->w);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fx_sql(fx, table[i].sql);
		check_refused(fx, table[i].text);
	}
}

/* Cut off anywhere: an error or the state before, never a crash. */
static void test_truncated(void **state)
{
	struct fixture *fx = *state;
	struct stat st;

	fx_add(fx, "a");
	registry_close(&fx->w);
	assert_int_equal(stat(fx->path, &st), 0);
	for (off_t n = st.st_size - 1; n > 0; n -= 1013) {
		struct registry *r = NULL;

		assert_int_equal(truncate(fx->path, n), 0);
		REFUSED(fx, registry_open(fx->path, REGISTRY_READ, &r, &fx->e),
			ERR_ENVIRONMENT, fx->path);
	}
}

/* ------------------------------------------------------------ transaction */

static void test_begin_refuses(void **state)
{
	struct fixture *fx = *state;
	struct registry *r = NULL;
	char actor[65];
	int64_t seq;

	memset(actor, 'a', 64);
	actor[64] = '\0';
	REFUSED(fx, registry_begin(fx->w, "", FX_NOW, &fx->e), ERR_INPUT,
		"actor");
	REFUSED(fx, registry_begin(fx->w, actor, FX_NOW, &fx->e), ERR_INPUT,
		"actor");
	REFUSED(fx, registry_begin(fx->w, "a\nb", FX_NOW, &fx->e), ERR_INPUT,
		"actor");
	REFUSED(fx, registry_commit(fx->w, &seq, &fx->e), ERR_ENVIRONMENT,
		"no change is under way");
	REFUSED(fx, registry_meta_set(fx->w, "k", "v", &fx->e), ERR_ENVIRONMENT,
		"no change is under way");
	fx_begin(fx);
	REFUSED(fx, registry_begin(fx->w, FX_ACTOR, FX_NOW, &fx->e),
		ERR_ENVIRONMENT, "under way");
	registry_rollback(fx->w);
	OK(fx, registry_open(fx->path, REGISTRY_READ, &r, &fx->e));
	REFUSED(fx, registry_begin(r, FX_ACTOR, FX_NOW, &fx->e),
		ERR_ENVIRONMENT, "for reading");
	registry_close(&r);
}

/* A child that holds the file locked for itself alone for half a second, as a
 * writer that ends does for a moment; returns once it is. */
static pid_t lock_file(const struct fixture *fx)
{
	int held[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(held), 0);
	pid = fork();
	if (pid == 0) {
		const struct timespec half = {.tv_nsec = 500000000};
		sqlite3 *db;
		bool ok = sqlite3_open(fx->path, &db) == SQLITE_OK &&
			  sqlite3_exec(db,
				  "PRAGMA locking_mode = EXCLUSIVE; BEGIN "
				  "EXCLUSIVE; UPDATE meta SET value = value",
				  NULL, NULL, NULL) == SQLITE_OK;

		(void)!write(held[1], &byte, ok ? 1 : 0);
		(void)close(held[1]);
		(void)nanosleep(&half, NULL);
		_exit(0);
	}
	(void)close(held[1]);
	assert_int_equal(read(held[0], &byte, 1), 1);
	(void)close(held[0]);
	return pid;
}

/* The plugin must not wait, people should not have to try again. */
static void test_locked(void **state)
{
	struct fixture *fx = *state;
	struct registry *r = NULL;
	struct registry_heads h;
	int status;
	pid_t pid;

	registry_close(&fx->w);
	pid = lock_file(fx);
	REFUSED(fx, registry_open(fx->path, REGISTRY_FOLLOW, &r, &fx->e),
		ERR_ENVIRONMENT, "in use");
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	OK(fx, registry_open(fx->path, REGISTRY_READ, &r, &fx->e));
	OK(fx, registry_heads(r, &h, &fx->e));
	registry_close(&r);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_all_or_nothing(void **state)
{
	struct fixture *fx = *state;
	struct registry_heads h;
	struct device a = fx_device("a"), b = fx_device("b"), got;
	bool found = true;
	int64_t seq = -1;

	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	REFUSED(fx, registry_device_add(fx->w, &a, &fx->e), ERR_CONFLICT,
		"device 'a' exists already");
	REFUSED(fx, registry_device_add(fx->w, &b, &fx->e), ERR_CONFLICT,
		"earlier step");
	REFUSED(fx, registry_commit(fx->w, &seq, &fx->e), ERR_CONFLICT,
		"earlier step");
	assert_int_equal(seq, -1);
	OK(fx, registry_device(fx->w, STR("a"), &got, &found, &fx->e));
	assert_false(found);
	OK(fx, registry_heads(fx->w, &h, &fx->e));
	assert_int_equal(h.revision, 1);
	fx_begin(fx);
	assert_int_equal(fx_commit(fx), 0); /* empty: no revision taken */
	OK(fx, registry_heads(fx->w, &h, &fx->e));
	assert_int_equal(h.revision, 1);
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	OK(fx, registry_device_add(fx->w, &b, &fx->e));
	assert_int_equal(fx_commit(fx), 0);
	OK(fx, registry_heads(fx->w, &h, &fx->e));
	assert_int_equal(h.revision, 2); /* one for the transaction */
}

static void test_close_rolls_back(void **state)
{
	struct fixture *fx = *state;
	struct device a = fx_device("a"), got;
	bool found = true;

	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	registry_close(&fx->w);
	assert_null(fx->w);
	registry_close(&fx->w);
	registry_close(NULL);
	OK(fx, registry_open(fx->path, REGISTRY_WRITE, &fx->w, &fx->e));
	OK(fx, registry_device(fx->w, STR("a"), &got, &found, &fx->e));
	assert_false(found);
}

static void test_two_writers(void **state)
{
	struct fixture *fx = *state;
	struct registry *second = NULL;
	struct registry_heads h;
	struct device a = fx_device("a"), b = fx_device("b");
	int64_t seq;

	OK(fx, registry_open(fx->path, REGISTRY_WRITE, &second, &fx->e));
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	(void)sqlite3_busy_timeout(second->db, 20);
	REFUSED(fx, registry_begin(second, "two", FX_NOW, &fx->e),
		ERR_ENVIRONMENT, "in use by another weir command");
	(void)fx_commit(fx);
	OK(fx, registry_begin(second, "two", FX_NOW, &fx->e));
	OK(fx, registry_device_add(second, &b, &fx->e));
	OK(fx, registry_commit(second, &seq, &fx->e));
	OK(fx, registry_heads(fx->w, &h, &fx->e));
	assert_int_equal(h.revision, 3);
	registry_close(&second);
}

/* A reader sees commits, whole, and nothing before them; the writer is not
 * in its way, nor it in the writer's. */
static void test_reader_beside_writer(void **state)
{
	struct fixture *fx = *state;
	struct registry *r = NULL;
	struct registry_heads h;
	struct device d, got;
	int64_t before, after;
	bool found;
	char id[16];

	OK(fx, registry_open(fx->path, REGISTRY_READ, &r, &fx->e));
	OK(fx, registry_data_version(r, &before, &fx->e));
	for (int i = 0; i < 50; i++) {
		(void)snprintf(id, sizeof(id), "d%d", i);
		d = fx_device(id);
		fx_begin(fx);
		OK(fx, registry_device_add(fx->w, &d, &fx->e));
		OK(fx, registry_device(r, str_from(id), &got, &found, &fx->e));
		assert_false(found);
		(void)fx_commit(fx);
		OK(fx, registry_device(r, str_from(id), &got, &found, &fx->e));
		assert_true(found);
		device_fini(&got);
		OK(fx, registry_heads(r, &h, &fx->e));
		assert_int_equal(h.revision, i + 2);
	}
	OK(fx, registry_data_version(r, &after, &fx->e));
	assert_int_not_equal(before, after);
	registry_close(&r);
}

/* A snapshot does not move while others write. */
static void test_snapshot(void **state)
{
	struct fixture *fx = *state;
	struct registry *r = NULL;
	struct registry_heads h;

	OK(fx, registry_open(fx->path, REGISTRY_READ, &r, &fx->e));
	registry_snapshot_end(r); /* none: fine */
	OK(fx, registry_snapshot(r, &fx->e));
	OK(fx, registry_heads(r, &h, &fx->e));
	fx_add(fx, "a");
	OK(fx, registry_heads(r, &h, &fx->e));
	assert_int_equal(h.revision, 1);
	REFUSED(fx, registry_snapshot(r, &fx->e), ERR_ENVIRONMENT, "under way");
	registry_snapshot_end(r);
	OK(fx, registry_heads(r, &h, &fx->e));
	assert_int_equal(h.revision, 2);
	OK(fx, registry_snapshot(r, &fx->e));
	registry_close(&r);
	fx_begin(fx);
	REFUSED(fx, registry_snapshot(fx->w, &fx->e), ERR_ENVIRONMENT,
		"under way");
	registry_snapshot_end(fx->w); /* leaves the change alone */
	OK(fx, registry_meta_set(fx->w, "k", "v", &fx->e));
	(void)fx_commit(fx);
}

/* A hundred commits each from two processes: none is lost. */
static void test_two_processes(void **state)
{
	struct fixture *fx = *state;
	struct registry_counts counts;
	struct registry_heads h;
	char id[16];
	pid_t child;
	int status = 1;

	registry_close(&fx->w); /* no handle crosses a fork */
	child = fork();
	assert_true(child >= 0);
	OK(fx, registry_open(fx->path, REGISTRY_WRITE, &fx->w, &fx->e));
	for (int i = 0; i < 100; i++) {
		(void)snprintf(
			id, sizeof(id), "%c%d", child == 0 ? 'c' : 'p', i);
		fx_add(fx, id);
	}
	if (child == 0) {
		registry_close(&fx->w);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	OK(fx, registry_counts(fx->w, &counts, &fx->e));
	assert_int_equal(counts.devices[DEVICE_ACTIVE], 200);
	OK(fx, registry_heads(fx->w, &h, &fx->e));
	assert_int_equal(h.revision, 201);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create),
		TEST(test_create_again),
		TEST(test_modes_are_mended),
		cmocka_unit_test(test_no_registry),
		cmocka_unit_test(test_foreign_database),
		TEST(test_other_schema),
		TEST(test_truncated),
		TEST(test_begin_refuses),
		TEST(test_locked),
		TEST(test_all_or_nothing),
		TEST(test_close_rolls_back),
		TEST(test_two_writers),
		TEST(test_reader_beside_writer),
		TEST(test_snapshot),
		TEST(test_two_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
