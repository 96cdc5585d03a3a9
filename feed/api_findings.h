/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/findings: devices that are unlike their peers, now and lately.
 */
#ifndef FEED_API_FINDINGS_H
#define FEED_API_FINDINGS_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

void api_findings(struct feed *f, const struct ask *q, struct answer *a);

#endif
