/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's totals: by class, and by rule.
 *
 * What is counted for a device is counted for the class it has at that moment
 * too, so that the sum over all slots is the sum over all classes. The first
 * class has no name: it stands for strangers, for devices without a slot, and
 * for the policy's quarantine.
 *
 * Messages and bytes are counted for the rule that let them pass as well. A
 * rule is known by its class, its list and its topic as written, so that its
 * counters outlive a policy that changes others; one that is gone keeps its
 * entry. The first rule has no topic: it stands for what no rule let pass (it
 * was only observed) and for rules that the table has no room for. So the sum
 * over all rules of a list is the sum over all classes.
 */
#ifndef CORE_METER_TOTAL_H
#define CORE_METER_TOTAL_H

#include "core/meter_slot.h"

#define METER_CLASSES     1025u /* as many as a policy has, and the nameless */
#define METER_RULES       16384u
#define METER_RULES_STEP  1024u /* allocated at a time */
#define METER_RULE_TOPIC  160u  /* bytes kept of a rule's topic */
#define METER_ALL_REASONS 32u
#define METER_ALL_ACTIONS 4u /* enum action less one */

struct meter_class {
	_Atomic uint64_t name[CLASS_NAME_MAX / 8]; /* before it is counted */
	_Atomic uint32_t name_len;
	uint32_t unused;
	_Atomic uint64_t counter[COUNTERS];
	_Atomic uint64_t refused[METER_ALL_ACTIONS][METER_ALL_REASONS];
};

struct meter_flow {
	_Atomic uint64_t messages, payload_bytes, mqtt_bytes;
};

struct meter_rule {
	_Atomic uint64_t hash;  /* of all that it is known by */
	_Atomic uint32_t class; /* where it is written: an index; a reader
				 * compares it with meter_classes() */
	_Atomic uint32_t list;  /* 0: publish, 1: subscribe */
	_Atomic uint64_t topic[METER_RULE_TOPIC / 8];
	_Atomic uint32_t topic_len; /* of the whole topic */
	uint32_t unused;
	/* Of the first rule, both lists are counted here: in and queued. */
	struct meter_flow flow[2];
};

_Static_assert(offsetof(struct meter_flow, mqtt_bytes) == 16, "in a row");
_Static_assert(sizeof(struct meter_class) == 1272, "layout");
_Static_assert(sizeof(struct meter_rule) == 232, "layout");
_Static_assert((int)REASON_COUNT <= (int)METER_ALL_REASONS, "layout");
_Static_assert(METER_CLASSES_AT + METER_CLASSES * sizeof(struct meter_class) <=
		       METER_RULES_AT,
	"layout");
_Static_assert(METER_RULES_AT + METER_RULES * sizeof(struct meter_rule) <=
		       METER_INDEX_AT,
	"layout");

/* --------------------------------------------------------------- the writer */

static inline struct meter_class *meter_class_mut(void *mem, uint32_t i)
{
	return (struct meter_class *)(void *)((char *)mem + METER_CLASSES_AT) +
	       i;
}

static inline struct meter_rule *meter_rule_mut(void *mem, uint32_t i)
{
	return (struct meter_rule *)(void *)((char *)mem + METER_RULES_AT) + i;
}

/* The class of that name, added if there is none; 0, the nameless, when there
 * is no room. O(classes). */
uint32_t meter_class_add(void *mem, struct str name);

/* What a rule is known by. */
struct meter_rule_key {
	struct str class, topic;
	uint32_t list;
};

uint64_t meter_rule_hash(struct meter_rule_key k);

/* What must be allocated before the next rule can be added; false when the
 * table is full. An empty range: nothing. */
bool meter_rules_need(const void *mem, struct meter_range *out);

/* What must be allocated of a segment that goes on. */
struct meter_range meter_rules_used(const void *mem);

/* Adds a rule that is not there yet; its memory must be allocated. CLASS is
 * the index of k.class. */
uint32_t meter_rule_add(void *mem, struct meter_rule_key k, uint32_t class);

/* --------------------------------------------------------------- the reader */

uint32_t meter_classes(struct meter_map m);
uint32_t meter_rules(struct meter_map m);

/* I is less than meter_classes(). */
static inline const struct meter_class *meter_class_at(
	struct meter_map m, uint32_t i)
{
	const char *at = (const char *)m.mem + METER_CLASSES_AT;

	return (const struct meter_class *)(const void *)at + i;
}

/* I is less than meter_rules(). */
static inline const struct meter_rule *meter_rule_at(
	struct meter_map m, uint32_t i)
{
	const char *at = (const char *)m.mem + METER_RULES_AT;

	return (const struct meter_rule *)(const void *)at + i;
}

/* The name as it is there, NUL terminated: any bytes. Returns its length. */
size_t meter_class_name(
	const struct meter_class *c, char out[static CLASS_NAME_MAX + 1]);

/* The beginning of the topic; returns the whole topic's length. */
size_t meter_rule_topic(
	const struct meter_rule *r, char out[static METER_RULE_TOPIC + 1]);

#endif
