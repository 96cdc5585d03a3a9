/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was counted over a time, from the history:
 *
 *   GET /api/v1/devices/{id}/usage      of a device
 *   GET /api/v1/classes/{name}/usage    of a class
 *   GET /api/v1/usage/top               the devices with the most; without
 *                                       `since`: since the meter began
 */
#ifndef FEED_API_USAGE_H
#define FEED_API_USAGE_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

#define USAGE_SINCE_S 86400 /* how long back, unless `since` says another */
#define USAGE_TOP     10    /* devices, unless `limit` says another number */
#define USAGE_TOP_MAX 1000

void api_device_usage(struct feed *f, const struct ask *q, struct answer *a);
void api_class_usage(struct feed *f, const struct ask *q, struct answer *a);
void api_usage_top(struct feed *f, const struct ask *q, struct answer *a);

#endif
