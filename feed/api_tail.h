/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/tail: a WebSocket that tells what happens (feed/tail.h).
 */
#ifndef FEED_API_TAIL_H
#define FEED_API_TAIL_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

void api_tail(struct feed *f, const struct ask *q, struct answer *a);

#endif
