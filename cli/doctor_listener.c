/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listeners of a mosquitto.conf, and the plugin that guards them.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "cli/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIR_SO       "mosquitto_weir.so"
#define STATE_DEFAULT "/var/lib/weir"

/* Where each directive of a listener goes; NOWHERE: it is one, and nothing of
 * it is looked at here. */
#define NOWHERE SIZE_MAX
static const struct {
	const char *name;
	size_t at;
} FIELDS[] = {
	{"cafile", offsetof(struct listener, cafile)},
	{"capath", offsetof(struct listener, capath)},
	{"certfile", offsetof(struct listener, certfile)},
	{"keyfile", offsetof(struct listener, keyfile)},
	{"require_certificate", offsetof(struct listener, require_certificate)},
	{"tls_version", offsetof(struct listener, tls_version)},
	{"crlfile", offsetof(struct listener, crlfile)},
	{"psk_hint", offsetof(struct listener, psk_hint)},
	{"protocol", offsetof(struct listener, protocol)},
	{"max_qos", offsetof(struct listener, max_qos)},
	{"maximum_qos", offsetof(struct listener, max_qos)},
	{"max_connections", offsetof(struct listener, max_connections)},
	{"port", NOWHERE},
	{"bind_address", NOWHERE},
	{"bind_interface", offsetof(struct listener, bind_interface)},
	{"socket_domain", NOWHERE},
	{"ciphers", NOWHERE},
	{"ciphers_tls1.3", NOWHERE},
	{"dhparamfile", NOWHERE},
	{"tls_engine", NOWHERE},
	{"tls_engine_kpass_sha1", NOWHERE},
	{"tls_keyform", NOWHERE},
	{"use_identity_as_username", NOWHERE},
	{"use_subject_as_username", NOWHERE},
	{"use_username_as_clientid", NOWHERE},
};

/* Takes L into OUT if it is a listener's. */
static void take(struct listener *out, const struct broker_line *l)
{
	if (str_eq(l->name, STR("listener"))) {
		struct str port = broker_word(l->value);

		out->first = l;
		out->is_unix = str_eq(port, STR("0"));
		out->has_address = port.n < l->value.n;
		return;
	}
	for (size_t i = 0; i < sizeof(FIELDS) / sizeof(FIELDS[0]); i++) {
		if (!str_eq(str_from(FIELDS[i].name), l->name))
			continue;
		if (out->first == NULL)
			out->first = l;
		if (FIELDS[i].at != NOWHERE)
			*(const struct broker_line **)(void *)((char *)out +
							       FIELDS[i].at) =
				l;
		return;
	}
}

void doctor_listener(
	const struct broker_conf *conf, uint32_t number, struct listener *out)
{
	*out = (struct listener){.is_default = number == 0};
	for (size_t i = 0; i < conf->n; i++) {
		if (conf->lines[i].listener == number)
			take(out, &conf->lines[i]);
	}
}

/* ------------------------------------------------------------ one listener */

/* Severity, check, what is missing or wrong, remedy. */
struct verdict {
	bool bad;
	enum severity severity;
	const char *check, *why, *remedy;
};

static bool value_is(const struct broker_line *l, const char *text)
{
	return l != NULL && str_eq(broker_word(l->value), str_from(text));
}

static void judge(
	struct doctor *d, const char *place, const struct verdict *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].bad)
			doctor_find(d, v[i].severity, v[i].check, place,
				v[i].remedy, "%s", v[i].why);
	}
}

static void check_tls(
	struct doctor *d, const struct listener *l, const char *place)
{
	bool tls = l->certfile != NULL && l->keyfile != NULL;
	bool known = value_is(l->tls_version, "tlsv1.2") ||
		     value_is(l->tls_version, "tlsv1.3");
	const struct verdict v[] = {
		{l->is_unix, SEVERITY_ERROR, "listener.unix",
			"a Unix socket has no certificates: nobody on it can "
			"be a device",
			"remove the listener"},
		{!l->is_unix && !tls, SEVERITY_ERROR, "listener.plaintext",
			"this listener speaks without TLS: certfile and "
			"keyfile must both stand behind it",
			"add certfile and keyfile behind its line, or remove "
			"the listener"},
		{!l->is_unix && l->cafile == NULL && l->capath == NULL,
			SEVERITY_ERROR, "listener.no_ca",
			"no cafile: no certificate can be verified",
			"add: cafile /etc/weir/ca.crt"},
		{!l->is_unix && !doctor_is_true(l->require_certificate),
			SEVERITY_ERROR, "listener.no_certificate",
			"this listener does not ask for a certificate, so that "
			"the broker's password and anonymous rules decide "
			"before the plugin can know a device",
			"add: require_certificate true"},
		{tls && l->tls_version == NULL, SEVERITY_WARNING,
			"listener.tls_version",
			"no tls_version: Mosquitto 2.0 then speaks TLS 1.1",
			"add: tls_version tlsv1.2"},
		{l->tls_version != NULL && !known, SEVERITY_ERROR,
			"listener.tls_version",
			"a tls_version below 1.2 is broken, and any but "
			"tlsv1.2 and tlsv1.3 keeps the broker from starting",
			"write: tls_version tlsv1.2"},
	};

