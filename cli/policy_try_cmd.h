/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy makes of what was observed.
 */
#ifndef CLI_POLICY_TRY_CMD_H
#define CLI_POLICY_TRY_CMD_H

#include "cli/command.h"
#include "core/learn.h"
#include "core/policy.h"

/* True when POLICY, enforced, allows O, by decide(); otherwise *reason (may be
 * NULL) is why not. A pattern of topics is allowed when all of them are. */
bool seen_allowed(const struct policy *policy, const struct observation *o,
	enum reason *reason);

bool run_policy_try(struct cli *c, struct err *e);

#endif
