/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a request as values. Each failure is ERR_INPUT, its place
 * the argument's name. Pure.
 */
#ifndef FEED_ARGS_H
#define FEED_ARGS_H

#include "core/device.h"
#include "feed/ask.h"

/* A whole number from LOW to HIGH; untouched when it is not given. */
MUST bool args_number(const struct ask *q, const char *name, int64_t low,
	int64_t high, int64_t *out, struct err *e);

/* "true" or "false"; *given says whether there is one. */
MUST bool args_truth(const struct ask *q, const char *name, bool *given,
	bool *out, struct err *e);

/* One of the N CHOICES, of which *out is the index; untouched when it is not
 * given. */
MUST bool args_choice(const struct ask *q, const char *name,
	const char *const *choices, size_t n, size_t *out, struct err *e);

/* Unix seconds, RFC 3339, or a duration back from NOW_S ("2h"), 1970 to 9999;
 * untouched when it is not given. */
MUST bool args_time(const struct ask *q, const char *name, int64_t now_s,
	int64_t *out, struct err *e);

/* What may be a device's id or the beginning of one, into OUT; "" when it is
 * not given. */
MUST bool args_id(const struct ask *q, const char *name,
	char out[static DEVICE_ID_MAX + 1], struct err *e);

/* A class's name; *given says whether there is one. */
MUST bool args_class(const struct ask *q, const char *name, bool *given,
	char out[static CLASS_NAME_MAX + 1], struct err *e);

/* A counter or "refused": as meter_count_name(); untouched when it is not
 * given. */
MUST bool args_counter(
	const struct ask *q, const char *name, unsigned *out, struct err *e);

#endif
