/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON that an action comes with. Pure.
 */
#ifndef FEED_ACTION_BODY_H
#define FEED_ACTION_BODY_H

#include "core/device.h"
#include "feed/ask.h"

#define ACTION_FOR_MAX INT64_C(315360000) /* seconds: ten years */

/* False: Q has a body that does not say that it is JSON. */
bool action_body_typed(const struct ask *q);

struct action_body {
	char reason[STATUS_REASON_MAX + 1];
	int64_t until_s; /* Unix time; 0: no end */
};

/*
 * Reads the body of Q: nothing, or an object with `reason` (text), and `for_s`
 * (seconds from NOW_S) or `until_s` (Unix time after NOW_S). ERR_INPUT with the
 * place: what is no JSON, is another key, or has another value.
 */
MUST bool action_body_read(const struct ask *q, int64_t now_s,
	struct action_body *out, struct err *e);

/* Of an action that takes none: nothing, or an empty object. */
MUST bool action_body_none(const struct ask *q, struct err *e);

#endif
