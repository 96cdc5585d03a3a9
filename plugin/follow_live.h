/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows live.db: whom weir-feed puts in quarantine.
 *
 * A poll looks at two files' times, and opens them only when there is news; it
 * reads a bounded number of rows in a bounded time, waits for nothing, and
 * closes. What cannot be read keeps what was in force; when that lasts, nobody new is admitted
 * until it can. A file that is not there quarantines nobody; one that was
 * there and is gone lets nobody go.
 */
#ifndef PLUGIN_FOLLOW_LIVE_H
#define PLUGIN_FOLLOW_LIVE_H

#include "core/device.h"
#include "core/err.h"
#include "core/jail.h"

#include <sys/types.h>
#include <time.h>

#define LIVE_BATCH      512  /* changes a poll */
#define LIVE_LOAD_BATCH 2048 /* rows of a whole reading a poll */
#define LIVE_TRIES      10u  /* looks, before what cannot be read denies */
#define LIVE_LOOK_MS    100u
#define LIVE_AGAIN_MS   1000u             /* the same of what cannot be read */
#define LIVE_BUDGET_NS  UINT64_C(2000000) /* a look */

struct guard;

/* One of the files, as it was. Zeroed: it was not there. */
struct live_mark {
	dev_t dev;
	ino_t ino;
	off_t size;
	/* st_ctim: by a change of owner or mode, too, and nobody can set it. */
	struct timespec changed;
};

enum live_load {
	LIVE_LOADED = 0,
	LIVE_LOADING,  /* reading all rows, in order */
	LIVE_DROPPING, /* letting go who is in them no more */
};

struct live_follow {
	struct jail jail;
	struct live_mark db, log; /* at the last look that was answered */
	bool settled;             /* and had not changed just before it */
	bool known;               /* it was read whole, or was not there */
	bool refusing;            /* it cannot be read: nobody is admitted */
	bool restart;             /* what was read does not go on in the file */
	enum live_load load;
	char load_after[DEVICE_ID_MAX + 1];
	size_t drop_at;
	uint32_t round;    /* of whole readings */
	int64_t change;    /* all up to this one have been taken up */
	uint32_t failures; /* looks in a row that could not be answered */
	/* Of the look under way: what is left then is for the next. */
	uint64_t until_ns;
	uint64_t next_ms; /* when that is */
	char problem[ERR_MSG_MAX + ERR_PLACE_MAX];
};

/* Before anybody connects: reads what is there. */
void live_begin(struct guard *g);

/* At every poll: looks when it is time. */
void live_poll(struct guard *g);

/* After the kicks: says in the segment what is in force. */
void live_settle(struct guard *g);

/* False: live.db cannot be read, so nobody may be let in. */
static inline bool live_admits(const struct live_follow *l)
{
	return l->known && !l->refusing;
}

void live_end(struct guard *g);

#endif
