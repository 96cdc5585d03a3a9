/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir backup, weir restore: the registry to a file, and back.
 */
#include "cli/command.h"
#include "cli/meter_view.h"
#include "cli/output.h"
#include "io/registry_backup.h"
#include "io/values.h"
#include "io/x509.h"

#include <inttypes.h>

/* -------------------------------------------------------------------- backup */

static void print_copy(
	const struct cli *c, const char *file, const struct registry_copy *copy)
{
	char saved[TIME_TEXT], head[FINGERPRINT_HEX];
	cJSON *o;

	time_format(copy->saved_s, saved);
	fingerprint_format(copy->head, head);
	if (!c->json) {
		print_field(
			"backup", "%s, %" PRId64 " bytes", file, copy->bytes);
		print_field("revision", "%" PRId64 " of %s",
			copy->heads.revision, saved);
		print_field(
			"audit head", "%" PRId64 " %s", copy->entries, head);
		return;
	}
	o = json_new();
	json_str(o, "file", file);
	json_int(o, "bytes", copy->bytes);
	json_int(o, "revision", copy->heads.revision);
	json_int(o, "policy_revision", copy->heads.policy_revision);
	json_int(o, "change_seq", copy->heads.change_seq);
	json_time(o, "saved_s", copy->saved_s);
	json_int(o, "entries", copy->entries);
	json_str(o, "head", head);
	json_bool(o, "audit_ok", copy->bad_seq == 0);
	json_print(o);
}

static bool run_backup(struct cli *c, struct err *e)
{
	const char *file = cli_word(c, 0).p;
	struct registry_copy copy;
	struct registry *r = NULL;
	bool done;

	done = cli_registry(c, REGISTRY_READ, &r, e) &&
	       registry_backup(r, file, &copy, e);
	registry_close(&r);
	if (!done)
		return false;
	print_copy(c, file, &copy);
	if (copy.bad_seq != 0)
		print_note("warning: audit entry %" PRId64
			   " does not fit, so weir restore will not take this "
			   "backup; see weir audit verify",
			copy.bad_seq);
	return true;
}

/* ------------------------------------------------------------------- restore */

/* What the registry in place is, as far as it can be read: for people. */
static void tell_old(const struct cli *c)
{
	struct registry_heads heads;
	struct registry *r = NULL;
	struct err e;

	if (cli_registry(c, REGISTRY_READ, &r, &e) &&
		registry_heads(r, &heads, &e))
		print_note("the registry in place has revision %" PRId64
			   " and change %" PRId64
			   "; what was changed since the backup is lost",
			heads.revision, heads.change_seq);
	else
		print_note("the registry in place cannot be read: %s", e.msg);
	registry_close(&r);
}

static void tell(
	const struct cli *c, const char *file, const struct registry_copy *copy)
{
	char saved[TIME_TEXT];

	time_format(copy->saved_s, saved);
	print_note("%s is of %s, revision %" PRId64 ", change %" PRId64, file,
		saved, copy->heads.revision, copy->heads.change_seq);
	tell_old(c);
}

/* What the broker has seen of the registry, as far as that is known. */
static struct registry_seen seen_by_broker(const struct cli *c)
{
	struct meter_view v;
	struct registry_seen seen;

	meter_view_read(c, &v);
	seen.revision = v.highest_revision;
	seen.change_seq = v.applied_change;
	return registry_seen_possible(&seen) ? seen
					     : (struct registry_seen){0, 0};
}

static void report(const struct cli *c, const char *file,
	const struct registry_copy *copy, const struct restore_result *result)
{
	cJSON *o;

	if (!c->json) {
		(void)printf("restored revision %" PRId64 "\n",
			copy->heads.revision);
		if (result->had_old)
			(void)printf("the registry that it replaced is kept as "
				     "%s/" REGISTRY_FILE RESTORE_KEPT "\n",
				c->state);
		if (result->marked)
			(void)puts("the broker admits nobody until: weir "
				   "registry accept");
		return;
	}
	o = json_new();
	json_str(o, "file", file);
	json_int(o, "revision", copy->heads.revision);
	json_int(o, "change_seq", copy->heads.change_seq);
	json_time(o, "saved_s", copy->saved_s);
	json_bool(o, "accept_needed", result->marked);
	if (result->had_old)
		json_int(o, "replaced_revision", result->old.revision);
	else
		json_str(o, "replaced_revision", NULL);
	json_print(o);
}

static bool restore(struct cli *c, struct restore *x, struct err *e)
{
	const char *file = cli_word(c, 0).p;
	const struct registry_copy copy = *restore_copy(x);
	struct restore_result result;
	const struct registry_seen seen = seen_by_broker(c);

	tell(c, file, &copy);
	if (!cli_confirmed(c, "Put it in the place of the registry?",
		    "restoring a backup", e) ||
		!restore_commit(x, &seen, c->actor, c->now_s, &result, e))
		return false;
	report(c, file, &copy, &result);
	return true;
}

static bool run_restore(struct cli *c, struct err *e)
{
	char path[CLI_PATH_MAX];
	struct restore *x = NULL;
	bool done;

	done = cli_state_path(c, REGISTRY_FILE, path, sizeof(path), e) &&
	       restore_prepare(path, cli_word(c, 0).p, &x, e) &&
	       restore(c, x, e);
	restore_free(&x);
	return done;
}

/* ---------------------------------------------------------------------- table */

static const struct opt RESTORE_OPTIONS[] = {
	YES_OPTION,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command backup_commands[] = {
	{
		.name = "backup",
		.usage = "FILE",
		.summary = "Copy the registry to a new file",
		.help = "The copy is one moment's state, whoever writes "
			"meanwhile, and is read through before\nit gets its "
			"name. An existing FILE is not overwritten. Keys of "
			"devices and of the CA\nare not in the registry: back "
			"up the CA's folder by itself.\n\n"
			"  weir backup /var/backups/weir/registry-1.db\n",
		.words_min = 1,
		.words_max = 1,
		.run = run_backup,
	},
	{
		.name = "restore",
		.usage = "FILE [--yes]",
		.summary = "Put a backup in the place of the registry",
		.help = "FILE is copied and checked before anything is "
			"replaced: sound, of this weir's schema,\nits audit "
			"whole. A broker may be running; unless the backup is "
			"newer than the registry\nit admits nobody until: weir "
			"registry accept. The replaced registry stays "
			"as\n" REGISTRY_FILE RESTORE_KEPT " in the state "
			"directory.\n\n"
			"  weir restore /var/backups/weir/registry-1.db\n",
		.options = RESTORE_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_restore,
	},
	{.name = NULL},
};
