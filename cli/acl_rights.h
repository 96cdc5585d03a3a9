/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one user of an access list may do, as rules that only allow.
 */
#ifndef CLI_ACL_RIGHTS_H
#define CLI_ACL_RIGHTS_H

#include "io/acl.h"

/* A topic of a class, as the policy writes it. */
struct import_topic {
	char *shared; /* with ${device} for the user's own name too */
	char *own;    /* as the list has it */
};

struct import_topics {
	struct import_topic *t; /* sorted by shared; each one once */
	size_t n;
};

/* What became of one rule of the list, over all users. Zeroed: nothing is lost. */
struct rule_fate {
	const struct acl_rule *by; /* the deny that cuts into it */
	char *why;                 /* else: why no policy can say it. free() */
	size_t users;              /* whom it is lost to */
	size_t first, last;        /* of them */
};

/*
 * The rights of user USER of A, 0 for whoever is not in the list, into *write
 * and *read (topics_free), and what is lost into FATES, one for each rule of
 * A. No right is wider than the list's.
 */
void rights_make(const struct acl *a, size_t user, struct rule_fate *fates,
	struct import_topics *write, struct import_topics *read);
void topics_free(struct import_topics *t);

#endif
