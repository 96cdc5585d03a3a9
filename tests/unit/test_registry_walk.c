/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk through the registry held to its definition: of all devices, those
 * that are asked for, in order, each once, however many a call gives; also
 * while devices are added.
 */
#include "io/registry_walk.h"
#include "tests/support/registry_fixture.h"
#include "tests/support/rng.h"

#define DEVICES 120

struct model {
	char id[DEVICE_ID_MAX + 1];
	char class_name[8];
	enum device_status status;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(
		((const struct model *)a)->id, ((const struct model *)b)->id);
}

static void add_one(struct fixture *fx, const struct model *m)
{
	struct device d = fx_device(m->id);

	(void)snprintf(d.class_name, sizeof(d.class_name), "%s", m->class_name);
	OK(fx, registry_device_add(fx->w, &d, &fx->e));
	if (m->status != DEVICE_ACTIVE)
		OK(fx, registry_device_status(fx->w, str_from(m->id), m->status,
			       "x", FX_NOW + 7, &fx->e));
}

/* Ids that are prefixes of one another, with every letter an id may have. */
static void fill(struct fixture *fx, struct model m[static DEVICES])
{
	static const char letters[] = "aZ0.:_-";
	static const char *const classes[] = {"meter", "till"};
	struct rng r = {11};
	size_t n = 0;

	fx_begin(fx);
	while (n < DEVICES) {
		size_t len = 1 + rng_below(&r, 4);
		bool there = false;

		memset(&m[n], 0, sizeof(m[n]));
		for (size_t i = 0; i < len; i++)
			m[n].id[i] = letters[rng_below(&r, i == 0 ? 3 : 7)];
		for (size_t i = 0; i < n; i++)
			there = there || strcmp(m[i].id, m[n].id) == 0;
		if (there)
			continue;
		(void)snprintf(m[n].class_name, sizeof(m[n].class_name), "%s",
			classes[rng_below(&r, 2)]);
		m[n].status =
			(enum device_status)(DEVICE_ACTIVE + rng_below(&r, 4));
		add_one(fx, &m[n++]);
	}
	(void)fx_commit(fx);
	qsort(m, DEVICES, sizeof(*m), by_id);
}

/* What a walk has given. */
struct walked {
	size_t n;
	size_t stop; /* after so many more */
	char id[DEVICES + 8][DEVICE_ID_MAX + 1];
};

static bool keep(void *ctx, const struct device_brief *d)
{
	struct walked *w = ctx;

	assert_true(w->n < DEVICES + 8);
	(void)snprintf(w->id[w->n++], sizeof(w->id[0]), "%.*s", STR_ARG(d->id));
	assert_int_equal(
		d->status_until_s, d->status == DEVICE_ACTIVE ? 0 : FX_NOW + 7);
	return w->stop == 0 || --w->stop != 0;
}

/* All of W, LIMIT a call. */
static void walk_all(
	struct fixture *fx, struct device_walk w, int limit, struct walked *out)
{
	size_t before;

	memset(out, 0, sizeof(*out));
	do {
		before = out->n;
		OK(fx, registry_walk(fx->w, &w, limit, keep, out, &fx->e));
		assert_true(out->n - before <= (size_t)limit);
		if (out->n != 0)
			w.after = str_from(out->id[out->n - 1]);
	} while (out->n != before);
}

static bool wanted(const struct device_walk *w, const struct model *m)
{
	if (w->class_name.p != NULL &&
		!str_eq(w->class_name, str_from(m->class_name)))
		return false;
	if (w->class_name.p == NULL && w->status != DEVICE_NONE &&
		w->status != m->status)
		return false;
	return strlen(m->id) >= w->prefix.n &&
	       (w->prefix.n == 0 ||
		       memcmp(m->id, w->prefix.p, w->prefix.n) == 0);
}

static void check(struct fixture *fx, const struct model *m,
	const struct device_walk *w, int limit)
{
	static struct walked got;
	size_t n = 0;

	walk_all(fx, *w, limit, &got);
	for (size_t i = 0; i < DEVICES; i++) {
		const struct model *x = &m[w->down ? DEVICES - 1 - i : i];

		if (!wanted(w, x))
			continue;
		assert_true(n < got.n);
		assert_string_equal(got.id[n++], x->id);
	}
	assert_int_equal(n, got.n);
}

