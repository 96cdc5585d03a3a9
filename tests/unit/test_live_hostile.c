/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live.db that somebody else than weir-feed wrote: the plugin's reader says
 * no, at once, whatever stands there, and whoever holds it.
 */
#include "io/live_private.h"
#include "tests/support/live_reader.h"
#include "tests/support/rng.h"

/* ------------------------------------------------------- what is in the file */

/* Tables that take anything. */
#define LOOSE                                                                  \
	"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "         \
	"replace(replace(replace(replace(replace(sql, ') STRICT, ', ') '), "   \
	"') STRICT', ')'), 'TEXT NOT NULL', ''), 'INTEGER NOT NULL', ''), "    \
	"'TEXT PRIMARY KEY NOT NULL', 'PRIMARY KEY')"

static void test_schema(void **state)
{
	static const char *const hostile[] = {
		"CREATE TABLE more (a)",
		"CREATE VIEW v AS SELECT 1",
		"CREATE TRIGGER t AFTER INSERT ON action BEGIN SELECT 1; END",
		"DROP TABLE action",
		"DROP INDEX quarantine_until",
		"ALTER TABLE quarantine ADD COLUMN more TEXT",
		"ALTER TABLE quarantine RENAME TO q; CREATE VIEW quarantine AS "
		"SELECT device_id, since_s, 1 AS until_s, reason, actor, "
		"change FROM q",
		"DROP TABLE quarantine; CREATE VIRTUAL TABLE quarantine USING "
		"fts5(device_id, since_s, until_s, reason, actor, change)",
		"DROP TABLE action; CREATE TABLE action (change INTEGER "
		"PRIMARY KEY, device_id TEXT AS (hex(zeroblob(9999))))",
		"PRAGMA user_version = 0",
		"PRAGMA user_version = 77",
		LOOSE,
		"PRAGMA writable_schema = ON; "
		"UPDATE sqlite_schema SET sql = 'garbage'",
		"PRAGMA writable_schema = ON; DELETE FROM sqlite_schema",
		"PRAGMA writable_schema = ON; UPDATE sqlite_schema "
		"SET rootpage = 1 WHERE name = 'quarantine'",
		"PRAGMA writable_schema = ON; UPDATE sqlite_schema "
		"SET rootpage = 70000",
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		good(fx);
		fx_sql(fx, hostile[i]);
		if (read_all(fx))
			fail_msg("taken: %s", hostile[i]);
		assert_int_equal(unlink(fx->path), 0);
	}
}

/* A tree of large pages is made to be slow. */
static void test_pages(void **state)
{
	static const char *const schema[] = LIVE_SCHEMA_SQL;
	static const int sizes[] = {4096, 512, 65536};
	struct fixture *fx = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *sql = sqlite3_mprintf(
			"PRAGMA page_size = %d; PRAGMA journal_mode = WAL; %s; "
			"%s; %s; PRAGMA user_version = 1",
			sizes[i], schema[0], schema[1], schema[2]);

		assert_non_null(sql);
		fx_sql(fx, sql);
		sqlite3_free(sql);
		assert_int_equal(read_all(fx), sizes[i] == 4096);
		assert_int_equal(strstr(fx->e.msg, "its pages") != NULL,
			sizes[i] != 4096);
		assert_int_equal(unlink(fx->path), 0);
	}
}

/* The schema says what weir-feed's says, whatever the rows are. */
static void look_strict(struct fixture *fx)
{
	static const char *const schema[] = LIVE_SCHEMA_SQL;
	static const char *const names[] = {
		"quarantine", "quarantine_until", "action"};

	for (size_t i = 0; i < 3; i++) {
		char *sql = sqlite3_mprintf(
			"PRAGMA writable_schema = ON; UPDATE sqlite_schema "
			"SET sql = %Q WHERE name = %Q",
			schema[i], names[i]);

		assert_non_null(sql);
		fx_sql(fx, sql);
		sqlite3_free(sql);
	}
}

