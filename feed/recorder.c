/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/recorder.h"

#include "feed/log.h"
#include "feed/recorder_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_STEP 128
#define RETRY_MS    5000  /* after a failure; doubled up to */
#define RETRY_MOST  60000 /* this */
#define FAR_S       180   /* a clock that is so far off was set */

/* ------------------------------------------------------------------ failures */

static void put_down(struct recorder *r)
{
	history_sync_stop(&r->sync);
	history_close(&r->reader);
	history_writer_close(&r->w);
}

static void failed(struct recorder *r, const struct err *e)
{
	struct recorder_state *s = &r->state;

	if (s->well || strcmp(s->error, e->msg) != 0)
		log_err(LOG_ERROR, "history", e);
	if (s->well)
		s->error_s = r->now_s;
	s->well = false;
	(void)snprintf(s->error, sizeof(s->error), "%s", e->msg);
	r->wait_ms = r->wait_ms == 0               ? RETRY_MS
		     : r->wait_ms > RETRY_MOST / 2 ? RETRY_MOST
						   : 2 * r->wait_ms;
	r->retry_ms = r->now_ms + r->wait_ms;
	r->waiting = true;
	r->round = ROUND_NONE;
	slots_forget(&r->slots);
}

/* The file works again. */
static void recovered(struct recorder *r)
{
	/* What is in the file is not on the disk. */
	if (r->state.well || !history_sync_well(r->sync, NULL))
		return;
	log_say(LOG_NOTICE, "history",
		"it works again: what was not told is told now");
	r->state.well = true;
	r->state.error[0] = '\0';
	r->state.error_s = r->wait_ms = 0;
}

/* --------------------------------------------------------------- open, close */

static void say_note(const char *note)
{
	if (note[0] != '\0')
		log_say(LOG_ERROR, "history", "%s", note);
}

/* RENEW: what is there is damaged. */
static bool pick_up(struct recorder *r, bool renew, struct err *e)
{
	char note[2 * ERR_MSG_MAX + 64];
	bool ok = renew ? history_writer_renew(
				  r->path, &r->w, note, sizeof(note), e)
			: history_writer_open(
				  r->path, &r->w, note, sizeof(note), e);

	if (ok)
		say_note(note);
	if (ok && history_place(r->w, &r->place, e) &&
		history_open_beside(r->path, &r->reader, e) &&
		history_sync_start(r->path, &r->sync, e)) {
		r->tidy = true;
		return true;
	}
	put_down(r);
	return false;
}

bool recorder_open(const char *state, const struct config_history *limits,
	struct recorder **out, struct err *e)
{
	struct recorder *r = calloc(1, sizeof(*r));
	struct err why;

	if (r != NULL)
		r->path = strdup(state);
	if (r == NULL || r->path == NULL) {
		free(r);
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	}
	r->limits = *limits;
	r->state.well = true;
	r->lock = -1;
	if (!history_lock(state, &r->lock, &why) && why.code == ERR_CONFLICT) {
		*e = why;
		recorder_close(&r);
		return false;
	}
	if (r->lock < 0 || !pick_up(r, false, &why))
		failed(r, &why);
	*out = r;
	return true;
}

void recorder_close(struct recorder **r)
{
	struct recorder *x = *r;

	if (x == NULL)
		return;
	put_down(x);
	if (x->lock >= 0)
		(void)close(x->lock);
	slots_free(&x->slots);
	free(x->path);
	free(x);
	*r = NULL;
}

/* After a failure: what was known of the file may not be so. */
static bool try_again(struct recorder *r, struct err *e)
{
	bool damaged = r->w != NULL && history_writer_damaged(r->w);

	if (r->lock < 0 && !history_lock(r->path, &r->lock, e))
		return false;
	if (damaged)
		put_down(r);
	if (r->w == NULL)
		return pick_up(r, damaged, e);
	return history_place(r->w, &r->place, e);
}

/* -------------------------------------------------------------------- events */

/* *more: the ring may have others. */
static bool tell_events(
	struct recorder *r, const struct watch *w, bool *more, struct err *e)
{
	struct meter_map m = segment_map(&w->meter.segment);
	struct history_place p = r->place;
	char class[CLASS_NAME_MAX + 1];
	struct event_copy v;
	uint64_t lost, all_lost = 0;
	unsigned n = 0;

	if (p.segment != r->slots.segment)
		p.ring = 0;
	p.segment = r->slots.segment;
	for (; n < EVENTS_STEP; n++) {
		enum event_read got = event_load(m, &p.ring, &v, &lost);
		bool ok = true;

		if (got == EVENT_READ_NONE)
			break;
		meter_class_text(&w->meter, v.e.class, class);
		if (got == EVENT_READ_ONE)
			ok = history_tell_event(r->w, &v, class, e);
		else
			ok = history_tell_lost(r->w, r->now_s * 1000, lost, e);
		all_lost += got == EVENT_READ_LOST ? lost : 0;
		if (!ok)
			return false;
	}
	*more = n == EVENTS_STEP;
	if (!history_place_set(r->w, &p, e) || !history_commit(r->w, e))
		return false;
	r->place = p;
	r->state.lost += all_lost;
	return true;
}

