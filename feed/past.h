/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history as answers read it: each has it open for itself, so that one that
 * takes long holds up none, whatever becomes of the file. Only so many at a
 * time, for each costs memory.
 */
#ifndef FEED_PAST_H
#define FEED_PAST_H

#include "feed/answer.h"
#include "io/history.h"

struct feed;

#define PAST_MAX 32u /* answers at a time */

/* *out is given: past_close. ERR_ENVIRONMENT: there is no history yet, it cannot
 * be read, or too many read it now. */
MUST bool past_open(struct feed *f, struct history **out, struct err *e);
/* *h may be NULL; becomes NULL. */
void past_close(struct feed *f, struct history **h);

#endif
