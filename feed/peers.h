/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of addresses: how many connections each has, and how often who
 * came from there failed to say who he is. Bounded, whoever comes. Pure, but for
 * its memory.
 *
 * An IPv6 address counts by its first 64 bits: whoever has one has all of them.
 */
#ifndef FEED_PEERS_H
#define FEED_PEERS_H

#include "core/err.h"

#include <stdbool.h>
#include <stdint.h>

#define PEERS_FREE_FAILURES 5u   /* that cost nothing */
#define PEERS_WAIT_MAX_S    900u /* for one more; doubles up to that */
#define PEERS_FORGET_S      3600 /* after the last one */

struct peers;

/* For at most MAX connections at a time; SEED is what nobody can guess. *out is
 * given: peers_free. */
MUST bool peers_new(
	uint32_t max, uint64_t seed, struct peers **out, struct err *e);
void peers_free(struct peers **p);

/* A connection of ADDRESS (IPv4 mapped) has come. False: there are MAX, or it
 * has MOST already; nothing is counted. */
bool peers_enter(
	struct peers *p, const uint8_t address[static 16], uint32_t most);
void peers_leave(struct peers *p, const uint8_t address[static 16]);
uint32_t peers_connections(const struct peers *p);

/* True when A and B count as one. */
bool peers_same(const uint8_t a[static 16], const uint8_t b[static 16]);

/* Who came from ADDRESS showed something wrong. Returns how many seconds he
 * shall wait before he is listened to again, 0: he need not. NOW_MS is of a clock
 * that does not jump. */
uint32_t peers_failed(
	struct peers *p, const uint8_t address[static 16], int64_t now_ms);
/* How long is left of that. */
uint32_t peers_wait_s(
	struct peers *p, const uint8_t address[static 16], int64_t now_ms);
/* He showed something right: forgotten is what failed. */
void peers_passed(struct peers *p, const uint8_t address[static 16]);

#endif
