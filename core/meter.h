/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of meter.seg, the file by which the plugin tells the world what
 * it does: one writer, the plugin, and any number of readers that map it
 * read-only and treat every byte as hostile.
 *
 *          0 ┌───────────────────────────────┐
 *            │ struct meter_header           │ identity, state, load error
 *      0xff8 │ _Atomic uint64_t              │ which segment this is
 *      4 KiB ├───────────────────────────────┤
 *            │ struct meter_outcome [256]    │ what each applied change closed
 *     32 KiB ├───────────────────────────────┤
 *            │ struct meter_event [4096]     │ core/event.h
 *  1,088 KiB ├───────────────────────────────┤
 *            │ struct meter_class [1025]     │ core/meter_total.h
 *  2,560 KiB ├───────────────────────────────┤
 *            │ struct meter_rule [16384]     │ core/meter_total.h
 *      8 MiB ├───────────────────────────────┤
 *            │ index of the devices' slots   │ core/meter_slot.h
 *     16 MiB ├───────────────────────────────┤
 *            │ struct meter_slot [n]         │ core/meter_slot.h
 *            └───────────────────────────────┘ grows, to METER_SIZE_MAX
 *
 * Between what is in use the file has holes: it takes room on the disk for
 * what it holds, not for its size. Whatever the writer touches it has had
 * allocated before.
 *
 * Fields that change are C11 atomics, stored relaxed unless said otherwise.
 * Texts and outcomes are guarded by a sequence: odd while the writer is at it.
 * These functions work on given memory; io/segment.h maps the file.
 */
#ifndef CORE_METER_H
#define CORE_METER_H

#include "core/device.h"
#include "core/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define METER_MAGIC    UINT64_C(0x3147455352494557) /* "WEIRSEG1" in memory */
#define METER_VERSION  2u
#define METER_OUTCOMES 256u       /* a power of two */
#define METER_TEXT     256u       /* bytes; a multiple of 8 */
#define METER_NONE     UINT32_MAX /* no slot, no class */

/* A text of up to METER_TEXT bytes that readers copy without tearing. */
struct meter_text {
	_Atomic uint32_t seq;
	_Atomic uint32_t len; /* bytes */
	_Atomic uint64_t word[METER_TEXT / 8];
};

struct meter_header {
	_Atomic uint64_t magic; /* stored last: release */
	uint32_t version;
	uint32_t header_size;        /* sizeof(struct meter_header) */
	_Atomic uint64_t size;       /* of the file; only grows */
	_Atomic uint64_t generation; /* +1 at every broker start */
	_Atomic int64_t pid;         /* of the broker; 0: stopped cleanly */
	_Atomic int64_t started_s;   /* Unix time */
	_Atomic int64_t heartbeat_s; /* Unix time, at least once a second */
	/* Registry: every change up to this seq is in force on every
	 * connection, and the disconnects it asked for are done. Stored with
	 * release after the outcome. */
	_Atomic int64_t applied_change;
	_Atomic int64_t policy_revision;  /* in force; 0: none */
	_Atomic int64_t highest_revision; /* of the registry, ever seen */
	_Atomic int64_t connected;        /* devices' connections now */
	_Atomic uint64_t closed;          /* connections ended by a change */
	_Atomic uint64_t refused;         /* requests refused, all reasons */
	_Atomic int64_t load_error_s;     /* 0: the last load succeeded */
	struct meter_text load_error;     /* why the last load failed */
	_Atomic uint64_t events;          /* ever written; release */
	_Atomic uint32_t n_slots;         /* in use; only grows; release */
	_Atomic uint32_t cap_slots;       /* allocated */
	_Atomic uint32_t n_classes;       /* in use, the nameless included */
	_Atomic uint32_t n_rules;         /* in use */
	_Atomic uint64_t unmetered; /* connects of a device without a slot */
	/* TLS connections that never became a device's. */
	_Atomic uint64_t strangers;
	_Atomic uint64_t stranger_wire_bytes_in, stranger_wire_bytes_out;
};

/* What one change closed. */
struct meter_outcome {
	_Atomic uint32_t seq;
	_Atomic uint32_t closed; /* connections */
	_Atomic int64_t change;  /* its seq in the registry; 0: empty */
	_Atomic uint64_t device[DEVICE_ID_MAX / 8]; /* id, zero padded */
};

