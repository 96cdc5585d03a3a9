/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/ledger.h"

#include "plugin/hash.h"

#include <stdlib.h>

#define CAP_MIN     64u
#define PURGE_BATCH 64

/* ------------------------------------------------------- oldest to newest */

static void unlink_account(struct ledger *l, struct account *a)
{
	if (a->prev != NULL)
		a->prev->next = a->next;
	else
		l->oldest = a->next;
	if (a->next != NULL)
		a->next->prev = a->prev;
	else
		l->newest = a->prev;
}

static void link_newest(struct ledger *l, struct account *a)
{
	a->prev = l->newest;
	a->next = NULL;
	if (l->newest != NULL)
		l->newest->next = a;
	else
		l->oldest = a;
	l->newest = a;
}

/* ------------------------------------------------------------ by device id */

/* The slot of the device's account, or the empty one where it goes. */
static size_t slot_of(const struct ledger *l, struct str id, uint64_t hash)
{
	size_t i = hash & (l->cap - 1);

	while (l->slot[i] != NULL &&
		!(l->slot[i]->hash == hash &&
			str_eq(str_from(l->slot[i]->device_id), id)))
		i = (i + 1) & (l->cap - 1);
	return i;
}

/* Room for one more at a load of at most a half. */
static bool reserve(struct ledger *l)
{
	struct ledger wide = *l;
	struct account *a;

	if (2 * (l->n + 1) <= l->cap)
		return true;
	wide.cap = l->cap != 0 ? 2 * l->cap : CAP_MIN;
	wide.slot = calloc(wide.cap, sizeof(struct account *));
	if (wide.slot == NULL)
		return false;
	for (a = l->oldest; a != NULL; a = a->next)
		wide.slot[slot_of(&wide, str_from(a->device_id), a->hash)] = a;
	free(l->slot);
	l->slot = wide.slot;
	l->cap = wide.cap;
	return true;
}

/* Empties slot I and moves later entries of the run into the gap. */
static void empty_slot(struct ledger *l, size_t i)
{
	size_t mask = l->cap - 1, j = i;

	for (;;) {
		j = (j + 1) & mask;
		if (l->slot[j] == NULL)
			break;
		if (((j - l->slot[j]->hash) & mask) < ((j - i) & mask))
			continue;
		l->slot[i] = l->slot[j];
		i = j;
	}
	l->slot[i] = NULL;
}

static void drop_oldest(struct ledger *l)
{
	struct account *a = l->oldest;

	empty_slot(l, slot_of(l, str_from(a->device_id), a->hash));
	l->oldest = a->next;
	if (a->next != NULL)
		a->next->prev = NULL;
	else
		l->newest = NULL;
	l->n--;
	free(a->usage.subscription);
	free(a);
}

static struct account *make(struct ledger *l, struct str id, uint64_t hash)
{
	struct account *a;

	if (id.n > DEVICE_ID_MAX || !reserve(l))
		return NULL;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	memcpy(a->device_id, id.p, id.n);
	a->hash = hash;
	l->slot[slot_of(l, id, hash)] = a;
	l->n++;
	return a;
}

struct account *ledger_account(
	struct ledger *l, struct str device_id, uint64_t now_ms)
{
	uint64_t hash = hash_text(device_id);
	struct account *a =
		l->cap != 0 ? l->slot[slot_of(l, device_id, hash)] : NULL;

	if (a != NULL) {
		unlink_account(l, a);
	} else {
		if (l->n != 0 && l->n >= l->max)
			drop_oldest(l);
		a = make(l, device_id, hash);
		if (a == NULL)
			return NULL;
	}
	a->touched_ms = now_ms;
	link_newest(l, a);
	return a;
}

void ledger_purge(struct ledger *l, uint64_t now_ms)
{
	int left;

	for (left = PURGE_BATCH; left > 0 && l->oldest != NULL; left--) {
		if (now_ms - l->oldest->touched_ms < LEDGER_IDLE_MS)
			return;
		drop_oldest(l);
	}
}

void ledger_fini(struct ledger *l)
{
	while (l->oldest != NULL)
		drop_oldest(l);
	free(l->slot);
	l->slot = NULL;
	l->cap = 0;
}

/* ----------------------------------------------------------- subscriptions */

static size_t find(const struct usage *u, struct subscription s)
{
	size_t i;

	for (i = 0; i < u->n_subscriptions; i++)
		if (u->subscription[i].client == s.client &&
			u->subscription[i].filter == s.filter)
			break;
	return i;
}

bool account_subscribe(struct account *a, struct subscription s)
{
	struct usage *u = &a->usage;
	size_t cap = a->cap_subscriptions != 0 ? 2 * a->cap_subscriptions : 8;
	struct subscription *more;

	if (find(u, s) != u->n_subscriptions)
		return true;
	if (u->n_subscriptions == SUBSCRIPTIONS_MAX)
		return false;
	if (u->n_subscriptions == a->cap_subscriptions) {
		more = realloc(u->subscription, cap * sizeof(*more));
		if (more == NULL)
			return false;
		u->subscription = more;
		a->cap_subscriptions = cap;
	}
	u->subscription[u->n_subscriptions++] = s;
	return true;
}

void account_unsubscribe(struct account *a, struct subscription s)
{
	struct usage *u = &a->usage;
	size_t i = find(u, s);

	if (i != u->n_subscriptions)
		u->subscription[i] = u->subscription[--u->n_subscriptions];
}

void account_forget(struct account *a, uint64_t client)
{
	struct usage *u = &a->usage;
	size_t i, n = 0;

	for (i = 0; i < u->n_subscriptions; i++)
		if (u->subscription[i].client != client)
			u->subscription[n++] = u->subscription[i];
	u->n_subscriptions = n;
}
