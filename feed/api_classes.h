/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/classes, and /api/v1/classes/{name}: what was counted by class,
 * and of one by rule, as `weir usage`.
 */
#ifndef FEED_API_CLASSES_H
#define FEED_API_CLASSES_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

void api_classes(struct feed *f, const struct ask *q, struct answer *a);
void api_class(struct feed *f, const struct ask *q, struct answer *a);

#endif
