/* SPDX-License-Identifier: Apache-2.0 */
#include "core/event.h"

#include "core/seqlock.h"

/* Entries this close to being written over are not worth a try: the writer
 * would be faster. */
#define MARGIN 16u

struct row {
	const char *name, *value, *text;
};

static const struct row rows[EVENT_TYPES] = {[EVENT_NONE] = {"none", "", ""},
#define EVENT_ROW(c, name, value, text) [EVENT_##c] = {#name, (value), (text)},
	EVENTS_TABLE(EVENT_ROW)
#undef EVENT_ROW
};

static const struct row *row_of(enum event_type t)
{
	return &rows[t < EVENT_TYPES ? t : EVENT_NONE];
}

const char *event_name(enum event_type t)
{
	return row_of(t)->name;
}

const char *event_text(enum event_type t)
{
	return row_of(t)->text;
}

const char *event_value(enum event_type t)
{
	return row_of(t)->value;
}

enum event_type event_find(struct str name)
{
	for (int t = EVENT_NONE + 1; t < EVENT_TYPES; t++)
		if (str_eq(str_from(rows[t].name), name))
			return (enum event_type)t;
	return EVENT_NONE;
}

/* --------------------------------------------------------------- the writer */

static struct meter_event *entry_mut(void *mem, uint64_t n)
{
	char *at = (char *)mem + METER_EVENTS_AT;

	return (struct meter_event *)(void *)at + (n & (METER_EVENTS - 1));
}

#define STORE(field, value)                                                    \
	atomic_store_explicit(&(field), (value), memory_order_release)

void event_store(void *mem, const struct event *e)
{
	struct meter_header *h = mem;
	uint64_t n = atomic_load_explicit(&h->events, memory_order_relaxed);
	struct meter_event *to = entry_mut(mem, n);
	struct str device = e->device;

	if (device.n > DEVICE_ID_MAX)
		device.n = DEVICE_ID_MAX;
	atomic_store_explicit(&to->turn, 2 * n + 1, memory_order_relaxed);
	STORE(to->t_ms, e->t_ms);
	STORE(to->what, (uint64_t)e->type | (uint64_t)e->action << 8 |
				(uint64_t)e->reason << 16 |
				(uint64_t)e->qos << 24 |
				(uint64_t)e->class << 32);
	STORE(to->value, e->value);
	words_store(to->address, 2,
		(struct str){(const char *)e->address, sizeof e->address});
	STORE(to->len, (uint64_t)device.n | (uint64_t)e->text.n << 32);
	words_store(to->device, DEVICE_ID_MAX / 8, device);
	words_store(to->text, EVENT_TEXT / 8, e->text);
	STORE(to->turn, 2 * n + 2);
	STORE(h->events, n + 1);
}

/* --------------------------------------------------------------- the reader */

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)

uint64_t event_head(struct meter_map m)
{
	const struct meter_header *h = m.mem;

	return LOAD(h->events);
}

/* Copies entry N; false when it is not, or no longer, event N. */
static bool copy(struct meter_map m, uint64_t n, struct event_copy *out)
{
	const char *at = (const char *)m.mem + METER_EVENTS_AT;
	const struct meter_event *from =
		(const struct meter_event *)(const void *)at +
		(n & (METER_EVENTS - 1));
	uint64_t what, len;

	if (LOAD(from->turn) != 2 * n + 2)
		return false;
	*out = (struct event_copy){.e = {.t_ms = LOAD(from->t_ms)}};
	what = LOAD(from->what);
	out->e.value = LOAD(from->value);
	words_load(from->address, 2, out->e.address);
	len = LOAD(from->len);
	words_load(from->device, DEVICE_ID_MAX / 8, out->device);
	words_load(from->text, EVENT_TEXT / 8, out->text);
	if (atomic_load_explicit(&from->turn, memory_order_relaxed) !=
		2 * n + 2)
		return false;
	out->e.type = (what & 0xFF) < EVENT_TYPES
			      ? (enum event_type)(what & 0xFF)
			      : EVENT_NONE;
	out->e.action = (uint8_t)(what >> 8);
	out->e.reason = (uint8_t)(what >> 16);
	out->e.qos = (uint8_t)(what >> 24);
	out->e.class = (uint32_t)(what >> 32);
	out->text_len = (size_t)(len >> 32);
	len &= UINT32_MAX;
	out->e.device = (struct str){
		out->device, len < DEVICE_ID_MAX ? (size_t)len : DEVICE_ID_MAX};
	out->e.text = (struct str){out->text,
		out->text_len < EVENT_TEXT ? out->text_len : EVENT_TEXT};
	return true;
}

enum event_read event_load(struct meter_map m, uint64_t *cursor,
	struct event_copy *out, uint64_t *lost)
{
	uint64_t head = event_head(m), oldest;

	if (*cursor > head)
		*cursor = head;
	if (*cursor == head)
		return EVENT_READ_NONE;
	oldest = head > METER_EVENTS ? head - METER_EVENTS : 0;
	if (*cursor >= oldest && copy(m, *cursor, out)) {
		++*cursor;
		return EVENT_READ_ONE;
	}
	/* Overtaken; or an entry that no writer left like this. */
	head = event_head(m);
	oldest = head > METER_EVENTS - MARGIN ? head - (METER_EVENTS - MARGIN)
					      : 0;
	if (oldest <= *cursor)
		oldest = *cursor + 1;
	*lost = oldest - *cursor;
	*cursor = oldest;
	return EVENT_READ_LOST;
}
