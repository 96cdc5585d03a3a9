/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard counts, and where: in the slot of the device, for its class,
 * and for the rule that let a message pass (core/meter_slot.h, meter_total.h).
 *
 * A badge is given its slot when its device is known. A device for which there
 * is no room counts into a slot that nobody reads, so that no message has to
 * ask; so does every badge before it is given one.
 */
#ifndef PLUGIN_GAUGE_H
#define PLUGIN_GAUGE_H

#include "core/event.h"
#include "core/meter_total.h"
#include "core/policy.h"
#include "plugin/refusal.h"

#include <stdbool.h>
#include <stdint.h>

struct badge;
struct binding;
struct guard;
struct segment;
struct usage;

struct gauge {
	/* By the number of a rule of the policy in force. */
	struct meter_flow **flow;
	/* What the last message passed by: MESSAGE follows its ACL_CHECK. */
	struct meter_flow *last;
	/* By the number of a class of the policy in force. */
	uint32_t *class_of;
	/* Rules that the segment has, by hash: open addressing, cap is a
	 * power of two, an entry is an index plus one. */
	uint32_t *by_hash;
	size_t cap_by_hash;
	int64_t full_s; /* Unix time: when there was no room for a slot last */
	struct meter_slot nobody;
};

/* Reads what the open segment holds. False: no memory. */
MUST bool gauge_begin(struct guard *g);
/* Before the plugin counts in another segment: is there room to begin in it;
 * and once g->segment and g->meter are the other one's. */
bool gauge_fits(const struct segment *fresh);
void gauge_again(struct guard *g);
/* The broker stops: all connections end. */
void gauge_end(struct guard *g);
void gauge_fini(struct gauge *x);

/* After each swap of the policy, before anybody is judged by it. False: no
 * memory; then P must not come into force. */
MUST bool gauge_policy(struct guard *g, const struct policy *p);

/* The class's index in the segment; 0 for NULL. */
uint32_t gauge_class(const struct guard *g, const struct policy_class *c);

/* The class that the badge counts for, after its subject's has changed. */
void gauge_badge_class(const struct guard *g, struct badge *b);

/* Finds the badge's slot, by its device's id, or makes it. */
void gauge_device(struct guard *g, struct badge *b);

/* B was admitted; B's connection has ended; B took over from a connected OLD. */
void gauge_connected(struct guard *g, struct binding *b);
void gauge_disconnected(struct guard *g, const struct binding *b);
/* What the slot says of a connection that lasts: again, in another segment. */
void gauge_is_connected(struct guard *g, const struct binding *b);
void gauge_takeover(struct guard *g, const struct binding *old);

/* A request was refused, or observed. BADGE: whose; NULL: of a stranger. */
void gauge_refusal(
	struct guard *g, struct badge *badge, const struct refusal *r);

/* The will of a device, let pass. */
void gauge_will(struct badge *badge);

/* An event of a device, or of none (empty). */
void gauge_event(struct guard *g, struct event *e);

/* What its slot remembers of the device's use of its limits, and the other way
 * round. */
void gauge_usage_load(
	const struct guard *g, const struct badge *b, struct usage *u);
void gauge_usage_store(
	const struct guard *g, struct badge *b, const struct usage *u);

/* ---------------------------------- stashes of QoS 2, over a broker's restart */

/* A change took a right from the device: what its sessions hold is stale. */
void gauge_stale(struct guard *g, struct str device_id, int64_t change);
/* The same for every device: it is not known from whom. */
void gauge_all_stale(struct guard *g, int64_t change);

/* ------------------------------------------------------------------------ hot */

/* What a message is counted for that no rule let pass. */
struct meter_flow *gauge_no_rule(const struct guard *g, enum action action);

/* Counts N: a message, its payload, its packet. */
static inline void gauge_add(
	_Atomic uint64_t *messages, uint64_t payload_bytes, uint64_t mqtt_bytes)
{
	count_u64(&messages[0], 1);
	count_u64(&messages[1], payload_bytes);
	count_u64(&messages[2], mqtt_bytes);
}

#endif
