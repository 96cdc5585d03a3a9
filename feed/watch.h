/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter, looked at every second: in which slots something has changed, and
 * which devices did most in the last full minute.
 *
 * A look walks over all slots, in steps, so that nobody waits for a million of
 * them:
 *
 *	watch_look(w, …);              each second
 *	while (watch_step(w)) …;       as often as it says; others in between
 *
 * A change is found by what it moves: the sum of the counters, which only grow,
 * so that none can move without it; the sequences of the last connect and of
 * the last refusal; class and connections. Nothing else that meter_device_load
 * gives moves alone: a reason is counted with its refusal, and last_seen_s is
 * stored with a connect or a disconnect. What a device has used of its limits
 * and its QoS 2 marks are the plugin's own, and not looked at.
 *
 * Borrowed: meter, its mapping and all slot numbers, until the next
 * watch_look(); they are good between steps. The mapping stays readable when
 * its file is cut short: what is lost reads as zero, and the next look finds
 * another file.
 *
 * One watch a process: it has the guard of the meter (io/segment_guard.h).
 */
#ifndef FEED_WATCH_H
#define FEED_WATCH_H

#include "core/rank.h"
#include "io/meter_device.h"

#define WATCH_PAGE  1024u /* slots of a page; a step of the meter's growth */
#define WATCH_PAGES (METER_SLOTS_MAX / WATCH_PAGE)
#define WATCH_STEP  16384u /* slots of a step: about 2 ms */
#define WATCH_TOP   1000u  /* devices of a ranking, at most */

/* What is known of each device's minute: the counters up to wire_bytes_out,
 * all that was refused, as one, and how often it came. */
enum {
	MINUTE_REFUSED = COUNTER_WIRE_BYTES_OUT + 1,
	MINUTE_CONNECTS,
	MINUTE_TAKEOVERS,
	MINUTE_COUNTS,
};
_Static_assert(COUNTER_MESSAGES_IN == 0 && COUNTER_WIRE_BYTES_OUT == 10,
	"the counters of a minute are the first ones");

/* What is kept of WATCH_PAGE slots. */
struct watch_page {
	uint32_t newest; /* the newest of changed[] */
	uint32_t changed[WATCH_PAGE];
	uint64_t sum[WATCH_PAGE];   /* of the counters */
	uint64_t seqs[WATCH_PAGE];  /* of connect | of refusal << 32 */
	uint64_t state[WATCH_PAGE]; /* class | connections << 32 */
	uint64_t mark[WATCH_PAGE][MINUTE_COUNTS];
	uint64_t minute[WATCH_PAGE][MINUTE_COUNTS];
};

/* A device that was among the first of the last full minute. */
struct watch_top {
	uint32_t slot;
	char device[DEVICE_ID_MAX + 1]; /* any bytes, as the meter has them */
	char class_name[CLASS_NAME_MAX + 1];
	uint64_t count[MINUTE_COUNTS];
};

/* The last full minute of the clock. Its ends are the looks that follow the
 * clock's: up to a second late, and what comes in between is in the minute after
 * it. Nothing is in none or in two. */
struct watch_minute {
	bool full;       /* false: there is none, and nothing else is good */
	int64_t start_s; /* Unix time, a multiple of 60 */
	int64_t ms;      /* from look to look */
	uint32_t active; /* devices that did anything */
	uint32_t n_top;
	struct watch_top *top;       /* the most bytes on the wire first */
	uint64_t all[MINUTE_COUNTS]; /* of all devices, the first included */
};

struct watch {
	struct meter_watch meter;
	/* Other when slots, classes, counters and events are of another meter:
	 * what was kept by their numbers is void. */
	uint32_t epoch;
	uint32_t tick; /* of the look that is under way, or was last; 0: none */
	uint32_t done; /* of the last look that came to its end */
	uint32_t n;    /* slots that have been looked at */
	bool no_memory; /* there are more slots than could be kept */
	struct watch_minute minute;
	/* Devices with a connection, by class, at the last whole look. */
	uint32_t connected[METER_CLASSES];

	/* The rest is its own. */
	struct watch_page *page[WATCH_PAGES];
	uint32_t next, to; /* the look under way: slots done, of how many */
	uint32_t counted[METER_CLASSES];
	bool went_back; /* a counter did */
	bool marking;   /* the look under way begins a minute */
	bool marked;    /* there are marks, taken at: */
	int64_t mark_minute, mark_ms;
	int64_t now_minute, now_ms; /* of the look under way */
	struct watch_minute coming; /* what the marking look gathers */
	struct watch_top *spare;    /* of coming, then of minute */
	struct rank rank;
	uint64_t generation, identity;
	const void *guarded;
	size_t guarded_size;
};

/* Opens the meter at the path METER, to rank TOP devices, at most
 * WATCH_TOP. *out is given: watch_close. A meter that cannot be read is no
 * failure: see meter.state. False: no memory, or the path is too long. */
MUST bool watch_open(
	const char *meter, uint32_t top, struct watch **out, struct err *e);
void watch_close(struct watch **w);

/*
 * Begins a look: finds out what became of the broker and of its file. NOW_S is
 * Unix time, NOW_MS of a clock that does not jump. While a look is under way it
 * does nothing, and says WATCH_SAME. After WATCH_FILE epoch is another one.
 */
enum watch_change watch_look(struct watch *w, int64_t now_s, int64_t now_ms);

/* Goes on with the look. True: there is more to do. False: it is done. */
bool watch_step(struct watch *w);

/* True while a look is under way. */
static inline bool watch_busy(const struct watch *w)
{
	return w->next < w->to;
}

/*
 * The tick of the look that found the slot, less than n, to have changed last.
 * Who follows the changes keeps the `done` that it has seen: after all slots
 * with a tick above that one it takes the `done` from when it began. Slots of
 * the look under way may come twice, and never go missing.
 */
static inline uint32_t watch_changed(const struct watch *w, uint32_t slot)
{
	return w->page[slot / WATCH_PAGE]->changed[slot % WATCH_PAGE];
}

/* The newest of the slot's page: below it, the whole page may be skipped. */
static inline uint32_t watch_page_changed(const struct watch *w, uint32_t slot)
{
	return w->page[slot / WATCH_PAGE]->newest;
}

/* What the device in slot, less than n, did in the last full minute, by
 * MINUTE_COUNTS; good when minute.full. In a look that begins a minute it may
 * be of the next one. */
static inline const uint64_t *watch_minute(const struct watch *w, uint32_t slot)
{
	return w->page[slot / WATCH_PAGE]->minute[slot % WATCH_PAGE];
}

#endif
