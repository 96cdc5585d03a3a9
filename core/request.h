/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of a policy, and what the answer looks like.
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include "core/reason.h"
#include "core/str.h"

#include <stdbool.h>
#include <stdint.h>

struct subscription;

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

/* OBSERVED: allowed because it is only observed; enforcing would have refused
 * it, and the reason says why. */
enum verdict {
	VERDICT_REFUSED = 0,
	VERDICT_ALLOWED,
	VERDICT_OBSERVED,
};

/* "refused", "allowed", "observed". Static. */
const char *verdict_name(enum verdict v);

/*
 * What is asked.
 *
 * topic        publish and receive: the topic; subscribe: the filter;
 *              connect: the MQTT client id. Borrowed
 * qos          0..2; more is never allowed. Receive: not looked at (the broker
 *              shows the publisher's)
 * retain, payload_len  publish only; bytes
 * now_s        Unix time, for the certificate's validity and the day's quota
 * now_ns       of any clock that does not jump, for the rates
 * subscription subscribe: which one it would be, for their limit; or NULL
 */
struct request {
	enum action action;
	uint8_t qos;
	bool retain;
	uint32_t payload_len;
	struct str topic;
	int64_t now_s;
	int64_t now_ns;
	const struct subscription *subscription;
};

/*
 * rule: for allowed publish and receive (and subscribe when a single rule
 * covers it) the rule that allows; for a refusal by qos, retain or size the
 * rule that matched; for no_rule and filter_too_wide the nearest rule: the
 * first one below the deepest trie node that the topic reached. RULE_NONE
 * otherwise.
 */
struct decision {
	uint8_t verdict; /* enum verdict */
	uint8_t reason;  /* enum reason */
	uint32_t rule;
};

#endif
