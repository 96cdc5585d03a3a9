/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one writer of the record of observations (core/seen.h): the broker's
 * plugin. It finds entries through indexes of its own memory, made when it
 * begins; recording allocates nothing and makes no system call.
 */
#ifndef CORE_SEEN_WRITE_H
#define CORE_SEEN_WRITE_H

#include "core/err.h"
#include "core/seen.h"

#define SEEN_NONE UINT32_MAX /* no device */

/* Open addressing, linear probing: an entry is a number plus one. */
struct seen_index {
	uint32_t *slot;
	uint32_t cap; /* a power of two, twice what it holds */
};

struct seen_writer {
	void *mem; /* SEEN_SIZE bytes, kept */
	struct seen_index devices, requests, certs;
	uint32_t *first; /* of each device's requests; plus one */
	uint32_t *next;  /* of each request; of free ones too */
	uint32_t free;   /* the first free request below n_requests; plus one */
};

/* Makes the SEEN_SIZE zeroed bytes at MEM a record. */
void seen_format(void *mem, int64_t now_s);

/* Begins on the record at MEM (kept): its entries are found again, those that
 * are not sound are dropped. False: no memory. Release: seen_writer_fini. */
MUST bool seen_writer_init(struct seen_writer *w, void *mem);
void seen_writer_fini(struct seen_writer *w);

/* The number of the device of that id, 1..64 bytes, which is made if missing.
 * SEEN_NONE: no room. */
uint32_t seen_device(struct seen_writer *w, struct str id);

/*
 * Records that DEVICE (a number, or SEEN_NONE: lost) made request WHAT (publish
 * or subscribe), which only observing let pass, for REASON. Cost: a hash of the
 * topic and mostly one comparison; beyond SEEN_PER_DEVICE topics at most that
 * many comparisons.
 */
void seen_record(struct seen_writer *w, uint32_t device,
	const struct request *what, enum reason reason);

/* Records that certificate C (its device_id the CN) was taken in. ISSUER: its
 * issuer's fingerprint, or NULL: not known now. */
void seen_record_cert(struct seen_writer *w, const struct credential *c,
	const uint8_t *issuer, int64_t now_s);

#endif
