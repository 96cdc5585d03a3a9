/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one policy means against another: classes and rules that come and go.
 * The order of rules, comments and the layout of the text mean nothing.
 */
#ifndef CLI_POLICY_DIFF_H
#define CLI_POLICY_DIFF_H

#include "cli/output.h"
#include "core/policy.h"

#include <stdbool.h>
#include <stddef.h>

struct class_diff {
	char *name; /* of the class; "quarantine" for the quarantine */
	enum class_change {
		CLASS_CHANGED = 0,
		CLASS_ADDED,
		CLASS_REMOVED,
	} change;
	/* What is new and what is gone, one text each, as a policy has it:
	 * `publish "a/b"`, `client_ids "${device}"`, `sim.require iccid`. */
	char **gained, **lost;
	size_t n_gained, n_lost;
};

struct policy_diff {
	size_t n;
	struct class_diff *classes; /* those that differ, by name */
};

/* From OLD to NEW (borrowed); *out is given: policy_diff_fini. */
void policy_diff_make(const struct policy *old, const struct policy *new,
	struct policy_diff *out);
void policy_diff_fini(struct policy_diff *d);

/* For people. Nothing when the policies mean the same. */
void policy_diff_print(const struct policy_diff *d);
/* Adds "changes": [{class, change, gained, lost}]. */
void policy_diff_json(cJSON *o, const struct policy_diff *d);

#endif
