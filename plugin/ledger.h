/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each device of a limited class has used, by device id: it outlives the
 * connection, so that reconnecting resets nothing.
 *
 * An account that was not touched for LEDGER_IDLE_MS holds nothing any more
 * and is dropped. Of more than the ledger's maximum the one untouched longest
 * goes; its device begins anew. No broker header here.
 */
#ifndef PLUGIN_LEDGER_H
#define PLUGIN_LEDGER_H

#include "core/device.h"
#include "core/err.h"
#include "core/limit.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_MAX     262144u
#define LEDGER_IDLE_MS (UINT64_C(25) * 3600 * 1000) /* past a day's quota */

struct account {
	struct usage usage;
	bool known; /* what the meter remembers of it has been taken up */
	size_t cap_subscriptions;
	uint64_t touched_ms;
	uint64_t hash;
	struct account *prev, *next; /* older, newer */
	char device_id[DEVICE_ID_MAX + 1];
};

/* Zeroed but for max and key: empty. */
struct ledger {
	struct siphash_key key; /* random, of subscription_of() */
	struct account **slot;  /* open addressing; cap is a power of two */
	size_t cap, n, max;
	struct account *oldest, *newest;
};

void ledger_fini(struct ledger *l);

/* The device's account, touched, made if there is none; NULL: no memory. Lent
 * until the next ledger_account of another device, or ledger_purge. */
struct account *ledger_account(
	struct ledger *l, struct str device_id, uint64_t now_ms);

/* Drops idle accounts, a bounded number a call. */
void ledger_purge(struct ledger *l, uint64_t now_ms);

/* Adds S unless it is there already. False: no memory. */
MUST bool account_subscribe(struct account *a, struct subscription s);
void account_unsubscribe(struct account *a, struct subscription s);
/* The client's session is over, and its subscriptions with it. */
void account_forget(struct account *a, uint64_t client);

#endif
