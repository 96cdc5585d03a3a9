/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom weir-feed has in quarantine: the sorted set against the definition, a
 * plain array of what was put and not removed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/jail.h"
#include "tests/support/rng.h"

#include <stdio.h>

#define IDS   300u
#define STEPS 30000
#define MAX   200u

struct model {
	int64_t until_s;
	uint32_t round;
	bool in;
};

static struct str id_of(unsigned i, char out[static 16])
{
	/* Prefixes of one another too. */
	(void)snprintf(out, 16, "%.*s%u", (int)(i % 3), "--", i / 3);
	return str_from(out);
}

static size_t count(const struct model *m)
{
	size_t n = 0;

	for (unsigned i = 0; i < IDS; i++)
		n += m[i].in;
	return n;
}

static void put(struct jail *j, struct model *m, unsigned i, struct rng *r)
{
	struct jailed as = {
		.until_s = (int64_t)rng_below(r, 4), .round = rng_below(r, 3)};
	bool changed = false, fits = m[i].in || count(m) < MAX;
	char text[16];

	assert_int_equal(jail_put(j, id_of(i, text), &as, MAX, &changed), fits);
	if (!fits)
		return;
	assert_int_equal(changed, !m[i].in || m[i].until_s != as.until_s);
	m[i] = (struct model){as.until_s, as.round, true};
}

static void compare(const struct jail *j, const struct model *m)
{
	char text[16];

	assert_int_equal(j->n, count(m));
	for (unsigned i = 0; i < IDS; i++) {
		const struct jailed *x = jail_find(j, id_of(i, text));

		assert_int_equal(x != NULL, m[i].in);
		if (x == NULL)
			continue;
		assert_string_equal(x->id, text);
		assert_int_equal(x->until_s, m[i].until_s);
		assert_int_equal(x->round, m[i].round);
	}
}

static void purge(struct jail *j, struct model *m)
{
	jail_purge(j, 2);
	for (unsigned i = 0; i < IDS; i++)
		m[i].in = m[i].in && (m[i].until_s == 0 || m[i].until_s > 2);
}

static void test_model(void **state)
{
	struct rng r = {7};
	struct model m[IDS] = {{0, 0, false}};
	struct jail j = {NULL, 0, 0};
	char text[16];

	(void)state;
	for (int k = 0; k < STEPS; k++) {
		unsigned i = rng_below(&r, IDS);

		if (rng_below(&r, 500) == 0) {
			purge(&j, m);
			compare(&j, m);
		} else if (rng_below(&r, 3) != 0) {
			put(&j, m, i, &r);
		} else {
			assert_int_equal(
				jail_remove(&j, id_of(i, text)), m[i].in);
			m[i].in = false;
		}
	}
	compare(&j, m);
	jail_fini(&j);
	assert_int_equal(j.n, 0);
	assert_null(jail_find(&j, STR("0")));
}

/* Each of another round once, in bounded looks. */
static void test_unseen(void **state)
{
	struct jail j = {NULL, 0, 0};
	size_t at = 0, looks = 0, found = 0;
	bool changed;
	char text[16];

	(void)state;
	for (unsigned i = 0; i < IDS; i++) {
		struct jailed as = {.round = i % 3};

		assert_true(jail_put(&j, id_of(i, text), &as, IDS, &changed));
	}
	while (at < j.n) {
		size_t before = at;
		const struct jailed *x = jail_next_unseen(&j, &at, 7, 1);

		looks++;
		assert_true(at - before <= 7);
		if (x == NULL)
			continue;
		assert_true(x->round != 1);
		assert_true(jail_remove(&j, str_from(x->id)));
		found++;
	}
	assert_int_equal(found, IDS / 3 * 2);
	assert_int_equal(j.n, IDS / 3);
	assert_true(looks >= found);
	jail_fini(&j);
}

static void test_limits(void **state)
{
	struct jail j = {NULL, 0, 0};
	const struct jailed as = {.until_s = 0};
	char text[257];
	bool changed;

	(void)state;
	memset(text, 'a', 256);
	text[256] = '\0';
	assert_false(jail_put(&j, STR(""), &as, 9, &changed));
	assert_false(jail_put(&j, str_from(text), &as, 9, &changed));
	assert_true(jail_put(&j, str_from(text + 1), &as, 9, &changed));
	assert_non_null(jail_find(&j, str_from(text + 1)));
	assert_false(jail_put(&j, STR("b"), &as, 1, &changed));
	assert_false(jail_remove(&j, STR("b")));
	jail_fini(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
