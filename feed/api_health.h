/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/health: is the feed alive, and what it reads from. Open to all
 * who may connect, so it says nothing of devices.
 */
#ifndef FEED_API_HEALTH_H
#define FEED_API_HEALTH_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

void api_health(struct feed *f, const struct ask *q, struct answer *a);

#endif
