/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/detector.h"

#include "core/device.h"
#include "feed/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

#define MEDIAN    500u
#define NEARLY    900u /* what nine in ten do not exceed */
#define ABOVE_ALL 3u   /* times that */
#define FACTOR    10u
#define MINUTE_S  60

/* What WATCH_PAGE slots did, by bucket. */
struct detector_page {
	uint64_t amount[WATCH_PAGE][FINDING_KINDS][DETECTOR_BUCKETS];
	uint32_t class[WATCH_PAGE]; /* when it was booked */
};

/* A class: what its devices did, and what one of them may do. */
struct class_spread {
	struct spread of[FINDING_KINDS];
	uint64_t median[FINDING_KINDS], limit[FINDING_KINDS];
};

static const struct {
	const char *name, *unit, *text;
	uint64_t floor;
} kinds[FINDING_KINDS] = {
#define FINDING_ROW(c, name, unit, floor, text)                                \
	[FINDING_##c] = {#name, (unit), (text), (floor)},
	FINDINGS_TABLE(FINDING_ROW)
#undef FINDING_ROW
};

const char *finding_name(enum finding_kind k)
{
	return kinds[k].name;
}

const char *finding_unit(enum finding_kind k)
{
	return kinds[k].unit;
}

const char *finding_text(enum finding_kind k)
{
	return kinds[k].text;
}

void detector_limits_default(struct detector_limits *l)
{
	l->factor = FACTOR;
	for (unsigned k = 0; k < FINDING_KINDS; k++)
		l->floor[k] = kinds[k].floor;
}

/* ----------------------------------------------------------------- open, close */

bool detector_open(const struct detector_limits *limits, struct detector **out,
	struct err *e)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_set(e, ERR_ENVIRONMENT, "no memory for findings");
	(*out)->limits = limits;
	return true;
}

static void clear_spreads(struct detector *d)
{
	for (uint32_t i = 0; i < METER_CLASSES; i++) {
		free(d->spread[i]);
		d->spread[i] = NULL;
	}
}

/* All that was looked at. */
static void forget(struct detector *d)
{
	for (uint32_t i = 0; i < WATCH_PAGES; i++) {
		free(d->page[i]);
		d->page[i] = NULL;
	}
	clear_spreads(d);
	memset(d->in_bucket, 0, sizeof(d->in_bucket));
	d->minutes = d->n = 0;
	d->bucket = 0;
	d->round = DETECTOR_IDLE;
}

void detector_close(struct detector **d)
{
	if (*d == NULL)
		return;
	forget(*d);
	free(*d);
	*d = NULL;
}

/* Where bucket number N is kept. The window of a clock that is in the first
 * hour of 1970 begins before it. */
static unsigned place_of(int64_t n)
{
	int64_t at = n % (int64_t)DETECTOR_BUCKETS;

	return (unsigned)(at < 0 ? at + (int64_t)DETECTOR_BUCKETS : at);
}

/* -------------------------------------------------------------------- findings */

/* A line for each of the first few of a look. */
static void say(struct detector *d, const struct finding *f, const char *what)
{
	struct text t = {0};

	if (d->said++ >= DETECTOR_LINES)
		return;
	log_begin(&t, LOG_WARNING, "finding");
	json_text(&t, "finding", str_from(what));
	json_text(&t, "kind", str_from(finding_name(f->kind)));
	json_text(&t, "device", str_from(f->device));
	json_text(&t, "class", str_from(f->class_name));
	json_count(&t, "amount", f->amount);
	json_count(&t, "median", f->median);
	json_count(&t, "limit", f->limit);
	log_end(&t);
}

static void say_rest(struct detector *d)
{
	if (d->said > DETECTOR_LINES)
		log_say(LOG_WARNING, "finding",
			"%" PRIu32 " more began or ended; GET "
			"/api/v1/findings has them",
			d->said - DETECTOR_LINES);
	d->said = 0;
}

static void end_finding(struct detector *d, uint32_t at, int64_t now_s)
{
	struct finding *f = &d->open[at];

	f->ended_s = now_s;
	say(d, f, "ended");
	d->ended[d->n_ended++ % DETECTOR_ENDED_MAX] = *f;
	d->open_of[f->kind]--;
	d->open[at] = d->open[--d->n_open];
}

const struct finding *detector_ended(const struct detector *d, uint32_t i)
{
	if (i >= DETECTOR_ENDED_MAX || i >= d->n_ended)
		return NULL;
	return &d->ended[(d->n_ended - 1 - i) % DETECTOR_ENDED_MAX];
}

