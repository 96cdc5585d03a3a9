/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The levels of a topic, filter or template, one after another. A text of n
 * slashes has n + 1 levels; levels may be empty. Source: MQTT 5.0 §4.7.3.
 */
#ifndef CORE_LEVEL_H
#define CORE_LEVEL_H

#include "core/str.h"

/* p is NULL when no level is left. */
struct levels {
	const char *p, *end;
};

static inline struct levels levels_of(struct str s)
{
	/* The empty string has one empty level, wherever it lies. */
	return s.n != 0 ? (struct levels){s.p, s.p + s.n}
			: (struct levels){"", NULL};
}

/* The next level into *LEVEL, a view of the text; false when none is left. */
static inline bool levels_next(struct levels *c, struct str *level)
{
	const char *slash;

	if (c->p == NULL)
		return false;
	if (c->end == NULL) {
		*level = (struct str){c->p, 0};
		c->p = NULL;
		return true;
	}
	slash = memchr(c->p, '/', (size_t)(c->end - c->p));
	if (slash == NULL) {
		*level = (struct str){c->p, (size_t)(c->end - c->p)};
		c->p = NULL;
		return true;
	}
	*level = (struct str){c->p, (size_t)(slash - c->p)};
	c->p = slash + 1;
	if (c->p == c->end)
		c->end = NULL;
	return true;
}

static inline size_t levels_count(struct str s)
{
	size_t n = 1, i;

	for (i = 0; i < s.n; i++)
		n += s.p[i] == '/';
	return n;
}

#endif
