/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONNECT: from a client's certificate to a binding, or a refusal.
 */
#ifndef PLUGIN_ADMISSION_H
#define PLUGIN_ADMISSION_H

#include "plugin/broker.h"
#include "plugin/guard.h"

/* BASIC_AUTH: MOSQ_ERR_SUCCESS, MOSQ_ERR_AUTH, or MOSQ_ERR_UNKNOWN, which
 * closes without CONNACK, so that a device tries again when it was us who
 * could not tell. */
int admission_connect(struct guard *g, struct mosquitto *client);

/* DISCONNECT and, on Mosquitto 2.1, CLIENT_OFFLINE. */
void admission_disconnect(struct guard *g, const struct mosquitto *client);

#endif
