/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/answer.h"
#include "feed/reply.h"

static void count_drop(void *ctx)
{
	(*(int *)ctx)++;
}

static enum answer_more never(struct answer *a)
{
	(void)a;
	return ANSWER_BROKEN;
}

static void test_problem(void **state)
{
	struct answer a = {0};
	int dropped = 0;

	(void)state;
	text_add(&a.body, STR("half an answ"));
	a.more = never;
	a.drop = count_drop;
	a.ctx = &dropped;
	answer_problem(&a, 400, "argument '%s' is no time", "since");
	assert_int_equal(a.status, 400);
	assert_int_equal(dropped, 1);
	assert_null(a.more);
	assert_string_equal(a.content_type, "application/problem+json");
	assert_string_equal(a.body.p,
		"{\"type\":\"about:blank\",\"title\":\"Bad Request\","
		"\"status\":400,\"detail\":\"argument 'since' is no time\"}\n");
	answer_free(&a);
	assert_int_equal(dropped, 1);
	assert_null(a.body.p);
	answer_free(&a);
}

static void test_err(void **state)
{
	static const struct {
		enum err_code code;
		unsigned status;
	} table[] = {
		{ERR_NONE, 500},
		{ERR_INPUT, 400},
		{ERR_NOT_FOUND, 404},
		{ERR_CONFLICT, 409},
		{ERR_ENVIRONMENT, 503},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct answer a = {0};
		struct err e = {.code = table[i].code};

		(void)err_set(&e, table[i].code, "a \"word\"");
		(void)err_at(&e, "reason");
		answer_err(&a, &e);
		assert_int_equal(a.status, table[i].status);
		assert_non_null(
			strstr(a.body.p, "\"detail\":\"a \\\"word\\\"\""));
		assert_non_null(strstr(a.body.p, "\"place\":\"reason\""));
		answer_free(&a);
	}
}

static void test_reply(void **state)
{
	struct answer a = {.retry_after_s = 7, .allow = "GET, HEAD"};
	struct text out = {0};

	(void)state;
	text_add(&a.body, STR("12345"));
	reply_head(&a, REPLY_LENGTH, false, 784111777, &out);
	/* The example of RFC 9110 §5.6.7. */
	assert_non_null(
		strstr(out.p, "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	assert_memory_equal(out.p, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(out.p, "\r\nContent-Length: 5\r\n"));
	assert_non_null(
		strstr(out.p, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(out.p, "\r\nRetry-After: 7\r\n"));
	assert_non_null(strstr(out.p, "\r\nAllow: GET, HEAD\r\n"));
	assert_null(strstr(out.p, "Connection"));
	assert_null(strstr(out.p, "Access-Control"));
	assert_string_equal(out.p + out.n - 4, "\r\n\r\n");
	text_clear(&out);
	a.status = 404;
	reply_head(&a, REPLY_CHUNKED, true, 0, &out);
	assert_memory_equal(out.p, "HTTP/1.1 404 Not Found\r\n", 24);
	assert_non_null(strstr(out.p, "\r\nTransfer-Encoding: chunked\r\n"));
	assert_null(strstr(out.p, "Content-Length"));
	assert_non_null(strstr(out.p, "\r\nConnection: close\r\n"));
	text_clear(&out);
	a.status = 204;
	reply_head(&a, REPLY_LENGTH, false, 0, &out);
	assert_null(strstr(out.p, "Content-"
				  "Length"));
	text_free(&out);
	answer_free(&a);
}

static void test_chunks(void **state)
{
	struct text out = {0};

	(void)state;
	reply_chunk(&out, STR(""));
	assert_int_equal(out.n, 0);
	reply_chunk(&out, STR("0123456789abcdef"));
	reply_last_chunk(&out);
	assert_string_equal(out.p, "10\r\n0123456789abcdef\r\n0\r\n\r\n");
	text_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_problem),
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
