/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user of this machine may do with a file, by owners and modes, without
 * becoming that user. Access control lists are not looked at.
 */
#ifndef CLI_ACCOUNT_H
#define CLI_ACCOUNT_H

#include "cli/command.h"

#include <sys/types.h>

#define ACCOUNT_GROUPS_MAX 256

struct account {
	uid_t uid;
	char name[64]; /* or the number */
	gid_t groups[ACCOUNT_GROUPS_MAX];
	int n_groups;
};

/* The user with that id, or that name. ERR_INPUT: there is none. */
MUST bool account_by_id(uid_t uid, struct account *out, struct err *e);
MUST bool account_by_name(const char *name, struct account *out, struct err *e);

enum account_access { ACCOUNT_READ = 4, ACCOUNT_WRITE = 2, ACCOUNT_ENTER = 1 };

/* True when the account has all of ACCESS (bits) to PATH. Folders on the way
 * count. A path that is not there, or that cannot be looked at: false. */
bool account_may(const struct account *a, const char *path, unsigned access);

#endif
