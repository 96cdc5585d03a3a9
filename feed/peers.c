/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/peers.h"

#include <stdlib.h>
#include <string.h>

#define FAILED_MAX 1024u /* addresses without a connection that are known */
#define NONE       UINT32_MAX

struct peer {
	uint8_t key[16];
	uint32_t next; /* in its bucket, or of the free ones */
	uint32_t connections;
	uint32_t failures;
	bool used;
	int64_t failed_ms; /* the last one */
	int64_t until_ms;  /* to be waited for */
};

struct peers {
	uint64_t seed;
	uint32_t max, connections;
	uint32_t n;     /* of peer, and of bucket, a power of two */
	uint32_t free;  /* the first free one */
	uint32_t sweep; /* where the next one to be forgotten is looked for */
	uint32_t *bucket;
	struct peer *peer;
};

bool peers_new(uint32_t max, uint64_t seed, struct peers **out, struct err *e)
{
	struct peers *p = calloc(1, sizeof(*p));
	uint32_t n = 1;

	while (n < max + FAILED_MAX)
		n *= 2;
	if (p != NULL) {
		p->bucket = malloc(n * sizeof(*p->bucket));
		p->peer = calloc(n, sizeof(*p->peer));
	}
	if (p == NULL || p->bucket == NULL || p->peer == NULL) {
		peers_free(&p);
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	}
	p->seed = seed;
	p->max = max;
	p->n = n;
	for (uint32_t i = 0; i < n; i++) {
		p->bucket[i] = NONE;
		p->peer[i].next = i + 1 < n ? i + 1 : NONE;
	}
	*out = p;
	return true;
}

void peers_free(struct peers **p)
{
	if (*p == NULL)
		return;
	free((*p)->bucket);
	free((*p)->peer);
	free(*p);
	*p = NULL;
}

/* -------------------------------------------------------------------- finding */

static void key_of(const uint8_t address[static 16], uint8_t out[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};

	memcpy(out, address, 16);
	if (memcmp(address, mapped, sizeof(mapped)) != 0)
		memset(out + 8, 0, 8);
}

bool peers_same(const uint8_t a[static 16], const uint8_t b[static 16])
{
	uint8_t x[16], y[16];

	key_of(a, x);
	key_of(b, y);
	return memcmp(x, y, sizeof(x)) == 0;
}

/* The finalizer of MurmurHash3, with a seed that nobody can guess. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * UINT64_C(0xFF51AFD7ED558CCD);
	x = (x ^ x >> 33) * UINT64_C(0xC4CEB9FE1A85EC53);
	return x ^ x >> 33;
}

static uint32_t *bucket_of(const struct peers *p, const uint8_t key[static 16])
{
	uint64_t a, b;

	memcpy(&a, key, 8);
	memcpy(&b, key + 8, 8);
	return &p->bucket[mix(mix(a ^ p->seed) ^ b) & (p->n - 1)];
}

static struct peer *find(
	const struct peers *p, const uint8_t address[static 16])
{
	uint8_t key[16];

	key_of(address, key);
	for (uint32_t i = *bucket_of(p, key); i != NONE; i = p->peer[i].next) {
		if (memcmp(p->peer[i].key, key, sizeof(key)) == 0)
			return &p->peer[i];
	}
	return NULL;
}

static void forget(struct peers *p, struct peer *peer)
{
	uint32_t at = (uint32_t)(peer - p->peer);
	uint32_t *link = bucket_of(p, peer->key);

	while (*link != at)
		link = &p->peer[*link].next;
	*link = peer->next;
	*peer = (struct peer){.next = p->free};
	p->free = at;
}

/* There is always one to forget: connections are fewer than peers. */
static void make_room(struct peers *p)
{
	while (p->free == NONE) {
		struct peer *peer = &p->peer[p->sweep];

		p->sweep = (p->sweep + 1) & (p->n - 1);
		if (peer->used && peer->connections == 0)
			forget(p, peer);
	}
}

static struct peer *find_or_add(
	struct peers *p, const uint8_t address[static 16])
{
	struct peer *peer = find(p, address);
	uint32_t *bucket, at;

	if (peer != NULL)
		return peer;
	make_room(p);
	at = p->free;
	peer = &p->peer[at];
	p->free = peer->next;
	key_of(address, peer->key);
	bucket = bucket_of(p, peer->key);
	peer->used = true;
	peer->next = *bucket;
	*bucket = at;
	return peer;
}

/* ---------------------------------------------------------------- connections */

bool peers_enter(
	struct peers *p, const uint8_t address[static 16], uint32_t most)
{
	struct peer *peer = find(p, address);

	if (p->connections == p->max ||
		(peer != NULL && peer->connections >= most))
		return false;
	if (peer == NULL)
		peer = find_or_add(p, address);
	peer->connections++;
	p->connections++;
	return true;
}

void peers_leave(struct peers *p, const uint8_t address[static 16])
{
	struct peer *peer = find(p, address);

	peer->connections--;
	p->connections--;
	if (peer->connections == 0 && peer->failures == 0)
		forget(p, peer);
}

uint32_t peers_connections(const struct peers *p)
{
	return p->connections;
}

/* ------------------------------------------------------------------- failures */

static uint32_t left_s(const struct peer *peer, int64_t now_ms)
{
	return peer->until_ms > now_ms
		       ? (uint32_t)((peer->until_ms - now_ms + 999) / 1000)
		       : 0;
}

uint32_t peers_failed(
	struct peers *p, const uint8_t address[static 16], int64_t now_ms)
{
	struct peer *peer = find_or_add(p, address);
	uint32_t wait = 1;

	if (now_ms - peer->failed_ms > PEERS_FORGET_S * INT64_C(1000))
		peer->failures = 0;
	peer->failed_ms = now_ms;
	if (peer->failures < UINT32_MAX)
		peer->failures++;
	if (peer->failures < PEERS_FREE_FAILURES)
		return 0;
	for (uint32_t i = PEERS_FREE_FAILURES;
		i < peer->failures && wait < PEERS_WAIT_MAX_S; i++)
		wait *= 2;
	if (wait > PEERS_WAIT_MAX_S)
		wait = PEERS_WAIT_MAX_S;
	peer->until_ms = now_ms + wait * INT64_C(1000);
	return wait;
}

uint32_t peers_wait_s(
	struct peers *p, const uint8_t address[static 16], int64_t now_ms)
{
	const struct peer *peer = find(p, address);

	return peer != NULL ? left_s(peer, now_ms) : 0;
}

void peers_passed(struct peers *p, const uint8_t address[static 16])
{
	struct peer *peer = find(p, address);

	if (peer == NULL)
		return;
	peer->failures = 0;
	peer->until_ms = 0;
	if (peer->connections == 0)
		forget(p, peer);
}