	judge(d, place, v, sizeof(v) / sizeof(v[0]));
}

static void check_protocol(
	struct doctor *d, const struct listener *l, const char *place)
{
	bool web = value_is(l->protocol, "websockets");
	const struct verdict v[] = {
		{l->protocol != NULL && !web && !value_is(l->protocol, "mqtt"),
			SEVERITY_ERROR, "listener.protocol",
			"a protocol that the plugin does not guard",
			"write: protocol mqtt"},
		{web && l->crlfile != NULL, SEVERITY_ERROR,
			"listener.crl_websockets",
			"Mosquitto 2.0 does not apply crlfile to WebSocket "
			"listeners, and crashes on a reload with both",
			"remove crlfile; weir cert revoke works at once, on "
			"every listener"},
		{web && l->cafile == NULL && l->capath != NULL, SEVERITY_ERROR,
			"listener.capath_websockets",
			"Mosquitto 2.0 does not apply capath to WebSocket "
			"listeners: no certificate can be verified",
			"write cafile instead of capath"},
		{web && (l->has_address || l->bind_interface != NULL),
			SEVERITY_WARNING, "listener.websockets_address",
			"Mosquitto 2.0 opens a WebSocket listener on every "
			"address of the machine, and minds neither the address "
			"nor bind_interface",
			"keep the port from other networks with a firewall"},
		{web, SEVERITY_NOTE, "listener.websockets",
			"Mosquitto 2.0 does not apply tls_version to a "
			"WebSocket listener",
			"leave it out when no device needs it"},
		{!web && l->crlfile != NULL, SEVERITY_NOTE, "listener.crl",
			"crlfile is a second place that revokes, and is read "
			"at a start or reload only",
			"remove crlfile; weir cert revoke works at once"},
		{l->max_qos == NULL, SEVERITY_WARNING, "listener.max_qos",
			"no max_qos: what the listener takes is not said",
			"add: max_qos 2, or what the fleet uses at most"},
		{l->max_connections == NULL ||
				(l->max_connections->value.n != 0 &&
					l->max_connections->value.p[0] == '-'),
			SEVERITY_WARNING, "listener.max_connections",
			"no max_connections: clients can use up the file "
			"descriptors of the broker",
			"add: max_connections N, below LimitNOFILE of the "
			"unit"},
	};

	judge(d, place, v, sizeof(v) / sizeof(v[0]));
}

static void check_listener(struct doctor *d, const struct broker_conf *conf,
	const struct listener *l)
{
	char place[PLACE_MAX];

	doctor_place(conf, l->first, place);
	if (l->is_default)
		doctor_find(d, SEVERITY_WARNING, "listener.default", place,
			"move the line behind the `listener` line it is meant "
			"for, in the same file",
			"%.*s stands before any `listener` of its file, so it "
			"sets up another listener, on port 1883 unless `port` "
			"says otherwise",
			STR_ARG(l->first->name));
	check_tls(d, l, place);
	if (!l->is_unix)
		check_protocol(d, l, place);
}

void doctor_listeners(struct doctor *d, const struct broker_conf *conf)
{
	size_t n = 0;

	for (uint32_t i = 0; i <= conf->n_listeners; i++) {
		struct listener l;

		doctor_listener(conf, i, &l);
		if (l.first == NULL)
			continue;
		check_listener(d, conf, &l);
		n++;
	}
	if (n == 0)
		doctor_find(d, SEVERITY_ERROR, "listener.none", conf->files[0],
			"add: listener 8883, with TLS",
			"no listener: Mosquitto then opens port 1883 of this "
			"machine without TLS, for anybody");
}

/* ------------------------------------------------------------------ the plugin */

static bool is_plugin(const struct broker_line *l)
{
	return str_eq(l->name, STR("plugin")) ||
	       str_eq(l->name, STR("auth_plugin")) ||
	       str_eq(l->name, STR("global_plugin")) ||
	       str_eq(l->name, STR("plugin_load"));
}

static bool is_weir(const struct broker_line *l)
{
	size_t n = sizeof(WEIR_SO) - 1;

	return l->value.n >= n &&
	       memcmp(l->value.p + l->value.n - n, WEIR_SO, n) == 0 &&
	       (l->value.n == n || l->value.p[l->value.n - n - 1] == '/');
}

static bool same_dir(const char *a, const char *b)
{
	char *x = realpath(a, NULL), *y = realpath(b, NULL);
	bool same = strcmp(x != NULL ? x : a, y != NULL ? y : b) == 0;

	free(x);
	free(y);
	return same;
}

