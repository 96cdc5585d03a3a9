/* SPDX-License-Identifier: Apache-2.0 */
#include "core/seen_write.h"

#include "core/meter.h"
#include "core/seen_private.h"
#include "core/topic.h"

#include <stdlib.h>

/* ------------------------------------------------------------------ indexes */

/* FNV-1a. Who would make topics collide has SEEN_PER_DEVICE of them. */
static uint32_t hash(uint64_t seed, const void *p, size_t n)
{
	const unsigned char *at = p;
	uint64_t h = UINT64_C(0xCBF29CE484222325) ^
		     seed * UINT64_C(0x9E3779B97F4A7C15);

	for (size_t i = 0; i < n; i++)
		h = (h ^ at[i]) * UINT64_C(0x100000001B3);
	return (uint32_t)(h ^ h >> 32);
}

static bool index_init(struct seen_index *x, uint32_t holds)
{
	x->cap = 2 * holds;
	x->slot = calloc(x->cap, sizeof *x->slot);
	return x->slot != NULL;
}

static void index_put(struct seen_index *x, uint32_t h, uint32_t number)
{
	uint32_t i = h & (x->cap - 1);

	while (x->slot[i] != 0)
		i = (i + 1) & (x->cap - 1);
	x->slot[i] = number + 1;
}

static uint32_t request_hash(const struct seen_writer *w, uint32_t number)
{
	const struct seen_request *r = seen_request_at(w->mem, number);
	char own[SEEN_TOPIC];
	struct str topic = topic_of(r, own);

	return hash((uint64_t)LOAD(r->device) << 16 | (LOAD(r->what) & KIND),
		topic.p, topic.n);
}

/* Takes request NUMBER out, and moves later ones of the run into the gap. */
void seen_unindex(struct seen_writer *w, uint32_t number)
{
	struct seen_index *x = &w->requests;
	uint32_t mask = x->cap - 1, i = request_hash(w, number) & mask;

	/* Wherever it was put: it is in the index once. */
	for (uint32_t tries = 0; x->slot[i] != number + 1; tries++) {
		if (tries == x->cap)
			return;
		i = (i + 1) & mask;
	}
	for (uint32_t j = (i + 1) & mask; x->slot[j] != 0; j = (j + 1) & mask) {
		uint32_t home = request_hash(w, x->slot[j] - 1) & mask;

		if (((j - home) & mask) >= ((j - i) & mask)) {
			x->slot[i] = x->slot[j];
			i = j;
		}
	}
	x->slot[i] = 0;
}

void seen_reindex(struct seen_writer *w, uint32_t number)
{
	index_put(&w->requests, request_hash(w, number), number);
}

/* ------------------------------------------------------------------- begin */

void seen_format(void *mem, int64_t now_s)
{
	struct seen_header *h = mem;

	h->version = SEEN_VERSION;
	h->header_size = sizeof *h;
	h->size = SEEN_SIZE;
	h->begun_s = now_s;
	STORE(h->magic, SEEN_MAGIC);
}

void seen_writer_fini(struct seen_writer *w)
{
	free(w->devices.slot);
	free(w->requests.slot);
	free(w->certs.slot);
	free(w->first);
	free(w->next);
	*w = (struct seen_writer){0};
}

static void link_request(struct seen_writer *w, uint32_t number)
{
	uint32_t device = device_of(seen_request_at(w->mem, number));

	w->next[number] = w->first[device];
	w->first[device] = number + 1;
}

void seen_unlink(struct seen_writer *w, uint32_t number)
{
	struct seen_request *r = seen_request_at(w->mem, number);
	struct seen_device *d = seen_device_at(w->mem, device_of(r));
	uint32_t *at = &w->first[device_of(r)];

	while (*at != 0 && *at != number + 1)
		at = &w->next[*at - 1];
	if (*at == 0)
		return;
	*at = w->next[number];
	STORE(d->requests, LOAD(d->requests) - 1);
}

