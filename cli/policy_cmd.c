/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir policy: what each class may do, revision by revision. A policy enters
 * the registry only when it parses, so that a broker always starts with one
 * that is valid.
 */
#include "cli/output.h"
#include "cli/policy_check_cmd.h"
#include "cli/policy_diff.h"
#include "cli/policy_import_cmd.h"
#include "cli/policy_load.h"
#include "cli/wait.h"
#include "io/file.h"
#include "io/policy_json.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A policy about to become the newest revision. */
struct change {
	const char *action; /* of the audit */
	const char *name;   /* of the text */
	struct str text;
	int64_t from; /* rollback: its revision; 0: a file's */
	struct policy *policy;
	struct policy_row old;
	struct policy *old_policy;
	struct policy_diff diff;
	int64_t revision; /* the new one; 0: not stored */
	bool wait;
	int64_t wait_s;
};

static void change_fini(struct change *ch)
{
	policy_diff_fini(&ch->diff);
	policy_free(&ch->policy);
	policy_free(&ch->old_policy);
	policy_row_fini(&ch->old);
}

/* Stores CH unless another revision came in between: what was shown, and
 * agreed to, was the difference to that one. */
static bool store(const struct cli *c, struct registry *r, struct change *ch,
	struct err *e)
{
	struct registry_heads heads;
	int64_t seq;

	if (!cli_begin(c, r, e) || !registry_heads(r, &heads, e))
		return false;
	if (heads.policy_revision != ch->old.revision)
		return err_set(e, ERR_CONFLICT,
			"policy revision %" PRId64
			" was applied meanwhile; run this again",
			heads.policy_revision);
	return registry_policy_put(r, ch->text, ch->action, &ch->revision, e) &&
	       registry_commit(r, &seq, e);
}

static void print_unchanged(const struct cli *c, const struct change *ch)
{
	cJSON *o;

	if (!c->json) {
		(void)printf("%s is what is in force, as revision %" PRId64
			     "; nothing to do\n",
			ch->name, ch->old.revision);
		return;
	}
	o = json_new();
	json_bool(o, "applied", false);
	json_int(o, "revision", ch->old.revision);
	(void)json_array(o, "changes");
	json_print(o);
}

static void print_stored(const struct cli *c, const struct change *ch,
	const struct wait_result *w)
{
	cJSON *o;

	if (!c->json) {
		(void)printf("stored as policy revision %" PRId64 "\n",
			ch->revision);
		if (ch->wait)
			wait_print(w);
		return;
	}
	o = json_new();
	json_bool(o, "applied", true);
	json_int(o, "revision", ch->revision);
	if (ch->from != 0)
		json_int(o, "from_revision", ch->from);
	policy_diff_json(o, &ch->diff);
	if (ch->wait)
		wait_json(o, w);
	json_print(o);
}

static void print_changes(const struct change *ch)
{
	if (ch->diff.n == 0)
		(void)puts("no class gains or loses anything");
	policy_diff_print(&ch->diff);
}

static bool finish(const struct cli *c, struct change *ch, struct err *e)
{
	struct wait_result w = {.end = WAIT_APPLIED};
	bool ok;

	if (ch->wait && !wait_policy(c, ch->revision, ch->wait_s, &w, e))
		return false;
	print_stored(c, ch, &w);
	ok = wait_finish(&w, e);
	wait_fini(&w);
	return ok;
}

/*
 * The policy that CH replaces. One that does not load, as another version's
 * may, is compared as if it allowed nothing: to apply one that does is the way
 * out.
 */
static bool load_old(struct registry *r, struct change *ch, struct err *e)
{
	struct errs errs = {0};

	if (!policy_load_revision(r, 0, &ch->old, NULL, e))
		return false;
	if (policy_json_parse((struct str){ch->old.text, ch->old.text_len},
		    &ch->old_policy, &errs))
		return true;
	print_note("policy revision %" PRId64 " does not load; the changes "
		   "shown are against a policy that allows nothing",
		ch->old.revision);
	return policy_load_text("the empty policy",
		STR("{\"version\":1,\"classes\":{}}"), &ch->old_policy, e);
}

/* Shows, asks, stores, waits. */
static bool apply(
	struct cli *c, struct registry *r, struct change *ch, struct err *e)
{
	if (!load_old(r, ch, e))
		return false;
	if (str_eq(ch->text, (struct str){ch->old.text, ch->old.text_len})) {
		print_unchanged(c, ch);
		return true;
	}
	policy_diff_make(ch->old_policy, ch->policy, &ch->diff);
	if (!c->json)
		print_changes(ch);
	if (!policy_warnings(ch->policy, r, policy_warning_print, NULL, e))
		return false;
	if (!cli_agreed(c, "Apply?")) {
		c->answer_no = true;
		print_note("not applied");
		return true;
	}
	return store(c, r, ch, e) && finish(c, ch, e);
}

