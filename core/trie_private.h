/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trie's memory, shared by what builds it (trie_build.c) and what walks
 * it (trie.c). All of it lies in one list of chunks and never moves, so that
 * nodes point at one another.
 */
#ifndef CORE_TRIE_PRIVATE_H
#define CORE_TRIE_PRIVATE_H

#include "core/template.h"
#include "core/token.h"
#include "core/trie.h"

struct trie_node;

/* A slot of a node's table of literal children; node NULL: empty. */
struct trie_slot {
	struct token text;
	const struct trie_node *node;
};

/* A child over a level that holds a variable. alone: the one variable that
 * is the whole level (VAR_DEVICE and so on), for the fast path. */
struct trie_pattern {
	const struct trie_node *node;
	uint8_t n;
	uint8_t alone; /* enum variable */
	struct piece pieces[PIECES_MAX];
};

/* What a node's children are: one kind alone is what most nodes have, and
 * the fast path knows two of them. */
enum trie_shape {
	SHAPE_MIXED = 0, /* anything, or a '#' rule here */
	SHAPE_LITERALS,
	SHAPE_DEVICE, /* one child, over ${device} */
};

struct trie_node {
	uint8_t shape;                 /* enum trie_shape */
	uint8_t shift;                 /* hash >> shift is the first slot */
	const struct trie_slot *slots; /* its table; NULL: no literal child */
	uint32_t mask;                 /* its size - 1 */
	uint32_t n_patterns;
	const struct trie_node *plus; /* child over '+', or NULL */
	const struct trie_pattern *patterns;
	const struct trie_rule *ends, *ends_end;     /* rules that end here */
	const struct trie_rule *hashes, *hashes_end; /* whose parent this is */
	uint32_t first; /* the lowest rule number at or below this node */
};

struct trie_chunk {
	struct trie_chunk *next;
};

struct trie {
	const struct trie_node *root;
	struct trie_rule *rules; /* sorted by level; node ranges index this */
	size_t n_rules;
	uint64_t worst;
	struct trie_chunk *chunks;
	char *free;
	size_t n_free; /* bytes */
};

#endif
