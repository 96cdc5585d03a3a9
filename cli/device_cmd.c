/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir device: who exists.
 */
#include "cli/device_cmd.h"
#include "cli/device_attrs.h"
#include "cli/device_file_cmd.h"
#include "cli/output.h"
#include "cli/records.h"
#include "cli/wait.h"
#include "io/values.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------- options to a device */

/* --class C, which must look like a class. */
static bool read_class(const struct cli *c, struct device *d, struct err *e)
{
	const char *name = args_get(c->args, "class");

	if (name == NULL)
		return true;
	if (!class_name_valid(str_from(name)))
		return err_set(e, ERR_INPUT,
			"'%.80s' is no class name: a letter or digit, then up "
			"to 63 of letters, digits, '.', '_' and '-'",
			name);
	(void)snprintf(d->class_name, sizeof(d->class_name), "%s", name);
	return true;
}

/* One of --iccid, --imsi, --imei, --eid; empty takes it away. */
static bool read_simid(const struct cli *c, enum simid_kind kind,
	struct device *d, struct err *e)
{
	const char *text = args_get(c->args, simid_name(kind));
	struct simid id = {.kind = SIMID_NONE};

	if (text == NULL)
		return true;
	if (text[0] == '\0') {
		d->sim[kind] = id;
		return true;
	}
	if (!simid_parse(kind, str_from(text), 0, &id, e)) {
		if (!args_has(c->args, "any-check-digit") ||
			!simid_parse(kind, str_from(text),
				SIMID_ANY_CHECK_DIGIT, &id, NULL)) {
			(void)err_at(e, "--%s", simid_name(kind));
			return false;
		}
		print_note("warning: --%s: %s; taken as it is",
			simid_name(kind), e->msg);
	}
	d->sim[kind] = id;
	return true;
}

static bool read_simids(const struct cli *c, struct device *d, struct err *e)
{
	for (unsigned k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		if (!read_simid(c, (enum simid_kind)k, d, e))
			return false;
	}
	return true;
}

/* All options but --attr. */
static bool read_options(const struct cli *c, struct device *d, struct err *e)
{
	bool given;

	return read_class(c, d, e) &&
	       device_read_mode(c, &d->observe, &given, e) &&
	       read_simids(c, d, e);
}

/* ------------------------------------------------------------------ add, set */

/* Prints the device as the registry now has it, after DONE was done to it;
 * and what came of waiting, unless W is NULL. */
static bool report(const struct cli *c, struct registry *r, const char *done,
	const struct wait_result *w, struct err *e)
{
	struct device d = {.id_len = 0};

	if (!device_look_up(r, cli_word(c, 0), &d, e))
		return false;
	if (c->json) {
		cJSON *o = device_json(&d, c->now_s);

		if (w != NULL)
			wait_json(o, w);
		json_print(o);
	} else {
		(void)printf(
			"device %s %s (class %s)\n", d.id, done, d.class_name);
		if (w != NULL)
			wait_print(w);
	}
	warn_unless_class(r, d.class_name);
	device_fini(&d);
	return true;
}

static bool device_add(struct cli *c, struct err *e)
{
	struct str id = cli_word(c, 0);
	struct device d = {.status = DEVICE_ACTIVE};
	struct attrs attrs = {.n = 0}, none = {.n = 0};
	struct registry *r = NULL;
	int64_t change;
	bool done;

	if (!device_id_valid(id))
		return err_set(e, ERR_INPUT,
			"'%.80s' is no device id: a letter or digit, then up "
			"to 63 of letters, digits, '.', '_', ':' and '-'",
			id.p);
	if (!args_has(c->args, "class"))
		return err_set(e, ERR_INPUT,
			"--class is missing: the class says what the device "
			"may do");
	if (!read_options(c, &d, e) || !attrs_read(c, false, &attrs, &none, e))
		return false;
	memcpy(d.id, id.p, id.n);
	d.id_len = (uint8_t)id.n;
	d.attrs = attrs.a;
	d.n_attrs = (uint16_t)attrs.n;
	if (!cli_registry_begin(c, &r, e))
		return false;
	done = registry_device_add(r, &d, e) &&
	       registry_commit(r, &change, e) && report(c, r, "added", NULL, e);
	registry_close(&r);
	return done;
}

