/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom weir-feed has in quarantine, by live.db, as commands see it.
 */
#ifndef CLI_LIVE_VIEW_H
#define CLI_LIVE_VIEW_H

#include "cli/command.h"
#include "cli/output.h"
#include "io/live.h"

struct live_view {
	bool there;                /* there is such a file */
	char problem[ERR_MSG_MAX]; /* why it cannot be read; "": it can */
	struct quarantine *q;      /* by id, those that have ended too */
	size_t n;
	int64_t change; /* the newest action; 0: none */
	int64_t now_s;
};

/* Reads live.db of C's state directory. One that cannot be read is no failure:
 * see problem. False: the path is too long. live_view_fini. */
MUST bool live_view_read(
	const struct cli *c, struct live_view *out, struct err *e);
/* The same for commands whose answer hangs on it: a problem is a failure. */
MUST bool live_view_need(
	const struct cli *c, struct live_view *out, struct err *e);
void live_view_fini(struct live_view *v);

/* Says on standard error that it cannot be read, if so. */
void live_view_note(const struct live_view *v);

/* The quarantine of device ID that is in force, lent; NULL: none. */
const struct quarantine *live_view_find(
	const struct live_view *v, struct str id);

/* How many are in force. */
int64_t live_view_count(const struct live_view *v);

/* What D's status amounts to, by registry and weir-feed; Q: its quarantine, or
 * NULL. */
enum device_status live_status(
	const struct device *d, const struct quarantine *q, int64_t now_s);

/* Adds it to device_json()'s O as "feed_quarantine" (null: none), and to
 * effective_status what it makes of D. */
void live_json(cJSON *o, const struct device *d, const struct quarantine *q,
	int64_t now_s);

/* For people: by whom, why and until when. Nothing for NULL. */
void live_print(const struct quarantine *q);

#endif
