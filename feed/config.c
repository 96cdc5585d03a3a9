/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/config.h"

#include "io/values.h"

#include <arpa/inet.h>
#include <stdio.h>

#define HOUR_S INT64_C(3600)
#define DAY_S  (24 * HOUR_S)

void config_default(struct feed_config *c)
{
	*c = (struct feed_config){
		.state = CONFIG_STATE,
		.listen = {.host = "127.0.0.1", .loopback = true, .port = 9782},
		.tls = {.client_rights = RIGHT_READ},
		.history = {.minute_s = 2 * DAY_S,
			.hour_s = 35 * DAY_S,
			.day_s = 800 * DAY_S,
			.event_s = 35 * DAY_S,
			.max_bytes = UINT64_C(20) << 30},
		.metrics = {.top = 20},
		.limits = {.connections = 1000,
			.address_connections = 64,
			.loopback_connections = 512},
	};
}

/* ------------------------------------------------------------------ listen */

static bool bad_listen(struct err *e, struct str text)
{
	return err_set(e, ERR_INPUT,
		"'%.*s' is no address to listen at; write ADDRESS:PORT, as "
		"127.0.0.1:9782 or [::1]:9782",
		(int)(text.n < 64 ? text.n : 64), text.n != 0 ? text.p : "");
}

/* 127.0.0.0/8, ::1. */
static bool is_loopback(const struct config_listen *l)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (l->ipv6)
		return inet_pton(AF_INET6, l->host, &v6) == 1 &&
		       IN6_IS_ADDR_LOOPBACK(&v6);
	return inet_pton(AF_INET, l->host, &v4) == 1 &&
	       ntohl(v4.s_addr) >> 24 == 127;
}

bool config_listen_parse(
	struct str text, struct config_listen *out, struct err *e)
{
	struct config_listen l = {0};
	unsigned char address[sizeof(struct in6_addr)];
	struct str host = text, port;
	size_t at = text.n;
	int64_t number;

	while (at != 0 && text.p[at - 1] != ':')
		at--;
	if (at == 0)
		return bad_listen(e, text);
	host.n = at - 1;
	port = (struct str){text.p + at, text.n - at};
	l.ipv6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (l.ipv6) {
		host.p++;
		host.n -= 2;
	}
	if (host.n == 0 || host.n >= sizeof(l.host) ||
		!number_parse("port", port, 0, UINT16_MAX, &number, NULL))
		return bad_listen(e, text);
	memcpy(l.host, host.p, host.n);
	l.port = (uint16_t)number;
	if (strlen(l.host) != host.n ||
		inet_pton(l.ipv6 ? AF_INET6 : AF_INET, l.host, address) != 1)
		return bad_listen(e, text);
	l.loopback = is_loopback(&l);
	*out = l;
	return true;
}

void config_listen_format(
	const struct config_listen *l, char out[static CONFIG_ADDRESS_MAX])
{
	(void)snprintf(out, CONFIG_ADDRESS_MAX, l->ipv6 ? "[%s]:%u" : "%s:%u",
		l->host, (unsigned)l->port);
}