static void test_definition(void **state)
{
	static const char *const prefixes[] = {
		"", "a", "Z.", "a:-", "0_", "none", "aaaaaaa"};
	static const char *const classes[] = {NULL, "meter", "nobody"};
	static struct model m[DEVICES];
	struct fixture *fx = *state;

	fill(fx, m);
	for (unsigned i = 0; i < 7 * 3 * 5 * 2; i++) {
		struct device_walk w = {
			.prefix = str_from(prefixes[i % 7]),
			.status = (enum device_status)(i / 21 % 5),
			.down = i / 105 != 0,
		};

		if (classes[i / 7 % 3] != NULL)
			w.class_name = str_from(classes[i / 7 % 3]);
		check(fx, m, &w, 1);
		check(fx, m, &w, 7);
		check(fx, m, &w, DEVICES + 1);
	}
}

/* Behind an id that is not there, outside of the prefix, or longer than it. */
static void test_after(void **state)
{
	static const struct {
		const char *prefix, *after, *up, *down;
	} table[] = {
		{"", "", "a", "c1"},
		{"", "b", "b1", "a"},
		{"", "b0", "b1", "b"},
		{"b", "", "b", "b2"},
		{"b", "a", "b", ""},
		{"b", "b", "b1", ""},
		{"b", "b1", "b2", "b"},
		{"b", "b2", "", "b1"},
		{"b", "c", "", "b2"},
		{"", "c1", "", "b2"},
		{"", "0", "a", ""},
	};
	static const char *const ids[] = {"a", "b", "b1", "b2", "c1"};
	static struct walked got;
	struct fixture *fx = *state;

	for (size_t i = 0; i < 5; i++)
		fx_add(fx, ids[i]);
	fx_sql(fx, "UPDATE device SET status_until_s = 0");
	for (size_t i = 0; i < 2 * sizeof(table) / sizeof(table[0]); i++) {
		const char *want =
			i % 2 == 0 ? table[i / 2].up : table[i / 2].down;
		struct device_walk w = {
			.prefix = str_from(table[i / 2].prefix),
			.after = str_from(table[i / 2].after),
			.down = i % 2 != 0,
		};

		memset(&got, 0, sizeof(got));
		OK(fx, registry_walk(fx->w, &w, 1, keep, &got, &fx->e));
		assert_string_equal(got.n != 0 ? got.id[0] : "", want);
	}
}

static void test_while_devices_are_added(void **state)
{
	static struct walked got;
	struct fixture *fx = *state;
	struct device_walk w = {.down = false};

	fx_add(fx, "b");
	fx_add(fx, "d");
	memset(&got, 0, sizeof(got));
	OK(fx, registry_walk(fx->w, &w, 1, keep, &got, &fx->e));
	fx_add(fx, "a"); /* behind us */
	fx_add(fx, "c");
	w.after = STR("b");
	OK(fx, registry_walk(fx->w, &w, 9, keep, &got, &fx->e));
	assert_int_equal(got.n, 3);
	assert_string_equal(got.id[1], "c");
	assert_string_equal(got.id[2], "d");
	/* A walk that is stopped has given what it has given. */
	memset(&got, 0, sizeof(got));
	got.stop = 2;
	w.after = STR("");
	OK(fx, registry_walk(fx->w, &w, 9, keep, &got, &fx->e));
	assert_int_equal(got.n, 2);
}

static void test_refused(void **state)
{
	static const char *const table[] = {
		"UPDATE device SET status = 'ACTIVE'",
		"UPDATE device SET status = NULL",
		"UPDATE device SET status = 'active', status_until_s = 'x'",
		"UPDATE device SET status_until_s = 0, id = 'a b'",
		"UPDATE device SET id = x'61'",
	};
	static struct walked got;
	char longest[DEVICE_ID_MAX + 2];
	struct fixture *fx = *state;
	struct device_walk w = {.down = false};

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	w.prefix = str_from(longest);
	REFUSED(fx, registry_walk(fx->w, &w, 1, keep, &got, &fx->e), ERR_INPUT,
		"at most 64 bytes");
	w.after = w.prefix;
	w.prefix = STR("");
	REFUSED(fx, registry_walk(fx->w, &w, 1, keep, &got, &fx->e), ERR_INPUT,
		"at most 64 bytes");
	w.after = STR("");
	fx_sql(fx, "DROP TABLE device; CREATE TABLE device (id, class, status, "
		   "status_until_s); INSERT INTO device VALUES ('a', 'c', "
		   "'active', 0)");
	OK(fx, registry_walk(fx->w, &w, 1, keep, &got, &fx->e));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fx_sql(fx, table[i]);
		REFUSED(fx, registry_walk(fx->w, &w, 1, keep, &got, &fx->e),
			ERR_ENVIRONMENT, "damaged: a device");
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_definition),
		TEST(test_after),
		TEST(test_while_devices_are_added),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
