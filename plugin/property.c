/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/property.h"

#include <stdlib.h>
#include <string.h>

bool property_response_topic(const mosquitto_property *p, char **topic)
{
	*topic = NULL;
	for (; p != NULL; p = mosquitto_property_next(p)) {
		if (mosquitto_property_identifier(p) !=
			BROKER_PROP_RESPONSE_TOPIC)
			continue;
		(void)mosquitto_property_read_string(
			p, BROKER_PROP_RESPONSE_TOPIC, topic, false);
		return *topic != NULL;
	}
	return true;
}

/* Each with its identifier, one byte, and its length, where it has one. */

static uint64_t string_bytes(const mosquitto_property *p, int id)
{
	char *value = NULL;
	uint64_t n;

	(void)mosquitto_property_read_string(p, id, &value, false);
	n = 3 + (value != NULL ? strlen(value) : 0);
	free(value);
	return n;
}

static uint64_t binary_bytes(const mosquitto_property *p, int id)
{
	void *value = NULL;
	uint16_t n = 0;

	(void)mosquitto_property_read_binary(p, id, &value, &n, false);
	free(value);
	return 3 + (uint64_t)n;
}

static uint64_t pair_bytes(const mosquitto_property *p, int id)
{
	char *name = NULL, *value = NULL;
	uint64_t n = 5;

	(void)mosquitto_property_read_string_pair(p, id, &name, &value, false);
	n += name != NULL ? strlen(name) : 0;
	n += value != NULL ? strlen(value) : 0;
	free(name);
	free(value);
	return n;
}

/* MQTT 5.0 §3.3.2.3: those that a client may send with a PUBLISH. */
uint64_t property_bytes(const mosquitto_property *p)
{
	uint64_t n = 0;

	for (; p != NULL; p = mosquitto_property_next(p)) {
		int id = mosquitto_property_identifier(p);

		switch (id) {
		case BROKER_PROP_PAYLOAD_FORMAT:
			n += 2;
			break;
		case BROKER_PROP_CONTENT_TYPE:
		case BROKER_PROP_RESPONSE_TOPIC:
			n += string_bytes(p, id);
			break;
		case BROKER_PROP_CORRELATION_DATA:
			n += binary_bytes(p, id);
			break;
		case BROKER_PROP_USER_PROPERTY:
			n += pair_bytes(p, id);
			break;
		default:
			break;
		}
	}
	return n;
}
