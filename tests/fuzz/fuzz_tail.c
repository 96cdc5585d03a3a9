/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client asks of the tail, and what it gets of a hostile meter: the
 * first byte says how long the query is, which follows; then patches of
 * { area 1, offset 2, length 1, bytes } to a good segment.
 *
 * Oracle: a second reader of the same events, the query looked at as text, and
 * an independent JSON grammar.
 */
#include "core/reason.h"
#include "feed/tail.h"
#include "tests/support/check.h"
#include "tests/support/json_oracle.h"

#include <cjson/cJSON.h>
#include <stdint.h>

#define SIZE    (METER_SLOTS_AT + METER_SLOTS_STEP * sizeof(struct meter_slot))
#define PATCHES 64
#define SLOTS   64u /* that the watch has looked at, at most */
#define CALLS   1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(64) unsigned char segment[SIZE];
static struct watch watch;
static struct watch_page page;
static struct ask ask;

static struct {
	size_t at, len;
} patched[PATCHES];
static size_t n_patched;

/* ---------------------------------------------------------------- the meter */

static void undo(void)
{
	memset(segment, 0, sizeof(struct meter_header));
	while (n_patched != 0) {
		n_patched--;
		memset(segment + patched[n_patched].at, 0,
			patched[n_patched].len);
	}
	meter_format(segment);
	((struct meter_header *)(void *)segment)->size = SIZE;
}

static void patch(const uint8_t *p, size_t n)
{
	static const size_t base[] = {0, METER_EVENTS_AT, METER_CLASSES_AT,
		METER_INDEX_AT, METER_SLOTS_AT};

	while (n >= 4 && n_patched < PATCHES) {
		size_t at = base[p[0] % 5] + ((size_t)p[1] << 8 | p[2]);
		size_t len = p[3];

		p += 4;
		n -= 4;
		if (len > n)
			len = n;
		memcpy(segment + at, p, len);
		patched[n_patched].at = at;
		patched[n_patched++].len = len;
		p += len;
		n -= len;
	}
}

/* As a watch would be after a look. */
static void look(uint32_t epoch)
{
	struct meter_map m = {segment, SIZE};

	memset(&page, 0, sizeof(page));
	watch = (struct watch){.epoch = epoch, .tick = 1, .done = 1};
	watch.meter.segment = (struct segment){segment, SIZE, -1};
	watch.meter.state = BROKER_RUNNING;
	watch.page[0] = &page;
	watch.n = meter_slots(m) < SLOTS ? meter_slots(m) : SLOTS;
	page.newest = watch.n != 0;
	for (uint32_t i = 0; i < watch.n; i++)
		page.changed[i] = 1;
}

/* ---------------------------------------------------------------- the oracle */

/* True when argument NAME was not given, or lists VALUE. */
static bool lists(const char *name, struct str value)
{
	struct str list = ask_arg(&ask, name);

	if (list.p == NULL)
		return true;
	for (size_t at = 0; at <= list.n; at++) {
		size_t end = at;

		while (end < list.n && list.p[end] != ',')
			end++;
		if (str_eq((struct str){list.p + at, end - at}, value))
			return true;
		at = end;
	}
	return false;
}

static bool named(struct str device, uint32_t class)
{
	char name[CLASS_NAME_MAX + 1];

	meter_class_text(&watch.meter, class, name);
	return lists("device", device) && lists("class", str_from(name));
}

static bool wanted(const struct event_copy *x)
{
	bool judged = x->e.type == EVENT_REFUSAL || x->e.type == EVENT_OBSERVED;
	bool all = str_eq(ask_arg(&ask, "events"), STR("all"));

	if (x->e.type == EVENT_NONE ||
		(!all && !lists("events", str_from(event_name(x->e.type)))))
		return false;
	if (ask_arg(&ask, "reason").p != NULL &&
		(!judged || x->e.reason >= REASON_COUNT ||
			!lists("reason", str_from(reason_name(
						 (enum reason)x->e.reason)))))
		return false;
	return named(x->e.device, x->e.class);
}

/* The second reader: where it is, and what went by since the last event that
 * was wanted. */
static struct {
	uint64_t cursor;
} second;

/* The next event that is wanted; false: there is none. */
static bool next_wanted(uint64_t *n)
{
	struct meter_map m = {segment, SIZE};
	struct event_copy x;
	enum event_read got;
	uint64_t lost;

	while ((got = event_load(m, &second.cursor, &x, &lost)) !=
		EVENT_READ_NONE) {
		if (got == EVENT_READ_ONE && wanted(&x)) {
			*n = second.cursor - 1;
			return true;
		}
	}
	return false;
}

