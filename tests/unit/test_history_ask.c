/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the history that make no sense, and about whom it does not know.
 */
#include "tests/support/history_fixture.h"

static void senseless_questions(void **state)
{
	struct history_fixture *f = *state;
	static char longer[DEVICE_ID_MAX + 1];
	const struct {
		struct history_ask ask;
		const char *why;
	} bad[] = {
		{{.what = HISTORY_CLASSES, .from_s = 5, .to_s = 5}, "time"},
		{{.what = HISTORY_CLASSES, .from_s = 6, .to_s = 5}, "time"},
		{{.what = HISTORY_CLASSES, .from_s = -1, .to_s = 5}, "time"},
		{{.what = HISTORY_DEVICE, .to_s = 5}, "name"},
		{{.what = HISTORY_CLASS, .to_s = 5}, "name"},
		{{.what = HISTORY_DEVICE,
			 .to_s = 5,
			 .name = {longer, sizeof(longer)}},
			"name"},
		{{.what = HISTORY_TOP, .to_s = 5}, "first"},
		{{.what = HISTORY_TOP, .to_s = 5, .top = HISTORY_TOP_MAX + 1},
			"first"},
		{{.what = HISTORY_TOP,
			 .to_s = 5,
			 .top = 1,
			 .sort = COUNTERS + 1},
			"first"},
		{{.what = HISTORY_TOP, .to_s = 5, .top = 1, .series = true},
			"series"},
		{{.what = HISTORY_EACH, .to_s = 5, .series = true}, "series"},
		{{.what = HISTORY_CLASSES, .to_s = 5, .by = HISTORY_LEVELS},
			"buckets"},
	};
	struct history_usage *u = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REFUSED(f, history_usage_open(f->r, &bad[i].ask, &u, &f->e),
			ERR_INPUT, bad[i].why);
	assert_null(u);
}

static void nobody_knows(void **state)
{
	struct history_fixture *f = *state;
	struct history_ask ask = {
		.what = HISTORY_DEVICE, .name = STR("x"), .to_s = 86400};
	struct history_row rows[1];
	struct history_head head;
	bool known = true;

	assert_int_equal(hf_ask(f, &ask, 10, rows, 1), 0);
	ask.what = HISTORY_TOP;
	ask.top = 3;
	assert_int_equal(hf_ask(f, &ask, 10, rows, 1), 0);
	OK(f, history_knows_device(f->r, STR("x"), &known, &f->e));
	assert_false(known);
	OK(f, history_knows_class(f->r, STR(""), &known, &f->e));
	assert_false(known);
	OK(f, history_head(f->r, &head, &f->e));
	assert_true(head.first_s == 0 && head.told_s == 0 &&
		    head.first_event == 0 && head.last_event == 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, hf_setup, hf_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(senseless_questions),
		TEST(nobody_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
