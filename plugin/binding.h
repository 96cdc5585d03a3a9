/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which device is behind which of the broker's clients.
 *
 * A binding is made at CONNECT and found by the broker's client pointer; a
 * second index leads from a device id to all of its bindings. A pointer is
 * no identity: whoever finds a binding compares username and client id too.
 *
 * After DISCONNECT the binding stays, because the will is judged later, up to
 * its delay. Of bindings without a connection the newest OFFLINE_MAX are kept
 * whole; older ones lose their badge and become husks, which know a session
 * of Weir's from a stranger; of those the newest HUSKS_MAX are kept.
 *
 *     connected ──DISCONNECT──► offline ──too many──► husk ──too many──► gone
 *                    └────────► ended (clean session) ──next tick──► gone
 *
 * A guest has no device: where the whole broker only observes, it is whoever
 * could not be told who it is. It is found by its client alone.
 *
 * Look-ups neither allocate nor lock. No broker header here: a client is a
 * pointer that is compared.
 */
#ifndef PLUGIN_BINDING_H
#define PLUGIN_BINDING_H

#include "core/decide.h"
#include "core/meter_total.h"
#include "plugin/recall.h"
#include "plugin/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OFFLINE_MAX 65536u
#define HUSKS_MAX   1048576u
#define ADDRESS_MAX 63 /* bytes: an IPv6 address with its scope, and more */

/* What the registry said at CONNECT, kept current by the follower. Subject
 * points into the badge. */
struct badge {
	struct subject subject;
	uint32_t policy_gen; /* subject.class was found in that policy */
	bool limited;        /* that class limits requests: plugin/ledger.h */
	bool taken_in;       /* by its CN, while observing: not registered */
	uint32_t seen;       /* its number in the record: plugin/record.h */
	uint32_t total_index;
	struct meter_slot *slot;   /* where its device is counted */
	struct meter_class *total; /* and its class: plugin/gauge.h */
	struct recalls recalls;
	struct certificate certificate;
	struct device device; /* its status: effective, see judge.h */
};

enum binding_state {
	BINDING_NEW = 0, /* not in the table */
	BINDING_CONNECTED,
	BINDING_ENDED,
	BINDING_OFFLINE,
	BINDING_HUSK,
	BINDING_GUEST, /* connected */
};

struct binding {
	const void *client;  /* the broker's; compared, never followed */
	struct badge *badge; /* NULL: a husk */
	struct wire *wire;   /* its TLS connection; NULL: not known */
	char *client_id;
	uint32_t named_at;   /* the username was compared after that reload */
	uint32_t epoch;      /* of the registry file it was judged by */
	uint32_t policy_gen; /* of the policy it was let in or kept by */
	uint8_t state;       /* enum binding_state */
	bool superseded;     /* a newer connection has taken the client id */
	bool qos2;           /* its session may hold QoS 2 messages */
	bool shares;         /* its session may be in a shared group */
	bool stale; /* the session may hold QoS 2 messages from before a
			  * right was lost: it must not be resumed */
	bool kick_queued, kicked;
	bool v5;    /* speaks MQTT 5 */
	bool guest; /* of no device; also after its connection */
	char device_id[DEVICE_ID_MAX + 1];
	char address[ADDRESS_MAX + 1];
	int64_t since_s;          /* Unix time of the connect */
	int64_t refused_until_ns; /* see limit_refused() */
	int64_t kick_change;      /* which change asked for it; 0: none */
	int64_t due_s;            /* when to judge again: plugin/due.h */
	size_t due_at; /* its place in the heap, from 1; 0: not there */
	uint64_t client_hash, device_hash;
	struct binding *same_device; /* next binding of the device */
	struct binding *prev, *next; /* in its state's list */
	struct binding *kick_prev, *kick_next;
};

struct binding_list {
	struct binding *first, *last; /* oldest, newest */
	size_t n;
};

/* An open-addressing index with linear probing; cap is a power of two. */
struct binding_index {
	struct binding **slot;
	size_t cap, n;
};

struct binding_table {
	struct binding_index by_client, by_device;
	struct binding_list connected, ended, offline, husks, guests;
	size_t offline_max, husks_max;
};

/* False: no memory. */
MUST bool bindings_init(
	struct binding_table *t, size_t offline_max, size_t husks_max);
void bindings_fini(struct binding_table *t);

/*
 * A binding of CLIENT with an empty badge, not in a table yet; given:
 * binding_add takes it, binding_free frees it. NULL: no memory.
 */
struct binding *binding_new(
	const void *client, const char *client_id, const char *address);
void binding_free(struct binding **b);

/* Takes B, whose badge.device is filled, as connected. A binding of the same
 * client must have been removed before. False: no memory, B is untouched. */
MUST bool binding_add(struct binding_table *t, struct binding *b);

/* The same of B as a guest, whose badge is empty. */
MUST bool binding_add_guest(struct binding_table *t, struct binding *b);

/* Takes B out of the table and frees it. It must be in no queue or heap. */
void binding_remove(struct binding_table *t, struct binding *b);

/* Ends B's connection; KEEP: the session lives on. */
void binding_disconnect(struct binding_table *t, struct binding *b, bool keep);

/* Moves B behind all bindings of its state. */
void binding_to_end(struct binding_table *t, struct binding *b);

/* Frees the bindings whose session ended with its connection. */
void bindings_purge(struct binding_table *t);

/* The first binding of the device, in any state; the others follow in
 * same_device. */
struct binding *binding_of_device(
	const struct binding_table *t, struct str device_id);

static inline uint64_t binding_hash(const void *client)
{
	/* Fibonacci hashing; malloc's low bits say nothing. */
	return ((uint64_t)(uintptr_t)client >> 4) *
		       UINT64_C(0x9E3779B97F4A7C15) >>
	       20;
}

/* The binding of CLIENT, in any state, or NULL. Hot: once a message. */
static inline struct binding *binding_find(
	const struct binding_table *t, const void *client)
{
	size_t mask = t->by_client.cap - 1;
	struct binding *const *slot = t->by_client.slot;

	for (size_t i = binding_hash(client) & mask;; i = (i + 1) & mask) {
		if (slot[i] == NULL || slot[i]->client == client)
			return slot[i];
	}
}

#endif
