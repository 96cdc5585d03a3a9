/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Through the registry's devices a few at a time, for a program that has other
 * work in between: each call begins behind where the last one ended. Nothing
 * is held of the file from call to call, so a device that is added meanwhile
 * is met when its id is still ahead, and none is met twice.
 */
#ifndef IO_REGISTRY_WALK_H
#define IO_REGISTRY_WALK_H

#include "io/registry.h"

struct device_walk {
	struct str class_name;     /* only of this class; p NULL: of any */
	enum device_status status; /* only of this one, if no class is given;
				    * as it is stored; DEVICE_NONE: any */
	struct str prefix;         /* only ids that begin so */
	struct str after;          /* behind this id; n 0: from the end that
				    * the order begins with */
	bool down;                 /* the greatest id first */
};

/* Borrowed for the call. */
struct device_brief {
	struct str id;
	enum device_status status; /* see device_status_now() */
	int64_t status_until_s;
};

/*
 * Calls EACH for at most LIMIT devices until it returns false. Cost: the rows
 * given, some µs each, whatever is asked for: there is an index for it, and
 * what no index tells, the caller filters.
 */
MUST bool registry_walk(struct registry *r, const struct device_walk *w,
	int limit, bool (*each)(void *ctx, const struct device_brief *d),
	void *ctx, struct err *e);

#endif
