/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits: how much a device may do, and how much it has done.
 *
 * Rates are token buckets in the form of a virtual clock: `spent_until` says
 * until when the device has used up its rate, and a request is within the rate
 * while that lies less than the burst ahead of now. A burst is what the rate
 * allows in one period (a second, or a minute for connects). What is larger
 * than a burst passes when some of the burst is left, and is paid for after.
 *
 * A day's quota is the sum of the last 24 hours, kept in buckets of two hours:
 * a bucket counts until it is 24 hours old as a whole, so that no 24 hours see
 * more.
 *
 * Only what is allowed is charged: a device that floods still gets its rate.
 * What is refused is charged to REFUSALS_PER_S, which refuses nothing: it says
 * when to cut the connection of somebody who does not stop.
 */
#ifndef CORE_LIMIT_H
#define CORE_LIMIT_H

#include "core/reason.h"
#include "core/request.h"
#include "core/siphash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(constant, key of the policy, what it bounds) */
#define LIMITS_TABLE(X)                                                        \
	X(MESSAGES_PER_S, messages_per_s, "messages published a second")       \
	X(BYTES_PER_S, bytes_per_s, "bytes of PUBLISH packets a second")       \
	X(BYTES_PER_DAY, bytes_per_day, "bytes of PUBLISH packets in 24 h")    \
	X(CONNECTS_PER_MIN, connects_per_min, "connects a minute")             \
	X(SUBSCRIBES_PER_S, subscribes_per_s, "filters subscribed a second")   \
	X(SUBSCRIPTIONS, subscriptions, "subscriptions at a time")             \
	X(REFUSALS_PER_S, refusals_per_s,                                      \
		"publishes and filters refused a second before the "           \
		"connection is cut")

enum limit {
#define LIMIT_ENUM(c, key, text) LIMIT_##c,
	LIMITS_TABLE(LIMIT_ENUM)
#undef LIMIT_ENUM
		LIMITS
};

#define RATE_MAX          UINT32_MAX                 /* a second or minute */
#define DAY_MAX           UINT64_C(1000000000000000) /* bytes */
#define SUBSCRIPTIONS_MAX 4096u
#define LIMIT_BUCKET_S    7200
#define LIMIT_BUCKETS     13 /* the current one and 24 hours before it */

/* By enum limit; 0: not limited. */
struct limits {
	uint64_t max[LIMITS];
};

/* The policy's key of L, and what it bounds, for people. Static. */
const char *limit_key(enum limit l);
const char *limit_text(enum limit l);
/* The most that L may be set to. */
uint64_t limit_most(enum limit l);

/* One subscription: hashes of client id and filter, by a key that no device
 * knows: filters of one hash would count as one. */
struct subscription {
	uint64_t client, filter;
};

struct subscription subscription_of(
	const struct siphash_key *key, struct str client_id, struct str filter);

/* What a device has used. Zeroed: nothing. `subscription` holds n of them and
 * belongs to whoever filled the struct. */
struct usage {
	int64_t spent_until_ns[LIMITS]; /* of the rates */
	int64_t bucket;                 /* the newest of bytes[] */
	uint64_t day_bytes;             /* the sum of bytes[] */
	uint64_t bytes[LIMIT_BUCKETS];  /* by bucket modulo LIMIT_BUCKETS */
	struct subscription *subscription;
	size_t n_subscriptions;
};

/* The bytes of a Variable Byte Integer (MQTT 5.0 §1.5.5). */
static inline uint64_t varint_bytes(uint64_t n)
{
	return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 4;
}

/* The bytes of a packet whose remaining length is REMAINING: its type and the
 * length itself come before (MQTT 3.1.1 §2.2.3). */
static inline uint64_t packet_bytes(uint64_t remaining)
{
	return 1 + varint_bytes(remaining) + remaining;
}

/* The remaining length of a PUBLISH packet, as MQTT 3.1.1 §3.3 writes it:
 * properties of MQTT 5 are not seen. */
static inline uint64_t publish_remaining(
	size_t topic_len, uint8_t qos, uint32_t payload_len)
{
	return 2 + (uint64_t)topic_len + (qos != 0 ? 2 : 0) + payload_len;
}

/* The same of the one that WHAT is, and the whole packet. */
uint64_t request_remaining(const struct request *what);
uint64_t request_bytes(const struct request *what);

/* RATE or QUOTA when WHAT would exceed L after U; ALLOWED if not. */
enum reason limit_reason(const struct limits *l, const struct usage *u,
	const struct request *what);

/* Charges WHAT, which was allowed, to U. Subscriptions are not: whoever fills
 * U keeps their list. */
void limit_charge(
	const struct limits *l, struct usage *u, const struct request *what);

/* Charges N bytes by which a publish that was charged at WHAT's time is longer
 * than was known. False: the day has no room for them; then nothing is. A rate
 * lets pass what comes when anything is left, and is paid for after. */
bool limit_more(const struct limits *l, struct usage *u, uint64_t n,
	const struct request *what);

/* Charges a refusal to *until_ns, the virtual clock of one connection, zero at
 * first. True when it is more than L lets pass in a second. */
bool limit_refused(const struct limits *l, int64_t *until_ns, int64_t now_ns);

#endif
