/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directives of a mosquitto.conf, held to doctor_rules.c. What stands in
 * neither table is a finding: it may be a way around the guard.
 */
#include "cli/doctor_rules.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	for (size_t i = 0; i < N_BRIDGES; i++) {
		if (str_eq(str_from(BRIDGES[i]), name))
			return true;
	}
	return false;
}

static void unknown(
	struct doctor *d, const struct broker_line *l, const char *place)
{
	const char **names, *near;
	char name[64];

	if (starts(l->name, "plugin_opt_") || starts(l->name, "auth_opt_"))
		return;
	if (is_bridges(l->name)) {
		doctor_find(d, SEVERITY_ERROR, "conf.bridge", place,
			RULE_REMOVE, "%.*s: %s", STR_ARG(l->name), RULE_BRIDGE);
		return;
	}
	names = need_memory(N_RULES, sizeof(*names));
	for (size_t i = 0; i < N_RULES; i++)
		names[i] = RULES[i].name;
	(void)snprintf(name, sizeof(name), "%.*s",
		l->name.n < 63 ? (int)l->name.n : 63, l->name.p);
	near = nearest_name(name, names, N_RULES);
	free(names);
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
	else if (offends(r, l) && d->falls_back &&
		 strcmp(r->check, "conf.second") == 0)
		doctor_find(d, SEVERITY_NOTE, r->check, place,
			"remove the line when the policy enforces",
			"%s: answers what the policy only observes; it must be "
			"gone when that enforces",
			r->name);
	else if (offends(r, l))
		doctor_find(d, r->severity, r->check, place, r->remedy,
			"%s: %s", r->name, r->why);
}

/* --------------------------------------------------------- two or more lines */

static void check_absent(struct doctor *d, const struct broker_conf *conf)
{
	for (size_t i = 0; i < N_ABSENT; i++) {
		const struct rule *r = &ABSENT[i];

		if (doctor_line(conf, r->name) == NULL)
			doctor_find(d, r->severity, r->check, conf->files[0],
				r->remedy, "%s %s", r->name, r->why);
	}
}

/* What the plugin leaves to the broker's own rules is refused by them when there
 * are none. */
static void check_fallback(struct doctor *d, const struct broker_conf *conf)
{
	if (d->falls_back && doctor_line(conf, "acl_file") == NULL)
		doctor_find(d, SEVERITY_ERROR, "conf.fallback", conf->files[0],
			"add the acl_file, or say \"fallback\": \"allow\" in "
			"the policy",
			"the policy observes and leaves the rest to the "
			"broker's acl_file, which is not there: the broker "
			"refuses all of it");
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
	check_fallback(d, conf);
	check_includes(d, conf);
	check_user(d, conf);
}
