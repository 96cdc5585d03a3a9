/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* accept4 */
#include "feed/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512
/* What the kernel holds of answers that a client does not take, at most; left to
 * itself it would take megabytes for each. */
#define SEND_BYTES 131072

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

static socklen_t fill(const struct config_listen *l, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (l->ipv6) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons(l->port);
		(void)inet_pton(AF_INET6, l->host, &a->v6.sin6_addr);
		return sizeof(a->v6);
	}
	a->v4.sin_family = AF_INET;
	a->v4.sin_port = htons(l->port);
	(void)inet_pton(AF_INET, l->host, &a->v4.sin_addr);
	return sizeof(a->v4);
}

static bool cannot(struct err *e, const struct config_listen *l, int error)
{
	char at[CONFIG_ADDRESS_MAX], text[128];
	const char *remedy = "";

	config_listen_format(l, at);
	if (error == EADDRINUSE)
		remedy = "; somebody else listens there: another weir-feed? "
			 "Choose another port with --listen";
	else if (error == EADDRNOTAVAIL)
		remedy = "; this machine does not have that address";
	else if (error == EACCES)
		remedy = "; a port below 1024 takes a privilege: choose "
			 "another with --listen";
	/* With _GNU_SOURCE strerror_r() returns the text. */
	return err_set(e, ERR_ENVIRONMENT, "cannot listen at %.100s: %s%s", at,
		strerror_r(error, text, sizeof(text)), remedy);
}

/* A restart finds connections of the last run in TIME_WAIT: SO_REUSEADDR. */
static bool bind_it(int fd, struct config_listen *l)
{
	const int on = 1;
	union address a;
	socklen_t n = fill(l, &a);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		(l->ipv6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				    sizeof(on)) != 0) ||
		bind(fd, &a.any, n) != 0 || listen(fd, BACKLOG) != 0 ||
		getsockname(fd, &a.any, &n) != 0)
		return false;
	l->port = ntohs(l->ipv6 ? a.v6.sin6_port : a.v4.sin_port);
	return true;
}

bool listen_open(struct config_listen *l, int *fd, struct err *e)
{
	int s = socket(l->ipv6 ? AF_INET6 : AF_INET,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (s >= 0 && bind_it(s, l)) {
		*fd = s;
		return true;
	}
	error = errno;
	if (s >= 0)
		(void)close(s);
	return cannot(e, l, error);
}

static void address_of(const union address *a, uint8_t out[static 16])
{
	memset(out, 0, 16);
	if (a->any.sa_family == AF_INET6) {
		memcpy(out, &a->v6.sin6_addr, 16);
	} else {
		out[10] = out[11] = 0xFF;
		memcpy(out + 12, &a->v4.sin_addr, 4);
	}
}

enum listen_got listen_accept(int fd, int *client, uint8_t address[static 16])
{
	union address a = {.any = {.sa_family = AF_UNSPEC}};
	socklen_t n = sizeof(a);
	const int on = 1, bytes = SEND_BYTES;

	do {
		*client = accept4(fd, &a.any, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (*client < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (*client < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? LISTEN_NONE
							       : LISTEN_FULL;
	/* An answer is written in few pieces, each of which shall go at once. */
	(void)setsockopt(*client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(*client, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	address_of(&a, address);
	return LISTEN_CLIENT;
}

void listen_turn_away(int client, bool plain)
{
	static const char text[] =
		"HTTP/1.1 503 Service Unavailable\r\n"
		"Content-Type: application/problem+json\r\n"
		"Content-Length: 109\r\n"
		"Retry-After: 5\r\n"
		"Connection: close\r\n\r\n"
		"{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
		"\"status\":503,\"detail\":\"too many connections; "
		"come back\"}\n";
	char dropped[1024];

	if (plain && send(client, text, sizeof(text) - 1,
			     MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		(void)shutdown(client, SHUT_WR);
	/* What is left unread resets the connection, and takes the answer with
	 * it. */
	for (int i = 0; i < 16; i++) {
		if (recv(client, dropped, sizeof(dropped), MSG_DONTWAIT) <= 0)
			break;
	}
	(void)close(client);
}
