/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks, and what they may.
 */
#ifndef FEED_ACCESS_H
#define FEED_ACCESS_H

#include "feed/answer.h"
#include "feed/ask.h"
#include "feed/http.h"

struct feed;

/* True when A is 127.0.0.0/8, mapped, or ::1. */
bool access_loopback(const uint8_t a[static 16]);

/* Sets right and who of *Q, whose address is known. False: it is refused
 * whatever it asks for, and *A says why. */
bool access_judge(struct feed *f, const struct http_head *head, struct ask *q,
	struct answer *a);

#endif
