/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text written piece by piece, shared by explain.c and explain_suggest.c.
 */
#ifndef CORE_EXPLAIN_PRIVATE_H
#define CORE_EXPLAIN_PRIVATE_H

#include "core/explain.h"

struct writer {
	char *out;
	size_t cap, n; /* n: of the whole text */
};

static inline void put(struct writer *w, struct str s)
{
	size_t room = w->n + 1 < w->cap ? w->cap - 1 - w->n : 0;
	size_t n = s.n < room ? s.n : room;

	if (n != 0)
		memcpy(w->out + w->n, s.p, n);
	w->n += s.n;
}

static inline size_t finish(struct writer *w)
{
	if (w->cap != 0)
		w->out[w->n < w->cap ? w->n : w->cap - 1] = '\0';
	return w->n;
}

static inline void put_variable(
	struct writer *w, const char *before, struct str name)
{
	put(w, STR("${"));
	put(w, str_from(before));
	put(w, name);
	put(w, STR("}"));
}

/* R in JSON. GROUP: one more shared group, or empty. */
void explain_put_rule(struct writer *w, const struct rule_spec *r, bool publish,
	struct str group);

#endif