#define METER_LIVE_AT     0xff0u /* 64 bits */
#define METER_IDENTITY_AT 0xff8u /* 64 bits */
#define METER_OUTCOMES_AT 0x1000u
#define METER_EVENTS_AT   0x8000u
#define METER_CLASSES_AT  0x110000u
#define METER_RULES_AT    0x280000u
#define METER_INDEX_AT    0x800000u
#define METER_SLOTS_AT    0x1000000u
#define METER_SIZE_MIN    METER_SLOTS_AT

_Static_assert(sizeof(struct meter_text) == 264, "layout");
_Static_assert(offsetof(struct meter_header, generation) == 24, "layout");
_Static_assert(offsetof(struct meter_header, applied_change) == 56, "layout");
_Static_assert(offsetof(struct meter_header, load_error) == 112, "layout");
_Static_assert(offsetof(struct meter_header, events) == 376, "layout");
_Static_assert(sizeof(struct meter_header) == 432, "layout");
_Static_assert(sizeof(struct meter_header) <= METER_LIVE_AT, "layout");
_Static_assert(sizeof(struct meter_outcome) == 80, "layout");
_Static_assert(
	METER_OUTCOMES_AT + METER_OUTCOMES * sizeof(struct meter_outcome) <=
		METER_EVENTS_AT,
	"layout");

/* Counters have one writer: a load and a store, without the bus lock that an
 * atomic addition would take. */
static inline void count_u64(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c,
		atomic_load_explicit(c, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static inline void count_i64(_Atomic int64_t *c, int64_t n)
{
	atomic_store_explicit(c,
		atomic_load_explicit(c, memory_order_relaxed) + n,
		memory_order_relaxed);
}

/*
 * Which segment it is, of all that ever were: its counters began at zero with
 * it, and no other's go on with them. 0: one that an old plugin has begun.
 * What is counted against a look at it has to know.
 */
static inline uint64_t meter_identity(const void *mem)
{
	const char *at = (const char *)mem + METER_IDENTITY_AT;

	return atomic_load_explicit((const _Atomic uint64_t *)(const void *)at,
		memory_order_relaxed);
}

/* live.db: every action of weir-feed's up to this one is in force on every
 * connection. */
static inline int64_t meter_applied_live(const void *mem)
{
	const char *at = (const char *)mem + METER_LIVE_AT;

	return atomic_load_explicit((const _Atomic int64_t *)(const void *)at,
		memory_order_acquire);
}

/* --------------------------------------------------------------- the writer */

static inline void meter_apply_live(void *mem, int64_t change)
{
	char *at = (char *)mem + METER_LIVE_AT;

	atomic_store_explicit(
		(_Atomic int64_t *)(void *)at, change, memory_order_release);
}

/* ID is a random number. */
static inline void meter_identify(void *mem, uint64_t id)
{
	char *at = (char *)mem + METER_IDENTITY_AT;

	atomic_store_explicit(
		(_Atomic uint64_t *)(void *)at, id, memory_order_relaxed);
}

/* Makes the METER_SIZE_MIN zeroed bytes at MEM a segment; magic comes last. */
void meter_format(void *mem);

/* Writes S, cut to METER_TEXT bytes. One writer. */
void meter_text_store(struct meter_text *t, struct str s);

/* Records that change CHANGE of DEVICE closed N connections. One writer. */
void meter_outcome_store(
	void *mem, int64_t change, struct str device, uint32_t n);

/* --------------------------------------------------------------- the reader */

/* Why the SIZE bytes at MEM, of a file as large, are no segment of this version
 * or one that contradicts itself; NULL if neither. Static. */
const char *meter_problem(const void *mem, size_t size);

/* Copies the text; returns its length, at most METER_TEXT; out is NUL
 * terminated. A writer that died inside a store reads as empty. */
size_t meter_text_load(
	const struct meter_text *t, char out[static METER_TEXT + 1]);

/* The outcome of change CHANGE into *closed; false when the segment no longer,
 * or not yet, holds it. */
bool meter_outcome_load(const void *mem, int64_t change, uint32_t *closed);

/* The device of change CHANGE, NUL terminated, as the segment has it: any
 * bytes. False as meter_outcome_load. */
bool meter_outcome_device(
	const void *mem, int64_t change, char out[static DEVICE_ID_MAX + 1]);

#endif
