/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening socket. Ours, not libwebsockets': so that the address is taken
 * as it is written, its being taken is an error, and every connection is looked
 * at before anything is kept of it.
 */
#ifndef FEED_LISTEN_H
#define FEED_LISTEN_H

#include "feed/config.h"

/* *fd listens at L, whose port becomes the one that was chosen. ERR_ENVIRONMENT
 * names the address and the remedy. */
MUST bool listen_open(struct config_listen *l, int *fd, struct err *e);

enum listen_got {
	LISTEN_NONE = 0, /* nobody is there any more */
	LISTEN_CLIENT,   /* *fd is a client's, non-blocking */
	LISTEN_FULL,     /* no descriptor is left: those who wait, wait */
};

/* Takes the next client; ADDRESS is its own, IPv4 mapped. */
enum listen_got listen_accept(int fd, int *client, uint8_t address[static 16]);

/* CLIENT, which is closed, is one too many. Where HTTP is spoken in the PLAIN it is
 * told so (503), as far as the kernel takes that at once. */
void listen_turn_away(int client, bool plain);

#endif
