/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir top knows: two looks at all counters, how long apart, and which
 * devices come first by what grew between the two, or by what there is.
 */
#ifndef CLI_TOP_LOOK_H
#define CLI_TOP_LOOK_H

#include "cli/meter_print.h"
#include "core/rank.h"

/* What somebody wants to see. */
struct top_view {
	unsigned sort; /* a counter, or METER_REFUSED */
	bool totals;   /* not what it grew by a second */
	bool reverse;
	bool refused;   /* only devices with refusals */
	bool one_class; /* only devices of class_name */
	char class_name[CLASS_NAME_MAX + 1];
	char device[DEVICE_ID_MAX + 1]; /* only ids with this in them */
	size_t offset;                  /* devices left out before the first */
};

/* All counters at one time. */
struct top_look {
	uint64_t (*counter)[COUNTERS]; /* by slot */
	uint32_t n, cap;               /* slots */
	uint64_t (*class)[COUNTERS];   /* by class, METER_CLASSES of them */
	int64_t t_ms;                  /* of a clock that does not jump */
};

struct top {
	struct meter_watch w;
	struct top_view view;
	struct top_look now, then;
	bool both;      /* there are two looks at the same meter */
	uint32_t class; /* the meter's index of view.class_name */
	/* What was found: the slots that come first, from offset on. */
	struct rank rank;
	size_t shown, fit; /* devices: of those; of all, that fit */
	size_t rank_cap;   /* of rank.kept */
	uint64_t sum_now[COUNTERS], sum_then[COUNTERS]; /* of what is shown */
};

/* Takes the first look. False: the path is too long. Release with
 * top_close. */
MUST bool top_open(const struct cli *c, struct top *t, struct err *e);
void top_close(struct top *t);

/* Looks anew; the look before becomes the one to compare with. */
void top_look(struct top *t);

/* Finds the ROWS devices to show, by the view. */
void top_find(struct top *t, size_t rows);

/* The slot of shown device I. */
static inline uint32_t top_slot(const struct top *t, size_t i)
{
	return t->rank.kept[t->view.offset + i];
}

/* Seconds between the two looks; 0: there is but one. */
double top_seconds(const struct top *t);

/* Counter WHAT of the device in SLOT, or of all: what there is, or what it
 * grew by a second. */
double top_value(
	const struct top *t, uint32_t slot, unsigned what, bool totals);
double top_sum(const struct top *t, unsigned what, bool totals);

#endif
