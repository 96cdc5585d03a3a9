/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices and classes as JSON, member for member what `weir … --json` prints.
 * What the meter holds is any bytes: strings are mended.
 */
#ifndef FEED_DEVICE_JSON_H
#define FEED_DEVICE_JSON_H

#include "core/certificate.h"
#include "feed/text.h"
#include "io/live.h"
#include "io/meter_class.h"

/* A number of Unix seconds, or null when it is none. */
void json_time(struct text *t, const char *key, int64_t unix_s);
/* S, which may be cut or hold anything, or null when it is empty. */
void json_name(struct text *t, const char *key, struct str s);

/* D as `weir device list`, HELD by weir-feed's quarantine (NULL: by none); left
 * open for more members. */
void device_json_begin(struct text *t, const char *key, const struct device *d,
	const struct quarantine *held, int64_t now_s);
/* What `weir device show` adds of the meter: broker, connections, last_connect,
 * last_refusal. */
void device_json_seen(struct text *t, const struct meter_watch *w,
	const struct meter_device *d);
/* A certificate's record, as a value. */
void credential_json(struct text *t, const struct credential *c);

/* The counters, as members of what is open. */
void counters_json(struct text *t, const uint64_t counter[static COUNTERS]);

/* What the meter has of D, as `weir usage ID`. MEDIAN is its class's; NULL:
 * leave class_median out. */
void usage_json(struct text *t, const char *key, const struct meter_watch *w,
	const struct meter_device *d, const uint64_t *median);

/* A class as `weir usage` prints it, without rules; left open for them. */
void use_json_begin(struct text *t, const char *key,
	const struct meter_watch *w, const struct meter_use *u);
/* A rule, as a value. */
void rule_json(struct text *t, const struct meter_rule_use *r);

#endif
