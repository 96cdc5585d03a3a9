/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/tail.h"

#include "core/event.h"
#include "feed/event_json.h"
#include "feed/tail_client.h"

#include <stdlib.h>

/* The oldest of the meter's ring may be written over while they are read. */
#define RING_READ (METER_EVENTS - 64u)

/* The one place where memory may run out: each message finds its room in
 * scratch, so that no event is left out for want of it. */
bool tail_new(const struct watch *w, struct tail **out, struct err *e)
{
	static const char room[TAIL_MESSAGE_MAX];
	struct tail *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return err_set(e, ERR_ENVIRONMENT, "no memory for the tail");
	t->watch = w;
	text_add(&t->scratch, (struct str){room, sizeof(room)});
	if (t->scratch.failed)
		(void)err_set(e, ERR_ENVIRONMENT, "no memory for the tail");
	if (t->scratch.failed || !tail_ring_new(&t->ring, e)) {
		tail_free(&t);
		return false;
	}
	*out = t;
	return true;
}

void tail_free(struct tail **t)
{
	if (*t == NULL)
		return;
	tail_ring_free(&(*t)->ring);
	text_free(&(*t)->scratch);
	free(*t);
	*t = NULL;
}

/* ------------------------------------------------------------ what is read */

static void message_begin(struct tail *t, const char *type)
{
	text_clear(&t->scratch);
	json_open(&t->scratch, NULL, '{');
	json_text(&t->scratch, "type", str_from(type));
}

/* Puts what was begun into the ring. */
static void message_end(struct tail *t, struct tail_message m)
{
	json_close(&t->scratch, '}');
	m.text = (struct str){t->scratch.p, t->scratch.n};
	tail_ring_add(t->ring, &m);
}

static void add_event(struct tail *t, uint64_t n, const struct event_copy *x)
{
	char class[CLASS_NAME_MAX + 1], cursor[TAIL_CURSOR_TEXT];
	struct tail_message m = {.is_event = true, .cursor = {t->meter, n}};

	meter_class_text(&t->watch->meter, x->e.class, class);
	m.key = (struct tail_key){
		x->e.type, x->e.reason, x->e.device, str_from(class)};
	tail_cursor_format(m.cursor, cursor);
	message_begin(t, "event");
	json_text(&t->scratch, "cursor", str_from(cursor));
	event_json(&t->scratch, "event", x, m.key.class);
	message_end(t, m);
	t->newest = m.cursor;
	t->has_newest = true;
}

/* The meter's ring went round before it was read. */
static void add_lost(struct tail *t, uint64_t *lost)
{
	if (*lost == 0)
		return;
	message_begin(t, "missed");
	json_count(&t->scratch, "events", json_exact(*lost));
	json_text(&t->scratch, "by", STR("feed"));
	message_end(t, (struct tail_message){.is_event = false});
	*lost = 0;
}

static void add_broker(struct tail *t, int64_t now_s, bool new_meter)
{
	message_begin(t, "broker");
	json_number(&t->scratch, "t_s", now_s);
	json_text(&t->scratch, "state", str_from(broker_state_name(t->state)));
	json_count(&t->scratch, "generation", json_exact(t->generation));
	json_truth(&t->scratch, "new_meter", new_meter);
	message_end(t, (struct tail_message){.is_event = false});
}

static bool read_events(struct tail *t, size_t most)
{
	struct meter_map m = segment_map(&t->watch->meter.segment);
	enum event_read got = EVENT_READ_ONE;
	uint64_t lost = 0, more;
	struct event_copy x;

	for (size_t i = 0; i < most && got != EVENT_READ_NONE; i++) {
		got = event_load(m, &t->cursor, &x, &more);
		if (got == EVENT_READ_LOST) {
			/* Many of them in a row are told as one. */
			lost = more < UINT64_MAX - lost ? lost + more
							: UINT64_MAX;
		} else if (got == EVENT_READ_ONE) {
			add_lost(t, &lost);
			add_event(t, t->cursor - 1, &x);
		}
	}
	add_lost(t, &lost);
	return got != EVENT_READ_NONE;
}

/* Where to begin in a meter that is new to us, or the same one opened again:
 * then behind what was read of it. */
static void begin_reading(struct tail *t)
{
	struct meter_map m = segment_map(&t->watch->meter.segment);
	bool reads = meter_watch_reads(&t->watch->meter);
	uint64_t head = reads ? event_head(m) : 0;

	t->meter = reads ? meter_identity(m.mem) : 0;
	if (t->has_newest && t->meter != 0 && t->newest.meter == t->meter)
		t->cursor = t->newest.n + 1;
	else
		t->cursor = head > RING_READ ? head - RING_READ : 0;
}

/* What has become of the broker. A start is seen at once, before its first
 * events are read, and not only when the watch looks again. */
