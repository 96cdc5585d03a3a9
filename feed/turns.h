/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is. Answers take time, and however many there are each turn of
 * the loop has TURN_NS for them: then the others wait, in the order in which they
 * came, while timers, sockets and tails are served.
 */
#ifndef FEED_TURNS_H
#define FEED_TURNS_H

#include "feed/turn.h"

#include <libwebsockets.h>

struct conn;

struct turns {
	struct lws_context *context;
	lws_dll2_owner_t waiting;
	/* Of the loop's turn, once something was done in it. */
	lws_sorted_usec_list_t next;
	struct turn turn;
	bool begun;
};

/* Zeroed *T; CONTEXT is kept. */
void turns_open(struct turns *t, struct lws_context *context);
void turns_close(struct turns *t);

/* True: there is time left. Who is told so does one piece of work, of a turn at
 * most. */
bool turns_has_time(struct turns *t);

/* C (borrowed, until turns_leave) has work that has to wait: conn_go_on is
 * called when its turn has come. */
void turns_wait(struct turns *t, struct conn *c);
void turns_leave(struct conn *c);
bool turns_waits(const struct conn *c);

#endif
