/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MESSAGE, of a publish that ACL_CHECK has let in, and MESSAGE_OUT: what only
 * they show, its MQTT 5 properties.
 */
#ifndef PLUGIN_MESSAGE_H
#define PLUGIN_MESSAGE_H

#include "plugin/broker.h"
#include "plugin/guard.h"

/*
 * MOSQ_ERR_SUCCESS or MOSQ_ERR_ACL_DENIED. A Response Topic must be one that
 * the device itself may receive; and properties carry what a payload does, so
 * the rules and the limits hold for both together. Not asked for wills.
 */
int message_check(struct guard *g, const struct mosquitto_evt_message *ed);

/* MESSAGE_OUT, of Mosquitto 2.1: counts what is sent. */
void message_sent(struct guard *g, const struct mosquitto_evt_message *ed);

#endif
