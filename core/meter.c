/* SPDX-License-Identifier: Apache-2.0 */
#include "core/meter.h"

#include "core/meter_total.h"
#include "core/seqlock.h"

#include <string.h>

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
	atomic_store_explicit(&h->size, METER_SIZE_MIN, memory_order_relaxed);
	/* the nameless class, and the rule that stands for none */
	atomic_store_explicit(&h->n_classes, 1, memory_order_relaxed);
	atomic_store_explicit(&h->magic, METER_MAGIC, memory_order_release);
}

void meter_text_store(struct meter_text *t, struct str s)
{
	uint32_t odd = seqlock_open(&t->seq);

	if (s.n > METER_TEXT)
		s.n = METER_TEXT;
	atomic_store_explicit(&t->len, (uint32_t)s.n, memory_order_release);
	words_store(t->word, METER_TEXT / 8, s);
	seqlock_close(&t->seq, odd);
}

void meter_outcome_store(
	void *mem, int64_t change, struct str device, uint32_t n)
{
	struct meter_outcome *o = outcome_slot(mem, change);
	uint32_t odd = seqlock_open(&o->seq);

	if (device.n > DEVICE_ID_MAX)
		device.n = DEVICE_ID_MAX;
	atomic_store_explicit(&o->closed, n, memory_order_release);
	atomic_store_explicit(&o->change, change, memory_order_release);
	words_store(o->device, DEVICE_ID_MAX / 8, device);
	seqlock_close(&o->seq, odd);
}

/* Each is stored after what it needs, so they are read the other way round. */
static bool counts_agree(const struct meter_header *h, size_t size)
{
	uint32_t n = atomic_load_explicit(&h->n_slots, memory_order_acquire);
	uint32_t cap =
		atomic_load_explicit(&h->cap_slots, memory_order_acquire);
	uint64_t claimed = atomic_load_explicit(&h->size, memory_order_acquire);
	uint32_t classes =
		atomic_load_explicit(&h->n_classes, memory_order_relaxed);
	uint32_t rules =
		atomic_load_explicit(&h->n_rules, memory_order_relaxed);

	return n <= cap && cap <= METER_SLOTS_MAX &&
	       cap % METER_SLOTS_STEP == 0 && claimed <= size &&
	       claimed >= METER_SLOTS_AT +
				  (uint64_t)cap * sizeof(struct meter_slot) &&
	       classes <= METER_CLASSES && rules <= METER_RULES;
}

const char *meter_problem(const void *mem, size_t size)
{
	const struct meter_header *h = mem;

	if (size < METER_SIZE_MIN)
		return "it is shorter than a meter segment";
	if (atomic_load_explicit(&h->magic, memory_order_acquire) !=
		METER_MAGIC)
		return "it is not a meter segment";
	if (h->version != METER_VERSION)
		return "it is a meter segment of another version";
	if (h->header_size != sizeof *h || !counts_agree(h, size))
		return "its header contradicts itself";
	return NULL;
}

size_t meter_text_load(
	const struct meter_text *t, char out[static METER_TEXT + 1])
{
	for (int i = 0; i < SEQLOCK_TRIES; i++) {
		uint32_t begun = seqlock_begin(&t->seq);
		size_t n = atomic_load_explicit(&t->len, memory_order_acquire);

		words_load(t->word, METER_TEXT / 8, out);
		if (!seqlock_whole(&t->seq, begun))
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
	words_load(o->device, DEVICE_ID_MAX / 8, word);
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
	for (int i = 0; i < SEQLOCK_TRIES; i++) {
		uint32_t begun = seqlock_begin(&o->seq);
		int64_t of =
			atomic_load_explicit(&o->change, memory_order_acquire);
		uint32_t n =
			atomic_load_explicit(&o->closed, memory_order_acquire);

		if (!seqlock_whole(&o->seq, begun))
			continue;
		if (of != change)
			return false;
		*closed = n;
		return true;
	}
	return false;
}
