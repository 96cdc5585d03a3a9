/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir explain prints, for people or as JSON (--json).
 */
#ifndef CLI_EXPLAIN_PRINT_H
#define CLI_EXPLAIN_PRINT_H

#include "cli/asked.h"

/* A question and its answer; all borrowed. */
struct explained {
	struct str id;
	const struct asked *asked;
	const struct policy *policy;
	int64_t revision; /* 0: the policy is a file's */
	struct request what;
	struct decision decision;
};

/* One request: verdict, reason, rule, and on a refusal what would help. */
void explain_print(const struct cli *c, const struct explained *x);

/* All that the device, which is there, may do; what is now_s only. */
void explain_summary(const struct cli *c, const struct explained *x);

#endif
