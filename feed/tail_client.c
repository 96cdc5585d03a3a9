/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/tail_client.h"

#include "feed/event_json.h"
#include "feed/stream.h"

/* ----------------------------------------------------------------- messages */

size_t tail_say(struct text *out, const char *type)
{
	size_t begun = stream_begin(out);

	out->comma = false;
	json_open(out, NULL, '{');
	json_text(out, "type", str_from(type));
	return begun;
}

void tail_said(struct text *out, size_t begun)
{
	json_close(out, '}');
	stream_end(out, begun);
}

static void cursor_json(struct text *out, const struct tail_client *c)
{
	char text[TAIL_CURSOR_TEXT];

	if (!c->has_passed) {
		json_null(out, "cursor");
		return;
	}
	tail_cursor_format(c->passed, text);
	json_text(out, "cursor", str_from(text));
}

/* Names that the meter does not have: of devices that were never there, or were
 * mistyped. */
static void unseen_json(struct text *out, const struct tail_client *c)
{
	const struct meter_watch *w = &c->tail->watch->meter;
	const struct tail_names *devices = &c->filter.devices;
	const struct tail_names *classes = &c->filter.classes;
	struct meter_map m = segment_map(&w->segment);

	json_open(out, "unseen_devices", '[');
	for (size_t i = 0; i < devices->n; i++) {
		struct str name = str_from(devices->name[i]);

		if (!meter_watch_reads(w) ||
			meter_slot_find(m, name) == METER_NONE)
			json_text(out, NULL, name);
	}
	json_close(out, ']');
	json_open(out, "unseen_classes", '[');
	for (size_t i = 0; i < classes->n; i++) {
		struct str name = str_from(classes->name[i]);

		if (!meter_watch_reads(w) ||
			meter_class_find(w, name) == METER_NONE)
			json_text(out, NULL, name);
	}
	json_close(out, ']');
}

static void greet(struct tail_client *c, struct tail_now now, struct text *out)
{
	size_t begun = tail_say(out, "hello");

	json_number(out, "t_s", now.s);
	json_text(out, "version", STR(WEIR_VERSION));
	json_text(out, "broker", str_from(broker_state_name(c->tail->state)));
	json_number(out, "heartbeat_s", TAIL_HEARTBEAT_MS / 1000);
	json_number(out, "counters_s", c->filter.counters_s);
	cursor_json(out, c);
	unseen_json(out, c);
	tail_said(out, begun);
	c->greeted = true;
}

static void say_missed(struct text *out, uint64_t events)
{
	size_t begun = tail_say(out, "missed");

	if (events != 0)
		json_count(out, "events", json_exact(events));
	else
		json_null(out, "events");
	json_text(out, "by", STR("client"));
	tail_said(out, begun);
}

static void beat(struct tail_client *c, struct tail_now now, struct text *out)
{
	size_t begun = tail_say(out, "heartbeat");

	json_number(out, "t_s", now.s);
	cursor_json(out, c);
	tail_said(out, begun);
}

/* ------------------------------------------------------------------- events */

static void catch_up(struct tail_client *c, struct text *out)
{
	uint64_t first = tail_ring_first(c->tail->ring);

	if (c->gap)
		say_missed(out, c->gap_events);
	c->gap = false;
	if (c->at < first) {
		say_missed(out, first - c->at);
		c->at = first;
	}
}

static void next_events(
	struct tail_client *c, struct tail_room *room, struct text *out)
{
	uint64_t next = tail_ring_next(c->tail->ring);

	while (c->at < next && out->n < room->end && room->looks != 0) {
		struct tail_message m = tail_ring_at(c->tail->ring, c->at++);
		size_t begun;

		tail_looked(room, TAIL_LOOK_TEXT);
		if (m.is_event) {
			c->passed = m.cursor;
			c->has_passed = true;
			if (!tail_filter_event(&c->filter, &m.key))
				continue;
		}
		begun = stream_begin(out);
		text_add(out, m.text);
		stream_end(out, begun);
	}
}

/* -------------------------------------------------------------- all together */

bool tail_client_due(const struct tail_client *c, int64_t now_ms)
{
	return !c->greeted || c->gap || c->at < tail_ring_next(c->tail->ring) ||
	       now_ms - c->said_ms >= TAIL_HEARTBEAT_MS ||
	       tail_round_due(c, now_ms);
}

void tail_next(struct tail_client *c, struct tail_now now, struct text *out)
{
	size_t before = out->n;
	struct tail_room room = {before + TAIL_TURN_BYTES, TAIL_TURN_LOOKS};

	if (!c->turn)
		return;
	c->turn = false;
	if (!c->greeted)
		greet(c, now, out);
	catch_up(c, out);
	next_events(c, &room, out);
	tail_round_next(c, now, &room, out);
	if (out->n == before && now.ms - c->said_ms >= TAIL_HEARTBEAT_MS)
		beat(c, now, out);
	if (out->n != before)
		c->said_ms = now.ms;
	c->tail->given += out->n - before;
}
