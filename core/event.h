/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's ring of events: what happened, newest METER_EVENTS of it.
 *
 * Allowed messages are no events: what a device says when it behaves is
 * nobody's business. The writer never waits for a reader; one that falls
 * behind is told how many events it has lost.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "core/meter_slot.h"

/* X(constant, name, what `value` is, sentence) */
#define EVENTS_TABLE(X)                                                        \
	X(CONNECT, connect, "", "a device was admitted; text: its client id")  \
	X(DISCONNECT, disconnect, "seconds the connection lasted",             \
		"its connection ended; text: the client id")                   \
	X(REFUSAL, refusal, "how many like it were not told since the last",   \
		"a request was refused; text: the topic, filter or client id") \
	X(OBSERVED, observed, "how many like it were not told since the last", \
		"enforcing would have refused it; text: as for a refusal")     \
	X(TAKEOVER, takeover, "",                                              \
		"a connect took a live connection's client id over; text: "    \
		"the "                                                         \
		"client id")                                                   \
	X(POLICY, policy, "the policy's revision", "a policy came into force") \
	X(STATUS, status,                                                      \
		"the change in the registry; 0: by time, or by weir-feed "     \
		"(reason `quarantined`)",                                      \
		"a device's rights changed; text: its status")

/* Zero is no event: an entry that was never written. */
enum event_type {
	EVENT_NONE = 0,
#define EVENT_ENUM(c, name, value, text) EVENT_##c,
	EVENTS_TABLE(EVENT_ENUM)
#undef EVENT_ENUM
		EVENT_TYPES
};

#define METER_EVENTS 4096u /* a power of two */
#define EVENT_TEXT   128u  /* bytes kept of a text; a multiple of 8 */

/* An event in words, for people and scripts; strings are borrowed. */
struct event {
	int64_t t_ms; /* Unix time */
	enum event_type type;
	/* Of a refusal: enum action, enum reason; read, they are any number. */
	uint8_t action, reason, qos;
	uint64_t value; /* see the table */
	uint32_t class; /* the meter's index of it; METER_NONE: not known;
			 * read, any number */
	uint8_t address[16];
	struct str device; /* empty: not known */
	struct str text;
};

struct meter_event {
	/* 2 * N + 1 while event N is written, 2 * N + 2 when it is there. */
	_Atomic uint64_t turn;
	_Atomic int64_t t_ms;
	_Atomic uint64_t what; /* type | action << 8 | reason << 16 |
				* qos << 24 | class << 32 */
	_Atomic uint64_t value;
	_Atomic uint64_t address[2];
	_Atomic uint64_t len; /* of the device | of the whole text << 32 */
	_Atomic uint64_t unused;
	_Atomic uint64_t device[DEVICE_ID_MAX / 8];
	_Atomic uint64_t text[EVENT_TEXT / 8];
};

_Static_assert(sizeof(struct meter_event) == 256, "layout");
_Static_assert(METER_EVENTS_AT + METER_EVENTS * sizeof(struct meter_event) <=
		       METER_CLASSES_AT,
	"layout");

/* Static; "none" for a number that is no type. */
const char *event_name(enum event_type t);
const char *event_text(enum event_type t);
/* What `value` is; "": nothing. */
const char *event_value(enum event_type t);
/* The type of that name, or EVENT_NONE. */
enum event_type event_find(struct str name);

/* --------------------------------------------------------------- the writer */

/* Appends E. Cost: its bytes copied. */
void event_store(void *mem, const struct event *e);

/* --------------------------------------------------------------- the reader */

/* What a read gave. */
enum event_read {
	EVENT_READ_NONE = 0, /* there is no newer one yet */
	EVENT_READ_ONE,
	EVENT_READ_LOST, /* LOST events went by; the cursor is past them */
};

/* One event, copied out. */
struct event_copy {
	struct event e;  /* its strings point into what follows */
	size_t text_len; /* of the whole text */
	char device[DEVICE_ID_MAX + 1];
	char text[EVENT_TEXT + 1];
};

/* How many events there ever were: the cursor of one who wants what comes. */
uint64_t event_head(struct meter_map m);

/*
 * The event at *cursor, which is moved on. A cursor beyond the head, as after
 * the segment was begun anew, is moved to the head.
 */
enum event_read event_load(struct meter_map m, uint64_t *cursor,
	struct event_copy *out, uint64_t *lost);

#endif
