/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy revisions and meta values in the registry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/registry_fixture.h"

struct history {
	int n;
	int64_t revision[8];
};

static bool add_revision(void *ctx, const struct policy_row *p)
{
	struct history *h = ctx;

	assert_null(p->text);
	assert_true(p->text_len > 0);
	h->revision[h->n++] = p->revision;
	return h->n < 3;
}

static void test_policies(void **state)
{
	struct fixture *fx = *state;
	struct history h = {0};
	struct policy_row p;
	int64_t revision = 0;
	bool found = false;

	for (int i = 2; i <= 5; i++) {
		fx_begin(fx);
		OK(fx, registry_policy_put(fx->w, STR("{\"n\": \"\xc3\xa9\"}"),
			       "policy.apply", &revision, &fx->e));
		(void)fx_commit(fx);
		assert_int_equal(revision, i);
	}
	OK(fx, registry_policies(fx->w, add_revision, &h, &fx->e));
	assert_int_equal(h.n, 3);
	assert_int_equal(h.revision[0], 5);
	assert_int_equal(h.revision[2], 3);
	OK(fx, registry_policy(fx->w, 5, &p, &found, &fx->e));
	assert_true(found);
	assert_int_equal(p.text_len, 11);
	/* printf '{"n": "é"}' | sha256sum */
	assert_string_equal(p.hash, "e8bd992bb022b84dfbf5fe5b38f994ac4766f12d03"
				    "a22034180741dddac1a311");
	policy_row_fini(&p);
	OK(fx, registry_policy(fx->w, 6, &p, &found, &fx->e));
	assert_false(found);
}

static void test_policy_refused(void **state)
{
	struct fixture *fx = *state;
	struct policy_row p;
	int64_t revision;
	bool found;

	fx_begin(fx);
	REFUSED(fx,
		registry_policy_put(
			fx->w, STR(""), "policy.apply", &revision, &fx->e),
		ERR_INPUT, "bytes of text");
	registry_rollback(fx->w);
	fx_begin(fx);
	REFUSED(fx,
		registry_policy_put(fx->w, STR("{}\0{}"), "policy.apply",
			&revision, &fx->e),
		ERR_INPUT, "without NUL");
	registry_rollback(fx->w);
	fx_sql(fx, "UPDATE policy SET text = replace(text, '{}', '{ }')");
	REFUSED(fx, registry_policy(fx->w, 0, &p, &found, &fx->e),
		ERR_ENVIRONMENT, "a policy: column hash");
}

static void test_meta(void **state)
{
	static const char *const own[] = {"schema", "revision", "audit_head"};
	struct fixture *fx = *state;
	char out[8];

	OK(fx, registry_meta(fx->w, "pen", out, sizeof(out), &fx->e));
	assert_string_equal(out, "");
	fx_begin(fx);
	OK(fx, registry_meta_set(fx->w, "pen", "32473", &fx->e));
	OK(fx, registry_meta_set(fx->w, "long", "12345678", &fx->e));
	(void)fx_commit(fx);
	OK(fx, registry_meta(fx->w, "pen", out, sizeof(out), &fx->e));
	assert_string_equal(out, "32473");
	REFUSED(fx, registry_meta(fx->w, "long", out, sizeof(out), &fx->e),
		ERR_ENVIRONMENT, "is damaged");
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		fx_begin(fx);
		REFUSED(fx, registry_meta_set(fx->w, own[i], "7", &fx->e),
			ERR_INPUT, "registry's own");
		registry_rollback(fx->w);
	}
	fx_begin(fx);
	REFUSED(fx, registry_meta_set(fx->w, "a", "\xff", &fx->e), ERR_INPUT,
		"UTF-8");
	registry_rollback(fx->w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_policies),
		TEST(test_policy_refused),
		TEST(test_meta),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
