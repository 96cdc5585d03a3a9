/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry that went back: marked by the first writer, accepted by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/registry_fixture.h"

static const struct registry_seen SEEN = {40, 12};

static void add_device(struct fixture *fx, const char *id)
{
	struct device d = {.n_attrs = 0};

	(void)snprintf(d.id, sizeof(d.id), "%s", id);
	(void)snprintf(d.class_name, sizeof(d.class_name), "meter");
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &d, &fx->e));
	(void)fx_commit(fx);
}

static void suspend(struct fixture *fx, const char *id)
{
	OK(fx, registry_device_status(
		       fx->w, str_from(id), DEVICE_SUSPENDED, "", 0, &fx->e));
}

static struct registry_heads heads_of(struct fixture *fx)
{
	struct registry_heads h;

	OK(fx, registry_heads(fx->w, &h, &fx->e));
	return h;
}

static void assert_chain(struct fixture *fx)
{
	int64_t bad = -1, n;
	uint8_t head[32];

	OK(fx, registry_audit_verify(fx->w, &bad, &n, head, &fx->e));
	assert_int_equal(bad, 0);
}

static void test_mark(void **state)
{
	struct fixture *fx = *state;
	struct registry_restored was;
	int64_t change;

	add_device(fx, "d1");
	OK(fx, registry_restored(fx->w, &was, &fx->e));
	assert_false(was.restored);
	fx_begin(fx);
	OK(fx, registry_note_restored(fx->w, &SEEN, &fx->e));
	suspend(fx, "d1");
	change = fx_commit(fx);
	assert_int_equal(change, 14); /* 13 is skipped over */
	OK(fx, registry_restored(fx->w, &was, &fx->e));
	assert_true(was.restored);
	assert_int_equal(was.revision, 2);
	assert_int_equal(was.change_seq, 0);
	assert_true(heads_of(fx).restored);
	assert_int_equal(heads_of(fx).revision, 41);
	assert_chain(fx);
}

/* However often it is written to, it stays marked as what it was at first. */
static void test_mark_again(void **state)
{
	static const struct registry_seen more = {900, 90};
	struct fixture *fx = *state;
	struct registry_restored was;

	add_device(fx, "d1");
	for (int i = 0; i < 2; i++) {
		fx_begin(fx);
		OK(fx, registry_note_restored(
			       fx->w, i == 0 ? &SEEN : &more, &fx->e));
		(void)fx_commit(fx);
	}
	OK(fx, registry_restored(fx->w, &was, &fx->e));
	assert_int_equal(was.revision, 2);
	assert_int_equal(heads_of(fx).revision, 41);
}

static void test_accept(void **state)
{
	static const struct {
		bool marked, device;
		int64_t change;
	} cases[] = {{false, true, 13}, {true, true, 13}, {false, false, 0}};
	struct fixture *fx = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t change;

		if (i != 0) {
			(void)fx_teardown(state);
			(void)fx_setup(state);
			fx = *state;
		}
		if (cases[i].device)
			add_device(fx, "d1");
		if (cases[i].marked) {
			fx_begin(fx);
			OK(fx, registry_note_restored(fx->w, &SEEN, &fx->e));
			assert_int_equal(fx_commit(fx), 13);
		}
		fx_begin(fx);
		OK(fx, registry_accept(fx->w, &SEEN, &fx->e));
		change = fx_commit(fx);
		assert_int_equal(change, cases[i].marked ? 0 : cases[i].change);
		assert_false(heads_of(fx).restored);
		assert_true(heads_of(fx).revision > SEEN.revision);
		assert_int_equal(heads_of(fx).change_seq, cases[i].change);
		assert_chain(fx);
	}
}

static void test_refused(void **state)
{
	static const struct registry_seen impossible[] = {{INT64_MAX, 1},
		{1, INT64_MAX}, {-1, 1}, {1, -1},
		{INT64_C(1000000000000001), 1}};
	struct fixture *fx = *state;

	add_device(fx, "d1");
	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]);
		i++) {
		assert_false(registry_seen_possible(&impossible[i]));
		fx_begin(fx);
		REFUSED(fx, registry_accept(fx->w, &impossible[i], &fx->e),
			ERR_CONFLICT, "cannot be");
		registry_rollback(fx->w);
		fx_begin(fx);
		REFUSED(fx,
			registry_note_restored(fx->w, &impossible[i], &fx->e),
			ERR_CONFLICT, "cannot be");
		registry_rollback(fx->w);
	}
	fx_begin(fx);
	suspend(fx, "d1");
	REFUSED(fx, registry_accept(fx->w, &SEEN, &fx->e), ERR_CONFLICT,
		"has a revision already");
	registry_rollback(fx->w);
	REFUSED(fx, registry_accept(fx->w, &SEEN, &fx->e), ERR_ENVIRONMENT,
		"no change is under way");
	fx_begin(fx);
	REFUSED(fx, registry_meta_set(fx->w, "restored", "", &fx->e), ERR_INPUT,
		"the registry's own");
	registry_rollback(fx->w);
	assert_int_equal(heads_of(fx).revision, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_mark, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			test_mark_again, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			test_accept, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			test_refused, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
