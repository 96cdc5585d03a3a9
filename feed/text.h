/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that grows: what the feed answers, and JSON written straight into it.
 *
 * JSON of a hundred thousand devices is written here without a tree of nodes:
 * the caller gives members in order, this takes care of commas and of what a
 * string may hold. After memory ran out nothing more is added and failed is
 * true: to be looked at once, at the end.
 */
#ifndef FEED_TEXT_H
#define FEED_TEXT_H

#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *p; /* n bytes, and a NUL behind them; NULL: none yet */
	size_t n, cap;
	bool failed; /* no memory */
	bool comma;  /* JSON: another member comes after one */
	bool secret; /* what it held is wiped before its memory goes */
};

/* Frees; a zeroed *T is fine, and is what is left, but for secret. */
void text_free(struct text *t);
/* Empties, and keeps the memory. */
void text_clear(struct text *t);

void text_add(struct text *t, struct str s);
void text_fmt(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A value, or a member when KEY is not NULL. Keys are ours: written as they
 * are. */
void json_open(struct text *t, const char *key, char bracket); /* '{' or '[' */
void json_close(struct text *t, char bracket);                 /* '}' or ']' */
/* S is any bytes: each malformed byte becomes U+FFFD. */
void json_text(struct text *t, const char *key, struct str s);
void json_number(struct text *t, const char *key, int64_t n);
/* Above 2^53 as written, in digits. */
void json_count(struct text *t, const char *key, uint64_t n);
void json_truth(struct text *t, const char *key, bool b);
void json_null(struct text *t, const char *key);
/* The end of a line of JSON Lines. */
void json_line_end(struct text *t);

#endif
