/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which function answers what: one table, which a test compares with
 * docs/openapi.json. A segment "{id}" of a pattern stands for any one segment.
 */
#ifndef FEED_ROUTE_H
#define FEED_ROUTE_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

struct route {
	enum ask_method method; /* ASK_GET serves HEAD too */
	enum ask_right right;   /* what it takes; RIGHT_NONE: open to all */
	/* Its answer may be made in pieces: only so many at a time. */
	bool is_long;
	const char *pattern; /* "/api/v1/devices/{id}" */
	/* Must not block, and takes ANSWER_STEP_MS at most. */
	void (*handle)(struct feed *f, const struct ask *q, struct answer *a);
};

/* Ended by one whose pattern is NULL. */
extern const struct route ROUTES[];

/* True when PATH is one that PATTERN stands for. */
bool route_matches(const char *pattern, struct str path);

/* The route that serves METHOD and PATH. NULL: none; *known then says whether
 * the path is served with another method (405, and *allow), or not (404). */
const struct route *route_find(enum ask_method method, struct str path,
	bool *known, const char **allow);

/* Answers A, whose right is known: 404, 405, 401, 403, or by its route. */
void route_answer(struct feed *f, const struct ask *q, struct answer *a);

#endif
