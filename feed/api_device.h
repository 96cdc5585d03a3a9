/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/devices/{id}: all that is known of one device: its record and
 * certificates as `weir device show`, and what the meter has as `weir usage`.
 */
#ifndef FEED_API_DEVICE_H
#define FEED_API_DEVICE_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

void api_device(struct feed *f, const struct ask *q, struct answer *a);

#endif
