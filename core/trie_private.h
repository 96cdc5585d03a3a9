/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trie's memory, shared by what builds it (trie_build.c) and what walks
 * it (trie.c). Node 0 is the root; as no node has the root for a child, 0
 * stands for "no child".
 */
#ifndef CORE_TRIE_PRIVATE_H
#define CORE_TRIE_PRIVATE_H

#include "core/template.h"
#include "core/token.h"
#include "core/trie.h"

/* A slot of a node's table of literal children; node 0: empty. */
struct trie_slot {
	struct token text;
	uint32_t node;
};

/* A child over a level that holds a variable. alone: the one variable that
 * is the whole level (VAR_DEVICE and so on), for the fast path. */
struct trie_pattern {
	struct piece pieces[PIECES_MAX];
	uint8_t n;
	uint8_t alone; /* enum variable */
	uint32_t node;
};

struct trie_node {
	uint32_t slots;    /* its table's first slot */
	uint32_t mask;     /* its size - 1 */
	uint32_t literals; /* literal children; 0: no table */
	uint32_t plus;     /* child over '+' */
	uint32_t patterns, n_patterns;
	uint32_t ends, n_ends;     /* rules that end here */
	uint32_t hashes, n_hashes; /* '#' rules whose parent this is */
	uint32_t first; /* the lowest rule number at or below this node */
};

struct trie {
	struct trie_node *nodes;
	struct trie_slot *slots;
	struct trie_pattern *patterns;
	struct trie_rule *rules; /* sorted by level; node ranges index this */
	size_t n_nodes, n_slots, n_patterns, n_rules;
	uint64_t worst;
};

#endif
