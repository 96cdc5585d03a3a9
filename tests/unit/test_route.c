/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/feed.h"
#include "feed/route.h"

static const struct {
	const char *pattern, *path;
	bool match;
} matches[] = {
	{"/", "/", true},
	{"/", "/a", false},
	{"/a", "/", false},
	{"/a", "/a", true},
	{"/a", "/ab", false},
	{"/ab", "/a", false},
	{"/a", "/a/b", false},
	{"/a/b", "/a", false},
	{"/a/b", "/a/b", true},
	{"/d/{id}", "/d/x", true},
	{"/d/{id}", "/d/{id}", true},
	{"/d/{id}", "/d/", false},
	{"/d/{id}", "/d", false},
	{"/d/{id}", "/d/x/y", false},
	{"/d/{id}/usage", "/d/x/usage", true},
	{"/d/{id}/usage", "/d/x/usages", false},
	{"/d/{id}/usage", "/d/x", false},
	{"/d/{id}/usage", "/d//usage", false},
	{"/{a}/{b}", "/x/y", true},
	{"/{a}/{b}", "/x", false},
	{"/A", "/a", false},
	{"/a", "", false},
};

static void test_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		if (route_matches(matches[i].pattern,
			    str_from(matches[i].path)) != matches[i].match)
			fail_msg("%s, %s", matches[i].pattern, matches[i].path);
	}
}

/* Each route is found by its own pattern, with its own method: none hides
 * another. */
static void test_table(void **state)
{
	(void)state;
	for (const struct route *r = ROUTES; r->pattern != NULL; r++) {
		const char *allow = NULL;
		bool known = false;

		assert_ptr_equal(route_find(r->method, str_from(r->pattern),
					 &known, &allow),
			r);
		assert_non_null(r->handle);
		/* What changes something takes the right to act. */
		if (r->method == ASK_POST)
			assert_int_equal(r->right, RIGHT_ACT);
	}
}

static void test_find(void **state)
{
	const char *allow = NULL;
	bool known = true;

	(void)state;
	assert_null(route_find(ASK_GET, STR("/nothing"), &known, &allow));
	assert_false(known);
	assert_null(
		route_find(ASK_POST, STR("/api/v1/health"), &known, &allow));
	assert_true(known);
	assert_string_equal(allow, "GET, HEAD");
	assert_null(
		route_find(ASK_OTHER, STR("/api/v1/health"), &known, &allow));
	assert_true(known);
	assert_ptr_equal(
		route_find(ASK_HEAD, STR("/api/v1/health"), &known, &allow),
		route_find(ASK_GET, STR("/api/v1/health"), &known, &allow));
}

static unsigned answered(
	enum ask_method method, const char *path, enum ask_right right)
{
	static struct watch w;
	static struct feed f = {.watch = &w};
	struct ask q = {
		.method = method, .path = str_from(path), .right = right};
	struct answer a = {0};
	unsigned status;

	route_answer(&f, &q, &a);
	status = a.status != 0 ? a.status : 200;
	assert_true((a.allow != NULL) == (status == 405));
	assert_true((a.challenge != NULL) == (status == 401));
	answer_free(&a);
	return status;
}

static void test_answers(void **state)
{
	(void)state;
	assert_int_equal(
		answered(ASK_GET, "/api/v1/openapi.json", RIGHT_NONE), 200);
	assert_int_equal(answered(ASK_OTHER, "/api/v1/health", RIGHT_ACT), 405);
	assert_int_equal(answered(ASK_GET, "/nothing", RIGHT_ACT), 404);
	/* What it takes, with each right less: a missing one is 401, one that
	 * does not suffice 403. */
	for (const struct route *r = ROUTES; r->pattern != NULL; r++) {
		for (unsigned has = RIGHT_NONE; has < r->right; has++)
			assert_int_equal(answered(r->method, r->pattern,
						 (enum ask_right)has),
				has == RIGHT_NONE ? 401 : 403);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
