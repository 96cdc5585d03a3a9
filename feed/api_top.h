/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices that have counted the most since the meter began, as `weir usage
 * --top`: GET /api/v1/usage/top without a time.
 */
#ifndef FEED_API_TOP_H
#define FEED_API_TOP_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

void api_top(struct feed *f, const struct ask *q, struct answer *a);

#endif
