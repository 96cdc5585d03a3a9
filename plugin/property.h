/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MQTT 5 properties of a PUBLISH, as the broker shows them at MESSAGE: it
 * has taken Topic Alias and Message Expiry Interval out before.
 */
#ifndef PLUGIN_PROPERTY_H
#define PLUGIN_PROPERTY_H

#include "plugin/broker.h"

#include <stdint.h>

/* The Response Topic; given: free(); NULL: there is none. False: there is one
 * and it cannot be read. */
bool property_response_topic(const mosquitto_property *p, char **topic);

/* The bytes of the properties in the packet, their length before them not
 * included (MQTT 5.0 §2.2.2). */
uint64_t property_bytes(const mosquitto_property *p);

#endif
