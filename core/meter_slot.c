/* SPDX-License-Identifier: Apache-2.0 */
#include "core/meter_slot.h"

#include "core/seqlock.h"

#include <string.h>

/* ------------------------------------------------------------------- index */

/* One table of the index: it serves N slots from FIRST on, with 2 * N
 * entries, of which the first is entry 2 * FIRST of them all. */
struct table {
	uint32_t first, n;
};

static struct table next_table(struct table t)
{
	return (struct table){t.first + t.n, t.first + t.n};
}

static const struct table first_table = {0, METER_SLOTS_STEP};

/* An entry is a slot's number plus one; zero is free. */
static size_t entry_at(struct table t, uint32_t i)
{
	return METER_INDEX_AT +
	       (2 * (size_t)t.first + (i & (2 * t.n - 1))) * sizeof(uint32_t);
}

static uint64_t hash(struct str id)
{
	uint64_t h = UINT64_C(0xCBF29CE484222325); /* FNV-1a */

	for (size_t i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * UINT64_C(0x100000001B3);
	return h ^ (h >> 32);
}

static bool is_id(struct str id)
{
	return id.n != 0 && id.n <= DEVICE_ID_MAX;
}

static bool has_id(const struct meter_slot *s, struct str id)
{
	char own[DEVICE_ID_MAX + 1];
	size_t n = meter_slot_id(s, own);

	return str_eq((struct str){own, n}, id);
}

/* At most as many probes as the table has entries: a hostile one may have no
 * free entry. */
static uint32_t find_in(
	struct meter_map m, struct table t, uint64_t h, struct str id)
{
	uint32_t n = meter_slots(m);

	for (uint32_t i = 0; i < 2 * t.n; i++) {
		const char *at =
			(const char *)m.mem + entry_at(t, (uint32_t)h + i);
		uint32_t entry = atomic_load_explicit(
			(const _Atomic uint32_t *)(const void *)at,
			memory_order_acquire);

		if (entry == 0)
			break;
		if (entry <= n && has_id(meter_slot_at(m, entry - 1), id))
			return entry - 1;
	}
	return METER_NONE;
}

uint32_t meter_slot_find(struct meter_map m, struct str id)
{
	uint32_t n = meter_slots(m), found = METER_NONE;
	uint64_t h = hash(id);
	struct table t;

	if (!is_id(id))
		return METER_NONE;
	for (t = first_table; t.first < n && found == METER_NONE;
		t = next_table(t))
		found = find_in(m, t, h, id);
	return found;
}

/* --------------------------------------------------------------- the writer */

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

bool meter_slots_need(
	const void *mem, struct meter_range out[static 2], size_t *n)
{
	const struct meter_header *h = mem;
	uint32_t cap = LOAD(h->cap_slots);
	struct table t = first_table;

	*n = 0;
	if (LOAD(h->n_slots) < cap)
		return true;
	if (cap >= METER_SLOTS_MAX)
		return false;
	while (t.first < cap)
		t = next_table(t);
	if (t.first == cap)
		out[(*n)++] = (struct meter_range){
			entry_at(t, 0), 2 * (size_t)t.n * sizeof(uint32_t)};
	out[(*n)++] = (struct meter_range){
		METER_SLOTS_AT + (size_t)cap * sizeof(struct meter_slot),
		METER_SLOTS_STEP * sizeof(struct meter_slot)};
	return true;
}

void meter_slots_grown(void *mem)
{
	struct meter_header *h = mem;
	uint32_t cap = LOAD(h->cap_slots) + METER_SLOTS_STEP;

	atomic_store_explicit(&h->size,
		METER_SLOTS_AT + (uint64_t)cap * sizeof(struct meter_slot),
		memory_order_release);
	atomic_store_explicit(&h->cap_slots, cap, memory_order_release);
}

void meter_slots_used(const void *mem, struct meter_range out[static 2])
{
	const struct meter_header *h = mem;
	uint32_t cap = LOAD(h->cap_slots);
	struct table t = first_table;

	while (t.first < cap)
		t = next_table(t);
	out[0] = (struct meter_range){METER_INDEX_AT,
		cap == 0 ? 0 : 2 * (size_t)t.first * sizeof(uint32_t)};
	out[1] = (struct meter_range){
		METER_SLOTS_AT, (size_t)cap * sizeof(struct meter_slot)};
}

/* The entry first, then the count: a writer that dies in between leaves an
 * entry that leads to whatever device takes the slot, which is harmless. False:
 * a table without a free entry, which no writer left so. */
static bool put_entry(void *mem, uint32_t slot, struct str id)
{
	struct table t = first_table;
	uint32_t h = (uint32_t)hash(id);

	while (slot >= t.first + t.n)
		t = next_table(t);
	for (uint32_t i = 0; i < 2 * t.n; i++) {
		_Atomic uint32_t *entry =
			(_Atomic uint32_t *)(void *)((char *)mem +
						     entry_at(t, h + i));

		if (LOAD(*entry) != 0 && LOAD(*entry) != slot + 1)
			continue;
		atomic_store_explicit(entry, slot + 1, memory_order_release);
		return true;
	}
	return false;
}

uint32_t meter_slot_add(void *mem, struct str id, int64_t now_s)
{
	struct meter_header *h = mem;
	uint32_t slot = LOAD(h->n_slots);
	struct meter_slot *s = meter_slot_mut(mem, slot);

	if (!is_id(id))
		return METER_NONE;
	/* A machine that went down may have left something. */
	memset(s, 0, sizeof *s);
	words_store(s->id, DEVICE_ID_MAX / 8, id);
	atomic_store_explicit(&s->id_len, (uint32_t)id.n, memory_order_relaxed);
	atomic_store_explicit(&s->first_seen_s, now_s, memory_order_relaxed);
	if (!put_entry(mem, slot, id))
		return METER_NONE;
	atomic_store_explicit(&h->n_slots, slot + 1, memory_order_release);
	return slot;
}

static struct str bytes(const uint8_t *p, size_t n)
{
	return (struct str){(const char *)p, n};
}

void meter_slot_connect(struct meter_slot *s, const uint8_t *credential,
	const uint8_t *address, int64_t now_s)
{
	uint32_t odd = seqlock_open(&s->connect_seq);

	atomic_store_explicit(&s->connected_s, now_s, memory_order_release);
	words_store(s->credential, FINGERPRINT_LEN / 8,
		bytes(credential, FINGERPRINT_LEN));
	words_store(s->address, 2, bytes(address, 16));
	seqlock_close(&s->connect_seq, odd);
}

void meter_slot_refuse(struct meter_slot *s, const struct request *what,
	enum reason reason, int64_t now_s)
{
	uint32_t odd = seqlock_open(&s->refusal_seq);

	atomic_store_explicit(&s->refused_s, now_s, memory_order_release);
	atomic_store_explicit(&s->refused_what,
		(uint32_t)what->action | (uint32_t)reason << 8 |
			(uint32_t)what->qos << 16,
		memory_order_release);
	atomic_store_explicit(
		&s->topic_len, (uint32_t)what->topic.n, memory_order_release);
	words_store(s->topic, METER_TOPIC / 8, what->topic);
	seqlock_close(&s->refusal_seq, odd);
}

/* --------------------------------------------------------------- the reader */

uint32_t meter_slots(struct meter_map m)
{
	const struct meter_header *h = m.mem;
	uint32_t n = atomic_load_explicit(&h->n_slots, memory_order_acquire);
	size_t room = (m.size - METER_SLOTS_AT) / sizeof(struct meter_slot);

	if (room > METER_SLOTS_MAX)
		room = METER_SLOTS_MAX;
	return n < room ? n : (uint32_t)room;
}

size_t meter_slot_id(
	const struct meter_slot *s, char out[static DEVICE_ID_MAX + 1])
{
	size_t n = atomic_load_explicit(&s->id_len, memory_order_acquire);

	words_load(s->id, DEVICE_ID_MAX / 8, out);
	if (n > DEVICE_ID_MAX)
		n = DEVICE_ID_MAX;
	out[n] = '\0';
	return n;
}

void meter_slot_last_connect(
	const struct meter_slot *s, struct meter_connect *out)
{
	for (int i = 0; i < SEQLOCK_TRIES; i++) {
		uint32_t begun = seqlock_begin(&s->connect_seq);

		out->t_s = atomic_load_explicit(
			&s->connected_s, memory_order_acquire);
		words_load(s->credential, FINGERPRINT_LEN / 8, out->credential);
		words_load(s->address, 2, out->address);
		if (seqlock_whole(&s->connect_seq, begun))
			return;
	}
	*out = (struct meter_connect){0};
}

void meter_slot_last_refusal(
	const struct meter_slot *s, struct meter_refusal *out)
{
	for (int i = 0; i < SEQLOCK_TRIES; i++) {
		uint32_t begun = seqlock_begin(&s->refusal_seq);
		uint32_t what;
		size_t n;

		out->t_s = atomic_load_explicit(
			&s->refused_s, memory_order_acquire);
		what = atomic_load_explicit(
			&s->refused_what, memory_order_acquire);
		out->topic_len = atomic_load_explicit(
			&s->topic_len, memory_order_acquire);
		words_load(s->topic, METER_TOPIC / 8, out->topic);
		if (!seqlock_whole(&s->refusal_seq, begun))
			continue;
		out->action = (uint8_t)what;
		out->reason = (uint8_t)(what >> 8);
		out->qos = (uint8_t)(what >> 16);
		n = out->topic_len < METER_TOPIC ? out->topic_len : METER_TOPIC;
		out->topic[n] = '\0';
		return;
	}
	*out = (struct meter_refusal){0};
}
