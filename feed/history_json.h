/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the history tells, as JSON.
 */
#ifndef FEED_HISTORY_JSON_H
#define FEED_HISTORY_JSON_H

#include "feed/text.h"
#include "io/history.h"

/* The time that a row is of and what was counted in it, as a value: `from_s
 * to_s`, of a device `device`, `class`, and every counter. */
void history_row_json(struct text *t, const struct history_row *r);

/* The same, shorter, as members of what is open: counters that are zero are
 * left out. */
void history_row_members(struct text *t, const struct history_row *r);

/* An event, as members of what is open, with the names of `weir tail --json`. */
void history_event_members(struct text *t, const struct history_event *x);

/* Until when the history reaches, and where nobody looked: `told_s gaps[]`, as
 * members of what is open. */
void history_reach_members(struct text *t, const struct history_head *head,
	const struct history_gap *gap, size_t n);

#endif
