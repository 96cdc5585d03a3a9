/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disconnects to be made. A kick runs DISCONNECT and the will's ACL check
 * inside the call, and ends the client the broker may be looking at: so it is
 * queued here, and made from the broker's tick only, a few at a time.
 *
 * Only a connected client is kicked: on Mosquitto 2.0.11 a kick by client id
 * that reaches a session without a connection files its expiry a second time,
 * and frees it twice later. Who disconnects is taken out of the queue.
 */
#ifndef PLUGIN_KICK_H
#define PLUGIN_KICK_H

#include "plugin/binding.h"
#include "plugin/outcome.h"

struct kick_queue {
	struct binding *first, *last;
	size_t n;
};

/*
 * Queues B, once, on behalf of CHANGE (0: of nobody who waits). A binding that
 * is not connected, is superseded or has been kicked is left alone.
 */
void kick_add(struct kick_queue *q, struct outcomes *o, struct binding *b,
	int64_t change);

/* Takes B out: its connection has ended. CLOSED: because of our kick. */
void kick_forget(struct kick_queue *q, struct outcomes *o, struct binding *b,
	bool closed);

/*
 * Kicks in order of queueing until the queue is empty or BUDGET_NS are gone by
 * NOW_NS (monotonic). KICK ends the connection of a client id and says whether
 * it did; it may call back into kick_add and kick_forget. Returns how many
 * were ended.
 */
struct kicker {
	bool (*kick)(const char *client_id);
	uint64_t (*now_ns)(void);
};
uint32_t kick_run(struct kick_queue *q, struct outcomes *o,
	const struct kicker *by, uint64_t budget_ns);

#endif
