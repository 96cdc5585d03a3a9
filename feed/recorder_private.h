/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder, for its own files.
 *
 * A round is a look at all: which numbers slots have, then the classes, then
 * the devices by number, so that what is told is appended. The file may fail
 * at any step; then all that is known of slots is forgotten, for it may be of a
 * transaction that did not happen, and the next round begins anew.
 */
#ifndef FEED_RECORDER_PRIVATE_H
#define FEED_RECORDER_PRIVATE_H

#include "feed/recorder.h"
#include "io/history_sync.h"
#include "io/history_writer.h"

enum round {
	ROUND_NONE = 0,
	ROUND_NUMBERS,
	ROUND_CLASSES,
	ROUND_DEVICES,
	ROUND_END,
};

/* How far it is with a meter that it reads no more. */
enum leaving {
	LEAVING_NOT = 0,
	LEAVING_ROUND, /* the round under way, which has looked at some already */
	LEAVING_LAST, /* one more, of all */
	LEAVING_DONE,
};

/* What is known of a meter's slots and classes, by their number there. */
struct slots {
	uint32_t epoch;   /* the watch's; whose slots they are */
	uint64_t segment; /* its identity */
	uint32_t n, cap;  /* that have been looked at for their numbers */
	uint32_t *no;     /* in the history; 0: it has no device's id */
	uint64_t *sum;    /* of the counters told last; UINT64_MAX: none was */
	uint32_t *order;  /* the slots by no */
	uint32_t n_order; /* how many are in order */
	int64_t class_no[METER_CLASSES]; /* 0: not known yet */
};

struct recorder {
	char *path; /* of the state directory */
	struct config_history limits;
	int lock;                 /* a descriptor */
	struct history_writer *w; /* NULL: not open */
	struct history *reader;
	struct history_sync *sync;
	struct recorder_state state;
	bool waiting;              /* a failure is tried again */
	int64_t retry_ms, wait_ms; /* then; after so long */
	struct history_place place;
	struct slots slots;
	enum round round;
	enum leaving leaving;
	uint32_t at;      /* the round's next class, or place in order */
	int64_t t_s;      /* the minute that the round tells for */
	int64_t begun_s;  /* when it began */
	int64_t minute_s; /* the minute that the last one began in; 0: none */
	bool events;      /* there may be some */
	bool tidy;        /* there may be something to do */
	int64_t now_s, now_ms; /* of the last second */
};

/* Forgets what is known of slots; keeps the memory. */
void slots_forget(struct slots *s);
void slots_free(struct slots *s);

/* Goes on with the round. False: *e says why, and nothing of it happened. */
MUST bool round_step(struct recorder *r, const struct watch *w, struct err *e);

#endif
