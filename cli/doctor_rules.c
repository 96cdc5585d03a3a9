/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_rules.h"

#define REMOVE RULE_REMOVE
#define BRIDGE RULE_BRIDGE
#define BYPASS                                                                 \
	"Mosquitto then admits by the certificate's name alone and never "     \
	"asks the plugin: a revoked device would connect"
#define SECOND                                                                 \
	"a second place that grants rights: it answers where the plugin is "   \
	"not loaded, and hides what the policy says"
#define PSK                                                                    \
	"a pre-shared key is no certificate: the plugin refuses whoever uses " \
	"it, and the listener no longer asks for one"
#define OLD "Mosquitto has given this directive up"

const struct rule RULES[] = {
	/* The way in. */
	{"use_identity_as_username", WANT_FALSE, SEVERITY_ERROR,
		"conf.identity", BYPASS, REMOVE},
	{"use_subject_as_username", WANT_FALSE, SEVERITY_ERROR, "conf.identity",
		BYPASS, REMOVE},
	{"use_username_as_clientid", WANT_FALSE, SEVERITY_ERROR,
		"conf.clientid",
		"the client id becomes the user name, before the plugin can "
		"ask whether it is the device's own",
		REMOVE},
	{"allow_anonymous", WANT_FALSE, SEVERITY_ERROR, "conf.anonymous",
		"whoever the plugin does not answer for is let in",
		"write: allow_anonymous false"},
	{"listener_allow_anonymous", WANT_FALSE, SEVERITY_ERROR,
		"conf.anonymous",
		"whoever the plugin does not answer for is let in", REMOVE},
	{"per_listener_settings", WANT_FALSE, SEVERITY_ERROR,
		"conf.per_listener",
		"Mosquitto 2.0 then loads the plugin once a listener and never "
		"calls its timer: no revocation reaches a live connection",
		"write: per_listener_settings false"},
	{"disable_client_cert_date_checks", WANT_FALSE, SEVERITY_WARNING,
		"conf.dates",
		"the broker takes expired certificates; the plugin alone is "
		"left to refuse them",
		REMOVE},
	{"enable_proxy_protocol", WANT_NOT, SEVERITY_ERROR, "conf.proxy",
		"the client's address, and perhaps its certificate, is what "
		"the connection claims",
		REMOVE},
	{"proxy_protocol_v2_require_tls", WANT_NOT, SEVERITY_ERROR,
		"conf.proxy",
		"the client's address, and perhaps its certificate, is what "
		"the connection claims",
		REMOVE},
	{"password_file", WANT_NOT, SEVERITY_ERROR, "conf.second", SECOND,
		REMOVE},
	{"acl_file", WANT_NOT, SEVERITY_ERROR, "conf.second", SECOND, REMOVE},
	{"psk_file", WANT_NOT, SEVERITY_ERROR, "conf.psk", PSK, REMOVE},
	{"psk_hint", WANT_NOT, SEVERITY_ERROR, "conf.psk", PSK, REMOVE},
	{"allow_zero_length_clientid", WANT_FALSE, SEVERITY_WARNING,
		"conf.empty_clientid",
		"the broker invents a client id for a client without one, and "
		"no class allows it",
		"write: allow_zero_length_clientid false"},
	{"auto_id_prefix", WANT_NOT, SEVERITY_WARNING, "conf.empty_clientid",
		"an invented client id that starts like a device's could be "
		"taken for it",
		REMOVE},
	{"listener_auto_id_prefix", WANT_NOT, SEVERITY_WARNING,
		"conf.empty_clientid",
		"an invented client id that starts like a device's could be "
		"taken for it",
		REMOVE},
	{"clientid_prefixes", WANT_NOT, SEVERITY_WARNING, "conf.prefixes",
		"the broker turns devices away before the plugin is asked, and "
		"nothing tells why",
		"remove the line; client_ids of the policy's classes do this"},
	{"mount_point", WANT_NOT, SEVERITY_WARNING, "conf.mount_point",
		"the plugin sees topics with the mount point in front: the "
		"policy's rules must begin with it, and `weir explain` is to "
		"be asked with it",
		"remove the line, or write the policy's rules for it"},
	{"check_retain_source", WANT_FALSE, SEVERITY_WARNING,
		"conf.retain_source",
		"before a retained message is delivered, Mosquitto asks in the "
		"name of whoever published it: retained messages of devices "
		"that are gone, retired or demoted are not delivered. A "
		"registry look-up each; nothing is let through by it",
		"write: check_retain_source false"},
	{"crlfile", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"user", WANT_OTHER, SEVERITY_ERROR, "", "", ""},
	{"plugin", WANT_OTHER, SEVERITY_ERROR, "", "", ""},
	{"auth_plugin", WANT_OTHER, SEVERITY_ERROR, "", "", ""},
	{"global_plugin", WANT_OTHER, SEVERITY_ERROR, "", "", ""},
	{"plugin_load", WANT_OTHER, SEVERITY_ERROR, "", "", ""},
	{"plugin_use", WANT_NOT, SEVERITY_ERROR, "conf.plugin_use",
		"a plugin that some listeners use and others do not guards "
		"some doors only",
		"load mosquitto_weir.so with `plugin`, for all listeners"},
	{"auth_plugin_deny_special_chars", WANT_BOOL, SEVERITY_NOTE, "", "",
		""},
	{"enable_control_api", WANT_FALSE, SEVERITY_WARNING, "conf.control",
		"the broker takes commands on $CONTROL topics",
		"remove the line, and keep $CONTROL out of the policy"},
	/* Bridges: one directive says what the others configure. */
	{"connection", WANT_NOT, SEVERITY_ERROR, "conf.bridge", BRIDGE,
		"remove the bridge; let a backend of its own class carry "
		"messages"},
	{"topic", WANT_NOT, SEVERITY_ERROR, "conf.bridge", BRIDGE, REMOVE},
	{"address", WANT_NOT, SEVERITY_ERROR, "conf.bridge", BRIDGE, REMOVE},
	{"addresses", WANT_NOT, SEVERITY_ERROR, "conf.bridge", BRIDGE, REMOVE},
	/* Limits. */
	{"max_queued_messages", WANT_POSITIVE, SEVERITY_ERROR, "conf.queue",
		"Mosquitto 2.0 takes 0 as a limit already reached, and closes "
		"a connection at each publish that is refused to it",
		"give a number above 0: 10000"},
	{"max_inflight_messages", WANT_POSITIVE, SEVERITY_WARNING,
		"conf.inflight",
		"without a limit, one slow backend's share of memory grows "
		"without bound",
		"give a number above 0: 100"},
	{"max_packet_size", WANT_POSITIVE, SEVERITY_WARNING, "conf.packet",
		"one packet may be 256 MB, held in memory before anybody is "
		"asked",
		"give the largest packet of your fleet: 1048576"},
	{"message_size_limit", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"max_connections", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"global_max_clients", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"global_max_connections", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"max_qos", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"maximum_qos", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"max_inflight_bytes", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"max_keepalive", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"max_queued_bytes", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"max_topic_alias", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"max_topic_alias_broker", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"memory_limit", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"packet_buffer_size", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"persistent_client_expiration", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"retain_expiry_interval", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"queue_qos0_messages", WANT_FALSE, SEVERITY_WARNING, "conf.qos0",
		"QoS 0 messages wait in memory for clients that are away",
		"write: queue_qos0_messages false"},
	/* Listeners; their values are looked at together. */
	{"listener", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"port", WANT_NOT, SEVERITY_NOTE, "conf.old",
		"an old way to write a listener", "write: listener PORT"},
	{"bind_address", WANT_NOT, SEVERITY_NOTE, "conf.old",
		"an old way to write a listener",
		"write: listener PORT ADDRESS"},
	{"bind_interface", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"socket_domain", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"protocol", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"accept_protocol_versions", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"http_dir", WANT_NOT, SEVERITY_ERROR, "conf.http",
		"the broker serves files to whoever has a certificate, and the "
		"plugin is not asked",
		REMOVE},
	{"cafile", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"capath", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"certfile", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"keyfile", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"require_certificate", WANT_OTHER, SEVERITY_ERROR, "", "", ""},
	{"tls_version", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"ciphers", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"ciphers_tls1.3", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"dhparamfile", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"tls_engine", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"tls_engine_kpass_sha1", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"tls_keyform", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"websockets_log_level", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"websockets_headers_size", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"websockets_origin", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	/* Housekeeping. */
	{"include_dir", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"set_tcp_nodelay", WANT_BOOL, SEVERITY_NOTE, "", "", ""},
	{"sys_interval", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"retain_available", WANT_BOOL, SEVERITY_NOTE, "", "", ""},
	{"upgrade_outgoing_qos", WANT_FALSE, SEVERITY_WARNING, "conf.upgrade",
		"messages are delivered with a QoS that the policy did not "
		"see",
		"write: upgrade_outgoing_qos false"},
	{"allow_duplicate_messages", WANT_NOT, SEVERITY_NOTE, "conf.old", OLD,
		REMOVE},
	{"retry_interval", WANT_NOT, SEVERITY_NOTE, "conf.old", OLD, REMOVE},
	{"autosave_interval", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"autosave_on_changes", WANT_FALSE, SEVERITY_WARNING, "conf.autosave",
		"the broker counts changes, not seconds, and saves all "
		"sessions while it serves nobody",
		"write: autosave_on_changes false"},
	{"persistence", WANT_BOOL, SEVERITY_NOTE, "", "", ""},
	{"retained_persistence", WANT_BOOL, SEVERITY_NOTE, "", "", ""},
	{"persistence_file", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"persistence_location", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"pid_file", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"log_dest", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"log_facility", WANT_NUMBER, SEVERITY_NOTE, "", "", ""},
	{"log_timestamp", WANT_BOOL, SEVERITY_NOTE, "", "", ""},
	{"log_timestamp_format", WANT_ANY, SEVERITY_NOTE, "", "", ""},
	{"log_type", WANT_OTHER, SEVERITY_NOTE, "", "", ""},
	{"connection_messages", WANT_BOOL, SEVERITY_NOTE, "", "", ""},
};
const size_t N_RULES = sizeof(RULES) / sizeof(RULES[0]);

const char *const BRIDGES[] = {
	"cleansession",
	"clientid",
	"idle_timeout",
	"keepalive_interval",
	"local_cleansession",
	"local_clientid",
	"local_password",
	"local_username",
	"notification_topic",
	"notifications",
	"notifications_local_only",
	"password",
	"remote_clientid",
	"remote_password",
	"remote_username",
	"restart_timeout",
	"round_robin",
	"start_type",
	"threshold",
	"try_private",
	"username",
};

const size_t N_BRIDGES = sizeof(BRIDGES) / sizeof(BRIDGES[0]);

const struct rule ABSENT[] = {
	{"allow_zero_length_clientid", WANT_ANY, SEVERITY_WARNING,
		"conf.empty_clientid",
		"is not set, and Mosquitto then invents a client id for a "
		"client without one; no class allows it",
		"add: allow_zero_length_clientid false"},
	{"max_packet_size", WANT_ANY, SEVERITY_WARNING, "conf.packet",
		"is not set: one packet may be 256 MB, held in memory before "
		"anybody is asked",
		"add: max_packet_size 1048576"},
	{"check_retain_source", WANT_ANY, SEVERITY_WARNING,
		"conf.retain_source",
		"is not set, and Mosquitto then asks in the name of the "
		"publisher before it delivers a retained message: those of "
		"devices that are gone are not delivered",
		"add: check_retain_source false"},
	{"persistent_client_expiration", WANT_ANY, SEVERITY_WARNING,
		"conf.expiration",
		"is not set: sessions of devices that never come back, and "
		"what waits in them, are kept for ever",
		"add: persistent_client_expiration 60d"},
};
const size_t N_ABSENT = sizeof(ABSENT) / sizeof(ABSENT[0]);
