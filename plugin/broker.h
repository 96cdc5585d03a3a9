/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam to the broker: the only file that knows which Mosquitto it is
 * built for. Headers of 2.0 and 2.1, and what the plugin needs of both under
 * one name. The structs of the common events have one layout in both, so a
 * plugin built with either's headers runs in either.
 */
#ifndef PLUGIN_BROKER_H
#define PLUGIN_BROKER_H

/* clang-format off: 2.0's headers compile in this order only */
#if defined(__has_include) && __has_include(<mosquitto/broker.h>)
#include <mosquitto.h>
#include <mosquitto/broker.h>
#include <mosquitto/broker_plugin.h>
#define BROKER_NEXT_TICK next_ms
#else
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
/* 2.0 calls this field otherwise, and does not look at it. */
#define BROKER_NEXT_TICK next_ns
#endif
/* clang-format on */

#include <stdbool.h>
#include <stddef.h>

/* Events that 2.0 answers MOSQ_ERR_NOT_SUPPORTED to. */
#define BROKER_EVT_MESSAGE_OUT                                                 \
	27 /* 2.1: a PUBLISH is being sent; its data is MESSAGE's */
#define BROKER_EVT_CLIENT_OFFLINE                                              \
	28 /* 2.1: a persistent session's end of
				      * connection; its data begins as
				      * DISCONNECT's does */

/* MQTT 5 properties: MQTT 5.0 §2.2.2.2. 2.0 keeps their names in a header that
 * a plugin does not need otherwise. */
#define BROKER_PROP_PAYLOAD_FORMAT   1
#define BROKER_PROP_CONTENT_TYPE     3
#define BROKER_PROP_RESPONSE_TOPIC   8
#define BROKER_PROP_CORRELATION_DATA 9
#define BROKER_PROP_USER_PROPERTY    38

/* True for a WebSocket connection that still has its socket. */
static inline bool broker_is_websocket(const struct mosquitto *client)
{
	return mosquitto_client_protocol(client) == mp_websockets;
}

/* True when the session ends with its connection and the broker says so:
 * MQTT 3's clean session. An MQTT 5 session's expiry is not shown. */
static inline bool broker_session_ends(const struct mosquitto *client)
{
	return mosquitto_client_clean_session(client) &&
	       mosquitto_client_protocol_version(client) < 5;
}

#endif
