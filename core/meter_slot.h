/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's slots: what it holds of each device, and the index that leads
 * from a device id to its slot.
 *
 * Slots are never given back: a device keeps its own for ever. They are
 * allocated METER_SLOTS_STEP at a time. The index is a row of open-addressing
 * tables: the first serves the first METER_SLOTS_STEP slots, each further one
 * as many as all before it together, and has two entries a slot. So an entry
 * never moves, and finding a device takes one probe a table.
 *
 * A device costs at most 768 bytes: its slot, and two entries of the index.
 */
#ifndef CORE_METER_SLOT_H
#define CORE_METER_SLOT_H

#include "core/certificate.h"
#include "core/counter.h"
#include "core/limit.h"
#include "core/meter.h"
#include "core/reason.h"
#include "core/request.h"

#define METER_SLOTS_STEP 1024u
#define METER_SLOTS_MAX  1048576u
#define METER_TOPIC      64u /* bytes of a topic kept in a slot */
#define METER_REASONS    23u /* those that a device can be refused for */
#define METER_RATES      4u  /* limits that are rates */
#define METER_DAY        13u /* LIMIT_BUCKETS */

struct meter_slot {
	_Atomic uint64_t id[DEVICE_ID_MAX / 8]; /* before it is in the index */
	_Atomic uint32_t id_len;
	_Atomic uint32_t class; /* of the last connect: an index there */
	_Atomic uint32_t connect_seq, refusal_seq; /* guard what follows */
	_Atomic int64_t first_seen_s, last_seen_s; /* Unix time */
	/* Connections now, if the broker that counted them still runs: if
	 * generation is the header's. */
	_Atomic uint32_t connections, generation;
	/* By connect_seq: the last connect that was admitted. */
	_Atomic int64_t connected_s; /* Unix time; 0: never */
	_Atomic uint64_t credential[FINGERPRINT_LEN / 8];
	_Atomic uint64_t address[2]; /* IPv6, or IPv4 mapped; zero: unknown */
	/* Its sessions may hold QoS 2 messages; and the last change that took
	 * a right from it since. 0: no, or they were begun anew. */
	_Atomic uint32_t qos2, unused;
	_Atomic int64_t stale_change;
	/* By refusal_seq: the last refusal. */
	_Atomic int64_t refused_s;     /* Unix time; 0: never */
	_Atomic uint32_t refused_what; /* action | reason << 8 | qos << 16 */
	_Atomic uint32_t topic_len;    /* bytes of the whole topic */
	_Atomic uint64_t topic[METER_TOPIC / 8];
	/* What it has used of its limits: struct usage, the rates in Unix
	 * time. */
	_Atomic int64_t spent_until_ns[METER_RATES];
	_Atomic int64_t day_bucket;
	_Atomic uint64_t day_bytes[METER_DAY];
	_Atomic uint64_t counter[COUNTERS];
	_Atomic uint64_t reason[METER_REASONS];
};

_Static_assert(offsetof(struct meter_slot, id_len) == 64, "layout");
_Static_assert(offsetof(struct meter_slot, credential) == 112, "layout");
_Static_assert(offsetof(struct meter_slot, refused_s) == 176, "layout");
_Static_assert(offsetof(struct meter_slot, spent_until_ns) == 256, "layout");
_Static_assert(offsetof(struct meter_slot, counter) == 400, "layout");
_Static_assert(sizeof(struct meter_slot) == 760, "layout");
_Static_assert(sizeof(struct meter_slot) + 2 * sizeof(uint32_t) <= 768, "768");
_Static_assert(COUNTERS == 22, "a counter more: METER_VERSION + 1");
_Static_assert((int)REASON_COUNT - 3 <= (int)METER_REASONS, "a place for each");
_Static_assert(LIMIT_BUCKETS == METER_DAY, "layout");

#define METER_SIZE_MAX                                                         \
	(METER_SLOTS_AT + (size_t)METER_SLOTS_MAX * sizeof(struct meter_slot))

