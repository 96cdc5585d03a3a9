/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's state, all of it, and its clock: what is done each second, and
 * long work in steps.
 */
#ifndef FEED_FEED_H
#define FEED_FEED_H

#include "feed/config.h"
#include "feed/credentials.h"
#include "feed/detector.h"
#include "feed/held.h"
#include "feed/metrics.h"
#include "feed/recorder.h"
#include "feed/roster.h"
#include "feed/tail.h"
#include "feed/watch.h"

struct access;
struct server;

struct feed {
	struct feed_config config; /* lent by main */
	int64_t started_s;
	struct watch *watch;   /* the meter; never NULL */
	struct roster *roster; /* the registry; never NULL */
	struct held *held;     /* live.db; never NULL */
	struct access *access; /* who may ask; never NULL */
	struct credentials credentials;
	struct detector *detector; /* never NULL */
	struct metrics metrics;
	struct recorder *recorder; /* of the history; never NULL */
	struct tail *tail;         /* of it; never NULL */
	struct server *server;     /* NULL: it does not serve yet, or no more */
	unsigned pasts; /* answers that read the history: feed/past.h */
};

/* *f is given: feed_close. */
MUST bool feed_open(
	const struct feed_config *config, struct feed **out, struct err *e);
void feed_close(struct feed **f);

/* For a stop as asked: tells the history all that was counted. */
void feed_finish(struct feed *f);

/* Each second. NOW_S is Unix time, NOW_MS of a clock that does not jump. What
 * takes longer than ANSWER_STEP_MS goes into feed_step. */
void feed_second(struct feed *f, int64_t now_s, int64_t now_ms);

/* Some ANSWER_STEP_MS of work that is left. True: more is, and the loop comes
 * back after it has served others. */
bool feed_step(struct feed *f);

/* What is new goes to those who tail. Returns in how many ms it is to be called
 * again. */
unsigned feed_beat(struct feed *f);

struct tail_now feed_now(void);

#endif
