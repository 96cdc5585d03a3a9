/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody asks over HTTP, parsed: a method, a path, arguments, a body,
 * and who it is. Pure: nothing here knows of sockets.
 */
#ifndef FEED_ASK_H
#define FEED_ASK_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stdint.h>

#define ASK_TARGET_MAX 2048u /* bytes of path and query */
#define ASK_BODY_MAX   65536u
#define ASK_ARGS       24u
#define ASK_WHO_MAX    80

enum ask_method {
	ASK_OTHER = 0, /* none that is served */
	ASK_GET,
	ASK_HEAD,
	ASK_POST,
};

/* What an identity may do. */
enum ask_right {
	RIGHT_NONE = 0,
	RIGHT_READ = 1,
	RIGHT_ACT = 2, /* includes reading */
};

struct ask_arg {
	struct str name, value; /* decoded; valid UTF-8 without NUL */
};

struct ask {
	enum ask_method method;
	struct str path; /* decoded; "/api/v1/devices/meter-7" */
	struct ask_arg arg[ASK_ARGS];
	size_t n_args;
	struct str body;         /* borrowed */
	struct str content_type; /* borrowed; "" if none */
	/* Set by access: */
	enum ask_right right;
	char who[ASK_WHO_MAX]; /* "token ops", "certificate CN", "loopback" */
	uint8_t address[16];   /* of the peer; IPv4 mapped */
	char held[ASK_TARGET_MAX + 1]; /* what path and args point into */
};

/*
 * Takes TARGET, a request target in origin form ("/a/b?c=d"), apart into path
 * and arguments of *OUT. ERR_INPUT: too long, not absolute, a dot segment, an
 * empty segment, an escaped '/' in the path, a bad escape, malformed UTF-8, a
 * control character, an argument without a name or twice, too many. A '+' is a
 * '+'. On false path and arguments are empty.
 * Source: RFC 9112 §3.2.1, RFC 3986 §2.1, §3.3, §3.4.
 */
MUST bool ask_parse(struct str target, struct ask *out, struct err *e);

/* The argument's value; p NULL when it is not given. */
struct str ask_arg(const struct ask *a, const char *name);

/* ERR_INPUT, its place the argument that is none of the N NAMES. */
MUST bool ask_only(
	const struct ask *a, const char *const *names, size_t n, struct err *e);

/* The segment of the path after PREFIX up to '/' or the end; n 0: none. REST
 * is what follows. "/api/v1/devices/x/usage" after "/api/v1/devices/": "x",
 * "/usage". */
struct str ask_segment(
	const struct ask *a, const char *prefix, struct str *rest);

#endif
