/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a browser is told apart by: the name that it thinks it talks to, and the
 * page that makes it talk. Pure.
 *
 * A page of another site can have its own name resolve to 127.0.0.1 (DNS
 * rebinding), and its requests then reach the feed as if they came from here.
 * They carry that name as Host. And a WebSocket is open to every page, whose
 * site is in Origin.
 */
#ifndef FEED_HOST_H
#define FEED_HOST_H

#include "feed/config.h"

/* True when HOST, of a request, is one of C's names, the address that it
 * listens at, or localhost, 127.0.0.1 or [::1]; with a port or without. */
bool host_served(const struct feed_config *c, struct str host);

/* True when ORIGIN is the site that HOST, reached by TLS or not, is. */
bool host_is_origin(struct str host, struct str origin, bool tls);

#endif