/* Rows that no STRICT table would take: it is made loose, filled, and made to
 * look strict again. */
static void test_rows(void **state)
{
	static const char *const hostile[] = {
		"INSERT INTO quarantine VALUES ('a/#', 1, 0, '', 'x', 1)",
		"INSERT INTO quarantine VALUES (x'6100', 1, 0, '', 'x', 1)",
		"INSERT INTO quarantine VALUES "
		"(printf('%.*c', 65, 'a'), 1, 0, '', 'x', 1)",
		"INSERT INTO quarantine VALUES ('a', 'x', 0, '', 'x', 1)",
		"INSERT INTO quarantine VALUES ('a', 1, 0.5, '', 'x', 1)",
		"INSERT INTO quarantine VALUES ('a', 1, NULL, '', 'x', 1)",
		"INSERT INTO quarantine VALUES ('a', 1, x'00', '', 'x', 1)",
		"INSERT INTO quarantine VALUES "
		"('a', 1, 0, printf('%.*c', 201, 'r'), 'x', 1)",
		"INSERT INTO quarantine VALUES "
		"('a', 1, 0, printf('%.*c', 5000000, 'r'), 'x', 1)",
		"INSERT INTO quarantine VALUES "
		"('a', 1, 0, CAST(x'ff' AS TEXT), 'x', 1)",
		"INSERT INTO quarantine VALUES ('a', 1, 0, '', NULL, 1)",
		"INSERT INTO quarantine VALUES ('a', 1, 0, '', 'x', '1')",
		"INSERT INTO action VALUES (9, 1, 'x', 'release', '/', '', 0)",
		"INSERT INTO action VALUES (9, 1, 'x', 'release', 7, '', 0)",
		"INSERT INTO action VALUES (-1, 1, 'x', 'release', 'a', '', 0)",
		"INSERT INTO action VALUES (9, 1, 'x', 'release', 'a', '', 0); "
		"INSERT INTO quarantine VALUES ('a', 1, 'x', '', 'x', 9)",
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		good(fx);
		fx_sql(fx, LOOSE);
		fx_sql(fx, hostile[i]);
		look_strict(fx);
		if (read_all(fx))
			fail_msg("taken: %s", hostile[i]);
		if (strstr(fx->e.msg, "tables") != NULL)
			fail_msg("not the row: %s", hostile[i]);
		assert_int_equal(unlink(fx->path), 0);
	}
}

/* All of the file NAME into BYTES; its length. */
static size_t slurp(
	struct fixture *fx, const char *name, unsigned char *bytes, size_t cap)
{
	FILE *f = fopen(tempdir_at(&fx->dir, name), "rb");
	size_t n;

	assert_non_null(f);
	n = fread(bytes, 1, cap, f);
	assert_int_equal(fclose(f), 0);
	assert_true(n > 4096 && n < cap);
	return n;
}

/* Any byte of NAME changed, and it cut short anywhere: told or not, never a
 * crash, a wait or an invalid row. Returns how often not. */
static size_t harm_bytes(struct fixture *fx, const char *name)
{
	static unsigned char bytes[131072], changed[sizeof(bytes)];
	struct rng rng = {20261125};
	unsigned n = (unsigned)slurp(fx, name, bytes, sizeof(bytes));
	size_t refused = 0;

	for (unsigned i = 0; i < 1500; i++) {
		size_t cut = rng_below(&rng, 4) == 0 ? rng_below(&rng, n) : n;

		memcpy(changed, bytes, n);
		for (unsigned k = 0; k <= rng_below(&rng, 8); k++)
			changed[rng_below(&rng, n)] =
				(unsigned char)rng_below(&rng, 256);
		tempdir_write(&fx->dir, name, changed, cut);
		refused += !read_all(fx);
	}
	tempdir_write(&fx->dir, name, bytes, n);
	assert_true(read_all(fx));
	return refused;
}