/* Writes the changes that the options ask for to OLD, as it was read in the
 * transaction under way. */
static bool change_device(const struct cli *c, struct registry *r,
	const struct device *old, struct err *e)
{
	struct device d = *old;
	struct attrs given = {.n = 0}, gone = {.n = 0}, all;

	if (!read_options(c, &d, e) || !attrs_read(c, true, &given, &gone, e) ||
		!attrs_merge(old, &given, &gone, &all, e))
		return false;
	d.attrs = all.a;
	d.n_attrs = (uint16_t)all.n;
	return registry_device_set(r, &d, e);
}

/* Reads the device, changes it, commits; *range is what that wrote. */
static bool set_committed(const struct cli *c, struct registry *r,
	struct change_range *range, struct err *e)
{
	struct device old = {.id_len = 0};
	struct registry_heads heads;
	bool done;

	if (!registry_heads(r, &heads, e) ||
		!device_look_up(r, cli_word(c, 0), &old, e))
		return false;
	range->after = heads.change_seq;
	done = change_device(c, r, &old, e) &&
	       registry_commit(r, &range->last, e);
	device_fini(&old);
	return done;
}

static bool something_to_set(const struct cli *c, struct err *e)
{
	static const char *const names[] = {
		"class", "mode", "iccid", "imsi", "imei", "eid", "attr"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (args_has(c->args, names[i]))
			return true;
	}
	return err_set(e, ERR_INPUT,
		"nothing to set; give --class, --mode, --iccid, --imsi, "
		"--imei, --eid or --attr");
}

static bool device_set(struct cli *c, struct err *e)
{
	struct wait_result w = {.end = WAIT_APPLIED};
	struct change_range range = {0, 0};
	struct registry *r = NULL;
	int64_t wait_s;
	bool done, wait;

	if (!something_to_set(c, e) || !wait_option(c, &wait, &wait_s, e) ||
		!cli_registry_begin(c, &r, e))
		return false;
	done = set_committed(c, r, &range, e) &&
	       (!wait || wait_changes(c, r, range, wait_s, &w, e)) &&
	       report(c, r, "changed", wait ? &w : NULL, e) &&
	       wait_finish(&w, e);
	wait_fini(&w);
	registry_close(&r);
	return done;
}

/* ---------------------------------------------------------------------- table */

#define DEVICE_OPTIONS                                                         \
	{"class", '\0', OPT_VALUE, "C",                                        \
		"what the device may do: a class of "                          \
		"the policy"},                                                 \
		{"mode", '\0', OPT_VALUE, "M",                                 \
			"enforce, or observe: what the "                       \
			"class's rules refuse passes"},                        \
		{"iccid", '\0', OPT_VALUE, "N", "its SIM: 19 or 20 digits"},   \
		{"imsi", '\0', OPT_VALUE, "N",                                 \
			"its subscription: 6 to 15 "                           \
			"digits"},                                             \
		{"imei", '\0', OPT_VALUE, "N", "its modem: 15 digits"},        \
		{"eid", '\0', OPT_VALUE, "N", "its eUICC: 32 digits"},         \
		{"attr", '\0', OPT_LIST, "K=V",                                \
			"an attribute, for topics "                            \
			"with ${attr.K}"},                                     \
	{                                                                      \
		"any-check-digit", '\0', OPT_FLAG, NULL,                       \
			"admit an ICCID whose check digit is wrong"            \
	}