void seen_free(struct seen_writer *w, uint32_t number)
{
	struct seen_request *r = seen_request_at(w->mem, number);
	uint32_t odd = seqlock_open(&r->seq);

	STORE(r->what, 0);
	STORE(r->topic_len, 0);
	seqlock_close(&r->seq, odd);
	w->next[number] = w->free;
	w->free = number + 1;
}

static uint32_t device_hash(const struct seen_device *d)
{
	char id[DEVICE_ID_MAX];

	words_load(d->id, DEVICE_ID_MAX / 8, id);
	return hash(0, id, LOAD(d->id_len));
}

static uint32_t cert_hash(const struct seen_cert *c)
{
	uint8_t fingerprint[FINGERPRINT_LEN];

	words_load(c->fingerprint, FINGERPRINT_LEN / 8, fingerprint);
	return hash(0, fingerprint, sizeof fingerprint);
}

/* Request NUMBER is sound, and one of no more than its device may have: what is
 * walked for each message stays as short as the contract says. */
static bool find_request(struct seen_writer *w, uint32_t number)
{
	struct seen_device *d;
	struct seen s;

	if (!seen_request_load(w->mem, number, &s))
		return false;
	d = seen_device_at(w->mem, device_of(seen_request_at(w->mem, number)));
	if (LOAD(d->requests) >= SEEN_PER_DEVICE)
		return false;
	seen_reindex(w, number);
	link_request(w, number);
	STORE(d->requests, LOAD(d->requests) + 1);
	return true;
}

/* Finds what is there again. Counts are taken from the entries. */
static void find_all(struct seen_writer *w)
{
	uint32_t n_devices = LOAD(header(w)->n_devices);
	struct seen_credential c;

	for (uint32_t i = 0; i < n_devices; i++) {
		struct seen_device *d = seen_device_at(w->mem, i);

		if (LOAD(d->id_len) > DEVICE_ID_MAX)
			STORE(d->id_len, 0);
		STORE(d->requests, 0);
		/* Nobody asks for one without an id: all would be in one run. */
		if (LOAD(d->id_len) != 0)
			index_put(&w->devices, device_hash(d), i);
	}
	for (uint32_t i = 0; i < seen_requests(w->mem); i++)
		if (!find_request(w, i))
			seen_free(w, i);
	for (uint32_t i = 0; i < seen_certs(w->mem); i++)
		if (seen_cert_load(w->mem, i, &c))
			index_put(&w->certs, cert_hash(seen_cert_at(w->mem, i)),
				i);
}

bool seen_writer_init(struct seen_writer *w, void *mem)
{
	*w = (struct seen_writer){.mem = mem};
	w->first = calloc(SEEN_DEVICES, sizeof *w->first);
	w->next = calloc(SEEN_REQUESTS, sizeof *w->next);
	if (!index_init(&w->devices, SEEN_DEVICES) ||
		!index_init(&w->requests, SEEN_REQUESTS) ||
		!index_init(&w->certs, SEEN_CERTS) || w->first == NULL ||
		w->next == NULL) {
		seen_writer_fini(w);
		return false;
	}
	if (LOAD(header(w)->n_devices) > SEEN_DEVICES)
		STORE(header(w)->n_devices, SEEN_DEVICES);
	if (LOAD(header(w)->n_requests) > SEEN_REQUESTS)
		STORE(header(w)->n_requests, SEEN_REQUESTS);
	if (LOAD(header(w)->n_certs) > SEEN_CERTS)
		STORE(header(w)->n_certs, SEEN_CERTS);
	find_all(w);
	return true;
}

/* ----------------------------------------------------------------- devices */

static bool device_is(const struct seen_device *d, struct str id)
{
	char own[DEVICE_ID_MAX];

	if (LOAD(d->id_len) != id.n)
		return false;
	words_load(d->id, DEVICE_ID_MAX / 8, own);
	return memcmp(own, id.p, id.n) == 0;
}

