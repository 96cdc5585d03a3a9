/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/http.h"

#include <stdint.h>

static bool refuse(struct http_refusal *r, unsigned status, const char *why)
{
	*r = (struct http_refusal){status, why};
	return false;
}

/* ------------------------------------------------------------- where it ends */

/* Blank lines before a request are skipped: RFC 9112 §2.2. */
static size_t blank(struct str in)
{
	size_t n = 0;

	while (in.n - n >= 2 && in.p[n] == '\r' && in.p[n + 1] == '\n')
		n += 2;
	return n;
}

static const char *line_end(const char *p, const char *end)
{
	while (end - p >= 2) {
		p = memchr(p, '\r', (size_t)(end - p - 1));
		if (p == NULL)
			return NULL;
		if (p[1] == '\n')
			return p;
		p++;
	}
	return NULL;
}

size_t http_head_end(struct str in, struct http_refusal *r)
{
	size_t skip = blank(in), n = 0;
	const char *end = in.p + in.n, *line = in.p + skip, *first, *at;

	*r = (struct http_refusal){0, NULL};
	first = line_end(line, end);
	for (at = first; at != NULL && n == 0; at = line_end(line, end)) {
		if (at == line)
			n = (size_t)(at - in.p) + 2;
		line = at + 2;
	}
	if (skip > HTTP_BLANK_MAX)
		(void)refuse(r, 400, "a request was awaited, not blank lines");
	else if ((first != NULL ? first : end) - (in.p + skip) >
		 ASK_TARGET_MAX + 64)
		(void)refuse(r, 414, "the request line is too long");
	else if (first != NULL &&
		 (n != 0 ? in.p + n : end) - first > HTTP_HEADERS_MAX)
		(void)refuse(r, 431, "the header fields are too long");
	return r->status == 0 ? n : 0;
}

/* -------------------------------------------------------------- characters */

/* tchar of RFC 9110 §5.6.2. */
static bool token_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!token_char(s.p[i]))
			return false;
	}
	return s.n != 0;
}

/* VCHAR, blanks and bytes above ASCII: no CR, LF or NUL, RFC 9110 §5.5. */
static bool is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7F)
			return false;
	}
	return true;
}

/* No blank ends up here, and no control character may. */
static bool is_target(struct str s)
{
	return is_value(s) && memchr(s.p, '\t', s.n) == NULL;
}

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool same_word(struct str a, struct str b)
{
	for (size_t i = 0; a.n == b.n && i < a.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	}
	return a.n == b.n;
}

static struct str trim(struct str s)
{
	while (s.n != 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n != 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* True when LIST, of words and commas, has WORD. */
static bool list_has(struct str list, struct str word)
{
	while (list.n != 0) {
		const char *comma = memchr(list.p, ',', list.n);
		size_t n = comma != NULL ? (size_t)(comma - list.p) : list.n;

		if (same_word(trim((struct str){list.p, n}), word))
			return true;
		n += comma != NULL;
		list.p += n;
		list.n -= n;
	}
	return false;
}

/* ----------------------------------------------------------- request line */

/* The bytes of *S before the next blank, which is taken off with them. */
static bool take_word(struct str *s, struct str *out)
{
	const char *at = s->n != 0 ? memchr(s->p, ' ', s->n) : NULL;

	if (at == NULL || at == s->p)
		return false;
	*out = (struct str){s->p, (size_t)(at - s->p)};
	s->p = at + 1;
	s->n -= out->n + 1;
	return true;
}

static enum ask_method method_of(struct str word)
{
	if (str_eq(word, STR("GET")))
		return ASK_GET;
	if (str_eq(word, STR("HEAD")))
		return ASK_HEAD;
	return str_eq(word, STR("POST")) ? ASK_POST : ASK_OTHER;
}

static bool read_line(
	struct str line, struct http_head *out, struct http_refusal *r)
{
	struct str method;

	if (!take_word(&line, &method) || !is_token(method) ||
		!take_word(&line, &out->target) || !is_target(out->target))
		return refuse(r, 400, "the request line is malformed");
	if (out->target.n > ASK_TARGET_MAX)
		return refuse(r, 414, "the target is too long");
	out->method = method_of(method);
	out->minor = str_eq(line, STR("HTTP/1.1"));
	if (out->minor || str_eq(line, STR("HTTP/1.0")))
		return true;
	if (line.n == 8 && memcmp(line.p, "HTTP/", 5) == 0)
		return refuse(r, 505, "only HTTP/1.1 and HTTP/1.0 are served");
	return refuse(r, 400, "the request line is malformed");
}

/* ------------------------------------------------------------------ headers */

/* What was said of the body, and of the connection. */
struct said {
	struct str length, connection, upgrade, expect, coding;
};

/* A value that is too large to be counted is longer than any body. */
static bool read_length(
	struct str text, struct http_head *out, struct http_refusal *r)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return refuse(r, 400, "Content-Length is no number");
		n = n < SIZE_MAX / 16 ? n * 10 + (size_t)(text.p[i] - '0')
				      : SIZE_MAX;
	}
	if (text.n == 0)
		return refuse(r, 400, "Content-Length is no number");
	out->length = n;
	return true;
}

