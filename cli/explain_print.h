/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir explain prints, for people or as JSON (--json).
 */
#ifndef CLI_EXPLAIN_PRINT_H
#define CLI_EXPLAIN_PRINT_H

#include "cli/asked.h"
#include "cli/output.h"

/* A question and its answer; all borrowed. */
struct explained {
	struct str id;
	const struct asked *asked;
	const struct policy *policy;
	int64_t revision; /* 0: the policy is a file's */
	struct request what;
	struct decision decision;
};

/* Who observes the device of X, and does not enforce: "class", "device",
 * "broker" (static) into OUT; returns how many. A class and a device relax the
 * rules of an active device, the whole broker connects too. */
#define OBSERVERS 3
size_t explain_observers(
	const struct explained *x, const char *out[static OBSERVERS]);
/* Adds them as "observed_by". */
void explain_observers_json(cJSON *o, const struct explained *x);

/* One request: verdict, reason, rule, and on a refusal what would help. */
void explain_print(const struct cli *c, const struct explained *x);

/* All that the device, which is there, may do, and what it did last; what is
 * now_s only. */
MUST bool explain_summary(
	const struct cli *c, const struct explained *x, struct err *e);

#endif
