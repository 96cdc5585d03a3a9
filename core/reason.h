/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a decision fell as it did. One table yields the enum, the name (in
 * logs, JSON and metrics), the sentence for people and docs/POLICY.md's list
 * (a test compares). To add a reason: one line here, and what decides it.
 */
#ifndef CORE_REASON_H
#define CORE_REASON_H

#include "core/str.h"

/* X(constant, name, sentence) */
#define REASONS(X)                                                             \
	X(UNAVAILABLE, unavailable, "Weir could not tell: fail closed")        \
	X(ALLOWED, allowed, "a rule allows it")                                \
	X(NO_CERTIFICATE, no_certificate,                                      \
		"the connection showed no client certificate")                 \
	X(UNKNOWN_CERTIFICATE, unknown_certificate,                            \
		"the certificate is not registered")                           \
	X(CERTIFICATE_REVOKED, certificate_revoked,                            \
		"the certificate, or its key, is revoked")                     \
	X(CERTIFICATE_EXPIRED, certificate_expired,                            \
		"now is outside the certificate's validity")                   \
	X(CERTIFICATE_INVALID, certificate_invalid,                            \
		"the certificate states its identity malformed or twice")      \
	X(DEVICE_SUSPENDED, device_suspended, "the device is suspended")       \
	X(DEVICE_RETIRED, device_retired, "the device is retired")             \
	X(CLASS_UNKNOWN, class_unknown,                                        \
		"the policy in force does not have the device's class")        \
	X(CLIENT_ID_MISMATCH, client_id_mismatch,                              \
		"the class does not allow this client id to the device")       \
	X(SIM_MISMATCH, sim_mismatch,                                          \
		"a SIM identifier differs from the registered one or is "      \
		"missing")                                                     \
	X(NO_RULE, no_rule, "no rule of the class matches")                    \
	X(FILTER_TOO_WIDE, filter_too_wide,                                    \
		"the filter can match topics that no rule allows")             \
	X(QOS, qos, "the rules that match allow a lower QoS only")             \
	X(RETAIN, retain, "the rules that match do not allow retain")          \
	X(SIZE, size, "the payload is larger than the rules that match allow") \
	X(RESPONSE_TOPIC, response_topic,                                      \
		"the Response Topic is not one the device may receive")        \
	X(RATE, rate, "more than the class's limits allow at a time")          \
	X(QUOTA, quota,                                                        \
		"more than the class's limits allow in 24 hours, or too many " \
		"subscriptions")                                               \
	X(QUARANTINED, quarantined,                                            \
		"the device is in quarantine, whose allowlist refuses it")     \
	X(SESSION_STALE, session_stale,                                        \
		"the session may hold QoS 2 messages from before the device "  \
		"lost a right: connect with a clean session")                  \
	X(MALFORMED, malformed, "not a valid topic, filter or client id")

/* Zero is UNAVAILABLE: a reason that nobody set denies. */
enum reason {
#define REASON_ENUM(c, name, text) REASON_##c,
	REASONS(REASON_ENUM)
#undef REASON_ENUM
		REASON_COUNT
};

/* The name of R; "unavailable" for a number that is no reason. Static. */
const char *reason_name(enum reason r);

/* The sentence of R, for people. Static. */
const char *reason_text(enum reason r);

#endif
