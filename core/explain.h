/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decision explained: where a request parts from the nearest rule, and the
 * rule that would allow it. For people. Nothing here decides: decide() has,
 * and what it said is the argument.
 *
 * Texts are written as snprintf does: at most CAP bytes with the NUL, and the
 * result is the length of the whole text, so that a text was cut when that is
 * not below CAP. CAP 0: OUT is not touched.
 */
#ifndef CORE_EXPLAIN_H
#define CORE_EXPLAIN_H

#include "core/decide.h"
#include "core/device.h"
#include "core/policy.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first level at which a request and a rule's template differ. */
struct explain_level {
	uint32_t level;   /* from 1; 0: they do not differ */
	struct str rule;  /* what the template has there, as written */
	struct str topic; /* what the request has there */
	bool rule_ends;   /* the template has no such level */
	bool topic_ends;  /* the request has no such level */
	bool other_value; /* both match, but with another value of the
				* attribute than at an earlier level */
};

/*
 * Compares TEMPLATE, which passed template_check(), for DEVICE with TOPIC: a
 * topic, or a filter without `$share` (then: all that it can match). All
 * borrowed; *out holds views of them.
 */
void explain_level(struct str template, const struct device *device,
	struct str topic, struct explain_level *out);

/*
 * Writes TEXT, a template or one level of it, with the values of DEVICE in
 * place of variables; an attribute of several values becomes `{a|b}`. MASK:
 * SIM identifiers as simid_mask() writes them. *missing is the name of a
 * variable that the device lacks ("attr.zone"), empty when it has all; a
 * missing one stays as it is written.
 */
size_t explain_expand(struct str text, const struct device *device, bool mask,
	char *out, size_t cap, struct str *missing);

/*
 * Writes the rule that would allow WHAT, which decide() refused to WHO as
 * DECISION says, in the policy's JSON: a string, or an object when limits
 * other than the defaults are needed. The device's id, SIM identifiers and
 * attributes become variables, so that the rule serves the class and gives
 * each device its own. When only a limit or a `$share` group stands against
 * it, it is the nearest rule, widened just so far, and *instead is that rule;
 * otherwise *instead is RULE_NONE. 0, and "": no rule would, the reason is
 * another or the template would not be valid.
 */
#define EXPLAIN_SUGGEST_CAP (2 * POLICY_TEMPLATE_MAX + 1024)
size_t explain_suggest(const struct policy *policy, const struct subject *who,
	const struct request *what, const struct decision *decision,
	uint32_t *instead, char out[static EXPLAIN_SUGGEST_CAP]);

/* The rule as written; lent until policy_free. NULL for RULE_NONE. */
const struct rule_spec *explain_rule(const struct policy *p, uint32_t rule);

/* Writes rule RULE in the policy's JSON, limits only where they are not the
 * defaults. */
size_t explain_rule_json(
	const struct policy *p, uint32_t rule, char *out, size_t cap);

/* The numbers of all rules, included ones too, by which C (NULL: the
 * quarantine) judges ACTION, ascending; *n of them. Given: free(). NULL: out
 * of memory. */
uint32_t *explain_rules(const struct policy *p, const struct policy_class *c,
	enum action action, size_t *n);

/* Writes the I-th client id that C allows, `${device}` as DEVICE's id (NULL:
 * as written); 0 when there are not as many. A '*' at the end stands for any
 * text. */
size_t explain_client_id(const struct policy_class *c, size_t i,
	const struct device *device, char *out, size_t cap);

/* The SIM identifiers that C requires: bit 1 << enum simid_kind. */
unsigned explain_sim_require(const struct policy_class *c);

#endif
