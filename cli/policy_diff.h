/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one policy means against another: what each class gains and loses. How
 * it is written means nothing: order and layout, comments, includes, a rule
 * that others cover.
 */
#ifndef CLI_POLICY_DIFF_H
#define CLI_POLICY_DIFF_H

#include "cli/output.h"
#include "core/policy.h"

#include <stdbool.h>
#include <stddef.h>

struct diff_line;

/* Not a class: what the policy says of the whole broker. */
#define POLICY_DIFF_BROKER "(broker)"

struct class_diff {
	char *name; /* of the class; "quarantine" for the quarantine */
	enum class_change {
		CLASS_CHANGED = 0,
		CLASS_ADDED,
		CLASS_REMOVED,
	} change;
	struct diff_line *gained, *lost; /* sorted by text */
	size_t n_gained, n_lost;
};

/* What is new or gone, as a policy has it: `publish "a/+"`, `client_ids
 * "${device}"`, `sim.require iccid`. A rule has an example: a topic that only
 * one of the two policies allows. */
struct diff_line {
	char *text;
	char *example; /* NULL: it is no rule */
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
/* Adds "changes": [{class, change, gained, lost, examples}]. */
void policy_diff_json(cJSON *o, const struct policy_diff *d);

#endif
