/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/http.h"
#include "feed/text.h"
#include "tests/support/guard.h"

#include <stdio.h>

static struct guard guard;

#define GET  "GET /a HTTP/1.1\r\nHost: x\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: x\r\n"

/* STATUS 0: accepted. */
static const struct {
	const char *head;
	unsigned status;
} heads[] = {
	{GET "\r\n", 0},
	{"\r\n\r\n" GET "\r\n", 0},
	{"HEAD / HTTP/1.1\r\nhOsT:x\r\n\r\n", 0},
	{"GET /a HTTP/1.0\r\n\r\n", 0},
	{"BREW /a HTTP/1.1\r\nHost: x\r\n\r\n", 0},
	{GET "Accept: a\r\nAccept: b\r\nX-Y:\r\n\r\n", 0},
	{GET "X: \x80\xFF\ttab\r\n\r\n", 0},
	{GET "Content-Length: 0\r\n\r\n", 0},
	{POST "Content-Length: 12\r\n\r\n", 0},
	{POST "Content-Length: 99999999999999999999999\r\n\r\n", 0},
	{POST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n", 0},
	/* the request line */
	{"\r\n\r\n", 400},
	{"GET\r\n\r\n", 400},
	{"GET /a\r\n\r\n", 400},
	{"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	{"GET /a  HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	{"GET /a HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
	{" GET /a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	{"G{T /a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	{"GET /a\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	{"GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	{"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", 400},
	{"GET /a HTTQ/1.1\r\nHost: x\r\n\r\n", 400},
	{"GET /a HTTP/1.1x\r\nHost: x\r\n\r\n", 400},
	{"GET /a HTTP/1.2\r\nHost: x\r\n\r\n", 505},
	{"GET /a HTTP/2.0\r\nHost: x\r\n\r\n", 505},
	{"PRI * HTTP/2.0\r\n\r\n", 505},
	/* headers that two readers could read in two ways */
	{"GET /a HTTP/1.1\r\n\r\n", 400},
	{GET "Host: y\r\n\r\n", 400},
	{GET "X : y\r\n\r\n", 400},
	{GET " folded\r\n\r\n", 400},
	{GET "X: y\r\n folded\r\n\r\n", 400},
	{GET "no colon\r\n\r\n", 400},
	{GET ": y\r\n\r\n", 400},
	{GET "X: a\rb\r\n\r\n", 400},
	{GET "X: a\nb: c\r\n\r\n", 400},
	{GET "X: \x01\r\n\r\n", 400},
	{GET "X: \x7f\r\n\r\n", 400},
	{GET "X\x80: a\r\n\r\n", 400},
	{GET "Origin: a\r\nOrigin: b\r\n\r\n", 400},
	{GET "Authorization: a\r\nAuthorization: b\r\n\r\n", 400},
	/* bodies whose end is not plain */
	{POST "\r\n", 411},
	{POST "Content-Length:\r\n\r\n", 400},
	{POST "Content-Length: +5\r\n\r\n", 400},
	{POST "Content-Length: -5\r\n\r\n", 400},
	{POST "Content-Length: 5x\r\n\r\n", 400},
	{POST "Content-Length: 0x5\r\n\r\n", 400},
	{POST "Content-Length: 5, 5\r\n\r\n", 400},
	{POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
	{POST "Transfer-Encoding: chunked\r\n\r\n", 501},
	{POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
	{GET "Transfer-Encoding: identity\r\n\r\n", 501},
	{POST "Content-Length: 5\r\nExpect: a\r\n\r\n", 417},
};

static void test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct str in = guard_put(&guard, str_from(heads[i].head));
		struct http_refusal r;
		struct http_head h;
		bool done = http_parse(in, &h, &r);

		if (r.status != heads[i].status || done != (r.status == 0))
			fail_msg("%s: %u %s", heads[i].head, r.status, r.why);
		assert_true((r.why != NULL) == (r.status != 0));
		/* Its end is where it ends, and not before. */
		if (!done)
			continue;
		assert_int_equal(http_head_end(in, &r), in.n);
		for (size_t n = 0; n < in.n; n++) {
			assert_int_equal(
				http_head_end((struct str){in.p, n}, &r), 0);
			assert_int_equal(r.status, 0);
		}
	}
}

static void parse(const char *text, struct http_head *out)
{
	struct http_refusal r;

	if (!http_parse(str_from(text), out, &r))
		fail_msg("%s: %s", text, r.why);
}

static void test_fields(void **state)
{
	struct http_head h;

	(void)state;
	parse("POST /a?b HTTP/1.1\r\nHost:  h:1 \t\r\nOrigin: http://h:1\r\n"
	      "Content-Type: application/json\r\nContent-Length: 007\r\n"
	      "Authorization: Bearer x\r\nExpect: 100-continue\r\n\r\n",
		&h);
	assert_int_equal(h.method, ASK_POST);
	assert_true(str_eq(h.target, STR("/a?b")));
	assert_true(str_eq(h.host, STR("h:1")));
	assert_true(str_eq(h.origin, STR("http://h:1")));
	assert_true(str_eq(h.content_type, STR("application/json")));
	assert_true(str_eq(h.authorization, STR("Bearer x")));
	assert_int_equal(h.length, 7);
	assert_true(h.expect && h.minor && !h.close && !h.upgrade);
	parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &h);
	assert_true(h.close && !h.minor);
	assert_null(h.host.p);
	parse(GET "Connection: TE, Close\r\n\r\n", &h);
	assert_true(h.close);
	parse(GET "Connection: closed\r\n\r\n", &h);
	assert_false(h.close);
	parse(POST "Content-Length: 99999999999999999999999\r\n\r\n", &h);
	assert_true(h.length == SIZE_MAX);
}

static void test_upgrade(void **state)
{
	struct http_head h;

	(void)state;
	parse(GET "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
		  "Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n",
		&h);
	assert_true(h.upgrade);
	assert_true(str_eq(h.socket_key, STR("k")));
	assert_true(str_eq(h.socket_version, STR("13")));
	parse(GET "Upgrade: websocket\r\n\r\n", &h);
	assert_false(h.upgrade);
	parse(GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", &h);
	assert_false(h.upgrade);
	parse(POST "Content-Length: 0\r\nConnection: upgrade\r\nUpgrade: "
		   "websocket\r\n\r\n",
		&h);
	assert_false(h.upgrade);
}

/* A head of LINE bytes of target and FIELDS of one header: what is said of
 * it, 200 when it ends. WHOLE: it ends; else it stops within the header. */
static unsigned too_long(size_t line, size_t fields, bool whole)
{
	struct http_refusal r;
	struct text t = {0};
	unsigned status;

	text_fmt(&t, "GET /%0*d", (int)line - 1, 0);
	if (whole || fields != 0)
		text_fmt(&t, " HTTP/1.1\r\nX: %0*d", (int)fields, 0);
	if (whole)
		text_add(&t, STR("\r\n\r\n"));
	status = http_head_end((struct str){t.p, t.n}, &r) == t.n ? 200
								  : r.status;
	text_free(&t);
	return status;
}

static void test_limits(void **state)
{
	char many[2048] = GET;
	size_t n = strlen(many);
	struct http_refusal r;
	struct http_head h;

	(void)state;
	assert_int_equal(too_long(ASK_TARGET_MAX, 0, false), 0);
	assert_int_equal(too_long(ASK_TARGET_MAX + 64, 0, false), 414);
	assert_int_equal(too_long(ASK_TARGET_MAX + 64, 0, true), 414);
	assert_int_equal(too_long(10, HTTP_HEADERS_MAX - 64, true), 200);
	assert_int_equal(too_long(10, HTTP_HEADERS_MAX - 64, false), 0);
	assert_int_equal(too_long(10, HTTP_HEADERS_MAX + 64, false), 431);
	assert_int_equal(too_long(10, HTTP_HEADERS_MAX + 64, true), 431);
	assert_int_equal(
		http_head_end(STR("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), &r),
		0);
	assert_int_equal(r.status, 400);
	for (unsigned i = 0; i < HTTP_FIELDS_MAX; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "a: b\r\n");
	(void)snprintf(many + n, sizeof(many) - n, "\r\n");
	assert_false(http_parse(str_from(many), &h, &r));
	assert_int_equal(r.status, 431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_limits),
	};
	int failed;

	guard_init(&guard, 16384);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