static void check_state(struct doctor *d, const char *place, struct str value)
{
	char dir[CLI_PATH_MAX];

	(void)snprintf(dir, sizeof(dir), "%.*s",
		value.n < sizeof(dir) ? (int)value.n : 0, value.p);
	if (same_dir(dir, d->c->state))
		return;
	doctor_find(d, SEVERITY_ERROR, "plugin.state", place,
		"make plugin_opt_state and --state ($WEIR_STATE) the same",
		"the plugin reads the registry of %s, and weir writes that of "
		"%s: no change would reach the broker",
		dir, d->c->state);
}

static void check_meter(struct doctor *d, const char *place, struct str value)
{
	char file[CLI_PATH_MAX];

	(void)snprintf(file, sizeof(file), "%.*s",
		value.n < sizeof(file) ? (int)value.n : 0, value.p);
	if (strcmp(file, d->c->meter) == 0)
		return;
	doctor_find(d, SEVERITY_ERROR, "plugin.meter_path", place,
		"make plugin_opt_meter and --meter ($WEIR_METER) the same",
		"the plugin writes the meter %s, and weir reads %s", file,
		d->c->meter);
}

/* One option behind weir's plugin line. */
static void check_option(struct doctor *d, const struct broker_conf *conf,
	const struct broker_line *l)
{
	char place[PLACE_MAX];
	size_t prefix = l->name.p[0] == 'p' ? 11 : 9; /* or auth_opt_ */
	struct str key = {l->name.p + prefix, l->name.n - prefix};

	doctor_place(conf, l, place);
	if (str_eq(key, STR("state")))
		check_state(d, place, l->value);
	else if (str_eq(key, STR("meter")))
		check_meter(d, place, l->value);
	else if (!str_eq(key, STR("ca_dir")))
		doctor_find(d, SEVERITY_ERROR, "plugin.option", place,
			"there are plugin_opt_state, plugin_opt_meter and "
			"plugin_opt_ca_dir",
			"the plugin knows no option '%.*s', and does not start "
			"with it",
			STR_ARG(key));
}

static bool is_option(const struct broker_line *l)
{
	return (l->name.n > 11 && memcmp(l->name.p, "plugin_opt_", 11) == 0) ||
	       (l->name.n > 9 && memcmp(l->name.p, "auth_opt_", 9) == 0);
}

/* An option belongs to the plugin line before it in its file. */
static const struct broker_line *owner(
	const struct broker_conf *conf, size_t option)
{
	for (size_t i = option; i-- > 0;) {
		const struct broker_line *l = &conf->lines[i];

		if (l->file == conf->lines[option].file && is_plugin(l))
			return l;
	}
	return NULL;
}

static void check_options(struct doctor *d, const struct broker_conf *conf,
	const struct broker_line *weir)
{
	bool state = false;
	char place[PLACE_MAX];

	for (size_t i = 0; i < conf->n; i++) {
		const struct broker_line *l = &conf->lines[i];
		const struct broker_line *of;

		if (!is_option(l))
			continue;
		of = owner(conf, i);
		doctor_place(conf, l, place);
		if (of == NULL)
			doctor_find(d, SEVERITY_ERROR, "plugin.option", place,
				"move it behind the plugin's line, in the same "
				"file",
				"%.*s belongs to no plugin, so the broker does "
				"not start",
				STR_ARG(l->name));
		if (of != weir)
			continue;
		check_option(d, conf, l);
		state = state || str_eq(l->name, STR("plugin_opt_state")) ||
			str_eq(l->name, STR("auth_opt_state"));
	}
	doctor_place(conf, weir, place);
	if (!state)
		check_state(d, place, STR(STATE_DEFAULT));
}

/* The first plugin line of weir; the others are said. */
static const struct broker_line *find_weir(
	struct doctor *d, const struct broker_conf *conf)
{
	const struct broker_line *weir = NULL;
	char place[PLACE_MAX];

	for (size_t i = 0; i < conf->n; i++) {
		const struct broker_line *l = &conf->lines[i];

		if (!is_plugin(l))
			continue;
		doctor_place(conf, l, place);
		if (!is_weir(l))
			doctor_find(d,
				weir == NULL ? SEVERITY_ERROR
					     : SEVERITY_WARNING,
				"plugin.other", place,
				"remove it, or put it behind " WEIR_SO,
				weir == NULL
					? "another plugin stands "
					  "before " WEIR_SO
					  ": the first answer wins, so it can "
					  "let in whom the policy refuses"
					: "another plugin: it runs inside the "
					  "broker and can do what the broker "
					  "can");
		else if (weir != NULL)
			doctor_find(d, SEVERITY_ERROR, "plugin.twice", place,
				"remove one of the lines",
				WEIR_SO " is loaded twice; the second does not "
					"start");
		else
			weir = l;
	}
	return weir;
}

void doctor_plugin(struct doctor *d, const struct broker_conf *conf)
{
	const struct broker_line *weir = find_weir(d, conf);

	if (weir == NULL) {
		doctor_find(d, SEVERITY_ERROR, "plugin.missing", conf->files[0],
			"add: plugin /usr/local/lib/" WEIR_SO,
			"the broker does not load " WEIR_SO
			": nothing is guarded");
		return;
	}
	check_options(d, conf, weir);
}
