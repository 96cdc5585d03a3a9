/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a class says besides its rules, for people and as JSON: its mode and
 * its limits.
 */
#ifndef CLI_CLASS_TEXT_H
#define CLI_CLASS_TEXT_H

#include "cli/output.h"
#include "core/policy.h"

/* "enforce" or "observe", of a class or a device. Static. */
const char *mode_text(bool observe);
/* "broker" or "allow". Static. */
const char *fallback_text(enum fallback f);
/* True and *out when NAME is one of the two. */
bool mode_find(const char *name, bool *out);

/* "messages_per_s 5, subscriptions 20"; "" when C (NULL: no class) has none. */
#define CLASS_LIMITS_TEXT ((size_t)LIMITS * 48)
void class_limits_text(
	const struct policy_class *c, char out[static CLASS_LIMITS_TEXT]);
/* Adds "limits": {key: number}, of those that are set. */
void class_limits_json(cJSON *o, const struct policy_class *c);
/* Calls EACH with the limits that C (NULL: no class) sets. */
void class_limits_each(const struct policy_class *c,
	void (*each)(void *ctx, enum limit limit, uint64_t max), void *ctx);

#endif
