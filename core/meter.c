/* SPDX-License-Identifier: Apache-2.0 */
#include "core/meter.h"

#include <string.h>

/*
 * A sequence lock without fences, so that thread sanitizers understand it:
 * the payload is stored with release and loaded with acquire. Whoever sees one
 * word of a store therefore sees that its sequence is odd.
 */
#define READ_TRIES 64

/* Odd, also after a writer that died inside a store. */
static uint32_t seq_open(_Atomic uint32_t *seq)
{
	uint32_t odd = atomic_load_explicit(seq, memory_order_relaxed) | 1u;

	atomic_store_explicit(seq, odd, memory_order_relaxed);
	return odd;
}

static void seq_close(_Atomic uint32_t *seq, uint32_t odd)
{
	atomic_store_explicit(seq, odd + 1, memory_order_release);
}

/* Stores N words that hold the bytes of S, zero padded. */
static void words_store(_Atomic uint64_t *word, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t w = 0;
		size_t at = i * sizeof w;

		if (at < s.n) {
			size_t left = s.n - at;

			memcpy(&w, s.p + at, left < sizeof w ? left : sizeof w);
		}
		atomic_store_explicit(&word[i], w, memory_order_release);
	}
}

static struct meter_outcome *outcome_slot(void *mem, int64_t change)
{
	char *at = (char *)mem + METER_OUTCOMES_AT;
	size_t i = (size_t)change & (METER_OUTCOMES - 1);

	return (struct meter_outcome *)(void *)at + i;
}

void meter_format(void *mem)
{
	struct meter_header *h = mem;

	h->version = METER_VERSION;
	h->header_size = (uint32_t)sizeof *h;
	h->size = METER_SIZE;
	atomic_store_explicit(&h->magic, METER_MAGIC, memory_order_release);
}

void meter_text_store(struct meter_text *t, struct str s)
{
	uint32_t odd = seq_open(&t->seq);

	if (s.n > METER_TEXT)
		s.n = METER_TEXT;
	atomic_store_explicit(&t->len, (uint32_t)s.n, memory_order_release);
	words_store(t->word, METER_TEXT / 8, s);
	seq_close(&t->seq, odd);
}

void meter_outcome_store(
	void *mem, int64_t change, struct str device, uint32_t n)
{
	struct meter_outcome *o = outcome_slot(mem, change);
	uint32_t odd = seq_open(&o->seq);

	if (device.n > DEVICE_ID_MAX)
		device.n = DEVICE_ID_MAX;
	atomic_store_explicit(&o->closed, n, memory_order_release);
	atomic_store_explicit(&o->change, change, memory_order_release);
	words_store(o->device, DEVICE_ID_MAX / 8, device);
	seq_close(&o->seq, odd);
}

const char *meter_problem(const void *mem, size_t size)
{
	const struct meter_header *h = mem;

	if (size < METER_SIZE)
		return "it is shorter than a meter segment";
	if (atomic_load_explicit(&h->magic, memory_order_acquire) !=
		METER_MAGIC)
		return "it is not a meter segment";
	if (h->version != METER_VERSION)
		return "it is a meter segment of another version";
	if (h->header_size != sizeof *h || h->size != METER_SIZE)
		return "its header contradicts itself";
	return NULL;
}

size_t meter_text_load(
	const struct meter_text *t, char out[static METER_TEXT + 1])
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t seq =
			atomic_load_explicit(&t->seq, memory_order_acquire);
		size_t n = atomic_load_explicit(&t->len, memory_order_acquire);

		if (seq & 1u)
			continue;
		for (size_t w = 0; w < METER_TEXT / 8; w++) {
			uint64_t v = atomic_load_explicit(
				&t->word[w], memory_order_acquire);

			memcpy(out + w * sizeof v, &v, sizeof v);
		}
		if (atomic_load_explicit(&t->seq, memory_order_relaxed) != seq)
			continue;
		if (n > METER_TEXT)
			n = METER_TEXT;
		out[n] = '\0';
		return n;
	}
	out[0] = '\0';
	return 0;
}

static const struct meter_outcome *outcome_of(const void *mem, int64_t change)
{
	const char *at = (const char *)mem + METER_OUTCOMES_AT;

	return (const struct meter_outcome *)(const void *)at +
	       ((size_t)change & (METER_OUTCOMES - 1));
}

bool meter_outcome_device(
	const void *mem, int64_t change, char out[static DEVICE_ID_MAX + 1])
{
	const struct meter_outcome *o = outcome_of(mem, change);
	uint64_t word[DEVICE_ID_MAX / 8];
	uint32_t closed;

	if (!meter_outcome_load(mem, change, &closed))
		return false;
	for (size_t i = 0; i < DEVICE_ID_MAX / 8; i++)
		word[i] = atomic_load_explicit(
			&o->device[i], memory_order_acquire);
	/* Still that change's: not a mix of two. */
	if (!meter_outcome_load(mem, change, &closed))
		return false;
	memcpy(out, word, DEVICE_ID_MAX);
	out[DEVICE_ID_MAX] = '\0';
	return true;
}

bool meter_outcome_load(const void *mem, int64_t change, uint32_t *closed)
{
	const struct meter_outcome *o = outcome_of(mem, change);

	if (change <= 0)
		return false;
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t seq =
			atomic_load_explicit(&o->seq, memory_order_acquire);
		int64_t of =
			atomic_load_explicit(&o->change, memory_order_acquire);
		uint32_t n =
			atomic_load_explicit(&o->closed, memory_order_acquire);

		if ((seq & 1u) || atomic_load_explicit(
					  &o->seq, memory_order_relaxed) != seq)
			continue;
		if (of != change)
			return false;
		*closed = n;
		return true;
	}
	return false;
}
