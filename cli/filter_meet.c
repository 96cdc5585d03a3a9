/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/filter_meet.h"

#include "cli/output.h"
#include "core/level.h"
#include "core/str.h"

#include <stdlib.h>
#include <string.h>

/* One level further in a filter; '#' stays. */
struct walk {
	struct levels rest;
	struct str level;
	bool more, hash;
};

static void walk_on(struct walk *w)
{
	if (w->hash)
		return;
	w->more = levels_next(&w->rest, &w->level);
	w->hash = w->more && str_eq(w->level, STR("#"));
}

/* The level that both allow; p NULL: none. */
static struct str level_of_both(const struct walk *a, const struct walk *b)
{
	if (a->hash || (!b->hash && str_eq(a->level, STR("+"))))
		return b->level;
	if (b->hash || str_eq(b->level, STR("+")) || str_eq(a->level, b->level))
		return a->level;
	return (struct str){NULL, 0};
}

char *filter_meet(const char *a, const char *b)
{
	struct walk x = {.rest = levels_of(str_from(a))};
	struct walk y = {.rest = levels_of(str_from(b))};
	char *out = need_memory(strlen(a) + strlen(b) + 2, 1);
	bool ended = false, none = false;

	for (size_t n = 0; !ended && !none;) {
		struct str level;
		bool first = x.level.p == NULL;

		walk_on(&x);
		walk_on(&y);
		level = level_of_both(&x, &y);
		/* "a/#" matches "a" too. */
		ended = !x.more || !y.more;
		none = ended ? (x.more && !x.hash) || (y.more && !y.hash)
			     : level.p == NULL;
		if (ended || none)
			break;
		if (!first)
			out[n++] = '/';
		memcpy(out + n, level.p, level.n);
		n += level.n;
		ended = x.hash && y.hash;
	}
	if (!none)
		return out;
	free(out);
	return NULL;
}
