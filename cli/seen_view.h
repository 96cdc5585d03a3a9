/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of observations, with what the registry says of its devices.
 */
#ifndef CLI_SEEN_VIEW_H
#define CLI_SEEN_VIEW_H

#include "cli/command.h"
#include "core/learn.h"
#include "core/policy.h"
#include "core/seen.h"
#include "io/seen_file.h"

/* Opens the record of C's state directory. ERR_NOT_FOUND becomes
 * ERR_ENVIRONMENT: nothing was observed yet. */
MUST bool seen_open(const struct cli *c, struct seen_file *out, struct err *e);

struct seen_device_row {
	struct device device; /* unregistered: of the class that it would be
			       * taken into, active */
	bool registered;
};

struct seen_view {
	struct observation *o; /* by device, then in the record's order */
	size_t n;
	struct seen_device_row *devices; /* o[].device points in here */
	size_t n_devices;
	uint64_t lost; /* messages that the record had no room for */
	struct seen *copies;
};

/* Which of them: CLASS_NAME of the device (NULL: any), last seen at or after
 * SINCE_S. UNKNOWN is the class of devices that are not registered. */
struct seen_filter {
	const char *class_name;
	int64_t since_s;
	struct str unknown;
};

/* --since of C's arguments as a time; without it 0: everything. */
MUST bool seen_since(const struct cli *c, int64_t *since_s, struct err *e);

/* *out is given: seen_view_fini. */
MUST bool seen_view_load(const struct cli *c, struct registry *r,
	const struct seen_filter *f, struct seen_view *out, struct err *e);
void seen_view_fini(struct seen_view *v);

#endif
