/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/answer.h"

#include <stdarg.h>
#include <stdio.h>

const char *answer_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} known[] = {
		{200, "OK"},
		{202, "Accepted"},
		{204, "No Content"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{421, "Misdirected Request"},
		{426, "Upgrade Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].status == status)
			return known[i].reason;
	}
	return "Unknown";
}

static void drop(struct answer *a)
{
	if (a->drop != NULL)
		a->drop(a->ctx);
	a->more = NULL;
	a->stream = NULL;
	a->drop = NULL;
	a->ctx = NULL;
}

static void problem(struct answer *a, unsigned status, const char *place,
	const char *detail)
{
	drop(a);
	text_clear(&a->body);
	a->status = status;
	a->content_type = "application/problem+json";
	json_open(&a->body, NULL, '{');
	json_text(&a->body, "type", STR("about:blank"));
	json_text(&a->body, "title", str_from(answer_reason(status)));
	json_number(&a->body, "status", status);
	json_text(&a->body, "detail", str_from(detail));
	if (place[0] != '\0')
		json_text(&a->body, "place", str_from(place));
	json_close(&a->body, '}');
	json_line_end(&a->body);
}

void answer_problem(
	struct answer *a, unsigned status, const char *detail_fmt, ...)
{
	char detail[ERR_PLACE_MAX + ERR_MSG_MAX];
	va_list args;

	va_start(args, detail_fmt);
	(void)vsnprintf(detail, sizeof(detail), detail_fmt, args);
	va_end(args);
	problem(a, status, "", detail);
}

void answer_err(struct answer *a, const struct err *e)
{
	unsigned status = 500;

	switch (e->code) {
	case ERR_INPUT:
		status = 400;
		break;
	case ERR_NOT_FOUND:
		status = 404;
		break;
	case ERR_CONFLICT:
		status = 409;
		break;
	case ERR_ENVIRONMENT:
		status = 503;
		break;
	case ERR_NONE:
		break;
	}
	problem(a, status, e->place, e->msg);
}

void answer_free(struct answer *a)
{
	drop(a);
	text_free(&a->body);
	*a = (struct answer){0};
}
