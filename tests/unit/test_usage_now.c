/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir usage over time, asked in a second that the test chooses: what was
 * counted in it is in the answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/usage_history.h"
#include "io/meter_device.h"
#include "tests/support/history_fixture.h"

#include <unistd.h>

#define MINUTE_S (INT64_C(60) * 29000000)
#define COUNTED  5
#define SIZE     4096

/* A device's messages, told in the minute at MINUTE_S. */
static void tell(struct history_fixture *f)
{
	struct history_look look = {.segment = 1};

	look.counter[COUNTER_MESSAGES_IN] = COUNTED;
	OK(f, history_begin(f->w, &f->e));
	OK(f, history_device_number(f->w, STR("m-1"), &look.no, &f->e));
	OK(f, history_class_number(f->w, STR("meter"), &look.class, &f->e));
	OK(f, history_tell_device(f->w, MINUTE_S, &look, &f->e));
	OK(f, history_place_set(f->w,
		      &(struct history_place){1, 0, MINUTE_S, MINUTE_S},
		      &f->e));
	OK(f, history_commit(f->w, &f->e));
}

/* What `weir --json usage m-1 --since 1h` says at NOW_S. */
static void ask(struct history_fixture *f, int64_t now_s, char out[static SIZE])
{
	static char words[][16] = {"weir", "usage", "m-1", "--since", "1h"};
	static const struct opt none[] = {{NULL, '\0', OPT_FLAG, NULL, NULL}};
	static const struct opt own[] = {{"since", '\0', OPT_VALUE, "T", ""},
		{"until", '\0', OPT_VALUE, "T", ""},
		{"by", '\0', OPT_VALUE, "L", ""},
		{"class", '\0', OPT_VALUE, "C", ""},
		{"csv", '\0', OPT_FLAG, NULL, ""},
		{NULL, '\0', OPT_FLAG, NULL, NULL}};
	char *argv[] = {words[0], words[1], words[2], words[3], words[4], NULL};
	struct args a;
	struct cli c = {.args = &a, .now_s = now_s, .json = true};
	struct meter_watch w;
	FILE *told = tmpfile();
	const char *command;
	int before = dup(1);
	size_t n;

	assert_non_null(told);
	(void)snprintf(c.state, sizeof(c.state), "%s", f->state.path);
	OK(f, args_init(&a, 5, argv, none, &f->e));
	OK(f, args_word(&a, &command, &f->e) && args_rest(&a, own, &f->e));
	OK(f, meter_watch_open("/nonexistent/meter.seg", &w, &f->e));
	assert_int_equal(fflush(stdout), 0);
	assert_true(dup2(fileno(told), 1) == 1);
	OK(f, usage_history(&c, &w, 0, METER_COUNTS, &f->e));
	assert_int_equal(fflush(stdout), 0);
	assert_true(dup2(before, 1) == 1);
	(void)close(before);
	rewind(told);
	n = fread(out, 1, SIZE - 1, told);
	out[n] = '\0';
	(void)fclose(told);
	meter_watch_close(&w);
	args_fini(&a);
}

static void test_the_second_that_is(void **state)
{
	static const struct {
		int64_t after_s;
		bool told;
	} rows[] = {
		{0, true},
		{1, true},
		{59, true},
		{60, true},
		{3600, true},
		/* asked before it was, and too long after it */
		{-1, false},
		{-60, false},
		{3660, false},
	};
	struct history_fixture *f = *state;
	char out[SIZE], want[32];

	tell(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask(f, MINUTE_S + rows[i].after_s, out);
		(void)snprintf(want, sizeof(want), "\"messages_in\":%d,",
			rows[i].told ? COUNTED : 0);
		if (strstr(out, want) == NULL)
			fail_msg("%lld s after the minute's start: no %s in %s",
				(long long)rows[i].after_s, want, out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_the_second_that_is, hf_setup, hf_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
