/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `weir policy learn` writes: the policy in force, with what was learned
 * added to a class.
 */
#ifndef CLI_POLICY_LEARN_CMD_H
#define CLI_POLICY_LEARN_CMD_H

#include "core/learn.h"
#include "core/str.h"

/*
 * TEXT, a valid policy, with the rules of SET added to class CLASS_NAME, which
 * is made if it is missing; each rule has its evidence as comment. Given:
 * free().
 */
char *learned_policy(
	struct str text, const char *class_name, const struct learned_set *set);

#endif
