/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event of the meter as JSON, member for member what `weir tail --json`
 * prints. What the meter holds is any bytes: strings are mended, numbers kept
 * within what JSON can carry. Pure.
 */
#ifndef FEED_EVENT_JSON_H
#define FEED_EVENT_JSON_H

#include "core/event.h"
#include "feed/text.h"

/* The object, as the member KEY, or as a value when KEY is NULL. CLASS is the
 * name of the event's class; "": it has none. */
void event_json(struct text *t, const char *key, const struct event_copy *x,
	struct str class);

/*
 * N, or the largest number that every reader of JSON takes as it is written: a
 * count above it is none that a broker ever counted.
 * Source: RFC 8259 §6, "numbers that are integers and are in the range
 * [-(2**53)+1, (2**53)-1] are interoperable".
 */
static inline uint64_t json_exact(uint64_t n)
{
	const uint64_t most = (UINT64_C(1) << 53) - 1;

	return n < most ? n : most;
}

#endif
