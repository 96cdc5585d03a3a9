/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/tail_ring.h"

#include <stdlib.h>

/* Where a message and what it is looked for by are: device, class and text,
 * one behind the other. */
struct entry {
	uint32_t at, text_n;
	uint8_t device_n, class_n;
	uint8_t type, reason;
	bool is_event;
	struct tail_cursor cursor;
};

/*
 * Entries and their bytes are two rings that turn together:
 *
 *      bytes  │ newest … │ free │ oldest …      … │ unused │
 *             0          head   tail of the oldest         TAIL_RING_BYTES
 *
 * The bytes of one message are never broken at the end.
 */
struct tail_ring {
	uint64_t first, next;
	size_t head; /* where the next bytes go */
	struct entry entry[TAIL_RING_ENTRIES];
	char byte[TAIL_RING_BYTES];
};

_Static_assert((TAIL_RING_ENTRIES & (TAIL_RING_ENTRIES - 1)) == 0, "a mask");
_Static_assert(
	TAIL_MESSAGE_MAX + 2 * (size_t)DEVICE_ID_MAX <= TAIL_RING_BYTES / 4,
	"many fit");

bool tail_ring_new(struct tail_ring **out, struct err *e)
{
	struct tail_ring *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_set(e, ERR_ENVIRONMENT,
			"no memory for the messages of the tail");
	*out = r;
	return true;
}

void tail_ring_free(struct tail_ring **r)
{
	free(*r);
	*r = NULL;
}

uint64_t tail_ring_first(const struct tail_ring *r)
{
	return r->first;
}

uint64_t tail_ring_next(const struct tail_ring *r)
{
	return r->next;
}

static struct entry *entry_of(struct tail_ring *r, uint64_t n)
{
	return &r->entry[n & (TAIL_RING_ENTRIES - 1)];
}

static size_t length(const struct entry *x)
{
	return (size_t)x->device_n + x->class_n + x->text_n;
}

/* Lets go of the oldest as long as they have one of the bytes FROM to TO. */
static void make_room(struct tail_ring *r, size_t from, size_t to)
{
	while (r->first < r->next) {
		const struct entry *x = entry_of(r, r->first);

		if (x->at >= to || x->at + length(x) <= from)
			return;
		r->first++;
	}
}

/* Where N bytes may be written. */
static size_t reserve(struct tail_ring *r, size_t n)
{
	if (r->next - r->first == TAIL_RING_ENTRIES)
		r->first++;
	if (n > TAIL_RING_BYTES - r->head) {
		/* The oldest up to the end go with those that begin anew. */
		make_room(r, r->head, TAIL_RING_BYTES);
		r->head = 0;
	}
	make_room(r, r->head, r->head + n);
	return r->head;
}

static size_t put(struct tail_ring *r, size_t at, struct str s)
{
	if (s.n != 0)
		memcpy(r->byte + at, s.p, s.n);
	return at + s.n;
}

void tail_ring_add(struct tail_ring *r, const struct tail_message *m)
{
	struct entry x = {.text_n = (uint32_t)m->text.n,
		.device_n = (uint8_t)m->key.device.n,
		.class_n = (uint8_t)m->key.class.n,
		.type = (uint8_t)m->key.type,
		.reason = m->key.reason,
		.is_event = m->is_event,
		.cursor = m->cursor};
	size_t at;

	if (m->text.n > TAIL_MESSAGE_MAX || m->key.device.n > DEVICE_ID_MAX ||
		m->key.class.n > CLASS_NAME_MAX)
		return;
	x.at = (uint32_t)reserve(r, length(&x));
	at = put(r, x.at, m->key.device);
	at = put(r, at, m->key.class);
	r->head = put(r, at, m->text);
	*entry_of(r, r->next) = x;
	r->next++;
}

struct tail_message tail_ring_at(const struct tail_ring *r, uint64_t n)
{
	const struct entry *x = &r->entry[n & (TAIL_RING_ENTRIES - 1)];
	const char *p = r->byte + x->at;

	return (struct tail_message){
		.text = {p + x->device_n + x->class_n, x->text_n},
		.is_event = x->is_event,
		.key = {(enum event_type)x->type, x->reason, {p, x->device_n},
			{p + x->device_n, x->class_n}},
		.cursor = x->cursor,
	};
}
