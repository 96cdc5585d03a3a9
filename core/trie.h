/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of one class and direction as a trie over topic levels.
 *
 *   "pay/${device}/cmd/#"        root ──pay──► o ──${device}──► o ──cmd──► o #
 *   "pay/+/status"                             └──────+───────► o ──status──► o
 *
 * A node's children are literals (a hash table), patterns (tried in turn) and
 * '+'; a '#' rule hangs at the node of its parent, which it covers too. A
 * topic is matched by every path that its levels spell; worst is an upper
 * bound of the nodes that any topic and device can visit.
 */
#ifndef CORE_TRIE_H
#define CORE_TRIE_H

#include "core/device.h"
#include "core/err.h"
#include "core/request.h"
#include "core/str.h"

#include <stdbool.h>
#include <stdint.h>

#define TRIE_WORST_MAX 64u /* nodes; a walk's stack has as many places */

/* A rule as the trie needs it; topic and shared are kept. */
struct trie_rule {
	struct str topic;
	const struct str *shared;
	uint16_t n_shared;
	uint8_t max_qos;
	bool retain;
	bool repeats; /* template_repeats(topic) */
	bool wild;    /* some level is '+' or '#' */
	uint32_t max_bytes;
	uint32_t number; /* in the policy */
};

struct trie;

/*
 * Builds the trie of the N RULES, whose topics passed template_check(). *out is given: trie_free. NULL when out of memory.
 * O(total length × log n).
 */
struct trie *trie_new(const struct trie_rule *rules, size_t n);
void trie_free(struct trie **t);

/* Nodes that one walk visits at most, counting each rule beyond the first at
 * one node as a node. Above TRIE_WORST_MAX the trie must not be walked. */
uint64_t trie_worst(const struct trie *t);

/*
 * The answers: VERDICT_ALLOWED, or refused with QOS, RETAIN or SIZE when only
 * a limit stood against it; MALFORMED (trie_match: not a valid topic); NO_RULE;
 * FILTER_TOO_WIDE (trie_cover). rule: the one that allows, or whose limit
 * refused; for NO_RULE and FILTER_TOO_WIDE the nearest rule, the one of the
 * lowest number below the deepest node reached; RULE_NONE where there is none.
 */

/* Some rule of T for D matches the topic of WHAT, any bytes, and its limits
 * hold; those do not count for ACTION_RECEIVE. Hot: see decide(). */
struct decision trie_match(const struct trie *t, const struct device *d,
	const struct request *what);

/* Every topic that FILTER, a valid one without $share, can match is matched by
 * the union of the rules (filter_covered() is the definition) that admit QOS
 * and serve GROUP, a $share group or empty. */
struct decision trie_cover(const struct trie *t, const struct device *d,
	struct str filter, struct str group, uint8_t qos);

#endif
