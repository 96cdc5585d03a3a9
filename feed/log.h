/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feed's log: one JSON object a line on standard error, with "t" (UTC),
 * "level" and "event" first.
 *
 * To systemd's journal each line goes with its priority: 3 for an error, 4, 5.
 *
 * A line never holds the daemon up: when who reads standard error does not, it
 * is dropped, and the next that goes out says how many were.
 */
#ifndef FEED_LOG_H
#define FEED_LOG_H

#include "core/err.h"
#include "feed/text.h"

enum log_level {
	LOG_ERROR = 0, /* something does not work */
	LOG_WARNING,
	LOG_NOTICE, /* something happened that people may ask about */
};

/* A line of EVENT ("listening") with "message". */
void log_say(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A failure: its place and message. */
void log_err(enum log_level level, const char *event, const struct err *e);

/* A line of its own: T (zeroed, or cleared) is begun; members are added with
 * json_…; log_end writes and frees it. */
void log_begin(struct text *t, enum log_level level, const char *event);
void log_end(struct text *t);

#endif
