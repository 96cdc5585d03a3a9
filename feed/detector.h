/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices are unlike their peers: those that in the last hour moved,
 * connected or were refused far more than the others of their class.
 *
 * Each minute of the watch goes into a window of six buckets of ten minutes. A
 * device is found when what it has there of some kind (FINDINGS_TABLE) is above
 *
 *	the kind's floor, FACTOR times the median of its class, and three times
 *	what nine in ten of its class do not exceed
 *
 * the device itself left out, where DETECTOR_PEERS others of its class or more
 * were there in that hour. What all do alike, a release of firmware or an outage
 * of the network, is no finding. It ends when the device has no more than half
 * of that.
 *
 * As everything that follows the watch, in steps. What is not known: minutes
 * that were not full ones, as after a start or a jump of the clock.
 */
#ifndef FEED_DETECTOR_H
#define FEED_DETECTOR_H

#include "core/spread.h"
#include "feed/log.h"
#include "feed/watch.h"

#define DETECTOR_PEERS     5u
#define DETECTOR_BUCKETS   6u
#define DETECTOR_BUCKET_S  600
#define DETECTOR_OPEN_MAX  256u
#define DETECTOR_ENDED_MAX 256u /* the newest are kept */
#define DETECTOR_LINES     16u  /* of the log, a look */

/* X(constant, name, unit, floor, sentence). The floors are what holds when
 * nothing is said: see feed/config.h. */
#define FINDINGS_TABLE(X)                                                      \
	X(TRAFFIC, traffic, "bytes", 1048576,                                  \
		"bytes that its TLS connections carried, in and out")          \
	X(REFUSALS, refusals, "requests", 60, "requests that were refused")    \
	X(CONNECTS, connects, "connects", 60, "connects")                      \
	X(TAKEOVERS, takeovers, "connects", 6,                                 \
		"connects that took over a live connection of the device: a "  \
		"second one has its certificate, or its network fails")

enum finding_kind {
#define FINDING_ENUM(c, name, unit, floor, text) FINDING_##c,
	FINDINGS_TABLE(FINDING_ENUM)
#undef FINDING_ENUM
		FINDING_KINDS
};

/* Static. */
const char *finding_name(enum finding_kind k);
const char *finding_unit(enum finding_kind k);
const char *finding_text(enum finding_kind k);

struct finding {
	enum finding_kind kind;
	uint32_t slot;
	char device[DEVICE_ID_MAX + 1]; /* a device id */
	char class_name[CLASS_NAME_MAX + 1];
	uint64_t amount; /* in the window, at last_s */
	uint64_t median; /* of the others of its class, to 1/16 */
	uint64_t limit;  /* above which it was found */
	uint32_t others;
	int64_t since_s; /* the end of the minute in which it was found */
	int64_t last_s;  /* of the last one in which it still was */
	int64_t ended_s; /* 0: it is still so */
};

struct detector_limits {
	uint32_t factor;
	uint64_t floor[FINDING_KINDS];
};

struct detector_page;
struct class_spread;

struct detector {
	struct finding open[DETECTOR_OPEN_MAX];
	uint32_t n_open;
	struct finding ended[DETECTOR_ENDED_MAX]; /* a ring */
	uint64_t n_ended;                         /* there ever were */
	uint64_t untold;  /* found, and no room to say so, at the last look */
	int64_t looked_s; /* the end of the last minute looked at; 0: none */
	uint32_t minutes; /* looked at, of the last hour */
	uint32_t open_of[FINDING_KINDS];

	/* The rest is its own. */
	const struct detector_limits *limits;
	struct detector_page *page[WATCH_PAGES];
	struct class_spread *spread[METER_CLASSES];
	uint8_t in_bucket[DETECTOR_BUCKETS]; /* minutes */
	int64_t bucket;                      /* which one it is, since 1970 */
	unsigned stale; /* buckets that begin with this round */
	uint32_t epoch, next, n;
	int64_t minute_s; /* the start of the round's minute */
	uint64_t missed;
	uint32_t said;
	enum { DETECTOR_IDLE = 0, DETECTOR_BOOK, DETECTOR_JUDGE } round;
};

/* What holds when nothing is said. */
void detector_limits_default(struct detector_limits *l);

/* LIMITS is lent for as long as it lives. *out is given: detector_close. */
MUST bool detector_open(const struct detector_limits *limits,
	struct detector **out, struct err *e);
void detector_close(struct detector **d);

/* Each second, after the watch has looked. Begins a round when it has another
 * full minute; findings of another meter's slots end. */
void detector_second(struct detector *d, const struct watch *w);

/* Goes on with the round, for WATCH_STEP slots. True: there is more to do. */
bool detector_step(struct detector *d, const struct watch *w);

/* Number I of those that ended, 0 the last one to; NULL: no more are kept. */
const struct finding *detector_ended(const struct detector *d, uint32_t i);

#endif
