/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a page of metrics says, taken at one time: the page is sent in pieces,
 * and while it is, the meter goes on or becomes another one.
 *
 * However large the fleet, it is at most SCRAPE_CLASSES classes, CONFIG_DEVICES
 * devices and WATCH_TOP of the last minute. What is beyond, or has a name that
 * no class or device can have (the meter is the broker's word: any bytes), is
 * counted as "_other", a name that none can have either. So what is named is
 * named once, and sums are whole.
 */
#ifndef FEED_SCRAPE_H
#define FEED_SCRAPE_H

#include "feed/config.h"
#include "feed/watch.h"

#define SCRAPE_CLASSES 257u /* the nameless, 255 more, and "_other" */
#define SCRAPE_OTHER   "_other"

/* Single numbers. X(constant, name, type, as, help). as: COUNT, NUMBER (may be
 * below zero), MS and US (told in seconds). */
#define SCRAPE_NUMBERS(X)                                                      \
	X(METER_UP, weir_meter_up, gauge, COUNT,                               \
		"1 when the meter can be read; else nothing that it counts "   \
		"is told.")                                                    \
	X(BROKER_UP, weir_broker_up, gauge, COUNT,                             \
		"1 when a broker with the plugin runs.")                       \
	X(BROKER_STARTED, weir_broker_start_timestamp_seconds, gauge, NUMBER,  \
		"When the broker started, Unix time.")                         \
	X(HEARTBEAT_AGE, weir_broker_heartbeat_age_seconds, gauge, NUMBER,     \
		"Since the plugin last said that it is at work; it does so "   \
		"each second.")                                                \
	X(POLICY_REVISION, weir_policy_revision, gauge, NUMBER,                \
		"Revision of the policy in force; 0: none.")                   \
	X(REVISION_SEEN, weir_registry_revision_seen, gauge, NUMBER,           \
		"The newest revision of the registry that the plugin has "     \
		"seen.")                                                       \
	X(APPLIED_CHANGE, weir_applied_change, gauge, NUMBER,                  \
		"The change of the registry up to which all is in force on "   \
		"every connection.")                                           \
	X(LOAD_ERROR, weir_load_error, gauge, COUNT,                           \
		"1 when registry or policy could not be loaded at the last "   \
		"try; weir status says why.")                                  \
	X(CONNECTIONS, weir_connections, gauge, NUMBER,                        \
		"Connections of devices now.")                                 \
	X(DEVICES, weir_metered_devices, gauge, COUNT,                         \
		"Devices that the meter has ever seen.")                       \
	X(CLOSED, weir_closed_connections_total, counter, COUNT,               \
		"Connections that a change of the registry ended.")            \
	X(UNMETERED, weir_unmetered_connects_total, counter, COUNT,            \
		"Connects of devices for which the meter had no room: they "   \
		"are served and not counted.")                                 \
	X(STRANGERS, weir_stranger_connections_total, counter, COUNT,          \
		"TLS connections that never became a device's.")               \
	X(EVENTS, weir_events_total, counter, COUNT,                           \
		"Events that the plugin has written.")                         \
	X(MINUTE_START, weir_last_minute_start_timestamp_seconds, gauge,       \
		NUMBER,                                                        \
		"When the last full minute began, Unix time; its metrics are " \
		"there when there is one.")                                    \
	X(MINUTE_MS, weir_last_minute_seconds, gauge, MS,                      \
		"How long it was, from look to look.")                         \
	X(MINUTE_ACTIVE, weir_last_minute_active_devices, gauge, COUNT,        \
		"Devices that did anything in it.")                            \
	X(REGISTRY_UP, weir_registry_up, gauge, COUNT,                         \
		"1 when the feed could read the registry's certificates at "   \
		"the last try.")                                               \
	X(CREDENTIALS, weir_credentials_active, gauge, COUNT,                  \
		"Certificates that are registered and not revoked.")           \
	X(EXPIRED, weir_credentials_expired, gauge, COUNT,                     \
		"Those of them whose end has passed.")                         \
	X(HISTORY_LAG, weir_feed_history_lag_seconds, gauge, NUMBER,           \
		"Since all that was counted went into the history; it does "   \
		"so each minute.")                                             \
	X(HISTORY_ERROR, weir_feed_history_error, gauge, COUNT,                \
		"1 when the history could not be written at the last try; "    \
		"the log says why.")                                           \
	X(HISTORY_BYTES, weir_feed_history_bytes, gauge, COUNT,                \
		"What the history takes on the disk.")                         \
	X(EVENTS_LOST, weir_feed_history_events_lost_total, counter, COUNT,    \
		"Events that were written over before the history had them.")  \
	X(SCRAPE_US, weir_feed_scrape_seconds, gauge, US,                      \
		"How much time the page before this one took to make.")        \
	X(STARTED, process_start_time_seconds, gauge, NUMBER,                  \
		"When weir-feed started, Unix time.")                          \
	X(CPU_US, process_cpu_seconds_total, counter, US,                      \
		"Processor time that weir-feed has used.")                     \
	X(RESIDENT, process_resident_memory_bytes, gauge, COUNT,               \
		"Memory of weir-feed that is in use, the meter's included.")

enum scrape_number {
#define SCRAPE_ENUM(c, name, type, as, help) SCRAPE_##c,
	SCRAPE_NUMBERS(SCRAPE_ENUM)
#undef SCRAPE_ENUM
		SCRAPE_N_NUMBERS
};

/* A few that have a label. */
enum scrape_pair {
	SCRAPE_STRANGER_IN = 0,
	SCRAPE_STRANGER_OUT,
	SCRAPE_EXPIRING_7D,
	SCRAPE_EXPIRING_30D,
	SCRAPE_CLIENTS_HTTP,
	SCRAPE_CLIENTS_WEBSOCKET,
	SCRAPE_FINDINGS, /* by enum finding_kind, from here on */
	SCRAPE_N_PAIRS = SCRAPE_FINDINGS + FINDING_KINDS
};

struct scrape_class {
	char name[CLASS_NAME_MAX + 1]; /* "": the nameless */
	uint32_t connected;            /* devices */
	uint64_t counter[COUNTERS];
	uint64_t refused[METER_ALL_ACTIONS][REASON_COUNT];
};

struct scrape_device {
	char id[DEVICE_ID_MAX + 1];
	uint32_t connections;
	uint64_t counter[COUNTERS];
	uint64_t reason[METER_REASONS];
};

/* One of the last minute; the last of them is what all others did. */
struct scrape_top {
	char device[DEVICE_ID_MAX + 1], class_name[CLASS_NAME_MAX + 1];
	uint64_t count[MINUTE_COUNTS];
};

struct scrape {
	/* Those that are known. */
	bool has[SCRAPE_N_NUMBERS], has_pair[SCRAPE_N_PAIRS];
	uint64_t number[SCRAPE_N_NUMBERS]; /* NUMBER: as int64_t */
	uint64_t pair[SCRAPE_N_PAIRS];
	uint32_t n_classes, n_devices, n_top;
	struct scrape_class *class;
	struct scrape_device *device;
	struct scrape_top *top;
};

/* What W knows at NOW_S, Unix time, with the devices of M. *out is given:
 * scrape_free. ERR_ENVIRONMENT: no memory. */
MUST bool scrape_take(const struct watch *w, const struct config_metrics *m,
	int64_t now_s, struct scrape **out, struct err *e);
void scrape_free(struct scrape **s);

static inline void scrape_set(
	struct scrape *s, enum scrape_number which, uint64_t n)
{
	s->has[which] = true;
	s->number[which] = n;
}

static inline void scrape_pair(
	struct scrape *s, enum scrape_pair which, uint64_t n)
{
	s->has_pair[which] = true;
	s->pair[which] = n;
}

#endif
