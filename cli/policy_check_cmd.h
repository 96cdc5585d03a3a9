/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir policy check, and the warnings that weir policy apply gives too.
 */
#ifndef CLI_POLICY_CHECK_CMD_H
#define CLI_POLICY_CHECK_CMD_H

#include "cli/command.h"
#include "core/policy.h"

/*
 * Calls EACH with a sentence for whatever is allowed in P but hardly meant:
 * rules that others cover, classes that observe, and classes that devices of R
 * (NULL: no look) have and P lacks. False: R cannot be read.
 */
MUST bool policy_warnings(const struct policy *p, struct registry *r,
	void (*each)(void *ctx, const char *place, const char *text), void *ctx,
	struct err *e);

/* EACH for policy_warnings: a note on standard error. CTX is not used. */
void policy_warning_print(void *ctx, const char *place, const char *text);

MUST bool run_policy_diff(struct cli *c, struct err *e);
MUST bool run_policy_check(struct cli *c, struct err *e);

#endif