static uint32_t devices_wanted(void)
{
	struct meter_map m = {segment, SIZE};
	char id[DEVICE_ID_MAX + 1];
	uint32_t n = 0;

	for (uint32_t i = 0; i < watch.n; i++) {
		const struct meter_slot *s = meter_slot_at(m, i);

		(void)meter_slot_id(s, id);
		/* One that is asked for by name is found by the index, which
		 * may lead elsewhere. */
		if (named(str_from(id), s->class) &&
			(ask_arg(&ask, "device").p == NULL ||
				meter_slot_find(m, str_from(id)) == i))
			n++;
	}
	return n;
}

/* ---------------------------------------------------------------- the client */

static void wake(void *ctx)
{
	(void)ctx;
}

static bool busy(void *ctx)
{
	(void)ctx;
	return false;
}

static const struct tail_socket SOCKET = {wake, busy};

struct got {
	uint32_t counters, rounds, devices;
};

static void check_message(struct str text, struct got *g)
{
	cJSON *o;
	const char *type;
	uint64_t n = 0;

	CHECK(json_oracle(text));
	o = cJSON_ParseWithLength(text.p, text.n);
	type = cJSON_GetObjectItem(o, "type")->valuestring;
	if (strcmp(type, "event") == 0) {
		const char *cursor =
			cJSON_GetObjectItem(o, "cursor")->valuestring;
		struct tail_cursor c;
		struct err e;

		CHECK(tail_cursor_parse(str_from(cursor), &c, &e));
		CHECK(next_wanted(&n) && c.n == n);
	} else if (strcmp(type, "counters") == 0) {
		g->counters++;
	} else if (strcmp(type, "round") == 0) {
		g->rounds++;
		g->devices = (uint32_t)cJSON_GetObjectItem(o, "devices")
				     ->valuedouble;
	}
	cJSON_Delete(o);
}

static void check_frames(struct str in, struct got *g)
{
	while (in.n != 0) {
		const unsigned char *p = (const unsigned char *)in.p;
		size_t head = 2, n;

		CHECK(in.n >= 2 && p[0] == 0x81);
		n = p[1];
		if (n == 126) {
			n = (size_t)p[2] << 8 | p[3];
			head = 4;
		}
		CHECK(n <= TAIL_MESSAGE_MAX && in.n >= head + n);
		check_message((struct str){in.p + head, n}, g);
		in = (struct str){in.p + head + n, in.n - head - n};
	}
}

/* Everything it gets, in turns that end. */
static void get_all(struct tail *t, struct tail_client *c)
{
	struct tail_now now = {2, 2};
	struct text out = {0};
	struct got g = {0};
	uint64_t n;
	bool counts = ask_arg(&ask, "counters").p != NULL &&
		      !str_eq(ask_arg(&ask, "counters"), STR("off"));

	for (unsigned calls = 0; tail_wake(t, now) != 0; calls++) {
		CHECK(calls < CALLS);
		text_clear(&out);
		tail_next(c, now, &out);
		CHECK(!out.failed);
		check_frames((struct str){out.p, out.n}, &g);
	}
	CHECK(!next_wanted(&n));
	CHECK(g.rounds == counts);
	CHECK(g.counters == (counts ? devices_wanted() : 0));
	CHECK(g.devices == g.counters);
	text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tail_now now = {1, 1};
	char target[300] = "/api/v1/tail?";
	struct tail_client *c;
	struct tail_filter f;
	struct tail *t;
	struct err e;
	size_t n = size != 0 && data[0] < size ? data[0] : 0;

	if (size == 0)
		return 0;
	memcpy(target + strlen(target), data + 1, n);
	memset(&ask, 0, sizeof(ask));
	if (!ask_parse(str_from(target), &ask, &e) ||
		!tail_filter_parse(&ask, &f, &e)) {
		CHECK(check_report(&e));
		return 0;
	}
	undo();
	look(1);
	CHECK(tail_new(&watch, &t, &e));
	CHECK(!tail_read(t, now));
	f.resumes = false;
	c = tail_join(t, &f, now, &SOCKET, NULL);
	CHECK(c != NULL);
	patch(data + 1 + n, size - 1 - n);
	/* What contradicts itself is not read at all. */
	if (meter_problem(segment, SIZE) == NULL) {
		look(1);
		while (tail_read(t, now))
			;
		second.cursor = 0;
		get_all(t, c);
	}
	tail_leave(&c);
	tail_free(&t);
	return 0;
}