uint32_t seen_device(struct seen_writer *w, struct str id)
{
	struct seen_index *x = &w->devices;
	uint32_t h = hash(0, id.p, id.n), n = LOAD(header(w)->n_devices);
	struct seen_device *d;

	if (id.n == 0 || id.n > DEVICE_ID_MAX)
		return SEEN_NONE;
	for (uint32_t i = h & (x->cap - 1); x->slot[i] != 0;
		i = (i + 1) & (x->cap - 1))
		if (device_is(seen_device_at(w->mem, x->slot[i] - 1), id))
			return x->slot[i] - 1;
	if (n == SEEN_DEVICES)
		return SEEN_NONE;
	d = seen_device_at(w->mem, n);
	words_store(d->id, DEVICE_ID_MAX / 8, id);
	STORE(d->id_len, (uint32_t)id.n);
	index_put(x, h, n);
	STORE(header(w)->n_devices, n + 1);
	return n;
}

/* ---------------------------------------------------------------- requests */

/* The request of X's very topic; plus one, 0: none. */
static uint32_t find_exact(const struct seen_writer *w, const struct one *x)
{
	const struct seen_index *index = &w->requests;
	char own[SEEN_TOPIC];
	uint32_t i = hash((uint64_t)x->device << 16 | x->kind, x->topic.p,
			     x->topic.n) &
		     (index->cap - 1);

	for (; index->slot[i] != 0; i = (i + 1) & (index->cap - 1)) {
		const struct seen_request *r =
			seen_request_at(w->mem, index->slot[i] - 1);

		if (same_kind(r, x) && str_eq(topic_of(r, own), x->topic))
			return index->slot[i];
	}
	return 0;
}

/* The folded request whose pattern has X's topic in it; plus one. */
static uint32_t find_pattern(const struct seen_writer *w, const struct one *x)
{
	uint32_t at = w->first[x->device];
	char own[SEEN_TOPIC];

	for (; at != 0; at = w->next[at - 1]) {
		const struct seen_request *r = seen_request_at(w->mem, at - 1);
		struct str pattern = topic_of(r, own);

		if (same_kind(r, x) && (LOAD(r->what) & FOLDED) != 0 &&
			filter_covered(x->topic, &pattern, 1))
			return at;
	}
	return 0;
}

/* Counts X once more for the request at AT (plus one). */
void seen_count(struct seen_writer *w, uint32_t at, const struct one *x)
{
	struct seen_request *r = seen_request_at(w->mem, at - 1);
	uint32_t odd = seqlock_open(&r->seq), what = LOAD(r->what);

	if ((what >> 16 & 0xFF) < x->qos)
		what = (what & ~(UINT32_C(0xFF) << 16)) | x->qos << 16;
	STORE(r->what, what | (uint32_t)x->retain << 24);
	STORE(r->count, LOAD(r->count) + 1);
	if (LOAD(r->largest) < x->largest)
		STORE(r->largest, x->largest);
	STORE(r->last_s, x->now_s);
	seqlock_close(&r->seq, odd);
}

/* An entry for a request, plus one; 0: there is no room. */
static uint32_t take_free(struct seen_writer *w)
{
	uint32_t n = LOAD(header(w)->n_requests), at = w->free;

	if (at != 0) {
		w->free = w->next[at - 1];
		return at;
	}
	if (n == SEEN_REQUESTS)
		return 0;
	STORE(header(w)->n_requests, n + 1);
	return n + 1;
}

static bool add(struct seen_writer *w, const struct one *x)
{
	struct seen_device *d = seen_device_at(w->mem, x->device);
	uint32_t at, odd;
	struct seen_request *r;

	if (LOAD(d->requests) >= SEEN_PER_DEVICE || (at = take_free(w)) == 0)
		return false;
	r = seen_request_at(w->mem, at - 1);
	odd = seqlock_open(&r->seq);
	STORE(r->device, x->device);
	STORE(r->what, x->kind | x->qos << 16 | (uint32_t)x->retain << 24);
	words_store(r->topic, SEEN_TOPIC / 8, x->topic);
	STORE(r->topic_len, (uint32_t)x->topic.n);
	STORE(r->count, 1);
	STORE(r->largest, x->largest);
	STORE(r->first_s, x->now_s);
	STORE(r->last_s, x->now_s);
	seqlock_close(&r->seq, odd);
	index_put(&w->requests, request_hash(w, at - 1), at - 1);
	link_request(w, at - 1);
	STORE(d->requests, LOAD(d->requests) + 1);
	return true;
}

