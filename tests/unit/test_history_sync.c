/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history's log brought to its file, and what it must not touch.
 */
#include "io/history_sync.h"

#include "tests/support/history_fixture.h"

#include <stdio.h>
#include <time.h>

#define AWAIT_MS 20000

static off_t size_of(struct history_fixture *f, const char *name)
{
	struct stat st;

	return stat(tempdir_at(&f->usage, name), &st) == 0 ? st.st_size : -1;
}

static void pause_a_little(void)
{
	const struct timespec t = {0, 1000000};

	(void)nanosleep(&t, NULL);
}

static void test_another_file(void **state)
{
	struct history_fixture *f = *state;
	struct history_sync *s = NULL;
	char from[128], to[128];
	off_t log;
	int ms = 0;

	OK(f, history_sync_start(f->state.path, &s, &f->e));
	history_sync_ask(s);
	OK(f, history_sync_well(s, &f->e));
	(void)snprintf(from, sizeof(from), "%s/usage.db", f->usage.path);
	(void)snprintf(to, sizeof(to), "%s/usage.old", f->usage.path);
	assert_int_equal(rename(from, to), 0);
	log = size_of(f, "usage.db-wal");
	assert_true(log > 0);
	while (history_sync_well(s, &f->e) && ms++ < AWAIT_MS) {
		history_sync_ask(s);
		pause_a_little();
	}
	assert_non_null(strstr(f->e.msg, "restart weir-feed"));
	/* It has made no file there, and the log is the moved one's still. */
	assert_int_equal(size_of(f, "usage.db"), -1);
	assert_int_equal(size_of(f, "usage.db-wal"), log);
	assert_int_equal(rename(to, from), 0);
	for (ms = 0; !history_sync_well(s, NULL) && ms < AWAIT_MS; ms++) {
		history_sync_ask(s);
		pause_a_little();
	}
	OK(f, history_sync_well(s, &f->e));
	history_sync_stop(&s);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_another_file, hf_setup, hf_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
