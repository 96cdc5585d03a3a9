/* SPDX-License-Identifier: Apache-2.0 */
#include "core/seen.h"

#include "core/seqlock.h"
#include "core/topic.h"
#include "core/utf8.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)

/* The map is read only; the accessors of core/seen.h serve the writer too. */
static void *map_of(const void *mem)
{
	union {
		const void *in;
		void *out;
	} u = {mem};

	return u.out;
}

const char *seen_problem(const void *mem, size_t size)
{
	const struct seen_header *h = mem;

	if (size < SEEN_SIZE)
		return "not a record of observations: too short";
	if (LOAD(h->magic) != SEEN_MAGIC)
		return "not a record of observations";
	if (h->version != SEEN_VERSION || h->header_size != sizeof *h ||
		h->size != SEEN_SIZE)
		return "of another version of Weir";
	return NULL;
}

static uint32_t bounded(uint32_t n, uint32_t most)
{
	return n < most ? n : most;
}

uint32_t seen_requests(const void *mem)
{
	const struct seen_header *h = mem;

	return bounded(LOAD(h->n_requests), SEEN_REQUESTS);
}

uint32_t seen_certs(const void *mem)
{
	const struct seen_header *h = mem;

	return bounded(LOAD(h->n_certs), SEEN_CERTS);
}

/* The id of DEVICE; false: none that could be registered. */
static bool load_id(void *mem, uint32_t device, char *out)
{
	const struct seen_header *h = mem;
	const struct seen_device *d;
	uint32_t n;

	if (device >= bounded(LOAD(h->n_devices), SEEN_DEVICES))
		return false;
	d = seen_device_at(mem, device);
	n = LOAD(d->id_len);
	if (n > DEVICE_ID_MAX)
		return false;
	words_load(d->id, DEVICE_ID_MAX / 8, out);
	out[n] = '\0';
	return device_id_valid((struct str){out, n});
}

/* What a request is, out of its packed word; false: nothing that is kept. */
static bool unpack(uint32_t what, struct seen *out)
{
	uint32_t reason = what >> 8 & 0xFF;

	out->action = (enum action)(what & 0xFF);
	out->reason = (enum reason)reason;
	out->qos = what >> 16 & 0xFF;
	out->retain = (what >> 24 & 1) != 0;
	out->folded = (what >> 25 & 1) != 0;
	return (out->action == ACTION_PUBLISH ||
		       out->action == ACTION_SUBSCRIBE) &&
	       reason < REASON_COUNT && out->qos <= 2;
}

static bool text_sound(const struct seen *s)
{
	struct str group, filter;

	if (s->action == ACTION_PUBLISH && !s->folded)
		return topic_valid(s->text);
	return share_split(s->text, &group, &filter) && filter_valid(filter);
}

bool seen_request_load(const void *mem, uint32_t i, struct seen *out)
{
	void *map = map_of(mem);
	const struct seen_request *r = seen_request_at(map, i);
	uint32_t begun = seqlock_begin(&r->seq);
	uint32_t device = LOAD(r->device), what = LOAD(r->what);
	uint32_t n = LOAD(r->topic_len);

	if (n == 0 || n > SEEN_TOPIC)
		return false;
	out->count = LOAD(r->count);
	out->largest = LOAD(r->largest);
	out->first_s = LOAD(r->first_s);
	out->last_s = LOAD(r->last_s);
	words_load(r->topic, SEEN_TOPIC / 8, out->topic);
	if (!seqlock_whole(&r->seq, begun))
		return false;
	out->topic[n] = '\0';
	out->text = (struct str){out->topic, n};
	return unpack(what, out) && load_id(map, device, out->device) &&
	       text_sound(out);
}

/* A text of at most N words, NUL terminated in OUT of 8 * N + 1 bytes or, when
 * the text fills them, cut by one. */
static void load_text(const _Atomic uint64_t *word, size_t n, char *out)
{
	words_load(word, n, out);
	out[8 * n - 1] = '\0';
}

bool seen_cert_load(const void *mem, uint32_t i, struct seen_credential *out)
{
	const struct seen_cert *s = seen_cert_at(map_of(mem), i);
	struct credential *c = &out->credential;
	uint32_t begun = seqlock_begin(&s->seq), n = LOAD(s->id_len);
	char serial[SEEN_SERIAL];
	uint8_t known = 0;

	if (n == 0 || n > DEVICE_ID_MAX)
		return false;
	*out = (struct seen_credential){.connects = LOAD(s->connects)};
	words_load(s->id, DEVICE_ID_MAX / 8, c->device_id);
	words_load(s->fingerprint, FINGERPRINT_LEN / 8, c->fingerprint);
	words_load(s->spki, FINGERPRINT_LEN / 8, c->spki);
	words_load(s->issuer_fingerprint, FINGERPRINT_LEN / 8,
		out->issuer_fingerprint);
	load_text(s->serial, SEEN_SERIAL / 8, serial);
	load_text(s->issuer, SEEN_ISSUER / 8, c->issuer);
	c->not_before_s = LOAD(s->not_before_s);
	c->not_after_s = LOAD(s->not_after_s);
	out->first_s = LOAD(s->first_s);
	out->last_s = LOAD(s->last_s);
	if (!seqlock_whole(&s->seq, begun))
		return false;
	c->device_id[n] = '\0';
	memcpy(c->serial, serial, sizeof c->serial - 1);
	c->status = CREDENTIAL_ACTIVE;
	for (size_t k = 0; k < FINGERPRINT_LEN; k++)
		known |= out->issuer_fingerprint[k];
	out->issuer_known = known != 0;
	return device_id_valid((struct str){c->device_id, n}) &&
	       utf8_valid(str_from(c->issuer)) &&
	       utf8_valid(str_from(c->serial));
}
