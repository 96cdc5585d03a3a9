/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the feed is set up: what weir-feed's flags and /etc/weir/feed.json say.
 */
#ifndef FEED_CONFIG_H
#define FEED_CONFIG_H

#include "core/device.h"
#include "core/err.h"
#include "feed/ask.h"
#include "feed/detector.h"
#include "feed/watch.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_PATH_MAX        4096u
#define CONFIG_HOST_MAX        256u
#define CONFIG_HOSTS           16u
#define CONFIG_DEVICES         64u /* that Prometheus gets counters of */
#define CONFIG_TEXT_MAX        ((size_t)1 << 18)
#define CONFIG_FILE            "/etc/weir/feed.json" /* if there is one */
#define CONFIG_STATE           "/var/lib/weir"
#define CONFIG_LISTEN          "127.0.0.1:9782"
#define CONFIG_ADDRESS_MAX     (CONFIG_HOST_MAX + 8u)
#define CONFIG_CONNECTIONS_MAX 60000u
#define CONFIG_FACTOR_MIN      2u
#define CONFIG_FACTOR_MAX      1000000u
#define CONFIG_BYTES_MIN       (UINT64_C(1) << 20)

/* An address to listen at: "127.0.0.1:9782", "[::1]:0". */
struct config_listen {
	char host[CONFIG_HOST_MAX]; /* of digits: no name is looked up */
	bool ipv6;
	bool loopback;
	uint16_t port; /* 0: one that is free */
};

struct config_tls {
	/* All empty: no TLS. client_ca: whose certificates identify a client. */
	char cert[CONFIG_PATH_MAX], key[CONFIG_PATH_MAX];
	char client_ca[CONFIG_PATH_MAX];
	enum ask_right client_rights; /* of such a client */
};

struct config_history {
	/* How long buckets are kept. */
	int64_t minute_s, hour_s, day_s, event_s;
	uint64_t max_bytes; /* of usage.db; the oldest minutes go first */
};

struct config_metrics {
	uint32_t top; /* devices that get gauges of the last minute */
	size_t n_devices;
	char device[CONFIG_DEVICES][DEVICE_ID_MAX + 1];
};

struct config_limits {
	uint32_t connections;          /* in all */
	uint32_t address_connections;  /* of one address */
	uint32_t loopback_connections; /* of 127.0.0.0/8 or ::1 */
};

struct feed_config {
	char state[CONFIG_PATH_MAX];
	char meter[CONFIG_PATH_MAX]; /* its file; "": the state directory's */
	struct config_listen listen;
	size_t n_hosts; /* names that a Host may have, besides the loopback's */
	char host[CONFIG_HOSTS][CONFIG_HOST_MAX];
	bool loopback_needs_token; /* to read; else nothing */
	struct config_tls tls;
	struct config_history history;
	struct config_metrics metrics;
	struct detector_limits findings;
	struct config_limits limits;
};

/*
 * Reads TEXT, a configuration file, over *C: a key that is not there leaves what *C has. False: *errs has what is wrong, each
 * with its place, and *C is as it was.
 */
MUST bool config_parse(
	struct str text, struct feed_config *c, struct errs *errs);

/* Fills in what follows from other settings: the meter's path. ERR_INPUT: it is
 * too long. */
MUST bool config_complete(struct feed_config *c, struct err *e);

/* What two settings together forbid: half of TLS, an address beyond loopback
 * without it, more for one address than in all. ERR_INPUT with its place. */
MUST bool config_check(const struct feed_config *c, struct err *e);

/* What holds when nothing is said. */
void config_default(struct feed_config *c);

/* "127.0.0.1:9782", "[::1]:9782", port 0 to 65535. ERR_INPUT otherwise. */
MUST bool config_listen_parse(
	struct str text, struct config_listen *out, struct err *e);

/* A name or an address that a Host may have: letters, digits, '.', '-', '_',
 * or an IPv6 address in brackets. */
bool config_host_valid(struct str name);

/* HOST:PORT as it is written in a URL. */
void config_listen_format(
	const struct config_listen *l, char out[static CONFIG_ADDRESS_MAX]);

#endif
