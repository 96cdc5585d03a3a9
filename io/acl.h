/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access lists of a Mosquitto without Weir, in one form whichever file
 * they came from: for each user, rules in the order in which they are asked.
 *
 * The first rule whose filter matches, and that has the access asked for or
 * denies, decides; what none decides is refused.
 */
#ifndef IO_ACL_H
#define IO_ACL_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACL_BYTES_MAX ((size_t)4 * 1024 * 1024) /* of a file */
#define ACL_RULES_MAX 65536                     /* in all */
#define ACL_USERS_MAX 16384
#define ACL_PLACE_MAX 56

struct cJSON;

enum acl_access {
	ACL_DENY = 0, /* what denies says */
	ACL_WRITE = 1,
	ACL_READ = 2,
	ACL_SUBSCRIBE = 4, /* of dynamic-security; see struct acl */
};

struct acl_rule {
	struct str topic; /* a valid filter; of a pattern: with %c, %u */
	uint32_t line;
	uint32_t user; /* index into users; of dynamic-security: unused */
	uint8_t access;
	uint8_t denies; /* of a deny: the access; 0: whatever is asked */
	bool literal;   /* ACL_SUBSCRIBE: of this very filter only */
	bool any;       /* a default: every topic but $CONTROL's */
};

struct acl_user {
	struct str name; /* empty: clients without a username */
	uint32_t line;   /* where it is first named; 0: not at all */
	size_t first, n; /* its rules; users may share them */
	bool disabled;
};

/* Zeroed: empty. Strings lie in the text that was read, or in
 * tree. */
struct acl {
	struct acl_rule *rules;
	struct acl_user *users; /* users[0] has no name: anonymous clients */
	size_t n, n_users;
	size_t first_pattern; /* asked of every user, after its own */
	/* Of dynamic-security, else NULL: a rule's or user's line is an index
	 * into places, plus one, and what is delivered needs both an
	 * ACL_SUBSCRIBE and an ACL_READ. */
	char (*places)[ACL_PLACE_MAX];
	struct cJSON *tree; /* holds the strings */
	bool client_ids;    /* some client has one that is not its username */
};

/* Frees the lists, and leaves *a empty. */
void acl_free(struct acl *a);

#endif
