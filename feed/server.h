/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one event loop: libwebsockets' sockets, TLS and timers. HTTP is
 * feed/conn.h's.
 */
#ifndef FEED_SERVER_H
#define FEED_SERVER_H

#include "core/err.h"

#include <stdbool.h>
#include <stdint.h>

struct feed;
struct server;

/* Listens as f->config says, which gets the port that was chosen. *out is
 * given: server_close. f->server is set. F is kept. */
MUST bool server_open(struct feed *f, struct server **out, struct err *e);

/* "http://127.0.0.1:9782"; lent by S. */
const char *server_url(const struct server *s);

/* Connections now. */
struct server_clients {
	uint32_t http, websocket;
};
struct server_clients server_clients(const struct server *s);

/* Serves until SIGTERM or SIGINT, and until what was under way is done, for some
 * seconds at most. SIGHUP: reads the files of TLS anew. All three must be
 * blocked. */
MUST bool server_run(struct server *s, struct err *e);

#define SERVER_LONG         48u /* answers that are made in pieces, at a time */
#define SERVER_LONG_ADDRESS 16u /* of them of one address beyond loopback */

/* True: one more answer of many pieces may be made for who is at ADDRESS. */
bool server_has_room(const struct server *s, const uint8_t address[static 16]);

/* feed_beat is to be called now: somebody waits for it. */
void server_beat(struct server *s);

void server_close(struct server **s);

#endif
