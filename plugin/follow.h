/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the registry: policies, changes of devices, and the file itself.
 *
 * A tick polls at most every FOLLOW_POLL_MS, applies at most FOLLOW_BATCH
 * changes in at most FOLLOW_BUDGET_NS, and never waits: a registry that is busy
 * is asked again at the next poll. What fails keeps what was in force, and says so in the log and in the
 * segment's load error. When the registry cannot be read, or its file has gone
 * back in time, nobody is admitted; who is connected is judged by what was
 * last read.
 */
#ifndef PLUGIN_FOLLOW_H
#define PLUGIN_FOLLOW_H

#include "core/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define FOLLOW_POLL_MS      100u
#define FOLLOW_MORE_MS      20u /* the same while there is more to apply */
#define FOLLOW_BUDGET_NS    UINT64_C(10000000) /* a poll */
#define FOLLOW_BATCH        512
#define FOLLOW_MISSED       65536  /* changes read one by one at the start */
#define FOLLOW_TRIES        10u    /* before what cannot be read denies */
#define FOLLOW_DUE_BATCH    2048   /* ends of certificates and status a poll */
#define FOLLOW_POLICY_BATCH 4096   /* connections a poll, after a policy */
#define FOLLOW_REPEAT_MS    60000u /* a problem that lasts is said again */

struct guard;

struct follow {
	uint64_t next_poll_ms, next_second_ms;
	/* Of the poll under way: what is left then is for the next. */
	uint64_t until_ns;
	int64_t data_version;
	int64_t revision;        /* of the registry, at the last look */
	int64_t policy_revision; /* in force */
	int64_t policy_refused;  /* a revision that did not load; 0: none */
	int64_t seen_change;     /* all up to this one have been taken up */
	uint32_t tries;          /* failures at the next change */
	uint32_t failures;       /* polls in a row that could not be answered */
	uint32_t file_tries;     /* to open the file anew, that failed */
	bool more;               /* changes were left for the next poll */
	bool file_bad;           /* the path leads to no file to read */
	bool waits;              /* the open file may keep the thread waiting */
	bool is_new;             /* the open file has not been taken up yet */
	bool went_back;          /* until it is accepted, or replaced */
	dev_t dev;
	ino_t ino;
	struct timespec changed; /* st_mtim */
	uint32_t epoch;          /* +1 with every new file */
	bool sweeping;           /* bindings of older epochs are judged again */
	int64_t sweep_change;    /* applied when the sweep is done */
	uint64_t told_ms;        /* when the problem was last said */
	char registry_problem[ERR_MSG_MAX + ERR_PLACE_MAX];
	char policy_problem[ERR_MSG_MAX + ERR_PLACE_MAX];
};

/*
 * Of the open registry: loads the policy; with nobody connected yet, all of
 * it is then in force, which the open segment is told. False: no policy;
 * E says what to do. A registry that has gone back in time admits nobody, and says so.
 */
MUST bool follow_begin(struct guard *g, struct err *e);

/* At every tick: polls when it is time. */
void follow_tick(struct guard *g);

/* At every tick, after the kicks: says which changes are in force. */
void follow_settle(struct guard *g);

/* Notes in WHICH, of CAP bytes, that TEXT is wrong, and says it when it is new
 * or has lasted. */
void follow_problem(struct guard *g, char *which, size_t cap, const char *text);

/* Says in the segment what of registry, live.db and policy cannot be read, if
 * any. */
void follow_tell(struct guard *g);

void follow_close(struct guard *g);

#endif
