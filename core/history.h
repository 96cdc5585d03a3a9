/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage over time: in which minute, hour and day (UTC) what was counted. The
 * arithmetic of it, and the bytes of a row; io/history.h keeps it in a file.
 *
 * What goes into a bucket is what a counter has grown by since it was looked
 * at last. So each look's counters are kept, with the segment that they are
 * of: they come from a file that may be begun anew (then all that it shows is
 * new), or lose its last pages when a machine's power fails (then a counter is
 * behind what was seen of it, and shows nothing new).
 */
#ifndef CORE_HISTORY_H
#define CORE_HISTORY_H

#include "core/counter.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum history_level {
	HISTORY_MINUTE = 0,
	HISTORY_HOUR,
	HISTORY_DAY,
	HISTORY_LEVELS,
};

/* "minute", "hour", "day". */
const char *history_level_name(enum history_level l);
/* The level of that name; false: there is none. */
bool history_level_find(struct str name, enum history_level *out);

/* How long a bucket is. */
int64_t history_step_s(enum history_level l);

/* When the bucket that T_S (Unix time) is in began. */
int64_t history_floor(enum history_level l, int64_t t_s);

/* ------------------------------------------------------------------- deltas */

/* Where counters that are looked at were looked at before. */
struct history_base {
	uint64_t segment;           /* its identity; 0: it has none */
	uint64_t counter[COUNTERS]; /* as they were */
};

/*
 * What NOW, of a segment with identity SEGMENT, shows that BASE does not have,
 * into OUT. BASE is NULL: all of it. Another segment: all of it. The same:
 * what each counter has grown by, and nothing where one went back. One that had
 * no identity (it may have got one since) is another when a counter went back.
 * Returns true when there
 * is any.
 */
bool history_delta(const struct history_base *base, uint64_t segment,
	const uint64_t now[static COUNTERS], uint64_t out[static COUNTERS]);

/* Adds MORE to SUM; stays at UINT64_MAX rather than begin anew. */
void history_add(
	uint64_t sum[static COUNTERS], const uint64_t more[static COUNTERS]);

/* --------------------------------------------------------------------- rows */

/*
 * The counters of a row: a varint whose bit N says that counter N is not zero,
 * then these as varints, lowest first. A varint is base 128, least significant
 * first, the top bit set in all bytes but the last, and as short as can be.
 * New counters come last in core/counter.h, so that old rows stay readable.
 */
#define HISTORY_ROW_MAX (4u + 10u * COUNTERS) /* bytes */

/* Returns the bytes written. */
size_t history_encode(const uint64_t counter[static COUNTERS],
	uint8_t out[static HISTORY_ROW_MAX]);

/* False: the N bytes at P are no such row, to the bit; *out is untouched. */
bool history_decode(const uint8_t *p, size_t n, uint64_t out[static COUNTERS]);

/* ------------------------------------------------------------------ buckets */

/* What there is of each level. */
struct history_reach {
	/* What began before it is gone; a bucket of the next level up begins
	 * there. */
	int64_t purged_s[HISTORY_LEVELS];
	/* Buckets that began before it are made, of the level below. The
	 * minutes': INT64_MAX. */
	int64_t rolled_s[HISTORY_LEVELS];
};

struct history_bucket {
	enum history_level level;
	int64_t t_s; /* when it began */
};

/*
 * A way through [from, to) by as few buckets as there can be, none longer than
 * LONGEST where shorter ones are still there. Where they are gone, the bucket
 * around the ends is taken whole: what is answered is more than was asked, and
 * the answer says for which time it is.
 */
struct history_walk {
	struct history_reach reach;
	int64_t at_s, to_s;
	enum history_level longest;
};

void history_walk_init(struct history_walk *w, const struct history_reach *r,
	int64_t from_s, int64_t to_s, enum history_level longest);

/* The next bucket, later than the one before; false: that was the last. */
bool history_walk_next(struct history_walk *w, struct history_bucket *out);

#endif
