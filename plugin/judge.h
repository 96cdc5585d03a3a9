/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a binding may do now: at CONNECT, after a change of its device, and
 * when its certificate or its status ends.
 */
#ifndef PLUGIN_JUDGE_H
#define PLUGIN_JUDGE_H

#include "plugin/guard.h"

/*
 * Reads what the registry says of badge->certificate into BADGE: credential,
 * barred key and device, whose status is the effective one at g->now_s.
 * False: the registry could not tell; BADGE is unchanged. What the badge held
 * of a device before is freed.
 */
MUST bool judge_read(struct guard *g, struct badge *badge, struct err *e);

/*
 * BADGE's certificate is not registered (judge_read has said so). Where the
 * policy takes such in, and CN is a device id that no registered device with a
 * certificate has, and the key is not barred, the badge gets the device of that
 * name. False: as
 * judge_read.
 */
MUST bool judge_take_in(
	struct guard *g, struct badge *badge, const char *cn, struct err *e);

/* The status of BADGE's device at g->now_s: a suspension or quarantine whose
 * end has come is over, and what the registry has as active weir-feed may have
 * in quarantine. */
void judge_status(struct guard *g, struct badge *badge);

/* judge_class() after a swap. */
void judge_class_anew(struct guard *g, struct badge *badge);

/* The badge's class in the policy in force. Cheap when no policy was swapped
 * since the last call. */
static inline void judge_class(struct guard *g, struct badge *badge)
{
	if (badge->policy_gen != g->policy_gen)
		judge_class_anew(g, badge);
}

/* True when the device's rules let QoS 2 in. */
bool judge_qos2(const struct badge *badge);

/* decide(connect) for the badge and client id, limits aside: what stands is
 * judged by it again and again. */
struct decision judge_connect(
	struct guard *g, struct badge *badge, const char *client_id);

/*
 * decide() for a badge whose class has limits, by the device's account, which
 * is charged with what is not refused. CLIENT_ID: whose subscription a
 * subscribe would be. Without memory for an account: refused, unavailable.
 */
struct decision judge_limited(struct guard *g, struct badge *badge,
	struct request *what, const char *client_id);

/*
 * D, which let a publish of a badge whose class has limits pass: N bytes more
 * of it have come to light. They are charged, unless the day has no room for
 * them.
 */
struct decision judge_more(
	struct guard *g, struct badge *badge, uint64_t n, struct decision d);

/* Files B for the second when it must be judged again. False: no memory. */
MUST bool judge_file(struct guard *g, struct binding *b);

/*
 * Reads B's rows again and judges it: a connection that lost every right is
 * barred at once, one whose rights differ from before is disconnected, on
 * behalf of CHANGE (0: of nobody who waits). False: the registry could not
 * tell; then B is barred as unavailable until a later call can.
 */
MUST bool judge_again(
	struct guard *g, struct binding *b, int64_t change, struct err *e);

/* B's filed second has come, or weir-feed has changed what it may: judges B, which
 * has a badge, by the rows that it has. */
void judge_due(struct guard *g, struct binding *b);

/* The registry has changed while certificates that it does not know are taken
 * in: all connections are judged again, for who is registered by now. */
void judge_registry_changed(struct guard *g);

/*
 * Judges connections that a policy before the one in force let in, at most N:
 * who could not connect now is disconnected. The judged go to the end of the
 * list, as new connections do: the oldest stand first.
 */
void judge_by_policy(struct guard *g, int n);

/* Takes B out of every queue, and out of the table. */
void judge_drop(struct guard *g, struct binding *b);

#endif
