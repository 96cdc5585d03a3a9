/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string that knows its length.
 *
 * Bytes travel through Weir as (pointer, length): MQTT strings are not NUL
 * terminated, and a NUL inside one must not shorten it. A struct str never
 * owns its bytes; each contract that takes one says how long they must live.
 */
#ifndef CORE_STR_H
#define CORE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
	const char *p; /* may be NULL when n is 0 */
	size_t n;      /* bytes */
};

/* A struct str of a string literal. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

/* The same as an initializer, where C wants a constant. */
#define STR_INIT(literal)                                                      \
	{                                                                      \
		(literal), sizeof(literal) - 1                                 \
	}

/* The arguments that printf's "%.*s" takes for S (at most INT_MAX bytes). */
#define STR_ARG(s) (int)(s).n, ((s).n != 0 ? (s).p : "")

/* A borrowed view of the NUL-terminated Z; NULL gives the empty string. */
static inline struct str str_from(const char *z)
{
	return (struct str){z, z != NULL ? strlen(z) : 0};
}

/* True when A and B hold the same bytes. */
static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Byte order, a shorter prefix first: <0, 0 or >0, for sorting. */
static inline int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n != 0 ? memcmp(a.p, b.p, n) : 0;

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

#endif
