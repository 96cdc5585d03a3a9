/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directives of a mosquitto.conf: an allowlist. What stands in neither
 * table is a finding: a directive that doctor does not know may be a way
 * around the guard.
 */
#include "cli/doctor.h"

#include "cli/output.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum want {
	WANT_ANY = 0,  /* harmless with any value */
	WANT_BOOL,     /* harmless either way, if it is one */
	WANT_FALSE,    /* true is the finding */
	WANT_TRUE,     /* false is the finding */
	WANT_NUMBER,   /* a number */
	WANT_POSITIVE, /* 0 and below is the finding */
	WANT_NOT,      /* being there is the finding */
	WANT_OTHER,    /* looked at elsewhere */
};

struct rule {
	const char *name;
	enum want want;
	enum severity severity;
	const char *check, *why, *remedy;
};

#define REMOVE "remove the line"
#define BYPASS                                                                 \
	"Mosquitto then admits by the certificate's name alone and never "     \
	"asks the plugin: a revoked device would connect"
#define BRIDGE                                                                 \
	"a bridge connects brokers behind the plugin's back: what it brings "  \
	"in is no device's, and no rule of the policy is asked"
#define SECOND                                                                 \
	"a second place that grants rights: it answers where the plugin is "   \
	"not loaded, and hides what the policy says"
#define PSK                                                                    \
	"a pre-shared key is no certificate: the plugin refuses whoever uses " \
	"it, and the listener no longer asks for one"
#define OLD "Mosquitto has given this directive up"

