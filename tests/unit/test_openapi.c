/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/openapi.json, as the feed serves it, held to the routes: each is in it,
 * with its method and its right, and nothing else is.
 */
#include "feed/api_openapi.h"
#include "feed/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

static int setup(void **state)
{
	cJSON *doc = cJSON_ParseWithLength(OPENAPI_JSON, OPENAPI_JSON_LEN);

	assert_non_null(doc);
	*state = doc;
	return 0;
}

static int teardown(void **state)
{
	cJSON_Delete(*state);
	return 0;
}

static const char *method_name(enum ask_method m)
{
	return m == ASK_GET ? "get" : m == ASK_POST ? "post" : "";
}

/* What the document says it takes: nothing, a token or none, a token. */
static enum ask_right right_of(const cJSON *operation)
{
	const cJSON *security = cJSON_GetObjectItem(operation, "security");
	const cJSON *x;
	bool open = false;

	assert_true(cJSON_IsArray(security));
	if (cJSON_GetArraySize(security) == 0)
		return RIGHT_NONE;
	cJSON_ArrayForEach (x, security)
		open = open || cJSON_GetArraySize(x) == 0;
	return open ? RIGHT_READ : RIGHT_ACT;
}

static void test_each_route_is_in_it(void **state)
{
	const cJSON *paths = cJSON_GetObjectItem(*state, "paths");

	for (const struct route *r = ROUTES; r->pattern != NULL; r++) {
		const cJSON *path =
			cJSON_GetObjectItemCaseSensitive(paths, r->pattern);
		const cJSON *operation = cJSON_GetObjectItemCaseSensitive(
			path, method_name(r->method));

		if (operation == NULL)
			fail_msg("%s %s is not in docs/openapi.json",
				method_name(r->method), r->pattern);
		if (right_of(operation) != r->right)
			fail_msg("%s: docs/openapi.json says another right",
				r->pattern);
	}
}

static void check_route(const char *pattern, const char *method)
{
	for (const struct route *r = ROUTES; r->pattern != NULL; r++) {
		if (strcmp(r->pattern, pattern) == 0 &&
			strcmp(method_name(r->method), method) == 0)
			return;
	}
	fail_msg("%s %s is no route", method, pattern);
}

static void test_all_in_it_is_a_route(void **state)
{
	const cJSON *paths = cJSON_GetObjectItem(*state, "paths");
	const cJSON *path, *operation;

	assert_true(cJSON_GetArraySize(paths) > 5);
	cJSON_ArrayForEach (path, paths) {
		assert_true(cJSON_GetArraySize(path) > 0);
		cJSON_ArrayForEach (operation, path) {
			check_route(path->string, operation->string);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_route_is_in_it),
		TEST(test_all_in_it_is_a_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