static bool run_apply(struct cli *c, struct err *e)
{
	const char *path = c->args->words[0];
	struct change ch = {.action = "policy.apply",
		.name = strcmp(path, "-") == 0 ? "standard input" : path};
	struct registry *r = NULL;
	char *text = NULL;
	size_t len = 0;
	bool ok;

	if (!wait_option(c, &ch.wait, &ch.wait_s, e) ||
		!file_read(path, POLICY_TEXT_MAX, &text, &len, e))
		return false;
	ch.text = (struct str){text, len};
	ok = policy_load_text(ch.name, ch.text, &ch.policy, e) &&
	     cli_registry(c, REGISTRY_WRITE, &r, e) && apply(c, r, &ch, e);
	change_fini(&ch);
	registry_close(&r);
	file_text_free(&text, len);
	return ok;
}

/* ------------------------------------------------------------------- rollback */

struct previous {
	size_t seen;
	int64_t revision;
};

static bool second(void *ctx, const struct policy_row *p)
{
	struct previous *v = ctx;

	v->revision = p->revision;
	return ++v->seen < 2;
}

/* --to N, else the revision before the newest. */
static bool read_to(
	const struct cli *c, struct registry *r, int64_t *out, struct err *e)
{
	const char *to = args_get(c->args, "to");
	struct previous v = {0};

	if (to != NULL)
		return number_parse("--to", str_from(to), 1, INT32_MAX, out, e);
	if (!registry_policies(r, second, &v, e))
		return false;
	if (v.seen < 2)
		return err_set(e, ERR_CONFLICT,
			"there is no earlier policy to go back to");
	*out = v.revision;
	return true;
}

static bool run_rollback(struct cli *c, struct err *e)
{
	struct change ch = {.action = "policy.rollback"};
	struct policy_row row = {0};
	struct registry *r = NULL;
	char name[48];
	bool ok;

	if (!wait_option(c, &ch.wait, &ch.wait_s, e) ||
		!cli_registry(c, REGISTRY_WRITE, &r, e))
		return false;
	ok = read_to(c, r, &ch.from, e) &&
	     policy_load_revision(r, ch.from, &row, &ch.policy, e);
	if (ok) {
		(void)snprintf(name, sizeof(name), "policy revision %" PRId64,
			ch.from);
		ch.name = name;
		ch.text = (struct str){row.text, row.text_len};
		ok = apply(c, r, &ch, e);
	}
	change_fini(&ch);
	policy_row_fini(&row);
	registry_close(&r);
	return ok;
}

/* -------------------------------------------------------------- show, history */

static bool run_show(struct cli *c, struct err *e)
{
	const char *text = args_get(c->args, "revision");
	struct policy_row row = {0};
	struct registry *r = NULL;
	int64_t revision = 0;
	cJSON *o;
	bool ok;

	if (text != NULL && !number_parse("--revision", str_from(text), 1,
				    INT32_MAX, &revision, e))
		return false;
	ok = cli_registry(c, REGISTRY_READ, &r, e) &&
	     policy_load_revision(r, revision, &row, NULL, e);
	if (ok && c->json) {
		o = json_new();
		json_int(o, "revision", row.revision);
		json_int(o, "t_s", row.t_s);
		json_str(o, "actor", row.actor);
		json_str(o, "hash", row.hash);
		json_str(o, "text", row.text);
		json_print(o);
	} else if (ok) {
		/* As it was applied, byte for byte. */
		(void)fwrite(row.text, 1, row.text_len, stdout);
	}
	policy_row_fini(&row);
	registry_close(&r);
	return ok;
}

struct history {
	bool json;
	size_t n;
	struct table *table;
};

static bool add_revision(void *ctx, const struct policy_row *p)
{
	struct history *h = ctx;
	char revision[24], when[TIME_TEXT];
	cJSON *o;

	if (h->json) {
		o = json_new();
		json_int(o, "revision", p->revision);
		json_int(o, "t_s", p->t_s);
		json_str(o, "actor", p->actor);
		json_str(o, "hash", p->hash);
		json_bool(o, "in_force", h->n == 0);
		json_print(o);
	} else {
		(void)snprintf(
			revision, sizeof(revision), "%" PRId64, p->revision);
		time_format(p->t_s, when);
		table_row(h->table,
			(const char *const[]){revision, when, p->actor, p->hash,
				h->n == 0 ? "in force" : ""});
	}
	h->n++;
	return output_ok();
}

