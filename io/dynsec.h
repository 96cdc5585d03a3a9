/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dynamic-security.json says, and the rules that follow for each client.
 */
#ifndef IO_DYNSEC_H
#define IO_DYNSEC_H

#include "io/acl.h"
#include "io/json_reader.h"

/* A role's rule. */
struct dyn_rule {
	struct str topic;
	int priority;
	uint32_t line;
	uint8_t access; /* 0: about unsubscribing, which Weir lets pass */
	bool allow, literal;
};

/* By name, something of a priority. */
struct dyn_ref {
	struct str name;
	int priority;
	size_t to; /* index of what it names */
};

struct dyn_refs {
	struct dyn_ref *r;
	size_t n;
};

/* A client, a group or a role: each uses a part. */
struct dyn_item {
	struct str name, client_id;
	bool disabled;
	struct dyn_refs roles;   /* of a client, a group */
	struct dyn_refs members; /* of a group: its clients */
	struct dyn_refs groups;  /* of a client */
	struct dyn_rule *rules;  /* of a role */
	size_t n_rules;
	const size_t *asked; /* of a client: roles in the order of asking */
	size_t n_asked;
};

struct dyn_list {
	struct dyn_item *items;
	struct dyn_ref *by_name;
	size_t n;
};

struct dynsec {
	struct dyn_list clients, groups, roles;
	struct str anonymous;
	bool write, read, subscribe; /* the defaults */
};

/* Finds what D names, and makes the rules of each client into *A (zeroed but for
 * tree). What is wrong is listed in r->errs, and *a is then to be freed. */
void dynsec_flatten(struct json_reader *r, struct dynsec *d, struct acl *a);

#endif
