/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACL_CHECK and MESSAGE: may this device publish, subscribe, receive?
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

/* MESSAGE, after ACL_CHECK allowed the publish: an MQTT 5 Response Topic must
 * be one that the device itself may receive. Not asked for wills. */
int access_message(struct guard *g, const struct mosquitto_evt_message *ed);

/* MESSAGE_OUT, of Mosquitto 2.1: counts what is sent. */
void access_sent(struct guard *g, const struct mosquitto_evt_message *ed);

#endif
