/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir policy seen, learn, try: from what was observed to a policy, and what a
 * policy would have done to it.
 */
#include "cli/policy_learn_cmd.h"

#include "cli/output.h"
#include "cli/policy_load.h"
#include "cli/policy_try_cmd.h"
#include "cli/seen_view.h"
#include "io/policy_json.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OUTLIERS_SHOWN 50 /* to people */

/* ----------------------------------------------------------------------- seen */

static void seen_json(const struct observation *o)
{
	cJSON *j = json_new();

	json_str(j, "device", o->device->id);
	json_str(j, "class", o->device->class_name);
	json_str(j, "action", action_name(o->action));
	json_str(j, "topic", o->topic.p);
	json_bool(j, "folded", o->folded);
	json_str(j, "reason", reason_name(o->reason));
	json_int(j, "qos", o->qos);
	json_bool(j, "retain", o->retain);
	json_int(j, "messages", (int64_t)o->messages);
	json_int(j, "largest", (int64_t)o->largest);
	json_time(j, "first_s", o->first_s);
	json_time(j, "last_s", o->last_s);
	json_print(j);
}

static void seen_row(struct table *t, const struct observation *o)
{
	char messages[24], last[TIME_TEXT];

	(void)snprintf(messages, sizeof(messages), "%" PRIu64, o->messages);
	time_format(o->last_s, last);
	table_row(t, (const char *const[]){o->device->id, o->device->class_name,
			     action_name(o->action), reason_name(o->reason),
			     messages, last, o->topic.p});
}

static void tell_lost(const struct seen_view *v)
{
	if (v->lost != 0)
		print_note("the record had no room for %" PRIu64
			   " messages: of those devices not everything is "
			   "known",
			v->lost);
}

/* The policy in force, and of R what was seen of --class since --since. */
static bool load_seen(const struct cli *c, struct registry *r,
	struct policy_row *row, struct policy **policy, struct seen_view *v,
	struct err *e)
{
	struct seen_filter f = {.class_name = args_get(c->args, "class")};

	if (!seen_since(c, &f.since_s, e) ||
		!policy_load_revision(r, 0, row, policy, e))
		return false;
	f.unknown = policy_unknown(*policy);
	return seen_view_load(c, r, &f, v, e);
}

static bool run_seen(struct cli *c, struct err *e)
{
	static const char *const heads[] = {"DEVICE", "CLASS", "ACTION",
		"REASON", "MESSAGES", "LAST", "TOPIC"};
	struct table *t = table_new(heads, 7);
	struct policy_row row = {.revision = 0};
	struct policy *policy = NULL;
	struct registry *r = NULL;
	struct seen_view v = {.n = 0};
	bool ok = cli_registry(c, REGISTRY_READ, &r, e) &&
		  load_seen(c, r, &row, &policy, &v, e);

	for (size_t i = 0; ok && i < v.n && output_ok(); i++) {
		if (c->json)
			seen_json(&v.o[i]);
		else
			seen_row(t, &v.o[i]);
	}
	if (ok) {
		table_print(t);
		tell_lost(&v);
	}
	table_free(&t);
	seen_view_fini(&v);
	policy_free(&policy);
	policy_row_fini(&row);
	registry_close(&r);
	return ok;
}

/* ---------------------------------------------------------------------- learn */

/* An option's whole number, *out when it is not given. */
static bool read_number(const struct cli *c, const char *name, int64_t high,
	unsigned *out, struct err *e)
{
	const char *v = args_get(c->args, name);
	char what[32];
	int64_t n;

	if (v == NULL)
		return true;
	(void)snprintf(what, sizeof(what), "--%s", name);
	if (!number_parse(what, str_from(v), 1, high, &n, e))
		return false;
	*out = (unsigned)n;
	return true;
}

