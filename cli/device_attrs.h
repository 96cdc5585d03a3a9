/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attributes of a device as `--attr K=V` gives them.
 */
#ifndef CLI_DEVICE_ATTRS_H
#define CLI_DEVICE_ATTRS_H

#include "cli/command.h"
#include "core/device.h"

/* Sorted by name, values in the order given. Borrows its texts. */
struct attrs {
	size_t n;
	struct attr a[DEVICE_ATTRS_MAX];
};

/*
 * What the --attr options of C give, into *given, and, if REMOVING, the names
 * that `K=` takes away, into *gone; both zeroed by the caller. ERR_INPUT: a
 * name or value that is not valid, a value twice, too many, or a name both
 * given and taken away.
 */
MUST bool attrs_read(const struct cli *c, bool removing, struct attrs *given,
	struct attrs *gone, struct err *e);

/* OLD's attributes but those that GIVEN replaces or GONE removes, and GIVEN,
 * into *out. ERR_INPUT: more than a device may have. */
MUST bool attrs_merge(const struct device *old, const struct attrs *given,
	const struct attrs *gone, struct attrs *out, struct err *e);

#endif
