/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir doctor: is there a way around the guard, and will it hold?
 */
#include "cli/doctor.h"
#include "cli/output.h"

#include <stdio.h>

static bool look_at_conf(struct doctor *d, const char *path, struct err *e)
{
	struct broker_conf conf;

	if (!broker_conf_load(path, &conf, e))
		return false;
	doctor_conf(d, &conf);
	doctor_listeners(d, &conf);
	doctor_plugin(d, &conf);
	doctor_conf_files(d, &conf);
	broker_conf_free(&conf);
	return true;
}

static bool run_doctor(struct cli *c, struct err *e)
{
	const char *conf = args_get(c->args, "broker-conf");
	struct doctor d = {.c = c};

	doctor_find_broker(&d);
	doctor_find_policy(&d);
	if (conf != NULL && !look_at_conf(&d, conf, e))
		return false;
	doctor_state_files(&d);
	doctor_state(&d);
	c->answer_no = d.n[SEVERITY_ERROR] != 0;
	if (!c->json)
		(void)printf("%zu errors, %zu warnings, %zu notes\n",
			d.n[SEVERITY_ERROR], d.n[SEVERITY_WARNING],
			d.n[SEVERITY_NOTE]);
	return true;
}

static const struct opt DOCTOR_OPTIONS[] = {
	{"broker-conf", '\0', OPT_VALUE, "FILE",
		"also look at this mosquitto.conf and what it includes"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command doctor_commands[] = {
	{
		.name = "doctor",
		.usage = "[--broker-conf FILE]",
		.summary = "Look for ways around the guard, and for faults",
		.help = "Looks at the broker's configuration (every directive "
			"must be one that is known to be\nharmless), at owners "
			"and modes, certificates, the registry, the policy and "
			"the running\nplugin. Changes nothing. Exit status 1 "
			"when a finding is an error. Run it as root.\n\n"
			"  weir doctor --broker-conf "
			"/etc/mosquitto/mosquitto.conf\n",
		.options = DOCTOR_OPTIONS,
		.run = run_doctor,
	},
	{.name = NULL},
};
