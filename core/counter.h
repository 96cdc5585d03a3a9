/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meter counts, for each device and each class. One table yields the
 * enum, the name (in JSON and in docs/METER.md, which a test compares), the
 * unit, the Prometheus family with its labels, and the sentence for people.
 * To add a counter: one line here, METER_VERSION + 1, and what counts it.
 *
 * Counters only grow. "In" is from the device.
 */
#ifndef CORE_COUNTER_H
#define CORE_COUNTER_H

/* X(constant, name, unit, Prometheus family, labels, sentence) */
#define COUNTERS_TABLE(X)                                                      \
	X(MESSAGES_IN, messages_in, "messages", "weir_messages_total",         \
		"direction=\"in\"",                                            \
		"PUBLISH packets of the device that were let in, resent ones " \
		"again")                                                       \
	X(PAYLOAD_BYTES_IN, payload_bytes_in, "bytes",                         \
		"weir_payload_bytes_total", "direction=\"in\"",                \
		"their payloads")                                              \
	X(MQTT_BYTES_IN, mqtt_bytes_in, "bytes", "weir_mqtt_bytes_total",      \
		"direction=\"in\"",                                            \
		"those packets whole: exact for MQTT 3.1.1, put together "     \
		"again for 5")                                                 \
	X(MESSAGES_QUEUED, messages_queued, "messages", "weir_messages_total", \
		"direction=\"queued\"",                                        \
		"messages that the broker queued for the connected device")    \
	X(PAYLOAD_BYTES_QUEUED, payload_bytes_queued, "bytes",                 \
		"weir_payload_bytes_total", "direction=\"queued\"",            \
		"their payloads")                                              \
	X(MQTT_BYTES_QUEUED, mqtt_bytes_queued, "bytes",                       \
		"weir_mqtt_bytes_total", "direction=\"queued\"",               \
		"their PUBLISH packets, at the QoS they were published with")  \
	X(MESSAGES_SENT, messages_sent, "messages", "weir_messages_total",     \
		"direction=\"sent\"",                                          \
		"PUBLISH packets sent to the device; Mosquitto 2.1 only")      \
	X(PAYLOAD_BYTES_SENT, payload_bytes_sent, "bytes",                     \
		"weir_payload_bytes_total", "direction=\"sent\"",              \
		"their payloads; Mosquitto 2.1 only")                          \
	X(MQTT_BYTES_SENT, mqtt_bytes_sent, "bytes", "weir_mqtt_bytes_total",  \
		"direction=\"sent\"",                                          \
		"those packets whole; Mosquitto 2.1 only")                     \
	X(WIRE_BYTES_IN, wire_bytes_in, "bytes", "weir_wire_bytes_total",      \
		"direction=\"in\"",                                            \
		"what the device's TLS connections carried to the broker on "  \
		"the socket, handshakes included")                             \
	X(WIRE_BYTES_OUT, wire_bytes_out, "bytes", "weir_wire_bytes_total",    \
		"direction=\"out\"", "what they carried to the device")        \
	X(WILLS, wills, "messages", "weir_wills_total", "",                    \
		"wills that were published")                                   \
	X(REFUSED_PUBLISHES, refused_publishes, "requests", "", "",            \
		"publishes refused, refused wills included")                   \
	X(REFUSED_PUBLISH_BYTES, refused_publish_bytes, "bytes",               \
		"weir_refused_publish_bytes_total", "",                        \
		"their PUBLISH packets")                                       \
	X(REFUSED_SUBSCRIBES, refused_subscribes, "requests", "", "",          \
		"filters refused")                                             \
	X(REFUSED_DELIVERIES, refused_deliveries, "requests", "", "",          \
		"messages that the device subscribed to and may not receive")  \
	X(REFUSED_CONNECTS, refused_connects, "requests", "", "",              \
		"connects refused, of a certificate that is the device's")     \
	X(OBSERVED, observed, "requests", "weir_observed_total", "",           \
		"requests let pass because they are only observed")            \
	X(CONNECTS, connects, "connections", "weir_connects_total", "",        \
		"connects admitted")                                           \
	X(DISCONNECTS, disconnects, "connections", "weir_disconnects_total",   \
		"", "ends of connections")                                     \
	X(TAKEOVERS, takeovers, "connections", "weir_takeovers_total", "",     \
		"connects that took a live connection's client id over")       \
	X(CONNECTED_S, connected_s, "seconds", "weir_connected_seconds_total", \
		"", "how long connections lasted that have ended")

enum counter {
#define COUNTER_ENUM(c, name, unit, family, labels, text) COUNTER_##c,
	COUNTERS_TABLE(COUNTER_ENUM)
#undef COUNTER_ENUM
		COUNTERS
};

/* All static. family: "" when it is no metric of its own (refusals are one by
 * action and reason). */
const char *counter_name(enum counter c);
const char *counter_unit(enum counter c);
const char *counter_family(enum counter c);
const char *counter_labels(enum counter c);
const char *counter_text(enum counter c);

#endif
