/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/reply.h"

#include <time.h>

bool reply_has_body(unsigned status)
{
	return status >= 200 && status != 204 && status != 304;
}

/* RFC 9110 §5.6.7; in the C locale, which is the process's. */
static void add_date(struct text *out, int64_t now_s)
{
	char when[32];
	time_t t = (time_t)now_s;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL &&
		strftime(when, sizeof(when), "%a, %d %b %Y %H:%M:%S GMT",
			&tm) != 0)
		text_fmt(out, "Date: %s\r\n", when);
}

/* What a browser is told: nothing of this is a page, a script or to be kept,
 * and no other site may read it (there is no CORS header). */
static void add_fixed(struct text *out)
{
	text_add(out, STR("Cache-Control: no-store\r\n"
			  "Content-Security-Policy: default-src 'none'; "
			  "frame-ancestors 'none'\r\n"
			  "X-Content-Type-Options: nosniff\r\n"
			  "Cross-Origin-Resource-Policy: same-origin\r\n"
			  "Referrer-Policy: no-referrer\r\n"));
}

void reply_head(const struct answer *a, enum reply_body how, bool close,
	int64_t now_s, struct text *out)
{
	unsigned status = a->status != 0 ? a->status : 200;

	text_fmt(out, "HTTP/1.1 %u %s\r\n", status, answer_reason(status));
	add_date(out, now_s);
	add_fixed(out);
	if (reply_has_body(status)) {
		text_fmt(out, "Content-Type: %s\r\n",
			a->content_type != NULL ? a->content_type
						: "application/json");
		if (how == REPLY_LENGTH)
			text_fmt(out, "Content-Length: %zu\r\n", a->body.n);
		else if (how == REPLY_CHUNKED)
			text_add(out, STR("Transfer-Encoding: chunked\r\n"));
	}
	if (a->allow != NULL)
		text_fmt(out, "Allow: %s\r\n", a->allow);
	if (a->challenge != NULL)
		text_fmt(out, "WWW-Authenticate: %s\r\n", a->challenge);
	if (status == 426)
		text_add(out, STR("Upgrade: websocket\r\n"
				  "Sec-WebSocket-Version: 13\r\n"));
	if (a->retry_after_s != 0)
		text_fmt(out, "Retry-After: %u\r\n", a->retry_after_s);
	if (close)
		text_add(out, STR("Connection: close\r\n"));
	text_add(out, STR("\r\n"));
}

void reply_upgrade(struct text *out, const char *accept)
{
	text_fmt(out,
		"HTTP/1.1 101 Switching Protocols\r\n"
		"Upgrade: websocket\r\n"
		"Connection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n\r\n",
		accept);
}

void reply_chunk(struct text *out, struct str piece)
{
	if (piece.n == 0)
		return;
	text_fmt(out, "%zx\r\n", piece.n);
	text_add(out, piece);
	text_add(out, STR("\r\n"));
}

void reply_last_chunk(struct text *out)
{
	text_add(out, STR("0\r\n\r\n"));
}
