/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is usual in a class: the median of each counter over the devices that
 * are of it now, found in turns.
 */
#ifndef FEED_CLASS_MEDIAN_H
#define FEED_CLASS_MEDIAN_H

#include "core/median.h"
#include "feed/feed.h"
#include "feed/turn.h"

_Static_assert(COUNTERS <= MEDIAN_COLUMNS, "a column for each");

struct class_median {
	uint32_t class;
	uint32_t epoch, next; /* of the watch; the next slot */
	struct median median;
};

/* CLASS is the meter's index; METER_NONE, or another meter before the end: all
 * medians are zero. */
void class_median_init(
	struct class_median *x, const struct feed *f, uint32_t class);
/* Goes on until T is over. True: there is more to do. */
bool class_median_step(
	struct class_median *x, const struct feed *f, struct turn t);
/* After that. */
void class_median_get(
	const struct class_median *x, uint64_t out[static COUNTERS]);

#endif
