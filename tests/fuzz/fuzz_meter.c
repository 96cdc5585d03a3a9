/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile meter segment with room for one step of devices. The first two
 * bytes say how large the file is; of the third, bit 0 whether it starts as
 * zeros or as a good segment, and bit 1 whether patches name an area; then come
 * patches of { area 1, offset 2, length 1, bytes } or { offset 2, length 1,
 * bytes }, so that a short input reaches every table. Oracle: plain reads of the
 * same memory, no sequence protocol; of the index, the ids themselves.
 */
#include "core/event.h"
#include "core/meter_total.h"
#include "tests/support/check.h"

#include <stdint.h>

#define SIZE    (METER_SLOTS_AT + METER_SLOTS_STEP * sizeof(struct meter_slot))
#define PATCHES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) unsigned char segment[SIZE];

/* What the last input has written, to be undone. */
static struct {
	size_t at, len;
} patched[PATCHES];
static size_t n_patched;

static size_t u16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static void undo(void)
{
	memset(segment, 0, sizeof(struct meter_header));
	while (n_patched != 0) {
		n_patched--;
		memset(segment + patched[n_patched].at, 0,
			patched[n_patched].len);
	}
}

static void patch(const uint8_t *p, size_t n, bool areas)
{
	static const size_t base[] = {0, METER_EVENTS_AT, METER_CLASSES_AT,
		METER_RULES_AT, METER_INDEX_AT, METER_SLOTS_AT,
		METER_SLOTS_AT - 0x8000, SIZE - 0x10000};
	size_t head = areas ? 4 : 3;

	while (n >= head && n_patched < PATCHES) {
		size_t at = areas ? base[p[0] % 8] + u16(p + 1) : u16(p);
		size_t len = p[head - 1];

		p += head;
		n -= head;
		if (len > n)
			len = n;
		if (len > SIZE - at)
			len = SIZE - at;
		memcpy(segment + at, p, len);
		patched[n_patched].at = at;
		patched[n_patched++].len = len;
		p += len;
		n -= len;
	}
}

/* What meter_problem should find. */
static bool good(size_t size)
{
	struct meter_header h;

	memcpy(&h, segment, sizeof(h));
	return size >= METER_SIZE_MIN && h.magic == METER_MAGIC &&
	       h.version == METER_VERSION && h.header_size == sizeof(h) &&
	       h.n_slots <= h.cap_slots && h.cap_slots <= METER_SLOTS_MAX &&
	       h.cap_slots % METER_SLOTS_STEP == 0 && h.size <= size &&
	       h.size >= METER_SLOTS_AT + (uint64_t)h.cap_slots *
						  sizeof(struct meter_slot) &&
	       h.n_classes <= METER_CLASSES && h.n_rules <= METER_RULES;
}

static void check_text(void)
{
	const struct meter_header *h = (const void *)segment;
	char out[METER_TEXT + 1];
	struct meter_text raw;
	size_t n, want;

	memset(out, 0x5A, sizeof(out));
	memcpy(&raw, &h->load_error, sizeof(raw));
	want = raw.len < METER_TEXT ? raw.len : METER_TEXT;
	if (raw.seq % 2 == 1)
		want = 0;
	n = meter_text_load(&h->load_error, out);
	CHECK(n == want);
	CHECK(out[n] == '\0');
	CHECK(memcmp(out, raw.word, n) == 0);
}

static void check_outcome(int64_t change)
{
	uint32_t closed = 0x5A5A5A5A;
	struct meter_outcome o;
	bool found = meter_outcome_load(segment, change, &closed);

	memcpy(&o,
		segment + METER_OUTCOMES_AT +
			((uint64_t)change % METER_OUTCOMES) * sizeof(o),
		sizeof(o));
	CHECK(found == (change > 0 && o.seq % 2 == 0 && o.change == change));
	CHECK(closed == (found ? o.closed : 0x5A5A5A5A));
}

