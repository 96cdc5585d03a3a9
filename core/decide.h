/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict. decide() is the only place in Weir that says yes: the broker,
 * `weir explain` and the tests call it.
 */
#ifndef CORE_DECIDE_H
#define CORE_DECIDE_H

#include "core/certificate.h"
#include "core/device.h"
#include "core/policy.h"
#include "core/reason.h"

#include <stdbool.h>
#include <stdint.h>

/* Zero is no action: refused. */
enum action {
	ACTION_NONE = 0,
	ACTION_CONNECT,
	ACTION_PUBLISH,   /* from the device; its will too */
	ACTION_SUBSCRIBE, /* topic is the requested filter, $share and all */
	ACTION_RECEIVE,   /* one delivery to the device */
};

/* "connect", …; "none". Static. */
const char *action_name(enum action a);
/* The action of that name, or ACTION_NONE. */
enum action action_find(struct str name);

enum verdict {
	VERDICT_REFUSED = 0,
	VERDICT_ALLOWED,
};

/*
 * Who asks. All pointers are borrowed for the call.
 *
 * device     NULL: the registry knows no device for the connection
 * class      the device's class in the policy that is asked; NULL: the policy
 *            has none of that name
 * certificate  NULL: the connection showed none
 * credential what the registry says of the certificate
 * key_barred the certificate's key was revoked as compromised
 * barred     REASON_ALLOWED, or why this connection has lost all its rights
 *            since it was admitted (publish, subscribe and receive only)
 */
struct subject {
	const struct device *device;
	const struct policy_class *class;
	const struct certificate *certificate;
	enum credential_status credential;
	bool key_barred;
	enum reason barred;
};

/*
 * What is asked.
 *
 * topic        publish and receive: the topic; subscribe: the filter;
 *              connect: the MQTT client id. Borrowed
 * qos          0..2. Receive: not looked at (the broker shows the publisher's)
 * retain, payload_len  publish only; bytes
 * now_s        Unix time, for the certificate's validity
 */
struct request {
	enum action action;
	uint8_t qos;
	bool retain;
	uint32_t payload_len;
	struct str topic;
	int64_t now_s;
};

/*
 * rule: for allowed publish and receive (and subscribe when a single rule
 * covers it) the rule that allows; for a refusal by qos, retain or size the
 * rule that matched; for no_rule and filter_too_wide the nearest rule: the
 * first one below the deepest trie node that the topic reached. RULE_NONE
 * otherwise.
 */
struct decision {
	enum verdict verdict;
	enum reason reason;
	uint32_t rule;
};

/*
 * The verdict on WHAT, asked by WHO under POLICY.
 *
 * Connect, in this order, the first that fails is the reason: a certificate
 * is there (no_certificate), is usable (certificate_invalid), is registered
 * (unknown_certificate), is not revoked nor its key barred
 * (certificate_revoked), now_s lies within its validity
 * (certificate_expired); the device is there (unknown_certificate), is not
 * suspended (device_suspended) nor retired (device_retired); the policy has
 * its class (class_unknown); every SIM identifier that the certificate states
 * is the device's, and the device has every one the class requires
 * (sim_mismatch); the client id is one the class allows (malformed,
 * client_id_mismatch).
 *
 * Publish, subscribe, receive: barred; the certificate's validity; the status
 * (a device in quarantine is judged by the policy's quarantine allowlist and
 * what that refuses is `quarantined`); the class; the topic's form
 * (malformed); the rules.
 *
 * Allocates nothing, takes no lock, does no I/O. Budget for publish and
 * receive: 200 instructions for a three-level topic of 24 bytes whatever the
 * number of rules; at worst POLICY_NODES_MAX trie nodes.
 */
struct decision decide(const struct policy *policy, const struct subject *who,
	const struct request *what);

#endif
