/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cut.h"

/*
 * Whether a refusal ends B's connection. What a device does in quarantine is
 * dropped and no more: it is kept connected to be mended. Deliveries are not
 * the device's doing, but a member of a shared group that may not receive
 * would swallow the group's messages: the broker hands each to one member and
 * asks no other. When it is disconnected, the broker drops its filters that
 * are refused.
 */
static bool ends(const struct binding *b, const struct request *what)
{
	const struct policy_class *class = b->badge->subject.class;

	if (what->action == ACTION_RECEIVE)
		return b->shares;
	return class != NULL &&
	       policy_class_on_deny(class) == ON_DENY_DISCONNECT &&
	       b->badge->device.status != DEVICE_QUARANTINED;
}

/*
 * Cuts B when more is refused to it than its class puts up with. A record of TLS
 * holds hundreds of small packets, and the broker serves them all before it
 * turns to the next connection: so the rest of it is thrown away at once, and
 * the tick does what is left.
 */
static void cut_flooder(
	struct guard *g, struct binding *b, const struct request *what)
{
	const struct policy_class *class = b->badge->subject.class;
	const struct limits *l =
		class != NULL ? policy_class_limits(class) : NULL;

	if (l == NULL || what->action == ACTION_RECEIVE ||
		!limit_refused(
			l, &b->refused_until_ns, (int64_t)g->now_ms * 1000000))
		return;
	if (b->wire != NULL)
		wire_deafen(b->wire);
	kick_add(&g->kicks, &g->outcomes, b, 0);
}

void cut_after(struct guard *g, struct binding *b, const struct request *what)
{
	if (ends(b, what))
		kick_add(&g->kicks, &g->outcomes, b, 0);
	if (b->state == BINDING_CONNECTED)
		cut_flooder(g, b, what);
}
