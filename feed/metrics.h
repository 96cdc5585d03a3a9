/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics, for Prometheus. What is told is taken at once (feed/scrape.h)
 * and sent in pieces.
 */
#ifndef FEED_METRICS_H
#define FEED_METRICS_H

#include "feed/answer.h"
#include "feed/ask.h"

#define METRICS_PAGES 4u /* that are sent at one time, at most */

struct feed;

struct metrics {
	uint32_t open;    /* pages that are being sent */
	uint64_t last_us; /* what the last one took to make; 0: none yet */
};

void metrics_answer(struct feed *f, const struct ask *q, struct answer *a);

#endif