void seen_record(struct seen_writer *w, uint32_t device,
	const struct request *what, enum reason reason)
{
	struct one x = {
		.device = device,
		.kind = (uint32_t)what->action | (uint32_t)reason << 8,
		.topic = what->topic,
		.qos = what->qos,
		.largest = what->payload_len,
		.retain = what->retain,
		.now_s = what->now_s,
	};
	uint32_t at = 0;

	if (device != SEEN_NONE && x.topic.n != 0 && x.topic.n <= SEEN_TOPIC) {
		at = find_exact(w, &x);
		if (at == 0)
			at = find_pattern(w, &x);
		if (at != 0) {
			seen_count(w, at, &x);
			return;
		}
		if (add(w, &x) || seen_fold(w, &x))
			return;
	}
	if (device != SEEN_NONE)
		count_u64(&seen_device_at(w->mem, device)->lost, 1);
	count_u64(&header(w)->lost_messages, 1);
}

/* ------------------------------------------------------------ certificates */

static struct str bytes(const uint8_t *p)
{
	return (struct str){(const char *)p, FINGERPRINT_LEN};
}

/* All of it but when: a writer that died before it had counted this entry has
 * left another certificate there. */
static void fill_cert(struct seen_cert *s, const struct credential *c)
{
	struct str id = str_from(c->device_id);

	STORE(s->id_len, (uint32_t)id.n);
	words_store(s->id, DEVICE_ID_MAX / 8, id);
	words_store(s->fingerprint, FINGERPRINT_LEN / 8, bytes(c->fingerprint));
	words_store(s->spki, FINGERPRINT_LEN / 8, bytes(c->spki));
	words_store(s->serial, SEEN_SERIAL / 8, str_from(c->serial));
	words_store(s->issuer, SEEN_ISSUER / 8, str_from(c->issuer));
	STORE(s->not_before_s, c->not_before_s);
	STORE(s->not_after_s, c->not_after_s);
	words_store(s->issuer_fingerprint, FINGERPRINT_LEN / 8, STR(""));
	STORE(s->connects, 0);
}

static struct seen_cert *find_cert(
	const struct seen_writer *w, const uint8_t *fingerprint, uint32_t h)
{
	const struct seen_index *x = &w->certs;
	uint8_t own[FINGERPRINT_LEN];

	for (uint32_t i = h & (x->cap - 1); x->slot[i] != 0;
		i = (i + 1) & (x->cap - 1)) {
		struct seen_cert *s = seen_cert_at(w->mem, x->slot[i] - 1);

		words_load(s->fingerprint, FINGERPRINT_LEN / 8, own);
		if (memcmp(own, fingerprint, sizeof own) == 0)
			return s;
	}
	return NULL;
}

void seen_record_cert(struct seen_writer *w, const struct credential *c,
	const uint8_t *issuer, int64_t now_s)
{
	uint32_t h = hash(0, c->fingerprint, FINGERPRINT_LEN), odd;
	uint32_t n = LOAD(header(w)->n_certs);
	struct seen_cert *s = find_cert(w, c->fingerprint, h);
	bool fresh = s == NULL;

	if (fresh && n == SEEN_CERTS) {
		count_u64(&header(w)->lost_connects, 1);
		return;
	}
	if (fresh)
		s = seen_cert_at(w->mem, n);
	odd = seqlock_open(&s->seq);
	if (fresh) {
		fill_cert(s, c);
		STORE(s->first_s, now_s);
	}
	if (issuer != NULL)
		words_store(s->issuer_fingerprint, FINGERPRINT_LEN / 8,
			bytes(issuer));
	STORE(s->last_s, now_s);
	STORE(s->connects, LOAD(s->connects) + 1);
	seqlock_close(&s->seq, odd);
	if (!fresh)
		return;
	index_put(&w->certs, h, n);
	STORE(header(w)->n_certs, n + 1);
}