static uint64_t amount_of(
	const struct detector *d, uint32_t slot, enum finding_kind k)
{
	const struct detector_page *p = d->page[slot / WATCH_PAGE];
	const uint64_t *bucket = p->amount[slot % WATCH_PAGE][k];
	uint64_t sum = 0;

	for (unsigned i = 0; i < DETECTOR_BUCKETS; i++)
		sum += bucket[i];
	return sum;
}

/* It did something in the window: a peer of its class. */
static bool was_there(const struct detector *d, uint32_t slot)
{
	for (unsigned k = 0; k < FINDING_KINDS; k++) {
		if (amount_of(d, slot, (enum finding_kind)k) != 0)
			return true;
	}
	return false;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* What a class did of each kind becomes what one of it may do. */
static void weigh(const struct detector_limits *l, struct class_spread *c)
{
	for (unsigned k = 0; k < FINDING_KINDS; k++) {
		uint64_t limit = l->floor[k], other;

		c->median[k] = spread_of_rest(&c->of[k], MEDIAN);
		other = times(c->median[k], l->factor);
		if (other > limit)
			limit = other;
		other = times(spread_of_rest(&c->of[k], NEARLY), ABOVE_ALL);
		if (other > limit)
			limit = other;
		c->limit[k] = limit;
	}
}

/* What the slot has of kind F->kind, beside what others of its class have. */
static void compare(const struct detector *d, struct finding *f)
{
	uint32_t class =
		d->page[f->slot / WATCH_PAGE]->class[f->slot % WATCH_PAGE];
	const struct class_spread *c = d->spread[class];

	f->amount = amount_of(d, f->slot, f->kind);
	f->limit = d->limits->floor[f->kind];
	f->others = 0;
	f->median = 0;
	if (c == NULL || !was_there(d, f->slot))
		return;
	f->others = (uint32_t)(c->of[f->kind].n - 1);
	f->median = c->median[f->kind];
	f->limit = c->limit[f->kind];
}

/* The class that it is compared with. */
static void name_class(
	const struct detector *d, const struct watch *w, struct finding *f)
{
	meter_class_text(&w->meter,
		d->page[f->slot / WATCH_PAGE]->class[f->slot % WATCH_PAGE],
		f -> class_name);
}

static bool is_open(
	const struct detector *d, uint32_t slot, enum finding_kind k)
{
	for (uint32_t i = 0; i < d->n_open; i++) {
		if (d->open[i].slot == slot && d->open[i].kind == k)
			return true;
	}
	return false;
}

static void judge(struct detector *d, const struct watch *w, uint32_t slot,
	enum finding_kind k)
{
	struct finding f = {.kind = k, .slot = slot};

	if (amount_of(d, slot, k) <= d->limits->floor[k])
		return;
	compare(d, &f);
	if (f.others < DETECTOR_PEERS || f.amount <= f.limit ||
		is_open(d, slot, k))
		return;
	(void)meter_slot_id(
		meter_slot_at(segment_map(&w->meter.segment), slot), f.device);
	if (!device_id_valid(str_from(f.device)))
		return;
	name_class(d, w, &f);
	f.since_s = f.last_s = d->minute_s + MINUTE_S;
	if (d->n_open == DETECTOR_OPEN_MAX) {
		d->missed++;
		return;
	}
	d->open[d->n_open++] = f;
	d->open_of[k]++;
	say(d, &f, "begins");
}

/* Those that are open, as they are now. */
static void look_again(struct detector *d, const struct watch *w)
{
	for (uint32_t i = d->n_open; i-- > 0;) {
		struct finding *f = &d->open[i];

		compare(d, f);
		name_class(d, w, f);
		if (f->amount > f->limit)
			f->last_s = d->minute_s + MINUTE_S;
		else if (f->amount <= f->limit / 2)
			end_finding(d, i, d->minute_s + MINUTE_S);
	}
}

/* --------------------------------------------------------------------- windows */

/* The amounts of the watch's last minute. */
static void take(const struct watch *w, uint32_t slot,
	uint64_t out[static FINDING_KINDS])
{
	const uint64_t *minute = watch_minute(w, slot);

	out[FINDING_TRAFFIC] =
		minute[COUNTER_WIRE_BYTES_IN] + minute[COUNTER_WIRE_BYTES_OUT];
	out[FINDING_REFUSALS] = minute[MINUTE_REFUSED];
	out[FINDING_CONNECTS] = minute[MINUTE_CONNECTS];
	out[FINDING_TAKEOVERS] = minute[MINUTE_TAKEOVERS];
}

/* False: no memory. */
static bool book(struct detector *d, const struct watch *w, uint32_t slot)
{
	const struct meter_slot *s =
		meter_slot_at(segment_map(&w->meter.segment), slot);
	struct detector_page **p = &d->page[slot / WATCH_PAGE];
	uint32_t i = slot % WATCH_PAGE, class = LOAD(s->class);
	uint64_t more[FINDING_KINDS];

	if (*p == NULL && (*p = calloc(1, sizeof(**p))) == NULL)
		return false;
	if (class >= METER_CLASSES)
		class = 0;
	(*p)->class[i] = class;
	take(w, slot, more);
	for (unsigned k = 0; k < FINDING_KINDS; k++) {
		uint64_t *bucket = (*p)->amount[i][k];

		for (unsigned b = 0; b < d->stale; b++)
			bucket[place_of(d->bucket - b)] = 0;
		bucket[place_of(d->bucket)] += more[k];
	}
	if (!was_there(d, slot))
		return true;
	if (d->spread[class] == NULL &&
		(d->spread[class] = calloc(1, sizeof(*d->spread[class]))) ==
			NULL)
		return false;
	for (unsigned k = 0; k < FINDING_KINDS; k++)
		spread_add(&d->spread[class]->of[k], amount_of(d, slot, k));
	return true;
}

/* ---------------------------------------------------------------------- rounds */

static void begin_round(struct detector *d, const struct watch *w)
{
	int64_t bucket = w->minute.start_s / DETECTOR_BUCKET_S;
	int64_t after = bucket - d->bucket;

	/* A clock that was set back begins anew. */
	if (after < 0 || after > DETECTOR_BUCKETS)
		after = DETECTOR_BUCKETS;
	d->stale = (unsigned)after;
	d->bucket = bucket;
	for (unsigned b = 0; b < d->stale; b++)
		d->in_bucket[place_of(bucket - b)] = 0;
	/* A clock that is set back by less finds some again. */
	if (d->in_bucket[place_of(bucket)] < DETECTOR_BUCKET_S / MINUTE_S)
		d->in_bucket[place_of(bucket)]++;
	clear_spreads(d);
	d->minute_s = w->minute.start_s;
	d->n = w->n;
	d->next = 0;
	d->missed = 0;
	d->round = DETECTOR_BOOK;
}

static void begin_judging(struct detector *d)
{
	for (uint32_t i = 0; i < METER_CLASSES; i++) {
		if (d->spread[i] != NULL)
			weigh(d->limits, d->spread[i]);
	}
	d->next = 0;
	d->round = DETECTOR_JUDGE;
}

static void end_round(struct detector *d, const struct watch *w)
{
	look_again(d, w);
	say_rest(d);
	d->untold = d->missed;
	d->looked_s = d->minute_s + MINUTE_S;
	d->minutes = 0;
	for (unsigned i = 0; i < DETECTOR_BUCKETS; i++)
		d->minutes += d->in_bucket[i];
	d->round = DETECTOR_IDLE;
}

static void end_all(struct detector *d)
{
	while (d->n_open != 0)
		end_finding(d, d->n_open - 1, d->minute_s + MINUTE_S);
	say_rest(d);
}

/* Half a minute that is booked is worse than none. */
static void give_up(struct detector *d, const char *why)
{
	log_say(LOG_ERROR, "findings", "%s: what was seen is forgotten", why);
	end_all(d);
	forget(d);
}

void detector_second(struct detector *d, const struct watch *w)
{
	if (d->epoch != w->epoch) {
		end_all(d);
		forget(d);
		d->epoch = w->epoch;
	}
	if (d->round == DETECTOR_IDLE && w->minute.full &&
		w->minute.start_s != d->minute_s)
		begin_round(d, w);
}

/* A watch that has begun to write another minute over the round's. */
static bool is_late(const struct detector *d, const struct watch *w)
{
	return w->minute.start_s != d->minute_s ||
	       (w->marking && watch_busy(w));
}

static void book_some(struct detector *d, const struct watch *w, uint32_t end)
{
	if (is_late(d, w)) {
		give_up(d, "the processor had no time for a minute's findings");
		return;
	}
	for (; d->next < end; d->next++) {
		if (book(d, w, d->next))
			continue;
		give_up(d, "out of memory");
		return;
	}
	if (d->next == d->n)
		begin_judging(d);
}

static void judge_some(struct detector *d, const struct watch *w, uint32_t end)
{
	for (; d->next < end; d->next++) {
		for (unsigned k = 0; k < FINDING_KINDS; k++)
			judge(d, w, d->next, (enum finding_kind)k);
	}
	if (d->next == d->n)
		end_round(d, w);
}

bool detector_step(struct detector *d, const struct watch *w)
{
	uint32_t end =
		d->n - d->next < WATCH_STEP ? d->n : d->next + WATCH_STEP;

	if (d->epoch != w->epoch)
		return false;
	if (d->round == DETECTOR_BOOK)
		book_some(d, w, end);
	else if (d->round == DETECTOR_JUDGE)
		judge_some(d, w, end);
	return d->round != DETECTOR_IDLE;
}
