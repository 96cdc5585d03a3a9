/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of what is observed: seen.seg, what devices did that enforcing
 * would have refused, and the certificates that were taken in. `weir policy
 * learn` and `weir cert enroll --seen` read it.
 *
 *   header | devices | requests | certificates
 *
 * Each part is an array of fixed size whose entries never move. A request is
 * kept once per device, action, reason and topic, with how often, from when to
 * when, its highest QoS and largest payload. A device has at most
 * SEEN_PER_DEVICE of them: then topics that differ in one level are folded
 * into a pattern with `+` there. What finds no room is counted as lost.
 *
 * What is allowed is not recorded: what a device says when it behaves is
 * nobody's business.
 *
 * Fields that change are C11 atomics; a request and a certificate are guarded
 * by a sequence. Readers treat every byte as hostile. core/seen_write.h has
 * the writer, io/seen_file.h the file.
 */
#ifndef CORE_SEEN_H
#define CORE_SEEN_H

#include "core/certificate.h"
#include "core/reason.h"
#include "core/request.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SEEN_MAGIC      UINT64_C(0x3145455352494557) /* "WEIRSEE1" in memory */
#define SEEN_VERSION    1u
#define SEEN_DEVICES    16384u /* a power of two, as the next two */
#define SEEN_REQUESTS   65536u
#define SEEN_CERTS      16384u
#define SEEN_PER_DEVICE 64u
#define SEEN_TOPIC      192u /* bytes; longer topics are lost */
#define SEEN_SERIAL     72u
#define SEEN_ISSUER     256u

struct seen_header {
	_Atomic uint64_t magic; /* stored last: release */
	uint32_t version;
	uint32_t header_size;
	uint64_t size;                                   /* of the file */
	int64_t begun_s;                                 /* Unix time */
	_Atomic uint32_t n_devices, n_requests, n_certs; /* ever used */
	uint32_t unused;
	/* What found no room: devices' requests, in messages; certificates, in
	 * connects. */
	_Atomic uint64_t lost_messages, lost_connects;
	_Atomic uint64_t folded; /* topics that became part of a pattern */
};

struct seen_device {
	_Atomic uint64_t id[DEVICE_ID_MAX / 8]; /* before it is counted */
	_Atomic uint32_t id_len;
	_Atomic uint32_t requests; /* it has now */
	_Atomic uint64_t lost;     /* messages */
};

struct seen_request {
	_Atomic uint32_t seq;
	_Atomic uint32_t device; /* an index */
	/* action | reason << 8 | highest qos << 16 | retain << 24 |
	 * folded << 25; zero: the entry is free */
	_Atomic uint32_t what;
	_Atomic uint32_t topic_len;
	_Atomic uint64_t count;
	_Atomic int64_t first_s, last_s; /* Unix time */
	_Atomic uint64_t largest;        /* bytes of a payload */
	_Atomic uint64_t topic[SEEN_TOPIC / 8];
};

struct seen_cert {
	_Atomic uint32_t seq;
	_Atomic uint32_t id_len;
	_Atomic uint64_t id[DEVICE_ID_MAX / 8]; /* its CN */
	_Atomic uint64_t fingerprint[FINGERPRINT_LEN / 8];
	_Atomic uint64_t spki[FINGERPRINT_LEN / 8];
	_Atomic uint64_t
		issuer_fingerprint[FINGERPRINT_LEN / 8]; /* 0: unknown */
	_Atomic uint64_t serial[SEEN_SERIAL / 8];
	_Atomic uint64_t issuer[SEEN_ISSUER / 8];
	_Atomic int64_t not_before_s, not_after_s;
	_Atomic int64_t first_s, last_s; /* Unix time */
	_Atomic uint64_t connects;
};

#define SEEN_DEVICES_AT  0x1000u
#define SEEN_REQUESTS_AT (SEEN_DEVICES_AT + SEEN_DEVICES * 80u)
#define SEEN_CERTS_AT    (SEEN_REQUESTS_AT + SEEN_REQUESTS * 240u)
#define SEEN_SIZE        (SEEN_CERTS_AT + SEEN_CERTS * 536u)

_Static_assert(offsetof(struct seen_header, begun_s) == 24, "layout");
_Static_assert(offsetof(struct seen_header, lost_messages) == 48, "layout");
_Static_assert(sizeof(struct seen_header) == 72, "layout");
_Static_assert(sizeof(struct seen_device) == 80, "layout");
_Static_assert(offsetof(struct seen_request, count) == 16, "layout");
_Static_assert(offsetof(struct seen_request, topic) == 48, "layout");
_Static_assert(sizeof(struct seen_request) == 240, "layout");
_Static_assert(offsetof(struct seen_cert, fingerprint) == 72, "layout");
_Static_assert(offsetof(struct seen_cert, serial) == 168, "layout");
_Static_assert(offsetof(struct seen_cert, not_before_s) == 496, "layout");
_Static_assert(sizeof(struct seen_cert) == 536, "layout");

/* The parts of the SEEN_SIZE bytes at MEM. */
static inline struct seen_device *seen_device_at(void *mem, uint32_t i)
{
	return (struct seen_device *)(void *)((char *)mem + SEEN_DEVICES_AT) +
	       i;
}

static inline struct seen_request *seen_request_at(void *mem, uint32_t i)
{
	return (struct seen_request *)(void *)((char *)mem + SEEN_REQUESTS_AT) +
	       i;
}

static inline struct seen_cert *seen_cert_at(void *mem, uint32_t i)
{
	return (struct seen_cert *)(void *)((char *)mem + SEEN_CERTS_AT) + i;
}

/* --------------------------------------------------------------- the reader */

/* A request, copied out and found sound. */
struct seen {
	char device[DEVICE_ID_MAX + 1];
	enum action action; /* publish or subscribe */
	enum reason reason;
	uint8_t qos; /* the highest */
	bool retain; /* at least once */
	bool folded; /* the topic is a pattern made of several */
	uint64_t count, largest;
	int64_t first_s, last_s;
	char topic[SEEN_TOPIC + 1];
	struct str text; /* the topic or filter: points into the above */
};

/* A certificate, copied out and found sound: as the registry would hold it, of
 * the device of its CN. */
struct seen_credential {
	struct credential credential;
	bool issuer_known;
	uint8_t issuer_fingerprint[FINGERPRINT_LEN];
	int64_t first_s, last_s;
	uint64_t connects;
};

/* Why the SIZE bytes at MEM are no record of this version; NULL: they are.
 * Static. */
const char *seen_problem(const void *mem, size_t size);

/* How many there may be: the I of what follows is less. */
uint32_t seen_requests(const void *mem);
uint32_t seen_certs(const void *mem);

/* False: the entry is free, being written, or not sound. */
bool seen_request_load(const void *mem, uint32_t i, struct seen *out);
bool seen_cert_load(const void *mem, uint32_t i, struct seen_credential *out);

#endif
