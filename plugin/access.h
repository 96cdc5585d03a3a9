/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACL_CHECK: may this device publish, subscribe, receive?
 */
#ifndef PLUGIN_ACCESS_H
#define PLUGIN_ACCESS_H

#include "plugin/broker.h"
#include "plugin/guard.h"

/*
 * MOSQ_ERR_SUCCESS or MOSQ_ERR_ACL_DENIED, nothing else: another answer would
 * disconnect, and for a delivery disconnect the publisher.
 *
 * Budget: 190 instructions when it allows what was allowed the last time,
 * counting included, and 220 with the connection's bytes. No allocation, no
 * lock, no clock.
 */
int access_check(struct guard *g, const struct mosquitto_evt_acl_check *ed);

/* Tells that B's CLIENT was refused, or observed, WHAT; the answer to it. What
 * is refused may end the connection: plugin/cut.h. */
int access_refuse(struct guard *g, const struct mosquitto *client,
	struct binding *b, const struct request *what, struct decision why);

#endif
