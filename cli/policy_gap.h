/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rules of a class grant and another policy's do not, as topics.
 *
 * The question is asked for a device that has every identifier and attribute,
 * each with a value that no rule holds as text: `<device>`, `<attr.site>`. For
 * it a template is a plain filter, and filter_gap() is exact for the union of
 * the other's rules whose limits are at least as wide. So a rule that is
 * written in another way, split or merged, is no difference.
 */
#ifndef CLI_POLICY_GAP_H
#define CLI_POLICY_GAP_H

#include "core/policy.h"
#include "core/request.h"

/* One class of two policies, and a device of it. */
struct policy_pair;

/* A and B are kept, and their classes AC and BC: NULL where that policy has
 * none. QUARANTINE: the quarantine of both instead. Given: policy_pair_free. */
struct policy_pair *policy_pair_new(const struct policy *a,
	const struct policy_class *ac, const struct policy *b,
	const struct policy_class *bc, bool quarantine);
void policy_pair_free(struct policy_pair **x);

/*
 * Calls EACH for every rule of A by which a device may ACTION what it may not
 * by B: the rule in the policy's JSON, and an example, "m/<device>/<any>, QoS
 * 1, 512 bytes". Both are lent for the call.
 */
void policy_pair_lost(const struct policy_pair *x, enum action action,
	void (*each)(void *ctx, const char *rule, const char *example),
	void *ctx);
/* The other way round: what B grants and A does not. */
void policy_pair_gained(const struct policy_pair *x, enum action action,
	void (*each)(void *ctx, const char *rule, const char *example),
	void *ctx);

#endif
