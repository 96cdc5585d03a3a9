/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device's TLS connection really carried: the bytes that went through
 * its socket, in both directions, handshake and all.
 *
 * OpenSSL tells this module of every SSL object of the process as it is made
 * and freed (CRYPTO_get_ex_new_index). At CONNECT the one that holds the
 * client's certificate is found: the X509 the broker hands out is that very
 * object. From then on a reference to its BIOs is kept, and they count: exactly,
 * for TCP and WebSockets alike, and until after the broker has freed all else.
 *
 *     SSL made ──► pending ──bind──► bound ──SSL freed──► counted, gone
 *                     └─────────────────────SSL freed──► a stranger's
 *
 * In the two callbacks nothing of the SSL is touched but its address: OpenSSL
 * 3.2 and later call them before it is made and after its BIOs are freed.
 * All in the broker's one thread. No broker header here.
 */
#ifndef PLUGIN_WIRE_H
#define PLUGIN_WIRE_H

#include "core/err.h"
#include "core/meter_total.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

/* One TLS connection. */
struct wire {
	SSL *ssl;
	BIO *in, *out; /* references of ours; NULL: not taken yet */
	uint64_t counted_in, counted_out; /* of what the BIOs say */
	struct meter_slot *slot; /* where it is counted; NULL: nowhere */
	struct meter_class *total;
	struct wire **owner; /* who holds it; set to NULL when it is gone */
	bool bound, dirty;
	struct wire *prev, *next; /* in its list */
	struct wire *next_dirty;
};

struct wire_list {
	struct wire *first, *last;
};

struct wires {
	int index; /* OpenSSL's; 0: not begun */
	struct wire_list pending, bound;
	struct wire *dirty;
	struct meter_header *strangers; /* where those are counted */
};

/* Begins to watch. False: OpenSSL offers no index. */
MUST bool wires_begin(
	struct wires *w, struct meter_header *strangers, struct err *e);
/* Watches no more, and lets all go. */
void wires_end(struct wires *w);

/* The connection that showed CERTIFICATE, pending until now, counts for SLOT
 * and TOTAL from its first byte on. NULL: none is known. O(pending). */
struct wire *wires_bind(struct wires *w, const X509 *certificate,
	struct meter_slot *slot, struct meter_class *total);

/* The SHA-256 fingerprint of what issued CERTIFICATE, as the verified chain of
 * the pending connection that showed it has it. False: not known, as after a
 * TLS session was resumed. O(pending). */
bool wires_issuer(const struct wires *w, const X509 *certificate,
	uint8_t fingerprint[static 32]);

/* Counts what the connection has carried since it was last counted; and only
 * what came in. */
void wire_count(struct wire *x);
void wire_count_in(struct wire *x);

/* Nothing more is read of the connection, not even what OpenSSL has decrypted
 * already: the broker finds its end where the next byte was to be. */
void wire_deafen(struct wire *x);

/* It is held no more by whom wire_hold() named. It is counted once more when
 * the SSL is freed. */
void wire_release(struct wire **owner);
/* OWNER holds X, and is set to NULL when X is gone. */
void wire_hold(struct wire **owner, struct wire *x);

/* X is to be counted at the next wires_flush(). */
static inline void wire_touch(struct wires *w, struct wire *x)
{
	if (x->dirty)
		return;
	x->dirty = true;
	x->next_dirty = w->dirty;
	w->dirty = x;
}

/* All that is bound is counted for SLOT and TOTAL from here on, and strangers
 * in STRANGERS. */
void wires_move(struct wires *w, struct meter_header *strangers,
	struct meter_slot *slot, struct meter_class *total);

/* Counts those that were touched. */
void wires_flush(struct wires *w);
/* Counts at most N of the others, those counted longest ago first, and looks
 * at as many pending ones. */
void wires_sweep(struct wires *w, int n);

#endif
