/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter, read again and again: while the broker runs, is gone, comes back,
 * or has set the file aside and begun another one.
 */
#ifndef IO_METER_WATCH_H
#define IO_METER_WATCH_H

#include "io/segment.h"

#define METER_WATCH_PATH 4096

enum broker_state {
	BROKER_UNKNOWN = 0, /* the meter cannot be read: see problem */
	BROKER_NEVER_RAN,
	BROKER_STOPPED,
	BROKER_RUNNING,
};

/* "unknown", "never_ran", "stopped", "running". */
const char *broker_state_name(enum broker_state s);

struct meter_watch {
	char path[METER_WATCH_PATH];
	struct segment segment; /* mem NULL: no meter to read */
	uint64_t device, inode; /* which file that is */
	enum broker_state state;
	char problem[ERR_MSG_MAX]; /* BROKER_UNKNOWN: why */
	uint64_t generation;       /* the broker's start; 0: no meter */
	int64_t pid, started_s, heartbeat_s;
};

/* What a look found to be other than at the look before. */
enum watch_change {
	WATCH_SAME = 0,
	WATCH_BROKER, /* the broker has stopped or started */
	WATCH_FILE,   /* another file or none: slots and events are others */
};

/* Prepares *W for the meter at PATH, and takes the first look.
 * A meter that cannot be read is no failure: see state. False: the path is too
 * long. Release with meter_watch_close. */
MUST bool meter_watch_open(
	const char *path, struct meter_watch *w, struct err *e);

/* Looks at the file anew. What was lent of the segment is gone. */
enum watch_change meter_watch_look(struct meter_watch *w);

/* True when the path leads to another file, or none, but the one that is open
 * can still be read. */
bool meter_watch_moved(const struct meter_watch *w);

void meter_watch_close(struct meter_watch *w);

/* True when there is a meter to read, of a broker that runs or has run. */
static inline bool meter_watch_reads(const struct meter_watch *w)
{
	return w->segment.mem != NULL;
}

/* The state for people: "running, pid 811, start 12". */
#define WATCH_TEXT (ERR_MSG_MAX + 64)
void meter_watch_text(const struct meter_watch *w, char out[static WATCH_TEXT]);

#endif
