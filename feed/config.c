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
	detector_limits_default(&c->findings);
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

/* ------------------------------------------------------------------- hosts */

static bool host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool config_host_valid(struct str name)
{
	char text[CONFIG_HOST_MAX];
	struct in6_addr v6;

	if (name.n == 0 || name.n >= sizeof(text))
		return false;
	if (name.p[0] == '[') {
		if (name.n < 4 || name.p[name.n - 1] != ']')
			return false;
		memcpy(text, name.p + 1, name.n - 2);
		text[name.n - 2] = '\0';
		return strlen(text) == name.n - 2 &&
		       inet_pton(AF_INET6, text, &v6) == 1;
	}
	for (size_t i = 0; i < name.n; i++) {
		if (!host_char(name.p[i]))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------- sense */

static bool wrong(struct err *e, const char *place, const char *message)
{
	(void)err_set(e, ERR_INPUT, "%s", message);
	return err_at(e, "%s", place);
}

bool config_complete(struct feed_config *c, struct err *e)
{
	int n;

	if (c->meter[0] != '\0')
		return true;
	n = snprintf(c->meter, sizeof(c->meter), "%s/" SEGMENT_FILE, c->state);
	return (n > 0 && (size_t)n < sizeof(c->meter)) ||
	       wrong(e, "state", "the path is too long");
}

bool config_check(const struct feed_config *c, struct err *e)
{
	const struct config_limits *l = &c->limits;

	if (!c->listen.loopback && c->tls.cert[0] == '\0')
		return wrong(e, "listen",
			"an address beyond loopback is served with TLS alone; "
			"set tls.cert and tls.key, or listen at 127.0.0.1");
	if (l->address_connections > l->connections)
		return wrong(e, "limits.address_connections",
			"one address may have more than limits.connections; "
			"lower it");
	if (l->loopback_connections > l->connections)
		return wrong(e, "limits.loopback_connections",
			"loopback may have more than limits.connections; "
			"lower it");
	return true;
}
