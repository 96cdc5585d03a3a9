/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.db as its readers see it: who counted what in which minute, hour and
 * day, and what happened. weir-feed writes it (io/history_writer.h); what reads
 * may not write, waits for nobody, and is waited for by nobody.
 *
 * An answer is made in turns, so that a program with one thread can give its
 * other work a turn in between: open, next until END, close. What history_open
 * gives sees the file as it was then. The feed's own reader holds nothing of it
 * between turns: an answer may be left open for as long as one likes. It sees what is added meanwhile where it has not been yet, and misses
 * what has become too old to be kept.
 */
#ifndef IO_HISTORY_H
#define IO_HISTORY_H

#include "core/device.h"
#include "core/err.h"
#include "core/event.h"
#include "core/history.h"

#define HISTORY_FOLDER "usage" /* in the state directory */
#define HISTORY_FILE   "usage/usage.db"

struct history;

/*
 * Opens the history of state directory STATE for reading. *out is given:
 * history_close. ERR_NOT_FOUND: there is none, no feed has run; ERR_ENVIRONMENT:
 * permission, damage, another version's.
 */
MUST bool history_open(const char *state, struct history **out, struct err *e);

/* *h may be NULL; becomes NULL. What was opened on it must be closed before. */
void history_close(struct history **h);

/* What there is. */
struct history_head {
	int64_t first_s; /* the oldest bucket of any level; 0: nothing at all */
	/*
	 * Minutes that began before it are told, and not added to any more
	 * (but by a clock that was set back). What was counted since is in the
	 * meter alone. 0: nothing was told yet.
	 */
	int64_t told_s;
	struct history_reach reach;      /* of devices' buckets */
	int64_t first_event, last_event; /* cursors; 0: no event */
};

MUST bool history_head(
	struct history *h, struct history_head *out, struct err *e);

/* A time in which nobody looked: what was counted in it is in the minute in
 * which it ends. */
struct history_gap {
	int64_t from_s, to_s;
};

/* The newest gaps that overlap WITHIN, oldest first, at most CAP, into OUT; *n
 * how many. */
MUST bool history_gaps(struct history *h, struct history_gap within,
	struct history_gap *out, size_t cap, size_t *n, struct err *e);

/* Whether anything was ever told of the device or class NAME. */
MUST bool history_knows_device(
	struct history *h, struct str name, bool *known, struct err *e);
MUST bool history_knows_class(
	struct history *h, struct str name, bool *known, struct err *e);

/* -------------------------------------------------------------------- turns */

enum history_got {
	HISTORY_END = 0, /* there is no more */
	HISTORY_ONE,     /* *out was filled */
	HISTORY_LATER,   /* the turn is over: call again with new work */
	HISTORY_FAILED,  /* *e says why; only to be closed */
};

/* The work of a turn, in rows looked at: two or three milliseconds' worth. */
#define HISTORY_WORK 2000u

/* ------------------------------------------------------------------- usage */

enum history_what {
	/* A row each, if there was anything: */
	HISTORY_CLASSES = 0, /* every class */
	HISTORY_CLASS,       /* the class of that name */
	HISTORY_DEVICE,      /* the device of that name */
	HISTORY_TOP,         /* the devices with the most */
	HISTORY_EACH,        /* every bucket of every device, for exports */
};

struct history_ask {
	enum history_what what;
	/*
	 * The device, the class; "" is the nameless class. TOP, EACH: only
	 * buckets that a device spent in this class; p NULL: all. At most
	 * DEVICE_ID_MAX bytes, borrowed. One that is not there has no rows.
	 */
	struct str name;
	int64_t from_s, to_s; /* Unix time; to_s is not in it */
	/* A row for each bucket in which there was something, oldest first,
	 * instead of one for all: CLASSES, CLASS and DEVICE only. */
	bool series;
	/* Series: how long a bucket is. EACH: which ones, and only those that
	 * nothing is added to any more. Where shorter ones than that are gone,
	 * longer ones are told: see the row. */
	enum history_level by;
	size_t top;    /* TOP: how many, at most HISTORY_TOP_MAX */
	unsigned sort; /* TOP: a counter, or COUNTERS: all refusals */
	/* EACH: after the row of this cursor; 0: from the beginning. */
	int64_t after;
};

#define HISTORY_TOP_MAX 10000u

struct history_row {
	/* The time that it is of: the bucket, or all that was asked for,
	 * widened to what there is. */
	int64_t from_s, to_s;
	char device[DEVICE_ID_MAX + 1]; /* "": of a class */
	char class[CLASS_NAME_MAX + 1]; /* a device's: its last in it */
	uint64_t counter[COUNTERS];
	int64_t cursor; /* EACH: for `after`; above 0, grows */
};

struct history_usage;

/* *out is given: history_usage_close. H is kept. ERR_INPUT: an ask that makes
 * no sense; it says which part. */
MUST bool history_usage_open(struct history *h, const struct history_ask *ask,
	struct history_usage **out, struct err *e);

/* Goes on for at most *work rows, which is what it leaves of them. */
enum history_got history_usage_next(struct history_usage *u, unsigned *work,
	struct history_row *out, struct err *e);

/* *u may be NULL; becomes NULL. */
void history_usage_close(struct history_usage **u);

/* ------------------------------------------------------------------ events */

/*
 * An event as it is kept. Events have consecutive cursors from 1 on, never one
 * twice; the oldest go first. Texts are the broker's word: any bytes.
 */
struct history_event {
	int64_t cursor;
	int64_t t_ms;      /* Unix time */
	uint64_t value;    /* see core/event.h; of "lost": how many */
	size_t text_len;   /* bytes there are of text */
	size_t text_bytes; /* bytes of the whole text */
	char text[EVENT_TEXT + 1];
	char type[16];                  /* of core/event.h, or "lost" */
	char device[DEVICE_ID_MAX + 1]; /* "": not known */
	char class[CLASS_NAME_MAX + 1]; /* "": not known */
	char action[16], reason[32];    /* "": none */
	uint8_t address[16];            /* IPv6, or IPv4 mapped; zero: none */
	uint8_t qos;
};

struct history_event_ask {
	bool newest_first;
	/* After this cursor, in the order asked for; 0: from the end that the
	 * order begins with. */
	int64_t after;
	int64_t from_s, to_s; /* both 0: of any time */
	/* Only these; p NULL: any. Borrowed. */
	struct str type, device, class, reason;
};

struct history_events;

/* *out is given: history_events_close. H is kept. */
MUST bool history_events_open(struct history *h,
	const struct history_event_ask *ask, struct history_events **out,
	struct err *e);

/* As history_usage_next. */
enum history_got history_events_next(struct history_events *v, unsigned *work,
	struct history_event *out, struct err *e);

/* *v may be NULL; becomes NULL. */
void history_events_close(struct history_events **v);

#endif
