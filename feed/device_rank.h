/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices that have counted the most, or the least, of all that the meter
 * has: found in turns, in the memory of those that are asked for, however many
 * there are.
 *
 * What a device has counted is looked at once, when the walk comes by. Devices
 * that have counted alike come by age.
 */
#ifndef FEED_DEVICE_RANK_H
#define FEED_DEVICE_RANK_H

#include "feed/feed.h"
#include "feed/turn.h"
#include "io/registry_walk.h"

#define RANK_MAX 1000u /* devices */

struct rank_place {
	uint64_t value;
	uint32_t slot; /* by age */
};

struct rank_ask {
	unsigned sort; /* as meter_count() */
	bool least;    /* those with the least first */
	size_t n;      /* how many, at most RANK_MAX */
	bool behind;   /* only those behind PLACE in that order */
	struct rank_place place;
	/* Only those of this class as the meter has it; METER_NONE: of any. */
	uint32_t meter_class;
	/* Only those of this class and status in the registry; "", DEVICE_NONE:
	 * of any. */
	char class_name[CLASS_NAME_MAX + 1];
	enum device_status status;      /* what it amounts to now */
	char prefix[DEVICE_ID_MAX + 1]; /* only ids that begin so */
	bool by_connected, connected;
};

struct rank_entry {
	struct rank_place place;
	char id[DEVICE_ID_MAX + 1]; /* as the meter has it: any bytes */
};

struct device_rank {
	struct rank_ask ask;
	/* Good when the walk is done. */
	size_t n;
	struct rank_entry *entry;

	/* The rest is its own. */
	struct rank rank;
	uint32_t kept[RANK_MAX], spare;
	uint32_t epoch, next; /* of the watch; the next slot */
	bool by_registry;
	char at[DEVICE_ID_MAX + 1]; /* the next device is behind it */
	int64_t now_s;
	const struct meter_watch *meter; /* of the turn */
	const struct held *held;
	size_t walked;
};

/* *out is given: device_rank_free. False: no memory. */
MUST bool device_rank_new(
	const struct rank_ask *ask, struct device_rank **out, struct err *e);
void device_rank_free(struct device_rank **x);

enum rank_step {
	RANK_DONE = 0,
	RANK_MORE,
	RANK_FAILED, /* the registry cannot be read: *e; try again, or give up */
};

/* Goes on until T is over. Another meter begins it anew. */
enum rank_step device_rank_step(
	struct device_rank *x, struct feed *f, struct turn t, struct err *e);

#endif
