/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/follow_live.h"

#include "io/live.h"
#include "plugin/change.h"
#include "plugin/clock.h"
#include "plugin/guard.h"
#include "plugin/report.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* A file that changed so shortly before it was looked at may change again
 * within the same tick of the file system's clock. */
#define SETTLE_MS   100
#define LOG_SUFFIX  "-wal"
#define BEGIN_LOOKS 64 /* LIVE_QUARANTINES_MAX in batches, and some */

/* ------------------------------------------------------------- what is wrong */

static void live_problem(struct guard *g, const char *text)
{
	struct live_follow *l = &g->live;

	follow_problem(g, l->problem, sizeof l->problem, text);
}

static void failed(struct guard *g, const struct err *e)
{
	struct live_follow *l = &g->live;
	char text[sizeof l->problem];

	l->settled = false;
	if (++l->failures < LIVE_TRIES)
		return;
	l->refusing = true;
	/* Its writer may see to it that each look takes as long as one may. */
	l->next_ms = g->now_ms + LIVE_AGAIN_MS;
	(void)snprintf(text, sizeof text, "nobody is admitted: %.300s", e->msg);
	live_problem(g, text);
}

static void good(struct guard *g)
{
	struct live_follow *l = &g->live;

	l->failures = 0;
	if (l->problem[0] == '\0')
		return;
	l->problem[0] = '\0';
	report(MOSQ_LOG_NOTICE, "%s: readable again%s", g->live_path,
		l->refusing ? "; devices are admitted" : "");
	l->refusing = false;
	follow_tell(g);
}

/* -------------------------------------------------------------- what is read */

/* Takes up that ID is, or is not, in quarantine. False: no room. */
static bool take(
	struct guard *g, struct str id, bool quarantined, int64_t until_s)
{
	struct live_follow *l = &g->live;
	const struct jailed as = {.until_s = until_s, .round = l->round};
	bool changed;

	if (!quarantined) {
		changed = jail_remove(&l->jail, id);
	} else if (!jail_put(
			   &l->jail, id, &as, LIVE_QUARANTINES_MAX, &changed)) {
		/* weir-feed removes those that have ended, and says nothing. */
		jail_purge(&l->jail, g->now_s);
		if (!jail_put(
			    &l->jail, id, &as, LIVE_QUARANTINES_MAX, &changed))
			return false;
	}
	/* Nobody is connected before the first reading, and nothing new. */
	if (changed && l->known) {
		change_confine(g, id);
		change_tell(g, 0, REASON_QUARANTINED, id);
	}
	return true;
}

struct reading {
	struct guard *g;
	int n;
	bool full; /* no room for what came */
	bool late; /* there may be more, for the next poll */
};

/* Each poll takes up one thing at least. */
static bool has_time(const struct live_follow *l)
{
	return clock_ns() < l->until_ns;
}

static bool each_change(void *ctx, const struct live_change *c)
{
	struct reading *x = ctx;

	if (!take(x->g, c->device_id, c->quarantined, c->until_s)) {
		x->full = true;
		return false;
	}
	x->n++;
	x->g->live.change = c->change;
	return has_time(&x->g->live);
}

static bool each_quarantine(void *ctx, const struct quarantine *q)
{
	struct reading *x = ctx;
	struct live_follow *l = &x->g->live;

	if (!take(x->g, str_from(q->device_id), true, q->until_s)) {
		x->full = true;
		return false;
	}
	x->n++;
	memcpy(l->load_after, q->device_id, sizeof l->load_after);
	x->late = !has_time(l);
	return !x->late;
}

static bool no_room(struct guard *g, const struct reading *x, struct err *e)
{
	return !x->full ||
	       err_set(e, ERR_ENVIRONMENT,
		       "%.160s holds more than %u quarantines, or there is no "
		       "memory for them; release some, or restart weir-feed",
		       g->live_path, LIVE_QUARANTINES_MAX);
}

/* Begins to read all of it. What was known stays in force until that is
 * done; changes from here on are read after it. */
static void begin_load(struct live_follow *l, const struct live_heads *h)
{
	l->load = LIVE_LOADING;
	l->restart = false;
	l->load_after[0] = '\0';
	l->drop_at = 0;
	l->round++;
	l->change = h->newest;
}

static bool load_more(struct guard *g, struct live *db, struct err *e)
{
	struct live_follow *l = &g->live;
	struct reading x = {g, 0, false, false};

	if (!live_quarantines(db, l->load_after, LIVE_LOAD_BATCH,
		    each_quarantine, &x, e) ||
		!no_room(g, &x, e))
		return false;
	if (x.n < LIVE_LOAD_BATCH && !x.late)
		l->load = LIVE_DROPPING;
	return true;
}

/* Lets go who is not in the file, a few a poll. */
static void drop_more(struct guard *g)
{
	struct live_follow *l = &g->live;
	size_t end = l->drop_at + LIVE_LOAD_BATCH;

	for (int left = LIVE_BATCH; left > 0; left--) {
		const struct jailed *x = jail_next_unseen(&l->jail, &l->drop_at,
			end > l->drop_at ? end - l->drop_at : 0, l->round);
		char id[DEVICE_ID_MAX + 1];

		if (x == NULL)
			break;
		(void)snprintf(id, sizeof id, "%s", x->id);
		(void)take(g, str_from(id), false, 0);
		if (!has_time(l))
			break;
	}
	if (l->drop_at < l->jail.n)
		return;
	l->load = LIVE_LOADED;
	l->known = true;
	l->settled = false; /* for the changes since it began */
}