static void test_bytes(void **state)
{
	struct fixture *fx = *state;

	good(fx);
	/* What its log has is in the file's place: first the log. A frame
	 * whose sum is wrong ends it, so nothing is refused of that. */
	(void)harm_bytes(fx, "live.db-wal");
	fx_sql(fx, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_true(harm_bytes(fx, "live.db") > 500);
}

/* More of everything than weir-feed writes. */
static void test_endless(void **state)
{
	struct fixture *fx = *state;
	char name[128];
	char sql[320] = "";

	good(fx);
	/* Tables: reading the schema is given up, before all are parsed. */
	(void)snprintf(sql, sizeof(sql),
		"PRAGMA writable_schema = ON; WITH RECURSIVE n(i) AS (SELECT 1 "
		"UNION ALL SELECT i + 1 FROM n WHERE i < 300000) INSERT INTO "
		"sqlite_schema SELECT 'table', 't' || i, 't' || i, 2, "
		"'CREATE TABLE t' || i || '(a)' FROM n; "
		"PRAGMA wal_checkpoint(TRUNCATE)");
	fx_sql(fx, sql);
	assert_false(read_all(fx));
	assert_non_null(strstr(fx->e.msg, "more than"));
	assert_int_equal(unlink(fx->path), 0);
	/* A hole for a log: it is not read through. */
	good(fx);
	(void)snprintf(name, sizeof(name), "%s-wal", fx->path);
	assert_int_equal(truncate(name, (off_t)1 << 40), 0);
	assert_false(read_all(fx));
	assert_non_null(strstr(fx->e.msg, "more than"));
	assert_int_equal(truncate(name, 0), 0);
	assert_true(read_all(fx));
	/* And one for the file. */
	assert_int_equal(truncate(fx->path, (off_t)1 << 40), 0);
	(void)read_all(fx);
}

/* --------------------------------------------------- what stands in its place */

static void replace_by(
	struct fixture *fx, const char *suffix, int (*make)(const char *path))
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s%s", fx->path, suffix);
	(void)unlink(name);
	assert_int_equal(make(name), 0);
	/* An empty log, or none, is read as one. */
	if (read_all(fx) && suffix[0] == '\0')
		fail_msg("taken: %s", name);
	if (rmdir(name) != 0)
		assert_int_equal(unlink(name), 0);
}

static int make_fifo(const char *path)
{
	return mkfifo(path, 0666);
}

static int make_folder(const char *path)
{
	return mkdir(path, 0777);
}

static int make_link(const char *path)
{
	return symlink("/etc/passwd", path);
}

static int make_device(const char *path)
{
	return symlink("/dev/zero", path);
}

static int make_empty(const char *path)
{
	FILE *f = fopen(path, "wb");

	return f != NULL ? fclose(f) : -1;
}

static void test_no_file(void **state)
{
	static int (*const make[])(const char *path) = {
		make_fifo, make_folder, make_link, make_device};
	static const char *const suffix[] = {"", "-wal", "-shm"};
	struct fixture *fx = *state;

	for (size_t i = 0; i < 12; i++) {
		good(fx);
		replace_by(fx, suffix[i % 3], make[i / 3]);
		(void)unlink(fx->path);
	}
	good(fx);
	replace_by(fx, "", make_empty);
}

/* A link to a file that is one of ours is none either. */
static void test_link_to_good(void **state)
{
	struct fixture *fx = *state;
	char name[128];

	good(fx);
	(void)snprintf(name, sizeof(name), "%s/other", fx->dir.path);
	assert_int_equal(rename(fx->path, name), 0);
	assert_int_equal(symlink(name, fx->path), 0);
	assert_false(read_all(fx));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_schema),
		TEST(test_pages),
		TEST(test_rows),
		TEST(test_bytes),
		TEST(test_endless),
		TEST(test_no_file),
		TEST(test_link_to_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
