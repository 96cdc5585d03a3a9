/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/openapi.json: what there is to ask, as docs/openapi.json says it.
 */
#ifndef FEED_API_OPENAPI_H
#define FEED_API_OPENAPI_H

#include "feed/answer.h"
#include "feed/ask.h"

struct feed;

/* docs/openapi.json; made by feed/embed.cmake when the feed is built. */
extern const char OPENAPI_JSON[];
extern const size_t OPENAPI_JSON_LEN;

void api_openapi(struct feed *f, const struct ask *q, struct answer *a);

#endif
