/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a compiled policy, shared by what compiles it (policy*.c) and
 * decide().
 */
#ifndef CORE_POLICY_PRIVATE_H
#define CORE_POLICY_PRIVATE_H

#include "core/policy.h"
#include "core/trie.h"

enum direction { DIRECTION_PUBLISH = 0, DIRECTION_SUBSCRIBE, DIRECTIONS };

/* A rule as written; its index in the policy is its number. */
struct policy_rule {
	struct rule_spec spec;
	uint32_t class; /* index; the policy's n_classes: quarantine */
	uint32_t index; /* in its list */
	uint8_t direction;
};

/* `${device}` then text, then anything when open: see client_id_allowed(). */
struct client_id_form {
	struct str suffix;
	bool open;
};

struct policy_class {
	struct str name;
	struct trie *trie[DIRECTIONS];
	/* the trie that judges an enum action; NULL for connect */
	const struct trie *judge[ACTION_RECEIVE + 1];
	struct client_id_form *client_ids;
	size_t n_client_ids;
	uint32_t first_rule[DIRECTIONS], n_rules[DIRECTIONS]; /* its own */
	uint8_t sim_require;
	enum on_deny on_deny;
	struct limits limits;
	bool limited; /* a limit is set by which requests are refused */
	bool observe;
	bool enforce;       /* even where the whole broker observes */
	bool special;       /* limited, or observed by itself or the broker */
	bool any_client_id; /* observed: what client_ids says is not enforced */
	bool qos2;
	bool sized; /* some publish rule has max_bytes */
	unsigned worst;
};

struct policy {
	char *text;       /* all strings below point in here */
	struct str *strs; /* shared groups */
	struct policy_rule *rules;
	size_t n_rules;
	struct policy_class *classes; /* n_classes, then the quarantine */
	size_t n_classes;
	uint32_t *by_name; /* class indexes, sorted by name */
	bool observe;
	enum fallback fallback;
	struct str unknown;
};

#endif
