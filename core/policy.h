/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy: what each class of devices may publish and subscribe to.
 *
 * A struct policy_spec is the policy as written, in plain data; whoever reads
 * the text (io/policy_json.h) fills it. policy_compile() checks all of it and
 * makes the immutable struct policy that decide() walks: per class one trie
 * for publishing and one for subscribing.
 *
 * A rule's topic is a template: an MQTT filter whose levels may hold
 * `${device}`, `${class}`, `${iccid}`, `${imsi}`, `${imei}`, `${eid}` and
 * `${attr.NAME}`, alone or with literal text around. A rule whose variable the
 * device lacks matches nothing. An attribute of several values makes the rule
 * serve each value in turn: the same value wherever the rule names it.
 *
 * Limits, so that the cost of a decision has a bound that policy_compile()
 * proves: a policy beyond them is refused, with the place.
 */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "core/device.h"
#include "core/err.h"
#include "core/limit.h"
#include "core/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_CLASSES_MAX  1024
#define POLICY_RULES_MAX    65536 /* of a class and direction, with includes */
#define POLICY_LEVELS_MAX   32    /* of a template */
#define POLICY_TEMPLATE_MAX 1024  /* bytes */
#define POLICY_INCLUDES_MAX 16    /* listed by one class */
#define POLICY_GROUPS_MAX   64    /* $share groups of a rule */
#define POLICY_NODES_MAX    64    /* trie nodes that one decision may visit */
#define POLICY_BYTES_MAX    (UINT32_C(268435455)) /* MQTT's largest packet */

/* ------------------------------------------------------- as it is written */

struct rule_spec {
	struct str topic;         /* the template */
	uint8_t max_qos;          /* 0..2. Defaults: publish 1, subscribe 2 */
	bool retain;              /* publish only. Default: false */
	uint32_t max_bytes;       /* publish only. Default: POLICY_BYTES_MAX */
	const struct str *shared; /* subscribe only: $share groups served */
	size_t n_shared;
};

enum on_deny {
	ON_DENY_DROP = 0,
	ON_DENY_DISCONNECT,
};

struct class_spec {
	struct str name;
	const struct rule_spec *publish, *subscribe;
	size_t n_publish, n_subscribe;
	const struct str *client_ids; /* none given: ${device} alone */
	size_t n_client_ids;
	const struct str *include; /* other classes, whose rules come after */
	size_t n_include;
	struct limits limits;
	enum on_deny on_deny;
	uint8_t sim_require; /* bit 1 << enum simid_kind */
	bool observe; /* its rules are observed, not enforced: decide() */
	bool enforce; /* it says so, whatever the whole broker does */
};

/* Who answers what the whole broker only observes: the broker's own rules
 * (acl_file, password_file), or yes. */
enum fallback {
	FALLBACK_BROKER = 0,
	FALLBACK_ALLOW,
};

struct policy_spec {
	const struct class_spec *classes;
	size_t n_classes;
	/* The allowlist of devices in quarantine; its name is empty and only
	 * its rules count. */
	struct class_spec quarantine;
	bool observe; /* the whole broker, connects included: decide() */
	bool has_fallback;
	enum fallback fallback;
	/* The class of verified certificates that the registry does not know
	 * and that are taken in by their CN; no bytes (NULL): none are. */
	struct str unknown;
};

/* ------------------------------------------------------------ as compiled */

struct policy;
struct policy_class;

/*
 * Checks SPEC (borrowed) and compiles it. *out is given: policy_free. False:
 * out of memory or ERRS holds up to ERRS_MAX problems (ERR_INPUT), each with
 * its place as policy_rule_place() writes it; then *out is untouched.
 *
 * Refused, with the reason: a name, template, variable or client id that is
 * not valid; two classes of one name; a rule that can match nothing; the same
 * rule twice in a list; an include that is missing or circular; an attribute
 * variable twice within one level; a class whose decisions could visit more
 * than POLICY_NODES_MAX nodes. O(total length of the rules × log).
 */
MUST bool policy_compile(
	const struct policy_spec *spec, struct policy **out, struct errs *errs);
void policy_free(struct policy **p);

/* The class of that name, lent until policy_free; NULL if there is none.
 * O(log classes). */
const struct policy_class *policy_class_find(
	const struct policy *p, struct str name);
size_t policy_n_classes(const struct policy *p);
/* The I-th class in the order of the text. */
const struct policy_class *policy_class_at(const struct policy *p, size_t i);

/* Which of them C is. */
size_t policy_class_index(const struct policy *p, const struct policy_class *c);

struct str policy_class_name(const struct policy_class *c);
enum on_deny policy_class_on_deny(const struct policy_class *c);
/* Its limits, lent; NULL when there are none. */
const struct limits *policy_class_limits(const struct policy_class *c);
/* True when there is one by which requests are refused, so that decide() wants
 * to know what the device has used. */
bool policy_class_limited(const struct policy_class *c);
bool policy_class_observes(const struct policy_class *c);
/* True when the whole broker observes devices of class C (NULL: of none that
 * the policy has): all do but those of a class that says it enforces. */
bool policy_observes(const struct policy *p, const struct policy_class *c);
enum fallback policy_fallback(const struct policy *p);
/* The class that unknown certificates are taken into; empty: they are not. */
struct str policy_unknown(const struct policy *p);
/* True when some rule lets QoS 2 in, or observing does: such a class must not
 * resume a session after losing rights. */
bool policy_class_qos2(const struct policy_class *c);
/* True when some publish rule bounds the payload. */
bool policy_class_sized(const struct policy_class *c);
/* True when a device of C has one client id, and no other. */
bool policy_class_one_session(const struct policy_class *c);
/* The most trie nodes that one decision about a device of C can visit: an
 * upper bound, at most POLICY_NODES_MAX. */
unsigned policy_class_worst(const struct policy_class *c);

/* A rule of a policy, by its number there: what a decision points at. */
#define RULE_NONE UINT32_MAX

/* Writes where rule RULE stands: "classes.meter.publish[2]", or
 * "quarantine.subscribe[0]". An included rule's place is where it is written.
 * Returns the length, 0 for RULE_NONE. out is NUL terminated. */
#define RULE_PLACE_MAX (CLASS_NAME_MAX + 48)
size_t policy_rule_place(
	const struct policy *p, uint32_t rule, char out[static RULE_PLACE_MAX]);
/* How many rules there are: their numbers are less. */
uint32_t policy_n_rules(const struct policy *p);
/* The class that a rule is written in; NULL: the quarantine. */
const struct policy_class *policy_rule_class(
	const struct policy *p, uint32_t rule);
/* True for a subscribe rule. */
bool policy_rule_subscribes(const struct policy *p, uint32_t rule);
/* The template as written, lent until policy_free; empty for RULE_NONE. */
struct str policy_rule_topic(const struct policy *p, uint32_t rule);

/*
 * Rules that another rule of the same list covers wholly, with limits at
 * least as wide: each a note for `weir policy check`. Calls EACH with the
 * needless rule and one that covers it. O(rules²): for checks.
 */
void policy_redundant(const struct policy *p,
	void (*each)(void *ctx, uint32_t rule, uint32_t by), void *ctx);

#endif
