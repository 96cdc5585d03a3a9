/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/tail_client.h"

#include "feed/device_json.h"
#include "feed/event_json.h"

/* ----------------------------------------------------------------- a device */

static void say_time(struct text *out, const char *key, int64_t unix_s)
{
	json_time(out, key,
		unix_s > 0 ? (int64_t)json_exact((uint64_t)unix_s) : 0);
}

/* The members are those of `weir usage ID --json`. */
static void say_counters(const struct tail_client *c, uint32_t slot,
	const char *class, struct text *out)
{
	size_t begun = tail_say(out, "counters");
	struct meter_device d;

	meter_device_load(&c->tail->watch->meter, slot, &d);
	json_name(out, "device", str_from(d.id));
	json_name(out, "class", str_from(class));
	say_time(out, "first_seen_s", d.first_seen_s);
	say_time(out, "last_seen_s", d.last_seen_s);
	json_count(out, "connections", d.connections);
	for (unsigned i = 0; i < COUNTERS; i++)
		json_count(out, counter_name((enum counter)i),
			json_exact(d.counter[i]));
	tail_said(out, begun);
}

/* Tells the counters of the slot's device, if they are asked for. */
static void tell(struct tail_client *c, uint32_t slot, struct text *out)
{
	const struct meter_watch *w = &c->tail->watch->meter;
	const struct meter_slot *s =
		meter_slot_at(segment_map(&w->segment), slot);
	char id[DEVICE_ID_MAX + 1], class[CLASS_NAME_MAX + 1];

	meter_class_text(w,
		atomic_load_explicit(&s->class, memory_order_relaxed), class);
	(void)meter_slot_id(s, id);
	if (!tail_filter_device(&c->filter, str_from(id), str_from(class)))
		return;
	say_counters(c, slot, class, out);
	c->round.told++;
}

/* ------------------------------------------------------------------ a round */

static int64_t interval_ms(const struct tail_client *c)
{
	return (int64_t)c->filter.counters_s * 1000;
}

/* A round waits for the look that comes next, as long as that does not hold up
 * the one after it. */
bool tail_round_due(const struct tail_client *c, int64_t now_ms)
{
	const struct tail_round *r = &c->round;
	const struct watch *w = c->tail->watch;

	if (c->filter.counters_s == 0 || r->on)
		return r->on;
	if (now_ms < r->due_ms)
		return false;
	return !r->some || r->epoch != w->epoch || r->since != w->done ||
	       now_ms - r->due_ms >= interval_ms(c);
}

/* Begins a round, or begins it again: of all devices, when it is the first or
 * they are others than they were. */
static void begin(struct tail_client *c, struct tail_now now)
{
	const struct watch *w = c->tail->watch;
	struct tail_round *r = &c->round;

	if (!r->some || r->epoch != w->epoch)
		r->since = 0;
	r->epoch = w->epoch;
	r->done = w->done;
	r->t_s = now.s;
	r->at = r->told = 0;
	r->on = true;
}

static void end(struct tail_client *c, struct tail_now now, struct text *out)
{
	struct tail_round *r = &c->round;
	int64_t late = now.ms - r->due_ms;
	int64_t skipped = late > 0 ? late / interval_ms(c) : 0;
	size_t begun = tail_say(out, "round");

	json_number(out, "t_s", r->t_s);
	json_count(out, "devices", r->told);
	tail_said(out, begun);
	if (skipped != 0) {
		begun = tail_say(out, "lag");
		json_number(out, "rounds", skipped);
		tail_said(out, begun);
	}
	r->due_ms += (skipped + 1) * interval_ms(c);
	r->since = r->done;
	r->some = true;
	r->on = false;
}

/* The slot that the round is at; METER_NONE: there is nothing to tell of it. */
static uint32_t slot_at(const struct tail_client *c)
{
	const struct watch *w = c->tail->watch;
	uint32_t slot = c->round.at;

	if (c->filter.devices.n != 0)
		slot = meter_slot_find(segment_map(&w->meter.segment),
			str_from(c->filter.devices.name[slot]));
	return slot < w->n && watch_changed(w, slot) > c->round.since
		       ? slot
		       : METER_NONE;
}

/* True when nothing has changed in the page of slots that begins here. */
static bool skips_page(const struct tail_client *c)
{
	return c->filter.devices.n == 0 && c->round.at % WATCH_PAGE == 0 &&
	       watch_page_changed(c->tail->watch, c->round.at) <=
		       c->round.since;
}

/* Goes on with the round. False: it is at its end. */
static bool go_on(
	struct tail_client *c, struct tail_room *room, struct text *out)
{
	struct tail_round *r = &c->round;
	const struct watch *w = c->tail->watch;
	size_t named = c->filter.devices.n;
	uint32_t n = w->n, slot;

	if (named != 0)
		n = w->n != 0 ? (uint32_t)named : 0;
	while (r->at < n) {
		if (out->n >= room->end || room->looks == 0)
			return true;
		if (skips_page(c)) {
			r->at += WATCH_PAGE;
			tail_looked(room, 1);
			continue;
		}
		slot = slot_at(c);
		r->at++;
		tail_looked(room, named != 0 ? TAIL_LOOK_TEXT : 1);
		if (slot == METER_NONE)
			continue;
		tell(c, slot, out);
		tail_looked(room, TAIL_LOOK_TEXT);
	}
	return false;
}

void tail_round_next(struct tail_client *c, struct tail_now now,
	struct tail_room *room, struct text *out)
{
	struct tail_round *r = &c->round;

	if (!r->on && !tail_round_due(c, now.ms))
		return;
	if (!r->on || r->epoch != c->tail->watch->epoch)
		begin(c, now);
	if (!go_on(c, room, out))
		end(c, now, out);
}