static bool run_history(struct cli *c, struct err *e)
{
	static const char *const heads[] = {
		"REVISION", "TIME", "ACTOR", "SHA-256", ""};
	struct history h = {.json = c->json, .table = table_new(heads, 5)};
	struct registry *r = NULL;
	bool ok;

	ok = cli_registry(c, REGISTRY_READ, &r, e) &&
	     registry_policies(r, add_revision, &h, e);
	if (ok)
		table_print(h.table);
	table_free(&h.table);
	registry_close(&r);
	return ok;
}

/* ---------------------------------------------------------------------- table */

static const struct opt APPLY_OPTIONS[] = {
	YES_OPTION,
	WAIT_OPTION,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

static const struct opt ROLLBACK_OPTIONS[] = {
	{"to", '\0', OPT_VALUE, "N", "this revision (the one before)"},
	YES_OPTION,
	WAIT_OPTION,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

static const struct opt SHOW_OPTIONS[] = {
	{"revision", '\0', OPT_VALUE, "N", "this revision (what is in force)"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command policy_commands[] = {
	{
		.name = "policy check",
		.usage = "[FILE]",
		.summary = "Check a policy, or the one in force",
		.help = "Lists up to 20 errors with their places; exit status "
			"2 when there are any.\nWarns of rules that others "
			"cover, and of classes that devices have and the\n"
			"policy lacks. Needs no registry when given a file.\n\n"
			"  weir policy check policy.json\n",
		.words_max = 1,
		.run = run_policy_check,
	},
	{
		.name = "policy diff",
		.usage = "OLD NEW",
		.summary = "Show what each class gains and loses",
		.help = "OLD and NEW are files, '-', revisions' numbers or "
			"'current', what is in force. Each rule\nthat makes a "
			"difference is shown with a topic that only one of the "
			"two allows; rules\nwritten in another way are none. "
			"Exit status 1 when the policies differ.\n\n"
			"  weir policy diff current policy.json\n",
		.words_min = 2,
		.words_max = 2,
		.run = run_policy_diff,
	},
	{
		.name = "policy apply",
		.usage = "FILE [--yes] [--wait DUR]",
		.summary = "Put a policy in force",
		.help = "Checks it, shows what each class gains and loses, and "
			"stores it as a new revision,\nwhich the broker takes "
			"up within a second. On a terminal it asks first; "
			"answering no\nis exit status 1.\n\n"
			"  weir policy apply policy.json --wait 5s\n",
		.options = APPLY_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_apply,
	},
	{
		.name = "policy import-acl",
		.usage = "FILE [--class USER=NAME]… [--devices FILE]",
		.summary = "Make a policy of Mosquitto's access lists",
		.help = "Reads an acl_file, or dynamic-security's JSON. "
			"Prints a policy in which each\nuser is a device and "
			"users of equal rights share a class; says on "
			"standard\nerror which, and what cannot be expressed: "
			"exit status 1 when there is such a\nline. Nothing is "
			"allowed that Mosquitto refused. %c and %u of an "
			"acl_file both\nbecome ${device}: Weir's username is "
			"the device's id, and so is its client id.\n\n"
			"  weir policy import-acl /etc/mosquitto/acl "
			"--devices devices.csv >policy.json\n",
		.options = POLICY_IMPORT_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_policy_import,
	},
	{
		.name = "policy show",
		.usage = "[--revision N]",
		.summary = "Print a policy as it was applied",
		.help = "  weir policy show --revision 3 >old.json\n",
		.options = SHOW_OPTIONS,
		.run = run_show,
	},
	{
		.name = "policy history",
		.usage = "",
		.summary = "List the revisions, newest first",
		.help = "  weir policy history\n",
		.run = run_history,
	},
	{
		.name = "policy rollback",
		.usage = "[--to N] [--yes] [--wait DUR]",
		.summary = "Put an earlier policy in force again",
		.help = "The text of the revision before, or of --to, becomes "
			"a "
			"new revision: history only\ngrows. A second rollback "
			"without --to undoes the first.\n\n"
			"  weir policy rollback --wait 5s\n",
		.options = ROLLBACK_OPTIONS,
		.run = run_rollback,
	},
	{.name = NULL},
};
