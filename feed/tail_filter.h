/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client of /api/v1/tail wants to see, from its arguments. Pure.
 */
#ifndef FEED_TAIL_FILTER_H
#define FEED_TAIL_FILTER_H

#include "core/device.h"
#include "core/event.h"
#include "feed/ask.h"

#define TAIL_NAMES        32u /* devices, and classes, that may be named */
#define TAIL_COUNTERS_MAX 60  /* seconds from one round to the next */

struct tail_names {
	size_t n; /* 0: all */
	char name[TAIL_NAMES][DEVICE_ID_MAX + 1];
};

_Static_assert(CLASS_NAME_MAX <= DEVICE_ID_MAX, "a name fits");

/* A place in a meter's events: which meter, and the number of an event. Written
 * as "00c0ffee00c0ffee-1027". */
struct tail_cursor {
	uint64_t meter; /* meter_identity() */
	uint64_t n;
};

struct tail_filter {
	uint32_t types;      /* 1 << enum event_type; 0: no events */
	uint32_t reasons;    /* 1 << enum reason; 0: whatever the reason */
	uint32_t counters_s; /* seconds between rounds; 0: no counters */
	uint32_t last;       /* begin with so many that have been */
	bool resumes;        /* begin behind AFTER */
	struct tail_cursor after;
	struct tail_names devices, classes;
};

/* What a filter looks at of an event. Strings are borrowed. */
struct tail_key {
	enum event_type type;
	uint8_t reason; /* of a refusal: enum reason, or any number */
	struct str device, class;
};

/* ERR_INPUT, its place the argument: one that is unknown or malformed, or
 * several that can match nothing together. */
MUST bool tail_filter_parse(
	const struct ask *q, struct tail_filter *out, struct err *e);

/* True when such an event is asked for. */
bool tail_filter_event(const struct tail_filter *f, const struct tail_key *k);

/* True when the events and counters of such a device are. */
bool tail_filter_device(
	const struct tail_filter *f, struct str device, struct str class);

#define TAIL_CURSOR_TEXT 38
void tail_cursor_format(
	struct tail_cursor c, char out[static TAIL_CURSOR_TEXT]);
/* ERR_INPUT: not of that form. */
MUST bool tail_cursor_parse(
	struct str text, struct tail_cursor *out, struct err *e);

#endif