static const struct opt ADD_OPTIONS[] = {
	DEVICE_OPTIONS,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

static const struct opt SET_OPTIONS[] = {
	DEVICE_OPTIONS,
	WAIT_OPTION,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command device_commands[] = {
	{
		.name = "device add",
		.usage = "ID --class C [--mode enforce|observe] [--iccid N] "
			 "[--imsi N] [--imei N] [--eid N] [--attr K=V]… "
			 "[--any-check-digit]",
		.summary = "Register a device",
		.help = "The id is for ever: a retired device's id is not "
			"given again. An attribute given\nseveral times has "
			"several values. A device needs a certificate next: "
			"weir cert issue.\n\n"
			"  weir device add pump-0001 --class pump "
			"--iccid 8944500102198304826 --attr site=leeds\n",
		.options = ADD_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = device_add,
	},
	{
		.name = "device set",
		.usage = "ID [--class C] [--mode enforce|observe] [--iccid N] "
			 "[--imsi N] [--imei N] [--eid N] [--attr K=V]… "
			 "[--any-check-digit] [--wait DUR]",
		.summary = "Change a device's class, mode, identifiers or "
			   "attributes",
		.help = "What is not named stays. The values given for an "
			"attribute replace all it had;\n--attr K= removes it, "
			"--iccid '' the ICCID. In mode observe the rules of "
			"its\nclass are not enforced; enforcing again takes "
			"hold of live connections.\n\n"
			"  weir device set pump-0001 --attr site=york "
			"--attr owner=\n",
		.options = SET_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = device_set,
	},
	{
		.name = "device show",
		.usage = "ID",
		.summary = "Show a device, its certificates, and when it was "
			   "last there",
		.help = "With its last connect and its last refusal, as the "
			"meter has them. Exit status 1\nwhen the device is not "
			"registered.\n\n"
			"  weir device show pump-0001 --json\n",
		.words_min = 1,
		.words_max = 1,
		.run = run_device_show,
	},
	{
		.name = "device list",
		.usage = "[--class C] [--status S] [--mode M] [--connected]",
		.summary = "List devices",
		.help = "SIM identifiers are masked; --show-ids prints them "
			"whole, and so does --json.\n\n"
			"  weir device list --class pump --status suspended\n",
		.options = DEVICE_LIST_OPTIONS,
		.run = run_device_list,
	},
	{
		.name = "device find",
		.usage = "VALUE",
		.summary = "Find a device by any of its numbers",
		.help = "VALUE is an ICCID, IMSI, IMEI (or IMEISV), EID, a "
			"certificate's fingerprint or\nserial number, a "
			"device id, or the address of its last connect. Exit "
			"status 1\nwhen nothing is found.\n\n"
			"  weir device find '8944 5001 0219 8304 826'\n",
		.words_min = 1,
		.words_max = 1,
		.run = run_device_find,
	},
	{
		.name = "device remove",
		.usage = "ID [--yes] [--wait DUR]",
		.summary = "Retire a device and erase its identifiers",
		.help = "Its SIM identifiers, attributes and reason are erased "
			"for good; the id stays taken,\nand the audit keeps "
			"what was recorded. On a terminal it asks first; "
			"answering no is\nexit status 1.\n\n"
			"  weir device remove pump-0001 --wait 5s\n",
		.options = DEVICE_REMOVE_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_device_remove,
	},
	{
		.name = "device export",
		.usage = "[--class C] [--status S] [--mode M]",
		.summary = "Print devices and their certificates, for import",
		.help = "CSV, or with --json JSON Lines, which device import "
			"reads. SIM identifiers are whole.\n\n"
			"  weir device export --class pump > pumps.csv\n",
		.options = DEVICE_EXPORT_OPTIONS,
		.run = run_device_export,
	},
	{
		.name = "device import",
		.usage = "FILE|- [--upsert] [--any-check-digit] [--wait DUR]",
		.summary = "Register all devices of a file, or none",
		.help = "CSV with a line of column names, or JSON Lines, as "
			"device export prints them.\nErrors are told by line. "
			"What is suspended, retired or revoked stays so.\n\n"
			"  weir device import pumps.csv --upsert\n",
		.options = DEVICE_IMPORT_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_device_import,
	},
	{.name = NULL},
};
