/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history through a failure, and a death, at each step of SQLite's.
 */
#include "tests/support/history_fixture.h"

#include "io/history_writer_private.h"

#include <sys/wait.h>

#define DAY INT64_C(86400)
#define T0  (20000 * DAY)

/* Counts SQLite's steps down. */
static int fail_at(void *left)
{
	int *n = left;

	return (*n)-- == 0;
}

/* Whatever happened, what is told is what was taken: the next look makes the
 * sum right, and a ring's place is the events' number. */
static void check_sound(struct history_fixture *f, uint64_t seen)
{
	struct history_place place;
	struct history_head head;
	uint64_t a = hf_sum(f, "a");

	OK(f, history_place(f->w, &place, &f->e));
	OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(a, seen);
	assert_int_equal(hf_sum(f, "b"), a);
	assert_int_equal(hf_sum(f, NULL), a);
	assert_int_equal(place.ring, a);
	assert_int_equal(head.last_event * 100, a);
}

static bool happened(struct history_fixture *f, uint64_t n)
{
	struct history_place place;

	OK(f, history_place(f->w, &place, &f->e));
	return place.ring == n;
}

static const struct history_limits short_limits = {
	3600, DAY, 9999 * DAY, 9999 * DAY, UINT64_C(16) << 30};

static void failures_leave_it_whole(void **state)
{
	struct history_fixture *f = *state;
	unsigned failed = 0, worked = 0;
	uint64_t n = 0;
	int64_t t = T0;

	for (int steps = 0; worked < 40; steps += 3) {
		enum history_tidied done = HISTORY_MADE;
		char note[HISTORY_NOTE];
		int left = steps % 400;
		bool ok;

		n += 100;
		sqlite3_progress_handler(f->w->d.db, 1, fail_at, &left);
		ok = hf_minute(f->w, t, n, &f->e);
		left = steps % 400;
		while (done != HISTORY_TIDY && history_tidy(f->w, &short_limits,
						       t, &done, note, &f->e))
			;
		sqlite3_progress_handler(f->w->d.db, 0, NULL, NULL);
		failed += !ok;
		worked += ok;
		/* a commit that failed may have happened: who knows asks */
		if (!happened(f, n))
			OK(f, hf_minute(f->w, t, n, &f->e));
		check_sound(f, n);
		t += 600;
	}
	assert_true(failed > 60);
	(void)hf_tidy(f, &short_limits, t);
	check_sound(f, n);
}

/* The same with a process that is killed there. */
static int die_at(void *left)
{
	int *n = left;

	if ((*n)-- == 0)
		_exit(7);
	return 0;
}

static void live_and_die(
	struct history_fixture *f, int64_t t, uint64_t n, int steps)
{
	enum history_tidied done = HISTORY_MADE;
	char note[HISTORY_NOTE];
	bool ok = history_writer_open(
		f->state.path, &f->w, f->note, sizeof(f->note), &f->e);

	if (!ok)
		_exit(1);
	sqlite3_progress_handler(f->w->d.db, 1, die_at, &steps);
	ok = hf_minute(f->w, t, n, &f->e);
	while (ok && done != HISTORY_TIDY)
		ok = history_tidy(f->w, &short_limits, t, &done, note, &f->e);
	ok = ok && history_writer_sync(f->w, &f->e);
	_exit(ok ? 0 : 1);
}

static void deaths_leave_it_whole(void **state)
{
	struct history_fixture *f = *state;
	unsigned died = 0, lived = 0;
	uint64_t n = 0;
	int64_t t = T0;

	for (int steps = 0; lived < 4; steps += 151) {
		int status;
		pid_t child;

		history_close(&f->r);
		history_writer_close(&f->w);
		n += 100;
		(void)fflush(NULL);
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
			live_and_die(f, t, n, steps % 3000);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_true(
			WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7);
		died += WEXITSTATUS(status) == 7;
		lived += WEXITSTATUS(status) == 0;
		hf_open_writer(f);
		hf_open_reader(f);
		if (!happened(f, n))
			OK(f, hf_minute(f->w, t, n, &f->e));
		check_sound(f, n);
		t += 600;
	}
	assert_true(died > 8);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, hf_setup, hf_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(failures_leave_it_whole),
		TEST(deaths_leave_it_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