static bool see_broker(struct tail *t)
{
	const struct meter_watch *w = &t->watch->meter;
	enum broker_state state = w->state;
	uint64_t generation = w->generation, now;
	bool changed;

	if (meter_watch_reads(w)) {
		now = atomic_load_explicit(
			&segment_header(&w->segment)->generation,
			memory_order_relaxed);
		if (now != generation)
			state = BROKER_RUNNING;
		generation = now;
	}
	changed = state != t->state || generation != t->generation;
	t->state = state;
	t->generation = generation;
	return changed;
}

bool tail_read(struct tail *t, struct tail_now now)
{
	const struct watch *w = t->watch;
	bool first = !t->begun, another = first || t->epoch != w->epoch;
	bool changed = see_broker(t) || another;

	if (another)
		begin_reading(t);
	t->begun = true;
	t->read_ms = now.ms;
	t->epoch = w->epoch;
	if (changed && !first)
		add_broker(t, now.s, another);
	return meter_watch_reads(&w->meter) &&
	       read_events(t, first ? SIZE_MAX : TAIL_READ_MAX);
}

/* -------------------------------------------------------------- the clients */

unsigned tail_wake(struct tail *t, struct tail_now now)
{
	unsigned woken = 0;

	t->given = 0;
	for (size_t n = t->n_clients; n != 0 && woken < TAIL_TURNS; n--) {
		struct tail_client *c = t->clients;

		t->clients = c->next;
		if (c->socket->busy(c->ctx) || !tail_client_due(c, now.ms))
			continue;
		c->turn = true;
		c->socket->wake(c->ctx);
		woken++;
	}
	return woken;
}

/* Where in the ring the newest N that fit begin. */
static uint64_t last_fitting(
	const struct tail *t, const struct tail_filter *f, uint32_t n)
{
	uint64_t at = tail_ring_next(t->ring), found = at;

	while (n != 0 && at > tail_ring_first(t->ring)) {
		struct tail_message m = tail_ring_at(t->ring, --at);

		if (!m.is_event || !tail_filter_event(f, &m.key))
			continue;
		found = at;
		n--;
	}
	return found;
}

/*
 * Where C, who has seen the event at f.after, goes on. Where that is no longer
 * in the ring, all there is is newer, or of another meter: then nobody knows how
 * many there were between.
 */
static void resume(struct tail_client *c)
{
	const struct tail_ring *r = c->tail->ring;
	const struct tail_cursor *after = &c->filter.after;
	uint64_t oldest = 0;

	c->passed = *after;
	c->has_passed = true;
	for (uint64_t n = tail_ring_next(r); n > tail_ring_first(r); n--) {
		struct tail_message m = tail_ring_at(r, n - 1);

		if (!m.is_event || m.cursor.meter != after->meter)
			continue;
		if (m.cursor.n == after->n) {
			c->at = n;
			return;
		}
		oldest = m.cursor.n;
	}
	c->at = tail_ring_first(r);
	c->gap = oldest != after->n + 1;
	if (oldest > after->n)
		c->gap_events = oldest - after->n - 1;
}

/* C is about to be told what is there from its place on: it has passed what came
 * before that. */
static void pass_before(struct tail_client *c)
{
	const struct tail_ring *r = c->tail->ring;

	c->has_passed = false;
	for (uint64_t n = c->at; n > tail_ring_first(r) && !c->has_passed;
		n--) {
		struct tail_message m = tail_ring_at(r, n - 1);

		c->has_passed = m.is_event;
		c->passed = m.cursor;
	}
}

struct tail_client *tail_join(struct tail *t, const struct tail_filter *f,
	struct tail_now now, const struct tail_socket *s, void *ctx)
{
	struct tail_client *c;

	if (t->n_clients == TAIL_CLIENTS_MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->tail = t;
	c->filter = *f;
	c->socket = s;
	c->ctx = ctx;
	c->said_ms = c->round.due_ms = now.ms;
	c->at = last_fitting(t, f, f->last);
	c->passed = t->newest;
	c->has_passed = t->has_newest;
	if (c->at < tail_ring_next(t->ring))
		pass_before(c);
	if (f->resumes)
		resume(c);
	if (t->clients == NULL) {
		t->clients = c->next = c->previous = c;
	} else {
		c->next = t->clients;
		c->previous = t->clients->previous;
		c->previous->next = c->next->previous = c;
	}
	t->n_clients++;
	return c;
}

void tail_leave(struct tail_client **c)
{
	struct tail_client *x = *c;
	struct tail *t;

	if (x == NULL)
		return;
	t = x->tail;
	x->previous->next = x->next;
	x->next->previous = x->previous;
	if (t->clients == x)
		t->clients = x->next != x ? x->next : NULL;
	t->n_clients--;
	free(x);
	*c = NULL;
}
