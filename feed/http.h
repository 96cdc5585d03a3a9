/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP/1.1 request, taken apart strictly: what two readers could
 * understand in two ways is refused. Pure.
 *
 * Weir reads it itself. libwebsockets 4.1 shows a target only after it has
 * decoded it and resolved ".." in it, ends a head that is too long or malformed
 * with a page of its own or without a word, takes "Content-Length: 5x", and
 * turns CONNECT into a raw connection.
 */
#ifndef FEED_HTTP_H
#define FEED_HTTP_H

#include "core/str.h"
#include "feed/ask.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEADERS_MAX 8192u /* bytes of all header lines */
#define HTTP_FIELDS_MAX  64u
#define HTTP_BLANK_MAX   4u /* bytes of blank lines before a request */

/* What of a head is of interest; all lies in it. A header that is not there
 * has p NULL. */
struct http_head {
	enum ask_method method;
	struct str target;
	bool minor; /* HTTP/1.1; else 1.0 */
	struct str host, origin, authorization, content_type;
	struct str socket_key, socket_version; /* Sec-WebSocket-… */
	size_t length; /* of the body; SIZE_MAX: more than can be counted */
	bool close;    /* no other request shall follow */
	bool upgrade;  /* it asks for a WebSocket */
	bool expect;   /* it waits for "100 Continue" */
};

/* A refusal: what is answered, before the connection ends. */
struct http_refusal {
	unsigned status; /* 0: none */
	const char *why; /* static */
};

/*
 * How many bytes of IN the next head has, its blank line included; 0: its end
 * has not come yet. *r: what has come is too long already.
 */
size_t http_head_end(struct str in, struct http_refusal *r);

/*
 * Takes HEAD, as long as http_head_end said, apart. False, and *r: it is
 * malformed (400), has a body of unknown length (411, 501), a version (505) or
 * expectation (417) that is not served.
 * Source: RFC 9112 §2.2, §3, §5, §6; RFC 9110 §5.5, §10.1.1.
 */
bool http_parse(struct str head, struct http_head *out, struct http_refusal *r);

#endif
