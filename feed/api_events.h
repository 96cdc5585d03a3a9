/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/events: what happened, from the history, a page at a time.
 */
#ifndef FEED_API_EVENTS_H
#define FEED_API_EVENTS_H

#include "feed/answer.h"
#include "feed/ask.h"
#include "io/history.h"

struct feed;

#define EVENTS_PAGE     100
#define EVENTS_PAGE_MAX 1000

/* What of the events is asked for, by the arguments type, device, class,
 * reason, since and until. */
struct event_filter {
	char device[DEVICE_ID_MAX + 1], class[CLASS_NAME_MAX + 1];
	struct str type, reason; /* static; p NULL: any */
	int64_t from_s, to_s;
};

/* ERR_INPUT, its place the argument. */
MUST bool event_filter_read(
	const struct ask *q, struct event_filter *out, struct err *e);
/* The same as the history takes it; F is kept. */
void event_filter_ask(
	const struct event_filter *f, struct history_event_ask *out);

/* The history's cursor that text stands for: what an answer to Q gave. 0 when
 * none is given. */
MUST bool event_cursor_read(
	const struct ask *q, uint32_t bind, int64_t *out, struct err *e);

void api_events(struct feed *f, const struct ask *q, struct answer *a);

#endif
