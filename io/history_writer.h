/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.db as the one program sees it that writes it: weir-feed.
 *
 * What is told, and where it was taken from, goes into the file in one
 * transaction: begin, tell, commit. So whatever ends the program, or the
 * machine, nothing is lost and nothing is told twice. Nothing here waits:
 * another program's lock is a failure, to be tried again; only
 * history_writer_sync waits for the disk.
 */
#ifndef IO_HISTORY_WRITER_H
#define IO_HISTORY_WRITER_H

#include "io/history.h"

struct history_writer;

/* How long what is told is kept, and how much of it. */
struct history_limits {
	int64_t minute_s, hour_s, day_s, event_s;
	uint64_t max_bytes; /* of the file */
};

#define HISTORY_EVENTS 1000000 /* kept at most, whatever their age */

/*
 * The right to write, which one program has at a time: *fd is open (and to be
 * closed) for as long as it is had. ERR_CONFLICT: another one has it; its pid
 * is told.
 */
MUST bool history_lock(const char *state, int *fd, struct err *e);

/*
 * Opens the history of STATE for writing, made if missing (0640, in the group
 * of its folder); by who has the lock. A file that is damaged, or no history,
 * is set aside as usage.db.damaged and another one begun, which *note says (""
 * if not); while there is such a file already, it is an ERR_ENVIRONMENT. *out
 * is given: history_writer_close.
 */
MUST bool history_writer_open(const char *state, struct history_writer **out,
	char *note, size_t note_cap, struct err *e);

/* *w may be NULL; becomes NULL. What was not committed did not happen. */
void history_writer_close(struct history_writer **w);

/* True when the file was found to be damaged: to be closed and opened with
 * history_writer_renew. */
bool history_writer_damaged(const struct history_writer *w);

/* As history_writer_open, and sets the file aside whatever is in it. */
MUST bool history_writer_renew(const char *state, struct history_writer **out,
	char *note, size_t note_cap, struct err *e);

/* A reader beside the writer, in the same process. As history_open. */
MUST bool history_open_beside(
	const char *state, struct history **out, struct err *e);

/* ------------------------------------------------------------- transactions */

MUST bool history_begin(struct history_writer *w, struct err *e);
/* False: nothing of it happened; or all of it, when the disk failed at its very
 * end: history_place tells. */
MUST bool history_commit(struct history_writer *w, struct err *e);
/* Nothing of it happens; fine without a transaction. */
void history_rollback(struct history_writer *w);

/* --------------------------------------- telling, inside of a transaction */

/* The number of a device or class, which it gets if it has none. ERR_INPUT:
 * there are no more numbers. */
MUST bool history_device_number(
	struct history_writer *w, struct str id, int64_t *no, struct err *e);
MUST bool history_class_number(
	struct history_writer *w, struct str name, int64_t *no, struct err *e);

/* What was looked at: all counters of a device or class. */
struct history_look {
	int64_t no;
	int64_t class;    /* a device's: the number of its class */
	uint64_t segment; /* its identity */
	uint64_t counter[COUNTERS];
};

/* Tells for the minute that T_S is in what L shows that was not told, and
 * keeps L. */
MUST bool history_tell_device(struct history_writer *w, int64_t t_s,
	const struct history_look *l, struct err *e);
MUST bool history_tell_class(struct history_writer *w, int64_t t_s,
	const struct history_look *l, struct err *e);

/* Where the writer stands. */
struct history_place {
	uint64_t segment; /* whose ring of events it has read, up to */
	uint64_t ring;    /* this one of it */
	int64_t looked_s; /* when the last look at all began; 0: never */
	int64_t told_s;   /* see struct history_head */
};
MUST bool history_place(
	struct history_writer *w, struct history_place *out, struct err *e);
MUST bool history_place_set(
	struct history_writer *w, const struct history_place *p, struct err *e);

/* Adds an event of the ring; CLASS is the name of its class. */
MUST bool history_tell_event(struct history_writer *w,
	const struct event_copy *v, const char *class, struct err *e);
/* N events went by untold. */
MUST bool history_tell_lost(
	struct history_writer *w, int64_t t_ms, uint64_t n, struct err *e);

MUST bool history_tell_gap(
	struct history_writer *w, const struct history_gap *g, struct err *e);

/* ------------------------------------------------------------- housekeeping */

enum history_tidied {
	HISTORY_TIDY = 0, /* there is nothing left to be done */
	HISTORY_MADE,     /* some was done: call again */
	HISTORY_DROPPED,  /* and something went before its time: see *note */
};

#define HISTORY_NOTE 160

/*
 * A step of what is left to do, of two or three milliseconds, in a transaction
 * of its own: hours are made of minutes and days of hours that have been told;
 * what is older than LIMITS goes, and when the file is larger than it may be,
 * the oldest minutes, then hours, days and events, go before their time. False:
 * nothing of the step happened.
 */
MUST bool history_tidy(struct history_writer *w,
	const struct history_limits *limits, int64_t now_s,
	enum history_tidied *done, char note[static HISTORY_NOTE],
	struct err *e);

/* Bytes of the file that hold something: without the log, and the pages that
 * will be used again. 0: that cannot be told. */
uint64_t history_writer_used(struct history_writer *w);

/* Bytes on the disk: the file, and the log beside it. */
uint64_t history_writer_bytes(const struct history_writer *w);

/* Brings what was committed from the log into the file, and to the disk:
 * waits for it. A log that readers are still at is left to the next time. */
MUST bool history_writer_sync(struct history_writer *w, struct err *e);

#endif
