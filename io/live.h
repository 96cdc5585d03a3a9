/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.db: what weir-feed tells the broker while it runs: whom it has put in
 * quarantine. SQLite, WAL.
 *
 * One writer (weir-feed), which opens it for each action and closes it; any
 * number of readers (the plugin, commands). It can only take rights away. Its
 * writer is not trusted: a reader waits for nothing and nobody, looks at the
 * schema before it looks at rows, bounds what it reads, and treats every byte
 * as hostile. A reader sees the one state that was there when it opened.
 *
 * All functions: false fills *e. ERR_ENVIRONMENT: file, lock, disk, schema of
 * another version; the message says what to do. Not thread-safe per handle.
 */
#ifndef IO_LIVE_H
#define IO_LIVE_H

#include "core/device.h"
#include "core/err.h"

#include <stdbool.h>
#include <stdint.h>

#define LIVE_FILE            "live/live.db" /* in the state directory */
#define LIVE_SCHEMA          1              /* PRAGMA user_version */
#define LIVE_ACTOR_MAX       80             /* bytes */
#define LIVE_QUARANTINES_MAX 65536u         /* at once, those ended included */
#define LIVE_ACTIONS_MAX     65536u         /* the newest are kept */

struct live;

/* FOLLOW is READ that never waits, and gives up on what takes long. */
enum live_mode { LIVE_READ = 0, LIVE_FOLLOW, LIVE_WRITE };

/* *out is given: live_close. For READ and FOLLOW, true with *out NULL: there is
 * no such file, and nothing is quarantined by it. WRITE makes it where it is
 * missing, in a folder that is there. */
MUST bool live_open(const char *path, enum live_mode mode, struct live **out,
	struct err *e);

/* NULL is fine. */
void live_close(struct live **l);

/* ------------------------------------------------------------------ reading */

/* A device in quarantine. Texts are utf8_valid(). */
struct quarantine {
	char device_id[DEVICE_ID_MAX + 1];
	char reason[STATUS_REASON_MAX + 1];
	char actor[LIVE_ACTOR_MAX + 1];
	int64_t since_s, until_s; /* Unix time; until_s 0: no end */
	int64_t change;           /* the action that made it so */
};

/* True when Q is still in force at NOW_S. */
bool quarantine_holds(const struct quarantine *q, int64_t now_s);

/* One indexed read. */
MUST bool live_find(struct live *l, struct str id, struct quarantine *out,
	bool *found, struct err *e);

/* Calls EACH, in order of ids, for at most LIMIT quarantines of devices after
 * AFTER ("": the first), those that have ended included, until it returns
 * false; *q is borrowed for the call. */
MUST bool live_quarantines(struct live *l, const char *after, int limit,
	bool (*each)(void *ctx, const struct quarantine *q), void *ctx,
	struct err *e);

/* The newest action's number, and the oldest that is kept; 0: none ever. */
struct live_heads {
	int64_t newest, oldest;
};
MUST bool live_heads(struct live *l, struct live_heads *out, struct err *e);

/* What a device is by now that an action was about. */
struct live_change {
	int64_t change;
	struct str device_id; /* lent for the call */
	bool quarantined;
	int64_t until_s;
};
/* Calls EACH for at most LIMIT actions with a number above AFTER, in order. */
MUST bool live_changes(struct live *l, int64_t after, int limit,
	bool (*each)(void *ctx, const struct live_change *c), void *ctx,
	struct err *e);

/* An action, as it was done. */
struct live_action {
	int64_t change, t_s, until_s;
	bool quarantine; /* else a release */
	char device_id[DEVICE_ID_MAX + 1];
	char actor[LIVE_ACTOR_MAX + 1];
	char reason[STATUS_REASON_MAX + 1];
};
/* The same as live_changes, with what was done; BEFORE 0: the newest; newest
 * first. */
MUST bool live_actions(struct live *l, int64_t before, int limit,
	bool (*each)(void *ctx, const struct live_action *a), void *ctx,
	struct err *e);

/* ------------------------------------------------------------------ writing */

/*
 * Puts Q->device_id in quarantine (reason, actor, since_s, until_s), or says
 * anew why and until when. *change: the action's number; of the one before
 * when it is so already. True only when it is on disk. ERR_INPUT: a device id,
 * a text or a time that is none. ERR_CONFLICT: LIVE_QUARANTINES_MAX are.
 */
MUST bool live_quarantine(struct live *l, const struct quarantine *q,
	int64_t *change, struct err *e);

/* Ends the quarantine of ID. *change: the action's number; 0: it was in none,
 * or it had ended. */
MUST bool live_release(struct live *l, struct str id, const char *actor,
	int64_t now_s, int64_t *change, struct err *e);

#endif
