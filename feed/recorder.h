/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the history what the meter counts: at each minute's end what has grown
 * since the last look, and each second what has happened. In steps, so that
 * nobody waits for a hundred thousand devices:
 *
 *	recorder_second(r, …);                each second
 *	while (recorder_step(r, …)) …;        others in between
 *
 * A failure (no room, a lock, a file that cannot be written) does not end it.
 * It is in the log once; the recorder tries again, and what was counted
 * meanwhile is told then: what is told and where it was taken from go into the
 * file together, so that nothing is lost or told twice.
 */
#ifndef FEED_RECORDER_H
#define FEED_RECORDER_H

#include "feed/config.h"
#include "feed/watch.h"
#include "io/history.h"

struct recorder;

/*
 * Takes the right to write the history of STATE, and begins. *out is given:
 * recorder_close. ERR_CONFLICT: another feed has it. A history that cannot be
 * opened is no failure: see recorder_state.
 */
MUST bool recorder_open(const char *state, const struct config_history *limits,
	struct recorder **out, struct err *e);

/* *r may be NULL; becomes NULL. What was not told is, when a feed runs again:
 * recorder_leave first. */
void recorder_close(struct recorder **r);

/* NOW_S is Unix time, NOW_MS of a clock that does not jump. */
void recorder_second(struct recorder *r, const struct watch *w, int64_t now_s,
	int64_t now_ms);

/* A step of what is to do, of two or three milliseconds. True: there is more. */
bool recorder_step(struct recorder *r, const struct watch *w);

/*
 * For the end of a meter, or of weir-feed: true when all that W shows is told, or
 * cannot be now. Before that recorder_step is to be called, and then this again,
 * but not recorder_second, which is for a meter that stays.
 */
bool recorder_leave(struct recorder *r, const struct watch *w, int64_t now_s,
	int64_t now_ms);

/* For reading what was told. Lent until recorder_step; what is opened on it
 * may stay open for longer. NULL: there is none; see recorder_state. */
struct history *recorder_history(struct recorder *r);

struct recorder_state {
	bool well;
	char error[ERR_MSG_MAX]; /* not well: why */
	int64_t error_s;         /* when it began; 0: well */
	int64_t looked_s;        /* all that was counted before is told */
	int64_t told_s;          /* minutes before it are complete */
	uint64_t bytes;          /* on the disk */
	uint64_t lost; /* events that went by untold, since the start */
};

void recorder_state(const struct recorder *r, struct recorder_state *out);

#endif
