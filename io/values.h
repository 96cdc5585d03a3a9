/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values on the command line: durations, times, whole numbers. Pure.
 */
#ifndef IO_VALUES_H
#define IO_VALUES_H

#include "core/err.h"
#include "core/str.h"

#include <stdint.h>

#define DURATION_MAX_S (INT64_C(100) * 366 * 86400)

/* "30s", "15m", "2h", "7d": a whole number and one unit, at most a century.
 * ERR_INPUT otherwise. */
MUST bool duration_parse(struct str text, int64_t *seconds, struct err *e);

/*
 * A time as RFC 3339 writes it, "2026-11-22T12:39:40Z", with 'T' or a blank,
 * a fraction (dropped) and 'Z' or an offset, years 1970 to 9999, as Unix time.
 * A leap second counts as the second after it.  Source: RFC 3339 §5.6.
 */
MUST bool time_parse(struct str text, int64_t *unix_s, struct err *e);

/* UNIX_S as "2026-11-22T12:39:40Z"; a time outside the years 1970 to 9999 as
 * the nearest one within. */
#define TIME_TEXT 21
void time_format(int64_t unix_s, char out[static TIME_TEXT]);

/* SECONDS in its largest whole unit and the next, for people: "3d4h", "5s". */
#define DURATION_TEXT 48
void duration_format(int64_t seconds, char out[static DURATION_TEXT]);

/* A whole number in decimal, LOW to HIGH (LOW at least 0). WHAT names it. */
MUST bool number_parse(const char *what, struct str text, int64_t low,
	int64_t high, int64_t *out, struct err *e);

#endif
