/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a piece of work has been at it: an answer that takes long is made in
 * turns of ANSWER_STEP_MS, so that nobody else waits for it.
 */
#ifndef FEED_TURN_H
#define FEED_TURN_H

#include "feed/answer.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Less than the whole: what was begun before the end of the turn is ended, and
 * who comes with a new connection has to wait for several turns. */
#define TURN_NS ((int64_t)ANSWER_STEP_MS * 1000000 / 2)

struct turn {
	int64_t end_ns;
};

static inline int64_t turn_now_ns(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline struct turn turn_begin(void)
{
	return (struct turn){turn_now_ns() + TURN_NS};
}

/* Some 25 ns: may be asked before each bit of work. */
static inline bool turn_over(struct turn t)
{
	return turn_now_ns() >= t.end_ns;
}

#endif