_Static_assert(
	METER_INDEX_AT + (size_t)2 * METER_SLOTS_MAX * sizeof(uint32_t) <=
		METER_SLOTS_AT,
	"layout");

/* Where a refusal for R is counted in a slot; METER_REASONS for one that no
 * device can be refused for. */
static inline uint32_t meter_reason_index(enum reason r)
{
	if (r == REASON_UNAVAILABLE)
		return 0;
	return r > REASON_UNKNOWN_CERTIFICATE ? (uint32_t)r - 3 : METER_REASONS;
}

/* A segment as it is mapped: SIZE bytes that may be read. */
struct meter_map {
	const void *mem;
	size_t size; /* at least METER_SIZE_MIN */
};

/* --------------------------------------------------------------- the writer */

struct meter_range {
	size_t at, len; /* bytes */
};

/* Slot SLOT of the writer's own memory. */
static inline struct meter_slot *meter_slot_mut(void *mem, uint32_t slot)
{
	return (struct meter_slot *)(void *)((char *)mem + METER_SLOTS_AT) +
	       slot;
}

/*
 * What must be allocated before the next slot can be taken: nothing (0), or
 * one or two ranges, after which the writer calls meter_slots_grown(). True:
 * there is room or can be; false: METER_SLOTS_MAX devices have a slot.
 */
bool meter_slots_need(
	const void *mem, struct meter_range out[static 2], size_t *n);
void meter_slots_grown(void *mem);

/* What must be allocated of a segment that goes on: slots and index. */
void meter_slots_used(const void *mem, struct meter_range out[static 2]);

/* Takes the next slot, which must be allocated, for ID, of 1 to DEVICE_ID_MAX
 * bytes, which has none yet. METER_NONE: no such id, or the index is damaged
 * and has no room for it. */
uint32_t meter_slot_add(void *mem, struct str id, int64_t now_s);

/* The connect of a device by CREDENTIAL (FINGERPRINT_LEN bytes) from ADDRESS
 * (16 bytes). */
void meter_slot_connect(struct meter_slot *s, const uint8_t *credential,
	const uint8_t *address, int64_t now_s);

/* A refusal. TOPIC may be empty. */
void meter_slot_refuse(struct meter_slot *s, const struct request *what,
	enum reason reason, int64_t now_s);

/* --------------------------------------------------------------- the reader */

/* How many slots may be read. */
uint32_t meter_slots(struct meter_map m);

/* Slot SLOT, less than meter_slots(). */
static inline const struct meter_slot *meter_slot_at(
	struct meter_map m, uint32_t slot)
{
	const char *at = (const char *)m.mem + METER_SLOTS_AT;

	return (const struct meter_slot *)(const void *)at + slot;
}

/* The slot of the device, or METER_NONE. */
uint32_t meter_slot_find(struct meter_map m, struct str id);

/* The id that the slot holds, NUL terminated: any bytes. Returns its length,
 * at most DEVICE_ID_MAX. */
size_t meter_slot_id(
	const struct meter_slot *s, char out[static DEVICE_ID_MAX + 1]);

struct meter_connect {
	int64_t t_s; /* Unix time; 0: never */
	uint8_t credential[FINGERPRINT_LEN];
	uint8_t address[16];
};

struct meter_refusal {
	int64_t t_s;    /* Unix time; 0: never */
	uint8_t action; /* enum action, or any number */
	uint8_t reason; /* enum reason, or any number */
	uint8_t qos;
	uint32_t topic_len;          /* of the whole topic */
	char topic[METER_TOPIC + 1]; /* its beginning, NUL terminated */
};

/* Copies; a writer that died inside a store, or is always at it, reads as
 * never. */
void meter_slot_last_connect(
	const struct meter_slot *s, struct meter_connect *out);
void meter_slot_last_refusal(
	const struct meter_slot *s, struct meter_refusal *out);

#endif