static bool step_events(
	struct recorder *r, const struct watch *w, struct err *e)
{
	r->events = false;
	if (!meter_watch_reads(&w->meter) ||
		(r->place.segment == r->slots.segment &&
			event_head(segment_map(&w->meter.segment)) ==
				r->place.ring))
		return true;
	if (!history_begin(r->w, e))
		return false;
	if (tell_events(r, w, &r->events, e))
		return true;
	history_rollback(r->w);
	return false;
}

/* --------------------------------------------------------------------- tidying */

static bool step_tidy(struct recorder *r, struct err *e)
{
	const struct config_history *c = &r->limits;
	const struct history_limits keep = {
		c->minute_s, c->hour_s, c->day_s, c->event_s, c->max_bytes};
	enum history_tidied done = HISTORY_TIDY;
	char note[HISTORY_NOTE];

	if (!history_tidy(r->w, &keep, r->now_s, &done, note, e))
		return false;
	if (done == HISTORY_DROPPED)
		log_say(LOG_WARNING, "history", "%s", note);
	r->tidy = done != HISTORY_TIDY;
	if (!r->tidy)
		history_sync_ask(r->sync);
	return true;
}

/* ----------------------------------------------------------------- the clock */

/* The minute that the counters have grown in since the last look, unless
 * that was long ago. */
static void begin_round(struct recorder *r, int64_t now_s)
{
	int64_t minute_s = history_floor(HISTORY_MINUTE, now_s);
	int64_t off_s = now_s - r->minute_s;

	r->t_s = r->minute_s == 0 || off_s > FAR_S || off_s < -FAR_S
			 ? minute_s
			 : r->minute_s;
	r->begun_s = now_s;
	r->round = ROUND_NUMBERS;
}

/* What is known of slots is of another meter. */
static void follow(struct recorder *r, const struct watch *w)
{
	uint64_t segment = 0;

	if (meter_watch_reads(&w->meter))
		segment = meter_identity(w->meter.segment.mem);
	if (r->slots.epoch == w->epoch && r->slots.segment == segment)
		return;
	slots_forget(&r->slots);
	r->leaving = LEAVING_NOT;
	r->slots.epoch = w->epoch;
	r->slots.segment = segment;
	if (r->round != ROUND_NONE)
		r->round = ROUND_NUMBERS;
}

/* What a second brings, when it is known whose slots they are. */
static void look(struct recorder *r, int64_t now_s, int64_t now_ms)
{
	struct err why;

	r->now_s = now_s;
	r->now_ms = now_ms;
	if (r->state.error_s == 0 && !r->state.well)
		r->state.error_s = now_s;
	if (r->waiting && now_ms < r->retry_ms)
		return;
	if (r->waiting && !try_again(r, &why)) {
		failed(r, &why);
		return;
	}
	r->waiting = false;
	if (r->state.well && !history_sync_well(r->sync, &why)) {
		failed(r, &why);
		return;
	}
	r->events = true;
	if (r->round == ROUND_NONE &&
		r->minute_s != history_floor(HISTORY_MINUTE, now_s))
		begin_round(r, now_s);
}

void recorder_second(struct recorder *r, const struct watch *w, int64_t now_s,
	int64_t now_ms)
{
	follow(r, w);
	r->leaving = LEAVING_NOT;
	look(r, now_s, now_ms);
}

/* A round has ended while a meter is left: on to the next, or done. */
static void leave_on(struct recorder *r)
{
	if (r->round != ROUND_NONE)
		return;
	if (r->leaving == LEAVING_LAST) {
		r->leaving = LEAVING_DONE;
	} else if (r->leaving == LEAVING_ROUND) {
		begin_round(r, r->now_s);
		r->t_s = history_floor(HISTORY_MINUTE, r->now_s);
		r->leaving = LEAVING_LAST;
	}
}

bool recorder_step(struct recorder *r, const struct watch *w)
{
	struct err why;
	bool ok;

	if (r->waiting)
		return false;
	follow(r, w);
	if (r->events)
		ok = step_events(r, w, &why);
	else if (r->round != ROUND_NONE)
		ok = round_step(r, w, &why);
	else if (r->tidy)
		ok = step_tidy(r, &why);
	else
		return false;
	if (!ok)
		failed(r, &why);
	else if (r->round == ROUND_NONE && !r->events)
		recovered(r);
	if (ok)
		leave_on(r);
	return ok;
}

bool recorder_leave(struct recorder *r, const struct watch *w, int64_t now_s,
	int64_t now_ms)
{
	follow(r, w);
	if (r->leaving == LEAVING_NOT) {
		look(r, now_s, now_ms);
		r->leaving = LEAVING_ROUND;
		leave_on(r);
	}
	return r->waiting || r->leaving == LEAVING_DONE;
}

/* -------------------------------------------------------------------- state */

struct history *recorder_history(struct recorder *r)
{
	return r->reader;
}

void recorder_state(const struct recorder *r, struct recorder_state *out)
{
	*out = r->state;
	out->looked_s = r->place.looked_s;
	out->told_s = r->place.told_s;
	out->bytes = r->w != NULL ? history_writer_bytes(r->w) : 0;
}