/* What is found has the id that was asked for, and every search ends. */
static void check_slots(struct meter_map m)
{
	uint32_t n = meter_slots(m);
	char id[DEVICE_ID_MAX + 1], other[DEVICE_ID_MAX + 1];

	CHECK(n <= (m.size - METER_SLOTS_AT) / sizeof(struct meter_slot));
	for (uint32_t i = 0; i < n && i < 90; i++) {
		const struct meter_slot *s = meter_slot_at(m, i);
		struct meter_connect c;
		struct meter_refusal r;
		size_t len = meter_slot_id(s, id);
		uint32_t found = meter_slot_find(m, (struct str){id, len});

		CHECK(len <= DEVICE_ID_MAX && id[len] == '\0');
		CHECK(found == METER_NONE || found < n);
		if (found != METER_NONE)
			CHECK(meter_slot_id(meter_slot_at(m, found), other) ==
					len &&
				memcmp(id, other, len) == 0);
		meter_slot_last_connect(s, &c);
		CHECK(c.t_s == (s->connect_seq % 2 == 0 ? s->connected_s : 0));
		meter_slot_last_refusal(s, &r);
		CHECK(r.t_s == (s->refusal_seq % 2 == 0 ? s->refused_s : 0));
		CHECK(strlen(r.topic) <= METER_TOPIC);
	}
	CHECK(meter_slot_find(m, STR("")) == METER_NONE);
}

static void check_totals(struct meter_map m)
{
	char name[CLASS_NAME_MAX + 1], topic[METER_RULE_TOPIC + 1];

	CHECK(meter_classes(m) <= METER_CLASSES);
	CHECK(meter_rules(m) <= METER_RULES);
	for (uint32_t i = 0; i < meter_classes(m); i++)
		CHECK(meter_class_name(meter_class_at(m, i), name) <=
				CLASS_NAME_MAX &&
			strlen(name) <= CLASS_NAME_MAX);
	for (uint32_t i = 0; i < meter_rules(m) && i < 300; i++) {
		CHECK(meter_rule_topic(meter_rule_at(m, i), topic) ==
			meter_rule_at(m, i)->topic_len);
		CHECK(strlen(topic) <= METER_RULE_TOPIC);
	}
}

/* Each read moves the cursor on, and an event that is told has its turn. */
static void check_events(struct meter_map m)
{
	uint64_t cursor = 0, lost = 0, before, calls = 0;
	struct event_copy c;
	enum event_read r;

	for (;;) {
		before = cursor;
		r = event_load(m, &cursor, &c, &lost);
		if (r == EVENT_READ_NONE)
			break;
		CHECK(cursor - before == (r == EVENT_READ_ONE ? 1 : lost));
		if (r == EVENT_READ_ONE) {
			const struct meter_event *e =
				(const void *)(segment + METER_EVENTS_AT);

			CHECK(e[before % METER_EVENTS].turn == 2 * before + 2);
			CHECK(c.e.type < EVENT_TYPES);
			CHECK(c.e.device.n <= DEVICE_ID_MAX);
			CHECK(c.e.text.n <= EVENT_TEXT);
		}
		CHECK(++calls <= METER_EVENTS + 1);
	}
	CHECK(cursor == event_head(m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meter_map m = {segment, SIZE};
	const char *problem;
	size_t claimed;

	if (size < 3)
		return 0;
	undo();
	if (data[2] % 2 == 0)
		meter_format(segment);
	patch(data + 3, size - 3, (data[2] & 2) != 0);
	claimed = u16(data) < 0x8000 ? SIZE : u16(data) - 0x8000;
	problem = meter_problem(segment, claimed);
	CHECK((problem == NULL) == good(claimed));
	if (problem != NULL) {
		CHECK(problem[0] != '\0');
		return 0;
	}
	check_text();
	for (int64_t i = 0; i < METER_OUTCOMES; i++) {
		struct meter_outcome o;

		memcpy(&o, segment + METER_OUTCOMES_AT + (size_t)i * sizeof(o),
			sizeof(o));
		check_outcome(i);
		check_outcome(o.change);
	}
	check_outcome(-1);
	check_outcome(INT64_MIN);
	check_outcome(INT64_MAX);
	check_slots(m);
	check_totals(m);
	check_events(m);
	return 0;
}
