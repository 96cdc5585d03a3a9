/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir init: the state directory, its registry, its owners and modes.
 */
#include "cli/layout.h"
#include "cli/output.h"

#include <string.h>

#define BROKER_USER "mosquitto"

struct init_report {
	const struct cli *c;
	cJSON *paths; /* JSON only */
	bool registry_made;
};

static void report(void *ctx, const struct layout_done *d)
{
	static const char *const words[] = {
		[LAYOUT_KEPT] = "kept",
		[LAYOUT_REPAIRED] = "repaired",
		[LAYOUT_MADE] = "made",
	};
	struct init_report *r = ctx;
	size_t n = strlen(d->path), k = strlen("/" REGISTRY_FILE);
	char mode[8];
	cJSON *o;

	if (d->result == LAYOUT_MADE && n > k &&
		strcmp(d->path + n - k, "/" REGISTRY_FILE) == 0)
		r->registry_made = true;
	(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)d->mode & 07777);
	if (!r->c->json) {
		(void)printf("%-9s ", words[d->result]);
		print_text(stdout, d->path);
		(void)printf("  %s%s%s%s%s\n", d->owner,
			d->owner[0] != '\0' ? ":" : "", d->group,
			d->group[0] != '\0' ? " " : "", mode);
		return;
	}
	o = json_new();
	json_str(o, "path", d->path);
	json_str(o, "result", words[d->result]);
	json_str(o, "owner", d->owner[0] != '\0' ? d->owner : NULL);
	json_str(o, "group", d->group[0] != '\0' ? d->group : NULL);
	json_str(o, "mode", mode);
	json_push(r->paths, o);
}

static void warn_of_barrier(const struct cli *c, const struct layout *l)
{
	char barrier[CLI_PATH_MAX];

	if (!l->root)
		return;
	layout_barrier(l, c->state, barrier);
	if (barrier[0] != '\0')
		print_note("warning: user %s cannot enter %s, and so not the "
			   "registry; chmod o+x it, or choose another --state",
			l->broker.name, barrier);
}

static bool run_init(struct cli *c, struct err *e)
{
	const char *user = args_get(c->args, "broker-user");
	struct init_report r = {.c = c};
	struct layout l;
	cJSON *o = NULL;

	if (!layout_plan(user != NULL ? user : BROKER_USER, &l, e))
		return false;
	if (c->json) {
		o = json_new();
		json_str(o, "state", c->state);
		json_str(o, "broker_user", l.root ? l.broker.name : NULL);
		json_str(o, "group", l.root ? l.group : NULL);
		r.paths = json_array(o, "paths");
	}
	if (!layout_apply(c, &l, report, &r, e)) {
		cJSON_Delete(o);
		return false;
	}
	if (c->json)
		json_print(o);
	if (l.note[0] != '\0')
		print_note("note: %s", l.note);
	warn_of_barrier(c, &l);
	if (!c->json && r.registry_made)
		(void)puts("\nThe policy is empty: nobody may do anything.\n"
			   "next: weir ca init; weir policy apply FILE; "
			   "weir device add ID --class C; weir cert issue ID");
	return true;
}

static const struct opt INIT_OPTIONS[] = {
	{"broker-user", '\0', OPT_VALUE, "U",
		"the user that the broker runs as (" BROKER_USER ")"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command init_commands[] = {
	{
		.name = "init",
		.usage = "[--broker-user U]",
		.summary =
			"Make or repair the state directory and its registry",
		.help = "The broker's user may then read the registry and "
			"write "
			"the meter, and nothing else.\nRunning it again "
			"changes "
			"nothing but owners and modes that are wrong. Run it "
			"as "
			"root;\nwithout, all of it belongs to you, for trying "
			"things out.\n\n"
			"  sudo weir init\n"
			"  weir --state ./state init\n",
		.options = INIT_OPTIONS,
		.run = run_init,
	},
	{.name = NULL},
};
