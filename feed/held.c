/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/held.h"

#include "core/jail.h"
#include "feed/log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 4096 /* rows */

struct held {
	struct jail jail;
	int64_t change; /* all up to this one are in it */
	bool known;
	bool told; /* that it cannot be read */
	char path[PATH_MAX];
};

bool held_open(const char *state, struct held **out, struct err *e)
{
	struct held *h = calloc(1, sizeof(*h));
	int n;

	if (h == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	n = snprintf(h->path, sizeof(h->path), "%s/" LIVE_FILE, state);
	if (n < 0 || (size_t)n >= sizeof(h->path)) {
		held_close(&h);
		return err_set(e, ERR_INPUT, "the state's path is too long");
	}
	held_look(h);
	*out = h;
	return true;
}

void held_close(struct held **h)
{
	if (*h == NULL)
		return;
	jail_fini(&(*h)->jail);
	free(*h);
	*h = NULL;
}

const char *held_path(const struct held *h)
{
	return h->path;
}

/* -------------------------------------------------------------------- reading */

struct reading {
	struct held *h;
	bool full; /* no memory */
	char after[DEVICE_ID_MAX + 1];
};

static bool each_quarantine(void *ctx, const struct quarantine *q)
{
	struct reading *x = ctx;
	const struct jailed as = {.until_s = q->until_s};
	bool changed;

	x->full = !jail_put(&x->h->jail, str_from(q->device_id), &as,
		LIVE_QUARANTINES_MAX, &changed);
	memcpy(x->after, q->device_id, sizeof(x->after));
	return !x->full;
}

static bool each_change(void *ctx, const struct live_change *c)
{
	struct reading *x = ctx;
	const struct jailed as = {.until_s = c->until_s};
	bool changed;

	if (!c->quarantined)
		(void)jail_remove(&x->h->jail, c->device_id);
	else
		x->full = !jail_put(&x->h->jail, c->device_id, &as,
			LIVE_QUARANTINES_MAX, &changed);
	x->h->change = c->change;
	return !x->full;
}

/* A follower gives up on what takes long: so in batches. */
static bool read_all(struct reading *x, struct live *l, struct err *e)
{
	size_t before;

	jail_fini(&x->h->jail);
	x->after[0] = '\0';
	do {
		before = x->h->jail.n;
		if (!live_quarantines(
			    l, x->after, BATCH, each_quarantine, x, e))
			return false;
	} while (!x->full && x->h->jail.n - before == BATCH);
	return true;
}

static bool read_news(
	struct reading *x, struct live *l, int64_t newest, struct err *e)
{
	while (!x->full && x->h->change < newest) {
		if (!live_changes(l, x->h->change, BATCH, each_change, x, e))
			return false;
	}
	return true;
}

/* All of it, or what is new since. */
static bool read_rows(struct held *h, struct live *l, struct err *e)
{
	struct reading x = {.h = h};
	struct live_heads heads;
	bool done;

	if (!live_heads(l, &heads, e))
		return false;
	if (h->known && heads.newest >= h->change &&
		heads.oldest <= h->change + 1)
		done = read_news(&x, l, heads.newest, e);
	else
		done = read_all(&x, l, e);
	if (done && x.full)
		done = err_set(e, ERR_ENVIRONMENT, "out of memory");
	h->known = done;
	h->change = heads.newest;
	return done;
}

void held_look(struct held *h)
{
	struct live *l = NULL;
	struct err e;
	bool done = live_open(h->path, LIVE_FOLLOW, &l, &e) &&
		    (l == NULL || read_rows(h, l, &e));

	if (!done && !h->told)
		log_err(LOG_ERROR, "quarantines", &e);
	h->told = !done;
	if (!done || l == NULL) {
		jail_fini(&h->jail);
		h->known = false;
	}
	live_close(&l);
}

/* ------------------------------------------------------------------- questions */

static bool is_held(const struct held *h, struct str id, int64_t now_s)
{
	const struct jailed *x = jail_find(&h->jail, id);

	return x != NULL && (x->until_s == 0 || now_s < x->until_s);
}

enum device_status held_status(
	const struct held *h, const struct device_brief *d, int64_t now_s)
{
	enum device_status s =
		device_status_now(d->status, d->status_until_s, now_s);

	return s == DEVICE_ACTIVE && is_held(h, d->id, now_s)
		       ? DEVICE_QUARANTINED
		       : s;
}

bool held_by_registry(enum device_status s)
{
	return s != DEVICE_ACTIVE && s != DEVICE_QUARANTINED;
}

bool held_read(const struct held *h, struct str id, int64_t now_s,
	struct quarantine *out)
{
	struct live *l = NULL;
	struct err e;
	bool found = false;

	if (!is_held(h, id, now_s) || !live_open(h->path, LIVE_FOLLOW, &l, &e))
		return false;
	if (l != NULL && !live_find(l, id, out, &found, &e))
		found = false;
	live_close(&l);
	return found && quarantine_holds(out, now_s);
}