static bool judge(
	const struct said *s, struct http_head *out, struct http_refusal *r)
{
	if (s->coding.p != NULL)
		return refuse(r, 501,
			"a Transfer-Encoding is not served; send the body "
			"with a Content-Length");
	if (s->length.p != NULL && !read_length(s->length, out, r))
		return false;
	if (s->length.p == NULL && out->method == ASK_POST)
		return refuse(r, 411, "a POST needs a Content-Length");
	if (out->minor && out->host.p == NULL)
		return refuse(r, 400, "there is no Host");
	if (s->expect.p != NULL) {
		if (!same_word(s->expect, STR("100-continue")))
			return refuse(r, 417,
				"of Expect only 100-continue "
				"is served");
		out->expect = out->minor && out->length != 0;
	}
	out->close = !out->minor || list_has(s->connection, STR("close"));
	out->upgrade = out->minor && out->method == ASK_GET &&
		       out->length == 0 &&
		       list_has(s->connection, STR("upgrade")) &&
		       list_has(s->upgrade, STR("websocket"));
	return true;
}

/* Two headers that say the same thing twice may say two things. Connection,
 * Upgrade and Sec-WebSocket-Version are lists, of which one line is enough. */
static bool read_field(struct str line, struct http_head *out, struct said *s,
	struct http_refusal *r)
{
	const struct {
		struct str name;
		struct str *into;
	} known[] = {
		{STR("host"), &out->host},
		{STR("origin"), &out->origin},
		{STR("authorization"), &out->authorization},
		{STR("content-type"), &out->content_type},
		{STR("content-length"), &s->length},
		{STR("transfer-encoding"), &s->coding},
		{STR("connection"), &s->connection},
		{STR("upgrade"), &s->upgrade},
		{STR("expect"), &s->expect},
		{STR("sec-websocket-key"), &out->socket_key},
		{STR("sec-websocket-version"), &out->socket_version},
	};
	const char *colon = line.n != 0 ? memchr(line.p, ':', line.n) : NULL;
	struct str name = {line.p, colon ? (size_t)(colon - line.p) : 0};
	struct str value;

	if (colon == NULL || !is_token(name))
		return refuse(r, 400, "a header field is malformed");
	value = (struct str){colon + 1, line.n - name.n - 1};
	if (!is_value(value))
		return refuse(r, 400,
			"a header field holds a control "
			"character");
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!same_word(name, known[i].name))
			continue;
		if (known[i].into->p != NULL)
			return refuse(r, 400, "a header field is there twice");
		*known[i].into = trim(value);
	}
	return true;
}

bool http_parse(struct str head, struct http_head *out, struct http_refusal *r)
{
	const char *end = head.p + head.n, *line = head.p + blank(head);
	const char *at = line_end(line, end);
	struct said said = {0};
	unsigned n = 0;

	*out = (struct http_head){0};
	*r = (struct http_refusal){0, NULL};
	if (at == NULL ||
		!read_line((struct str){line, (size_t)(at - line)}, out, r))
		return at == NULL ? refuse(r, 400, "there is no request line")
				  : false;
	for (line = at + 2; (at = line_end(line, end)) != NULL; line = at + 2) {
		if (at == line)
			return judge(&said, out, r);
		if (++n > HTTP_FIELDS_MAX)
			return refuse(r, 431,
				"there are too many header "
				"fields");
		if (!read_field((struct str){line, (size_t)(at - line)}, out,
			    &said, r))
			return false;
	}
	return refuse(r, 400, "the head does not end");
}
