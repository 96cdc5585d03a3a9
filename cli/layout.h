/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: what is in it, who owns it, who may read it.
 *
 *     STATE/            root         0750  the broker's user passes through
 *     STATE/registry.db root         0640  (-wal and -shm too)
 *     STATE/live/       weir-feed    0750
 *     STATE/usage/      weir-feed    0750
 *     STATE/meter/      the broker   0750  all that its user may write
 *
 * The group of all is one that the broker's user is in. Without root, all
 * belongs to whoever runs weir, and only modes are set.
 */
#ifndef CLI_LAYOUT_H
#define CLI_LAYOUT_H

#include "cli/command.h"

#include <sys/types.h>

#define ACCOUNT_MAX 64

struct layout_owner {
	uid_t uid;
	char name[ACCOUNT_MAX];
};

/* Who shall own what. */
struct layout {
	bool root; /* owners can be set; otherwise only modes */
	struct layout_owner admin, broker, feed;
	gid_t gid;
	char group[ACCOUNT_MAX];
	gid_t broker_gid; /* its primary group */
	char note[256];   /* for people, about the group; "" if none */
};

/* Finds the accounts. BROKER_USER must exist if this process is root:
 * ERR_INPUT. */
MUST bool layout_plan(
	const char *broker_user, struct layout *out, struct err *e);

enum layout_result { LAYOUT_KEPT = 0, LAYOUT_REPAIRED, LAYOUT_MADE };

/* What was done to PATH, which is lent for the call. */
struct layout_done {
	const char *path;
	enum layout_result result;
	const char *owner, *group; /* "" without root */
	mode_t mode;
};

/*
 * Makes or repairs the state directory of C as L says, and the registry in
 * it; calls EACH for every path, in order. Idempotent. False: ERR_INPUT when
 * the directory holds something else, ERR_ENVIRONMENT.
 */
MUST bool layout_apply(const struct cli *c, const struct layout *l,
	void (*each)(void *ctx, const struct layout_done *d), void *ctx,
	struct err *e);

/* The first folder above PATH that the broker's user may not pass, into OUT;
 * "" when there is none, or when that cannot be told. */
void layout_barrier(const struct layout *l, const char *path,
	char out[static CLI_PATH_MAX]);

#endif