static bool read_changes(struct guard *g, struct live *db,
	const struct live_heads *h, struct err *e)
{
	struct live_follow *l = &g->live;
	struct reading x = {g, 0, false, false};

	if (h->newest == l->change)
		return true;
	if (!live_changes(db, l->change, LIVE_BATCH, each_change, &x, e) ||
		!no_room(g, &x, e))
		return false;
	if (l->change < h->newest)
		l->settled = false;
	return true;
}

/* A step of what there is to read. */
static bool read_step(struct guard *g, struct live *db, struct err *e)
{
	struct live_follow *l = &g->live;
	struct live_heads h;

	if (!live_heads(db, &h, e))
		return false;
	if (l->restart || h.newest < l->change || h.oldest > l->change + 1)
		begin_load(l, &h);
	if (l->load == LIVE_LOADING)
		return load_more(g, db, e);
	return l->load != LIVE_LOADED || read_changes(g, db, &h, e);
}

/* ------------------------------------------------------------------ the files */

static bool same_mark(const struct live_mark *a, const struct live_mark *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

/* *m of the file at PATH; zeroed when it is not there. */
static bool mark(const char *path, struct live_mark *m)
{
	struct stat st;

	*m = (struct live_mark){.size = 0};
	if (lstat(path, &st) != 0)
		return errno == ENOENT;
	*m = (struct live_mark){st.st_dev, st.st_ino, st.st_size, st.st_ctim};
	return true;
}

/* True when M changed well before the tick that is under way. */
static bool is_old(const struct guard *g, const struct live_mark *m)
{
	int64_t now_ms = ((int64_t)g->now_ms * 1000000 + g->ahead_ns) / 1000000;
	int64_t then_ms = (int64_t)m->changed.tv_sec * 1000 +
			  m->changed.tv_nsec / 1000000;

	return then_ms + SETTLE_MS < now_ms;
}

/* Nobody is in quarantine by a file that never was. One that is gone lets
 * nobody go: it may come back, and whoever removes it has said so to no one. */
static void absent(struct guard *g)
{
	struct live_follow *l = &g->live;
	char text[sizeof l->problem];

	l->known = true;
	l->failures = 0;
	l->refusing = false;
	l->restart = true;
	l->load = LIVE_LOADED;
	if (l->jail.n == 0) {
		good(g);
		return;
	}
	(void)snprintf(text, sizeof text,
		"%.160s is gone: whom weir-feed had put in quarantine stays "
		"there until weir-feed makes it anew, or the broker is "
		"restarted",
		g->live_path);
	live_problem(g, text);
}

static bool read_file(struct guard *g, struct err *e)
{
	struct live *db = NULL;
	bool told;

	if (!live_open(g->live_path, LIVE_FOLLOW, &db, e))
		return false;
	if (db == NULL) { /* gone since */
		g->live.settled = false;
		return true;
	}
	told = read_step(g, db, e);
	live_close(&db);
	return told;
}

static void look(struct guard *g)
{
	struct live_follow *l = &g->live;
	char log_path[sizeof g->live_path + sizeof LOG_SUFFIX];
	struct live_mark db, log;
	struct err e;

	(void)snprintf(
		log_path, sizeof log_path, "%s" LOG_SUFFIX, g->live_path);
	if (!mark(g->live_path, &db) || !mark(log_path, &log)) {
		(void)err_set(&e, ERR_ENVIRONMENT,
			"%.160s cannot be looked at; run weir init as root",
			g->live_path);
		failed(g, &e);
		return;
	}
	if (db.ino == 0) {
		l->db = db;
		absent(g);
		return;
	}
	if (l->settled && l->load == LIVE_LOADED && same_mark(&db, &l->db) &&
		same_mark(&log, &l->log))
		return;
	if (db.dev != l->db.dev || db.ino != l->db.ino)
		l->restart = true;
	l->db = db;
	l->log = log;
	l->settled = is_old(g, &db) && is_old(g, &log);
	if (read_file(g, &e))
		good(g);
	else
		failed(g, &e);
}

static void live_look(struct guard *g, uint64_t until_ns)
{
	struct live_follow *l = &g->live;

	l->until_ns = until_ns;
	if (l->load == LIVE_DROPPING)
		drop_more(g);
	look(g);
}

void live_poll(struct guard *g)
{
	struct live_follow *l = &g->live;

	if (g->now_ms < l->next_ms)
		return;
	l->next_ms = g->now_ms + LIVE_LOOK_MS;
	live_look(g, clock_ns() + LIVE_BUDGET_NS);
}

/* Nobody is served yet, and nobody waits. */
void live_begin(struct guard *g)
{
	struct live_follow *l = &g->live;

	for (int i = 0; i < BEGIN_LOOKS && !l->known && l->failures == 0; i++)
		live_look(g, CLOCK_NEVER_NS);
	live_settle(g);
}

void live_settle(struct guard *g)
{
	const struct live_follow *l = &g->live;

	if (!l->known || l->load != LIVE_LOADED || g->kicks.n != 0)
		return;
	meter_apply_live(g->segment.mem, l->change);
}

void live_end(struct guard *g)
{
	jail_fini(&g->live.jail);
}
