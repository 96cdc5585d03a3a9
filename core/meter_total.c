/* SPDX-License-Identifier: Apache-2.0 */
#include "core/meter_total.h"

#include "core/seqlock.h"

#include <string.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

static bool has_name(const struct meter_class *c, struct str name)
{
	char own[CLASS_NAME_MAX + 1];
	size_t n;

	if (LOAD(c->name_len) != name.n)
		return false;
	n = meter_class_name(c, own);
	return str_eq((struct str){own, n}, name);
}

uint32_t meter_class_add(void *mem, struct str name)
{
	struct meter_header *h = mem;
	uint32_t n = LOAD(h->n_classes), i;
	struct meter_class *c;

	if (name.n == 0 || name.n > CLASS_NAME_MAX)
		return 0;
	for (i = 1; i < n; i++)
		if (has_name(meter_class_mut(mem, i), name))
			return i;
	if (i >= METER_CLASSES)
		return 0;
	c = meter_class_mut(mem, i);
	memset(c, 0, sizeof *c);
	words_store(c->name, CLASS_NAME_MAX / 8, name);
	atomic_store_explicit(
		&c->name_len, (uint32_t)name.n, memory_order_relaxed);
	atomic_store_explicit(&h->n_classes, i + 1, memory_order_release);
	return i;
}

static uint64_t hash_more(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001B3);
	return h;
}

/* A slash, which no class name has, ends the class. */
uint64_t meter_rule_hash(struct meter_rule_key k)
{
	uint64_t h = UINT64_C(0xCBF29CE484222325); /* FNV-1a */

	h = hash_more(h, k.class);
	h = hash_more(h, k.list == 0 ? STR("/p/") : STR("/s/"));
	return hash_more(h, k.topic);
}

bool meter_rules_need(const void *mem, struct meter_range *out)
{
	const struct meter_header *h = mem;
	uint32_t n = LOAD(h->n_rules);

	*out = (struct meter_range){0, 0};
	if (n >= METER_RULES)
		return false;
	if (n % METER_RULES_STEP == 0)
		*out = (struct meter_range){
			METER_RULES_AT + (size_t)n * sizeof(struct meter_rule),
			METER_RULES_STEP * sizeof(struct meter_rule)};
	return true;
}

struct meter_range meter_rules_used(const void *mem)
{
	const struct meter_header *h = mem;
	size_t n = LOAD(h->n_rules);

	n = (n + METER_RULES_STEP - 1) / METER_RULES_STEP * METER_RULES_STEP;
	return (struct meter_range){
		METER_RULES_AT, n * sizeof(struct meter_rule)};
}

uint32_t meter_rule_add(void *mem, struct meter_rule_key k, uint32_t class)
{
	struct meter_header *h = mem;
	uint32_t n = LOAD(h->n_rules);
	struct meter_rule *r = meter_rule_mut(mem, n);

	memset(r, 0, sizeof *r);
	atomic_store_explicit(
		&r->hash, meter_rule_hash(k), memory_order_relaxed);
	atomic_store_explicit(&r->class, class, memory_order_relaxed);
	atomic_store_explicit(&r->list, k.list, memory_order_relaxed);
	words_store(r->topic, METER_RULE_TOPIC / 8, k.topic);
	atomic_store_explicit(
		&r->topic_len, (uint32_t)k.topic.n, memory_order_relaxed);
	atomic_store_explicit(&h->n_rules, n + 1, memory_order_release);
	return n;
}

/* --------------------------------------------------------------- the reader */

uint32_t meter_classes(struct meter_map m)
{
	const struct meter_header *h = m.mem;
	uint32_t n = atomic_load_explicit(&h->n_classes, memory_order_acquire);

	return n < METER_CLASSES ? n : METER_CLASSES;
}

uint32_t meter_rules(struct meter_map m)
{
	const struct meter_header *h = m.mem;
	uint32_t n = atomic_load_explicit(&h->n_rules, memory_order_acquire);

	return n < METER_RULES ? n : METER_RULES;
}

size_t meter_class_name(
	const struct meter_class *c, char out[static CLASS_NAME_MAX + 1])
{
	size_t n = atomic_load_explicit(&c->name_len, memory_order_acquire);

	words_load(c->name, CLASS_NAME_MAX / 8, out);
	if (n > CLASS_NAME_MAX)
		n = CLASS_NAME_MAX;
	out[n] = '\0';
	return n;
}

size_t meter_rule_topic(
	const struct meter_rule *r, char out[static METER_RULE_TOPIC + 1])
{
	size_t n = atomic_load_explicit(&r->topic_len, memory_order_acquire);

	words_load(r->topic, METER_RULE_TOPIC / 8, out);
	out[n < METER_RULE_TOPIC ? n : METER_RULE_TOPIC] = '\0';
	return n;
}
