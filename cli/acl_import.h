/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access lists of a Mosquitto without Weir as classes of devices.
 *
 * A user becomes a device of that id, and users of equal rights share a class:
 * %c, %u and, where it lets users share one, a level that is the user's own
 * name become ${device}. A policy has no deny: a rule that a deny covers is
 * dropped, one that a deny cuts into is lost, so that no class is allowed what
 * its users were not. All that is lost is listed.
 */
#ifndef CLI_ACL_IMPORT_H
#define CLI_ACL_IMPORT_H

#include "cli/acl_rights.h"
#include "core/device.h"
#include "io/acl.h"

#include <stdbool.h>

/* A user with the rights that a policy can express. */
struct import_user {
	size_t user; /* index into acl->users */
	size_t class_index;
	struct import_topics write, read;
};

struct import_class {
	char name[CLASS_NAME_MAX + 1];
	size_t first, n; /* its users, in import->users */
	bool others;     /* serves whoever has no line of its own */
};

/* What the policy does not allow and the list did. */
struct import_loss {
	uint32_t line;
	const char *place; /* instead of a line, in JSON; else NULL */
	char *text;        /* a sentence */
};

struct import {
	const struct acl *acl;        /* kept */
	struct import_user *users;    /* sorted by class */
	struct import_class *classes; /* in the order of the list */
	struct import_loss *losses;   /* by line */
	size_t n_users, n_classes, n_losses;
};

/* Makes *IMP (import_free) of ACL (kept). */
void import_make(const struct acl *acl, struct import *imp);
void import_free(struct import *imp);

/* Renames the class of the user NAME. ERR_NOT_FOUND: no such user has a class;
 * ERR_INPUT: TO is no name, or another class has it. */
MUST bool import_rename(
	struct import *imp, struct str name, struct str to, struct err *e);

/* The topics of class C as written: ${device} only where it is needed. */
const char *import_topic_text(
	const struct import_class *c, const struct import_topic *t);

#endif
