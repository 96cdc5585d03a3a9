/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/host.h"

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Names of hosts and schemes do not know case: RFC 3986 §6.2.2.1. */
static bool same(struct str a, struct str b)
{
	for (size_t i = 0; a.n == b.n && i < a.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	}
	return a.n == b.n;
}

static bool is_port(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return s.n <= 5;
}

/* HOST without its port; false: it is no host. Source: RFC 9110 §7.2. */
static bool without_port(struct str host, struct str *name)
{
	size_t n = 0;

	if (host.n != 0 && host.p[0] == '[') {
		while (n < host.n && host.p[n] != ']')
			n++;
		n += n < host.n;
	} else {
		while (n < host.n && host.p[n] != ':')
			n++;
	}
	*name = (struct str){host.p, n};
	if (!config_host_valid(*name))
		return false;
	return n == host.n ||
	       (host.p[n] == ':' &&
		       is_port((struct str){host.p + n + 1, host.n - n - 1}));
}

bool host_served(const struct feed_config *c, struct str host)
{
	static const struct str here[] = {STR_INIT("localhost"),
		STR_INIT("127.0.0.1"), STR_INIT("[::1]")};
	struct str at = str_from(c->listen.host), name;

	if (!without_port(host, &name))
		return false;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		if (same(name, here[i]))
			return true;
	}
	for (size_t i = 0; i < c->n_hosts; i++) {
		if (same(name, str_from(c->host[i])))
			return true;
	}
	if (c->listen.ipv6)
		name = (struct str){name.p + 1, name.n >= 2 ? name.n - 2 : 0};
	return same(name, at);
}

bool host_is_origin(struct str host, struct str origin, bool tls)
{
	struct str scheme = tls ? STR("https://") : STR("http://");

	return origin.n == scheme.n + host.n &&
	       same((struct str){origin.p, scheme.n}, scheme) &&
	       same((struct str){origin.p + scheme.n, host.n}, host);
}
