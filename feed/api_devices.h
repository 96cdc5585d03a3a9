/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/devices: the registered devices, with what the meter has of
 * each, a page at a time: by id, or by what they have counted.
 */
#ifndef FEED_API_DEVICES_H
#define FEED_API_DEVICES_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

#define DEVICES_PAGE     100  /* devices of a page unless `limit` says more */
#define DEVICES_PAGE_MAX 1000 /* and at most */

void api_devices(struct feed *f, const struct ask *q, struct answer *a);

#endif
