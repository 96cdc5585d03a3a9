/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of a policy's text: one table from which the reader
 * (io/policy_json.c) is made and against which tests hold the JSON Schema
 * (broker-conf/policy.schema.json) and docs/POLICY.md.
 *
 * X(key, required, function that takes its value)
 * R(key, why it is refused): keys that are planned, or belong elsewhere. To
 * accept a limit without enforcing it would fail open.
 */
#ifndef IO_POLICY_KEYS_H
#define IO_POLICY_KEYS_H

#define POLICY_TOP_KEYS(X)                                                     \
	X("version", true, take_version)                                       \
	X("classes", true, take_classes)                                       \
	X("quarantine", false, take_quarantine)                                \
	X("mode", false, take_broker_mode)                                     \
	X("fallback", false, take_fallback)                                    \
	X("unknown", false, take_unknown)                                      \
	X("$schema", false, take_comment)                                      \
	X("comment", false, take_comment)

#define POLICY_UNKNOWN_KEYS(X)                                                 \
	X("class", true, take_unknown_class)                                   \
	X("id", true, take_unknown_id)                                         \
	X("comment", false, take_comment)

#define POLICY_CLASS_KEYS(X)                                                   \
	X("publish", false, take_publish)                                      \
	X("subscribe", false, take_subscribe)                                  \
	X("client_ids", false, take_client_ids)                                \
	X("include", false, take_include)                                      \
	X("sim", false, take_sim)                                              \
	X("on_deny", false, take_on_deny)                                      \
	X("limits", false, take_limits)                                        \
	X("mode", false, take_mode)                                            \
	X("comment", false, take_comment)

/* Those of LIMITS_TABLE in core/limit.h: a limit without a key would leave its
 * take_… function unused, which does not compile. */
#define POLICY_LIMITS_KEYS(X)                                                  \
	X("messages_per_s", false, take_messages_per_s)                        \
	X("bytes_per_s", false, take_bytes_per_s)                              \
	X("bytes_per_day", false, take_bytes_per_day)                          \
	X("connects_per_min", false, take_connects_per_min)                    \
	X("subscribes_per_s", false, take_subscribes_per_s)                    \
	X("subscriptions", false, take_subscriptions)                          \
	X("refusals_per_s", false, take_refusals_per_s)                        \
	X("comment", false, take_comment)

#define POLICY_QUARANTINE_KEYS(X)                                              \
	X("publish", false, take_publish)                                      \
	X("subscribe", false, take_subscribe)                                  \
	X("comment", false, take_comment)

#define POLICY_QUARANTINE_ONLY                                                 \
	"quarantine has rules only, written out; the rest is for a class to "  \
	"say; remove the key"

#define POLICY_QUARANTINE_REFUSED(R)                                           \
	R("client_ids", POLICY_QUARANTINE_ONLY)                                \
	R("include", POLICY_QUARANTINE_ONLY)                                   \
	R("sim", POLICY_QUARANTINE_ONLY)                                       \
	R("on_deny", POLICY_QUARANTINE_ONLY)                                   \
	R("mode", POLICY_QUARANTINE_ONLY)                                      \
	R("limits", POLICY_QUARANTINE_ONLY)

#define POLICY_PUBLISH_KEYS(X)                                                 \
	X("topic", true, take_topic)                                           \
	X("max_qos", false, take_max_qos)                                      \
	X("retain", false, take_retain)                                        \
	X("max_bytes", false, take_max_bytes)                                  \
	X("comment", false, take_comment)

#define POLICY_PUBLISH_REFUSED(R)                                              \
	R("shared", "only a subscribe rule serves $share groups; remove the "  \
		    "key")

#define POLICY_SUBSCRIBE_KEYS(X)                                               \
	X("topic", true, take_topic)                                           \
	X("max_qos", false, take_max_qos)                                      \
	X("shared", false, take_shared)                                        \
	X("comment", false, take_comment)

#define POLICY_SUBSCRIBE_REFUSED(R)                                            \
	R("retain", "only a publish rule can say retain; remove the key")      \
	R("max_bytes", "only a publish rule can limit bytes; remove the key")

#define POLICY_SIM_KEYS(X)                                                     \
	X("require", true, take_require)                                       \
	X("comment", false, take_comment)

#define POLICY_SIM_REFUSED(R)                                                  \
	R("session",                                                           \
		"this version of Weir does not compare live SIM sessions; "    \
		"remove the key")                                              \
	R("countries", "this version of Weir does not know a SIM's country; "  \
		       "remove the key")                                       \
	R("stale", "this version of Weir does not compare live SIM sessions; " \
		   "remove the key")

#endif
