/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history as JSON Lines, for programs that take it elsewhere:
 *
 *   GET /api/v1/export/usage     every bucket of every device
 *   GET /api/v1/export/events    every event
 *
 * Each line has a cursor, behind which another request goes on: nothing is
 * lost and nothing comes twice, wherever an answer was cut. The last line says
 * that it is the last: an answer without it is not whole.
 */
#ifndef FEED_API_EXPORT_H
#define FEED_API_EXPORT_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

void api_export_usage(struct feed *f, const struct ask *q, struct answer *a);
void api_export_events(struct feed *f, const struct ask *q, struct answer *a);

#endif
