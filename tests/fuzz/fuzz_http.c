/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a request. Oracle: a head's end is where the first blank line
 * after its request line is, found by a search from each byte, and no beginning
 * of it is taken for a head; what is accepted has the lines that a second reader
 * finds, and, written anew with each field on a line of its own, is accepted as
 * the same.
 */
#include "feed/http.h"
#include "feed/text.h"
#include "tests/support/check.h"

#include <stdint.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ------------------------------------------------------------------- the end */

static size_t end_of(struct str in)
{
	size_t from = 0;

	while (from + 2 <= in.n && memcmp(in.p + from, "\r\n", 2) == 0)
		from += 2;
	for (size_t i = from; i + 4 <= in.n; i++) {
		if (memcmp(in.p + i, "\r\n\r\n", 4) == 0)
			return i + 4;
	}
	return 0;
}

static void check_end(struct str in, size_t n, const struct http_refusal *r)
{
	struct http_refusal earlier;

	CHECK(n <= in.n && (n == 0 || r->status == 0));
	CHECK((r->why != NULL) == (r->status != 0));
	if (r->status == 0)
		CHECK(n == end_of(in));
	for (size_t i = 0; i < in.n && i < 300; i++) {
		size_t before = http_head_end((struct str){in.p, i}, &earlier);

		CHECK(before == 0 || before == n);
		CHECK(n == 0 || i >= n || before == 0);
		/* What is too long does not become shorter. */
		CHECK(earlier.status == 0 || r->status != 0);
	}
}

/* --------------------------------------------------------------- a second reader */

/* The value of the only field NAME of HEAD; *n says how many there are. */
static struct str field(struct str head, const char *name, size_t *n)
{
	struct str found = {NULL, 0};
	size_t at = 0, len = strlen(name);

	*n = 0;
	while (at < head.n) {
		const char *line = head.p + at;
		size_t k = 0;

		while (at + k + 1 < head.n && memcmp(line + k, "\r\n", 2) != 0)
			k++;
		at += k + 2;
		if (k <= len || strncasecmp(line, name, len) != 0 ||
			line[len] != ':')
			continue;
		(*n)++;
		found = (struct str){line + len + 1, k - len - 1};
		while (found.n != 0 && strchr(" \t", found.p[0]) != NULL)
			found = (struct str){found.p + 1, found.n - 1};
		while (found.n != 0 &&
			strchr(" \t", found.p[found.n - 1]) != NULL)
			found.n--;
	}
	return found;
}

static void check_field(struct str head, const char *name, struct str value)
{
	size_t n;
	struct str found = field(head, name, &n);

	CHECK(n <= 1);
	CHECK((value.p != NULL) == (n == 1));
	CHECK(n == 0 ||
		(value.p != NULL && found.p != NULL && str_eq(value, found)));
}

/* No control character but line ends and tabs, and no line begins with a
 * blank. */
static void check_characters(struct str head)
{
	for (size_t i = 0; i < head.n; i++) {
		unsigned char c = (unsigned char)head.p[i];

		CHECK(c >= 0x20 || c == '\t' || c == '\r' || c == '\n');
		CHECK(c != 0x7F);
		CHECK(c != '\r' || head.p[i + 1] == '\n');
		CHECK(c != '\n' || head.p[i - 1] == '\r');
		CHECK(c != '\n' || i + 1 == head.n ||
			(head.p[i + 1] != ' ' && head.p[i + 1] != '\t'));
	}
}

static void check_lines(struct str head, const struct http_head *h)
{
	size_t n;
	char length[24];

	check_characters(head);
	check_field(head, "host", h->host);
	check_field(head, "origin", h->origin);
	check_field(head, "authorization", h->authorization);
	check_field(head, "content-type", h->content_type);
	check_field(head, "sec-websocket-key", h->socket_key);
	check_field(head, "sec-websocket-version", h->socket_version);
	(void)field(head, "transfer-encoding", &n);
	CHECK(n == 0);
	(void)field(head, "content-length", &n);
	CHECK(n == 1 || (h->length == 0 && h->method != ASK_POST));
	(void)snprintf(length, sizeof(length), "%zu", h->length);
	if (n == 1 && h->length != SIZE_MAX) {
		struct str digits = field(head, "content-length", &n);

		while (digits.n > 1 && digits.p[0] == '0')
			digits = (struct str){digits.p + 1, digits.n - 1};
		CHECK(str_eq(digits, str_from(length)));
	}
	CHECK(!h->minor || h->host.p != NULL);
	CHECK(h->minor || h->close);
	CHECK(!h->upgrade ||
		(h->minor && h->method == ASK_GET && h->length == 0));
}

/* ----------------------------------------------------------------- written anew */

static void add_field(struct text *t, const char *name, struct str value)
{
	if (value.p != NULL)
		text_fmt(t, "%s: %.*s\r\n", name, STR_ARG(value));
}

static void check_again(const struct http_head *h)
{
	static const char *const methods[] = {"BREW", "GET", "HEAD", "POST"};
	struct http_refusal r;
	struct http_head a;
	struct text t = {0};

	text_fmt(&t, "%s %.*s HTTP/1.%d\r\n", methods[h->method],
		STR_ARG(h->target), h->minor);
	add_field(&t, "HOST", h->host);
	add_field(&t, "Origin", h->origin);
	add_field(&t, "authorization", h->authorization);
	add_field(&t, "Content-Type", h->content_type);
	add_field(&t, "Sec-WebSocket-Key", h->socket_key);
	add_field(&t, "Sec-WebSocket-Version", h->socket_version);
	text_fmt(&t, "Content-Length: %zu\r\n", h->length);
	text_fmt(&t, "Connection: %s%s\r\n", h->close ? "close, " : "",
		h->upgrade ? "upgrade" : "te");
	if (h->upgrade)
		text_add(&t, STR("Upgrade: WEBSOCKET\r\n"));
	if (h->expect)
		text_add(&t, STR("Expect: 100-continue\r\n"));
	text_add(&t, STR("\r\n"));
	CHECK(http_head_end((struct str){t.p, t.n}, &r) == t.n ||
		r.status == 431);
	CHECK(http_parse((struct str){t.p, t.n}, &a, &r));
	CHECK(a.method == h->method && a.minor == h->minor);
	CHECK(a.length == h->length && a.close == h->close);
	CHECK(a.upgrade == h->upgrade && a.expect == h->expect);
	CHECK(str_eq(a.target, h->target) && str_eq(a.host, h->host));
	CHECK(str_eq(a.origin, h->origin));
	CHECK(str_eq(a.authorization, h->authorization));
	CHECK(str_eq(a.content_type, h->content_type));
	CHECK(str_eq(a.socket_key, h->socket_key));
	CHECK(str_eq(a.socket_version, h->socket_version));
	text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	struct http_refusal r;
	struct http_head h;
	size_t n = http_head_end(in, &r);

	check_end(in, n, &r);
	if (n == 0)
		return 0;
	in.n = n;
	if (!http_parse(in, &h, &r)) {
		CHECK(r.status >= 400 && r.why != NULL);
		return 0;
	}
	CHECK(r.status == 0);
	check_lines(in, &h);
	check_again(&h);
	return 0;
}
