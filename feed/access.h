/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks, and what they may.
 *
 *     Authorization: Bearer weir_…   the rights of the token (weir token add)
 *     a certificate of client_ca     tls.client_rights; of no device
 *     neither, from loopback         reading, unless loopback_needs_token
 *     neither                        what is open to all: the feed's health
 *
 * A token that is not known costs its address some waiting, more each time. One
 * that is right is right whatever others of that address did: they may share it,
 * and 256 bits cannot be guessed however often one tries.
 */
#ifndef FEED_ACCESS_H
#define FEED_ACCESS_H

#include "feed/answer.h"
#include "feed/ask.h"
#include "feed/http.h"
#include "feed/tls.h"
#include "io/registry_token.h"

struct feed;
struct access;

/* How who asks is known; to be asked about again while a stream lasts. */
struct access_id {
	bool token; /* hash is its */
	uint8_t hash[TOKEN_HASH];
	struct tls_client certificate; /* shown: it is by that */
};

MUST bool access_open(
	const struct feed_config *c, struct access **out, struct err *e);
void access_close(struct access **a);

/* Beyond loopback there must be somebody who may ask: a valid token, or
 * client_ca. False: the feed must not start. */
MUST bool access_check(struct feed *f, struct err *e);

/* True when A is 127.0.0.0/8, mapped, or ::1. */
bool access_loopback(const uint8_t a[static 16]);

/* A connection of ADDRESS has come: false, there are too many. */
bool access_enter(struct feed *f, const uint8_t address[static 16]);
void access_leave(struct feed *f, const uint8_t address[static 16]);

/*
 * Sets right and who of *Q, whose address is known, and *id. CLIENT is NULL
 * without TLS. False: it is refused whatever it asks for, and *A says why: its
 * Host (421) or Origin (403) is another's, its token is not known (401, 429),
 * or that cannot be told now (503).
 */
bool access_judge(struct feed *f, const struct http_head *head,
	const struct tls_client *client, struct ask *q, struct access_id *id,
	struct answer *a);

/* False when who ID is may not read any more. */
bool access_still(struct feed *f, const struct access_id *id);

#endif
