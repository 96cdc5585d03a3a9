/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place in a list, as a text that a client gives back: opaque to it, and good
 * for the request that it was given to alone, apart from `cursor` and `limit`.
 * It carries a checksum over both, so that one that was cut, mistyped or meant
 * for another list is an error, not a wrong page. It is no secret and grants
 * nothing: who makes one up gets a page that he may ask for anyway. Pure.
 */
#ifndef FEED_CURSOR_H
#define FEED_CURSOR_H

#include "feed/ask.h"

#define CURSOR_MAX  80u /* bytes of a place */
#define CURSOR_TEXT 113 /* base64url of those and the checksum, NUL */

/* What the cursors of Q's list are bound to: its path and arguments, in
 * whatever order, without `cursor` and `limit`. */
uint32_t cursor_bind(const struct ask *q);

/* The N bytes at P, at most CURSOR_MAX, for a list bound to BIND. */
void cursor_format(uint32_t bind, const uint8_t *p, size_t n,
	char out[static CURSOR_TEXT]);

/* The place of TEXT into OUT; *n its bytes. ERR_INPUT, its place "cursor". */
MUST bool cursor_parse(struct str text, uint32_t bind,
	uint8_t out[static CURSOR_MAX], size_t *n, struct err *e);

/* A number in 8 bytes, most significant first. */
void cursor_put(uint64_t n, uint8_t out[static 8]);
uint64_t cursor_take(const uint8_t p[static 8]);

#endif