static bool read_options(
	const struct cli *c, struct learn_options *out, struct err *e)
{
	const char *class = args_get(c->args, "class");

	*out = (struct learn_options){
		LEARN_MANY, LEARN_SHARE_PCT, args_has(c->args, "hash")};
	if (class == NULL)
		return err_set(
			e, ERR_INPUT, "name the class to learn for: --class C");
	if (!class_name_valid(str_from(class)))
		return err_set(e, ERR_INPUT, "'%.80s' is no class name", class);
	return read_number(c, "many", 10000, &out->many, e) &&
	       read_number(c, "min-share", 100, &out->share_pct, e);
}

/* Drops of V what POLICY allows by now. */
static void drop_allowed(const struct policy *policy, struct seen_view *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		if (!seen_allowed(policy, &v->o[i], NULL))
			v->o[n++] = v->o[i];
	v->n = n;
}

static const char *why_text(enum learn_why w)
{
	static const char *const texts[] = {
		[LEARN_RULE] = "",
		[LEARN_FEW] = "too few devices",
		[LEARN_HASH] = "asks for '#': --hash allows it",
		[LEARN_RETAIN] = "too few devices set retain",
		[LEARN_BROKER] = "the broker's own, or a shared group",
		[LEARN_ODD] = "no rule can say it",
	};

	return texts[w];
}

static void print_outliers(const struct learned_set *s)
{
	size_t n = s->n - s->n_rules;

	print_note("%zu rule%s from %zu device%s; %zu outlier%s, not allowed%s",
		s->n_rules, s->n_rules == 1 ? "" : "s", s->devices,
		s->devices == 1 ? "" : "s", n, n == 1 ? "" : "s",
		n != 0 ? ":" : "");
	for (size_t i = s->n_rules; i < s->n; i++) {
		const struct learned *x = &s->item[i];

		if (i - s->n_rules == OUTLIERS_SHOWN) {
			print_note("… and %zu more; --json lists all",
				n - OUTLIERS_SHOWN);
			return;
		}
		(void)fprintf(stderr, "  %s ", action_name(x->action));
		print_text(stderr, x->topic);
		(void)fprintf(stderr,
			"  (%zu device%s, %" PRIu64 " message%s: %s)\n",
			x->devices, x->devices == 1 ? "" : "s", x->messages,
			x->messages == 1 ? "" : "s", why_text(x->why));
	}
}

static void learned_json(cJSON *list, const struct learned *x)
{
	cJSON *j = json_new();

	json_str(j, "action", action_name(x->action));
	json_str(j, "topic", x->topic);
	json_int(j, "qos", x->qos);
	json_bool(j, "retain", x->retain);
	json_int(j, "devices", (int64_t)x->devices);
	json_int(j, "messages", (int64_t)x->messages);
	json_int(j, "largest", (int64_t)x->largest);
	json_time(j, "first_s", x->first_s);
	json_time(j, "last_s", x->last_s);
	if (x->why != LEARN_RULE)
		json_str(j, "why", learn_why_name(x->why));
	json_push(list, j);
}

static void print_learned(
	const struct cli *c, const struct learned_set *s, const char *text)
{
	cJSON *o, *list;
	size_t i;

	if (!c->json) {
		(void)puts(text);
		print_outliers(s);
		return;
	}
	o = json_new();
	json_str(o, "class", args_get(c->args, "class"));
	json_int(o, "devices", (int64_t)s->devices);
	list = json_array(o, "rules");
	for (i = 0; i < s->n_rules; i++)
		learned_json(list, &s->item[i]);
	list = json_array(o, "outliers");
	for (; i < s->n; i++)
		learned_json(list, &s->item[i]);
	json_str(o, "policy", text);
	json_print(o);
}

/* Learns from V, and prints the policy ROW with it if that is valid. */
static bool learn_from(const struct cli *c, const struct policy_row *row,
	const struct seen_view *v, const struct learn_options *options,
	struct err *e)
{
	struct str text = {row->text, row->text_len};
	struct learned_set set = {.n = 0};
	struct policy *policy = NULL;
	char *out;
	bool ok;

