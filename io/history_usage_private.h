/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer in the making, for io/history_usage*.c only.
 *
 * It goes through the buckets of its time (core/history.h), and in each looks
 * one number up, or all of them. What it sums up is in sum[], by number; it is
 * told when the buckets of a row are done.
 *
 * TOP goes twice: first each device's count is summed up, then all counters of
 * those that came out first.
 */
#ifndef IO_HISTORY_USAGE_PRIVATE_H
#define IO_HISTORY_USAGE_PRIVATE_H

#include "io/history_private.h"

enum usage_stage {
	USAGE_BUCKETS = 0, /* goes through the buckets */
	USAGE_TELL,        /* tells what was summed up */
	USAGE_END,
};

struct usage_sum {
	int64_t no, class;
	uint64_t counter[COUNTERS];
};

struct history_usage {
	struct history *h; /* held */
	struct history_ask ask;
	char name[DEVICE_ID_MAX + 1];
	enum history_book book;
	int64_t only_no;    /* this number; 0: all */
	int64_t only_class; /* rows of this class; -1: all */
	enum usage_stage stage;
	struct history_walk walk, again; /* again: TOP's second way */
	struct history_bucket bucket;
	bool fetched;    /* bucket is the next one */
	bool entered;    /* and is being gone through: */
	int64_t next_no; /* numbers below are done */
	bool over;       /* there are no more buckets */
	/* The time of the row that is summed up; it takes buckets that begin
	 * before group_end_s. */
	int64_t from_s, to_s, group_end_s;
	struct usage_sum *sum; /* by number */
	size_t n_sums, cap_sums, told;
	/* TOP: each number's count; and then those that are first, in order. */
	uint64_t *count;
	size_t n_counts;
	uint32_t *first;
	size_t n_first;
};

#endif
