/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir-feed does to devices: it puts them in quarantine, and lets go
 * those that it has put there. Each action is on disk, in live.db, before it is
 * answered, and is a line of the log with who asked. The broker takes it up
 * within a second: the number of the change is in the answer, and the lists
 * say whether it is in force.
 */
#ifndef FEED_ACTION_H
#define FEED_ACTION_H

#include "feed/answer.h"
#include "feed/ask.h"

#define ACTION_PAGE     100 /* of a list unless `limit` says more */
#define ACTION_PAGE_MAX 1000

struct feed;

/* POST /api/v1/devices/{id}/quarantine, …/release */
void action_quarantine(struct feed *f, const struct ask *q, struct answer *a);
void action_release(struct feed *f, const struct ask *q, struct answer *a);

/* GET /api/v1/quarantines: who is in quarantine by weir-feed. */
void action_quarantines(struct feed *f, const struct ask *q, struct answer *a);
/* GET /api/v1/actions: what was done, the newest first. */
void action_list(struct feed *f, const struct ask *q, struct answer *a);

#endif