	if (v->n == 0)
		return err_set(e, ERR_NOT_FOUND,
			"nothing was observed of class '%.64s' that the policy "
			"in force does not allow; see weir policy seen",
			args_get(c->args, "class"));
	if (!learn(v->o, v->n, options, &set, e))
		return false;
	out = learned_policy(text, args_get(c->args, "class"), &set);
	ok = out != NULL ? policy_load_text("what was learned", str_from(out),
				   &policy, e)
			 : err_set(e, ERR_ENVIRONMENT, "out of memory");
	if (ok) {
		print_learned(c, &set, out);
		tell_lost(v);
	}
	policy_free(&policy);
	free(out);
	learned_fini(&set);
	return ok;
}

static bool run_learn(struct cli *c, struct err *e)
{
	struct policy_row row = {.revision = 0};
	struct policy *policy = NULL;
	struct registry *r = NULL;
	struct seen_view v = {.n = 0};
	struct learn_options options;
	bool ok;

	if (!read_options(c, &options, e))
		return false;
	ok = cli_registry(c, REGISTRY_READ, &r, e) &&
	     load_seen(c, r, &row, &policy, &v, e);
	if (ok) {
		drop_allowed(policy, &v);
		ok = learn_from(c, &row, &v, &options, e);
	}
	seen_view_fini(&v);
	policy_free(&policy);
	policy_row_fini(&row);
	registry_close(&r);
	return ok;
}

/* ---------------------------------------------------------------------- table */

#define CLASS_OPTION                                                           \
	{                                                                      \
		"class", '\0', OPT_VALUE, "C", "devices of this class"         \
	}
#define SINCE_OPTION                                                           \
	{                                                                      \
		"since", '\0', OPT_VALUE, "DUR",                               \
			"what was seen in the last DUR only"                   \
	}
#define NO_OPTION                                                              \
	{                                                                      \
		NULL, '\0', OPT_FLAG, NULL, NULL                               \
	}

static const struct opt SEEN_OPTIONS[] = {
	CLASS_OPTION, SINCE_OPTION, NO_OPTION};

static const struct opt LEARN_OPTIONS[] = {
	CLASS_OPTION,
	SINCE_OPTION,
	{"many", '\0', OPT_VALUE, "N",
		"as many different values of a level become '+' (8)"},
	{"min-share", '\0', OPT_VALUE, "PCT",
		"what fewer of the devices do is an outlier (5)"},
	{"hash", '\0', OPT_FLAG, NULL, "keep '#' that devices subscribe to"},
	NO_OPTION,
};

const struct command learn_commands[] = {
	{
		.name = "policy seen",
		.usage = "[--class C] [--since DUR]",
		.summary = "List what was observed: what enforcing would have "
			   "refused",
		.help = "One line a device, action, reason and topic. What the "
			"policy allows is not recorded.\n\n"
			"  weir policy seen --class legacy --since 1h\n",
		.options = SEEN_OPTIONS,
		.run = run_seen,
	},
	{
		.name = "policy learn",
		.usage = "--class C [--since DUR] [--many N] [--min-share PCT] "
			 "[--hash]",
		.summary = "Make a policy of what was observed",
		.help = "Prints the policy in force with rules added to class "
			"C, each with its evidence as a\ncomment, and on "
			"standard error the outliers, which it does not "
			"allow.\nChanges nothing: read it, then apply it.\n\n"
			"  weir policy learn --class meter --since 7d "
			">policy.json\n",
		.options = LEARN_OPTIONS,
		.run = run_learn,
	},
	{
		.name = "policy try",
		.usage = "FILE|- [--class C] [--since DUR]",
		.summary = "What a policy would have refused of what was "
			   "observed",
		.help = "Judges what was recorded by the policy as if all of "
			"it "
			"enforced. Exit status 1 when it\nwould have refused "
			"something.\n\n"
			"  weir policy try policy.json\n",
		.options = SEEN_OPTIONS,
		.words_min = 1,
		.words_max = 1,
		.run = run_policy_try,
	},
	{.name = NULL},
};
