/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry as the feed reads it: another file at the path is taken up,
 * one that is not there or no registry is an error that says so, and the next
 * that is one is read.
 */
#include "feed/roster.h"
#include "tests/support/registry_fixture.h"

static bool has(struct roster *x, const char *id)
{
	struct err e = {.code = ERR_NONE};
	struct registry *r = roster_get(x, &e);
	struct device d;
	bool found = false;

	if (r == NULL || !registry_device(r, str_from(id), &d, &found, &e))
		fail_msg("%s", e.msg);
	if (found)
		device_fini(&d);
	return found;
}

static void check_none(struct roster *x, const char *says)
{
	struct err e = {.code = ERR_NONE};

	assert_null(roster_get(x, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	if (strstr(e.msg, says) == NULL)
		fail_msg("%s", e.msg);
}

static void test_replaced(void **state)
{
	struct fixture *fx = *state, other;
	struct roster *x = NULL;

	fx_add(fx, "old");
	registry_close(&fx->w);
	OK(fx, roster_open(fx->dir, &x, &fx->e));
	assert_true(has(x, "old"));
	fx_dir(&other);
	OK(fx, registry_create(other.path, FX_ACTOR, FX_NOW, &fx->e));
	OK(fx, registry_open(other.path, REGISTRY_WRITE, &other.w, &fx->e));
	fx_add(&other, "new");
	registry_close(&other.w);
	assert_int_equal(rename(other.path, fx->path), 0);
	assert_true(has(x, "old"));
	roster_look(x);
	assert_true(has(x, "new"));
	assert_false(has(x, "old"));
	roster_close(&x);
	assert_null(x);
	roster_close(&x);
	fx_remove(&other);
}

static void test_gone_and_back(void **state)
{
	struct fixture *fx = *state;
	struct roster *x = NULL;
	char aside[128];

	registry_close(&fx->w);
	(void)snprintf(aside, sizeof(aside), "%s/aside", fx->dir);
	assert_int_equal(rename(fx->path, aside), 0);
	OK(fx, roster_open(fx->dir, &x, &fx->e));
	check_none(x, "run weir init");
	roster_look(x);
	check_none(x, "run weir init");
	assert_int_equal(mkdir(fx->path, 0755), 0);
	roster_look(x);
	check_none(x, "no regular file");
	assert_int_equal(rmdir(fx->path), 0);
	assert_int_equal(rename(aside, fx->path), 0);
	roster_look(x);
	assert_false(has(x, "a"));
	roster_close(&x);
}

/* What is added is seen at once; a read that failed opens the file anew. */
static void test_goes_on(void **state)
{
	struct fixture *fx = *state;
	struct roster *x = NULL;
	struct err e = {.code = ERR_NONE};

	OK(fx, roster_open(fx->dir, &x, &fx->e));
	assert_false(has(x, "a"));
	fx_add(fx, "a");
	assert_true(has(x, "a"));
	roster_look(x);
	assert_true(has(x, "a"));
	assert_non_null(roster_retry(x, &e));
	assert_true(has(x, "a"));
	roster_close(&x);
}

static void copy_over(const char *from, const char *to)
{
	static char buf[1 << 20];
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	n = fread(buf, 1, sizeof(buf), in);
	assert_true(n != 0 && n < sizeof(buf));
	assert_int_equal(fwrite(buf, 1, n, out), n);
	assert_int_equal(fclose(out), 0);
	(void)fclose(in);
}

/* Overwritten where it lies, by a program that asks nobody. */
static void test_overwritten(void **state)
{
	struct fixture *fx = *state, other;
	struct roster *x = NULL;
	registry_close(&fx->w);
	OK(fx, roster_open(fx->dir, &x, &fx->e));
	assert_false(has(x, "new"));
	fx_dir(&other);
	OK(fx, registry_create(other.path, FX_ACTOR, FX_NOW, &fx->e));
	OK(fx, registry_open(other.path, REGISTRY_WRITE, &other.w, &fx->e));
	fx_add(&other, "new");
	registry_close(&other.w);
	copy_over(other.path, fx->path);
	roster_look(x);
	assert_true(has(x, "new"));
	roster_close(&x);
	fx_remove(&other);
}

static void test_too_long(void **state)
{
	static char name[5000];
	struct roster *x = NULL;
	struct err e;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	assert_false(roster_open(name, &x, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_null(x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replaced),
		TEST(test_gone_and_back),
		TEST(test_goes_on),
		TEST(test_overwritten),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