static const struct rule RULES[] = {
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
#define N_RULES (sizeof(RULES) / sizeof(RULES[0]))

/* What a bridge's section may hold besides: all of it is the bridge's. */
static const char *const BRIDGES[] = {
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

/* What is said when a directive is not there: Mosquitto's default counts. */
static const struct rule ABSENT[] = {
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

/* ------------------------------------------------------------------- reading */

const struct broker_line *doctor_line(
	const struct broker_conf *conf, const char *name)
{
	for (size_t i = conf->n; i-- > 0;) {
		if (str_eq(conf->lines[i].name, str_from(name)))
			return &conf->lines[i];
	}
	return NULL;
}

bool doctor_is_true(const struct broker_line *l)
{
	struct str v;

	if (l == NULL)
		return false;
	v = broker_word(l->value);
	return str_eq(v, STR("true")) || str_eq(v, STR("1"));
}

static bool is_false(const struct broker_line *l)
{
	struct str v = broker_word(l->value);

	return str_eq(v, STR("false")) || str_eq(v, STR("0"));
}

static bool is_number(const struct broker_line *l, bool *positive)
{
	struct str v = broker_word(l->value);
	bool minus = v.n != 0 && v.p[0] == '-';
	size_t i = minus;

	*positive = false;
	for (; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		*positive = *positive || (v.p[i] != '0' && !minus);
	}
	return i > minus && v.n <= 18;
}

/* ----------------------------------------------------------------- directives */

/* NULL: the value is fine; else what is wrong with its form. */
static const char *form(const struct rule *r, const struct broker_line *l)
{
	bool positive;

	switch (r->want) {
	case WANT_BOOL:
	case WANT_FALSE:
	case WANT_TRUE:
		return doctor_is_true(l) || is_false(l)
			       ? NULL
			       : "neither true nor false, so the broker does "
				 "not start";
	case WANT_NUMBER:
	case WANT_POSITIVE:
		return is_number(l, &positive)
			       ? NULL
			       : "no number: Mosquitto reads 0, or what stands "
				 "before the first letter";
	case WANT_ANY:
	case WANT_NOT:
	case WANT_OTHER:
		break;
	}
	return l->value.n != 0 ? NULL : "without a value";
}

static bool offends(const struct rule *r, const struct broker_line *l)
{
	bool positive = false;

	switch (r->want) {
	case WANT_FALSE:
		return doctor_is_true(l);
	case WANT_TRUE:
		return is_false(l);
	case WANT_POSITIVE:
		return is_number(l, &positive) && !positive;
	case WANT_NOT:
		return true;
	case WANT_ANY:
	case WANT_BOOL:
	case WANT_NUMBER:
	case WANT_OTHER:
		break;
	}
	return false;
}

static const struct rule *find_rule(struct str name)
{
	for (size_t i = 0; i < N_RULES; i++) {
		if (str_eq(str_from(RULES[i].name), name))
			return &RULES[i];
	}
	return NULL;
}

static bool starts(struct str s, const char *with)
{
	size_t n = strlen(with);

	return s.n >= n && memcmp(s.p, with, n) == 0;
}

static bool is_bridges(struct str name)
{
	if (starts(name, "bridge_"))
		return true;
	for (size_t i = 0; i < sizeof(BRIDGES) / sizeof(BRIDGES[0]); i++) {
		if (str_eq(str_from(BRIDGES[i]), name))
			return true;
	}
	return false;
}

static void unknown(
	struct doctor *d, const struct broker_line *l, const char *place)
{
	const char *names[N_RULES], *near;
	char name[64];

	if (starts(l->name, "plugin_opt_") || starts(l->name, "auth_opt_"))
		return;
	if (is_bridges(l->name)) {
		doctor_find(d, SEVERITY_ERROR, "conf.bridge", place, REMOVE,
			"%.*s: %s", STR_ARG(l->name), BRIDGE);
		return;
	}
	for (size_t i = 0; i < N_RULES; i++)
		names[i] = RULES[i].name;
	(void)snprintf(name, sizeof(name), "%.*s",
		l->name.n < 63 ? (int)l->name.n : 63, l->name.p);
	near = nearest_name(name, names, N_RULES);
	doctor_find(d, SEVERITY_ERROR, "conf.unknown", place,
		"remove the line, or write it as mosquitto.conf(5) has it",
		"'%s' is no directive that weir knows%s%s; it could be a way "
		"around the guard",
		name, near != NULL ? ", did you mean " : "",
		near != NULL ? near : "");
}

static void check_line(struct doctor *d, const struct broker_conf *conf,
	const struct broker_line *l)
{
	const struct rule *r = find_rule(l->name);
	char place[PLACE_MAX];
	const char *bad;

	doctor_place(conf, l, place);
	if (r == NULL) {
		unknown(d, l, place);
		return;
	}
	bad = form(r, l);
	if (bad != NULL)
		doctor_find(d, SEVERITY_ERROR, "conf.value", place,
			"write the value as mosquitto.conf(5) has it",
			"%s: '%.*s' is %s", r->name,
			l->value.n < 64 ? (int)l->value.n : 64,
			l->value.n != 0 ? l->value.p : "", bad);
	else if (offends(r, l))
		doctor_find(d, r->severity, r->check, place, r->remedy,
			"%s: %s", r->name, r->why);
}

/* --------------------------------------------------------- two or more lines */

static void check_absent(struct doctor *d, const struct broker_conf *conf)
{
	for (size_t i = 0; i < sizeof(ABSENT) / sizeof(ABSENT[0]); i++) {
		const struct rule *r = &ABSENT[i];

		if (doctor_line(conf, r->name) == NULL)
			doctor_find(d, r->severity, r->check, conf->files[0],
				r->remedy, "%s %s", r->name, r->why);
	}
}

static void check_includes(struct doctor *d, const struct broker_conf *conf)
{
	char place[PLACE_MAX];

	for (size_t i = 0; i < conf->n; i++) {
		const struct broker_line *l = &conf->lines[i];

		if (l->file == 0 || !str_eq(l->name, STR("include_dir")))
			continue;
		doctor_place(conf, l, place);
		doctor_find(d, SEVERITY_ERROR, "conf.include", place,
			"move the line into the main file",
			"include_dir does nothing in an included file of "
			"Mosquitto 2.0, and is an error in 2.1");
	}
}

/* The plugin's user is decided by weir init; the file must not say another. */
static void check_user(struct doctor *d, const struct broker_conf *conf)
{
	const struct broker_line *l = doctor_line(conf, "user");
	struct str user = l != NULL ? l->value : STR("mosquitto");
	char place[PLACE_MAX];

	if (l != NULL)
		doctor_place(conf, l, place);
	else
		(void)snprintf(place, sizeof(place), "%s", conf->files[0]);
	if (str_eq(user, STR("root")))
		doctor_find(d, SEVERITY_ERROR, "conf.user", place,
			"write: user mosquitto",
			"a broker that stays root can write the registry and "
			"read every key: whoever breaks into it owns the "
			"machine");
	else if (d->broker_known && geteuid() == 0 &&
		 !str_eq(user, str_from(d->broker.name)))
		doctor_find(d, SEVERITY_ERROR, "conf.user", place,
			"run: weir init --broker-user USER",
			"the broker will run as %.*s, but the state directory "
			"is made for %s",
			STR_ARG(user), d->broker.name);
}

void doctor_conf(struct doctor *d, const struct broker_conf *conf)
{
	for (size_t i = 0; i < conf->n; i++)
		check_line(d, conf, &conf->lines[i]);
	check_absent(d, conf);
	check_includes(d, conf);
	check_user(d, conf);
}
