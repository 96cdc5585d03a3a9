/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir explain: what decide() says, and why. The verdict is the broker's: the
 * same function, asked with the registry's rows.
 */
#include "cli/asked.h"
#include "cli/explain_batch.h"
#include "cli/explain_print.h"
#include "cli/policy_load.h"
#include "io/values.h"

#include <stdio.h>

/* ------------------------------------------------------------- the question */

/* An option's whole number, 0 when not given. */
static bool number_option(const struct cli *c, const char *name, int64_t high,
	int64_t *out, struct err *e)
{
	const char *v = args_get(c->args, name);
	char what[32];

	*out = 0;
	if (v == NULL)
		return true;
	(void)snprintf(what, sizeof(what), "--%s", name);
	return number_parse(what, str_from(v), 0, high, out, e);
}

/* The topic: a word, or for connect the client id, by default the device's. */
static bool read_topic(const struct cli *c, struct request *what, struct err *e)
{
	const char *client_id = args_get(c->args, "client-id");

	what->topic = cli_word(c, 2);
	if (what->action != ACTION_CONNECT) {
		if (client_id != NULL)
			return err_set(e, ERR_INPUT,
				"--client-id is for connect only");
		return c->args->n_words == 3 ||
		       err_set(e, ERR_INPUT,
			       "%s needs a topic; see weir help "
			       "explain",
			       action_name(what->action));
	}
	if (client_id != NULL && c->args->n_words == 3)
		return err_set(e, ERR_INPUT,
			"the client id is given twice: as a word and by "
			"--client-id");
	if (client_id != NULL)
		what->topic = str_from(client_id);
	else if (c->args->n_words < 3)
		what->topic = cli_word(c, 0);
	return true;
}

/* Without an action: ACTION_NONE, which asks for the summary. */
static bool read_request(
	const struct cli *c, struct request *what, struct err *e)
{
	struct str action = cli_word(c, 1);
	int64_t qos, bytes;

	*what = (struct request){
		.now_s = c->now_s, .retain = args_has(c->args, "retain")};
	if (!number_option(c, "qos", 2, &qos, e) ||
		!number_option(c, "bytes", UINT32_MAX, &bytes, e))
		return false;
	what->qos = (uint8_t)qos;
	what->payload_len = (uint32_t)bytes;
	if (c->args->n_words < 2)
		return true;
	what->action = action_find(action);
	if (what->action == ACTION_NONE)
		return err_set(e, ERR_INPUT,
			"'%.*s' is no action: connect, publish, subscribe or "
			"receive",
			STR_ARG(action));
	return read_topic(c, what, e);
}

/* ------------------------------------------------------------------ policies */

/* The policy of --policy, else the one in force; *revision 0 for a file. */
static bool find_policy(const struct cli *c, struct registry *r,
	int64_t *revision, struct policy **out, struct err *e)
{
	const char *file = args_get(c->args, "policy");
	struct policy_row row;

	*revision = 0;
	if (file != NULL)
		return policy_load_file(file, out, e);
	if (!policy_load_revision(r, 0, &row, out, e))
		return false;
	*revision = row.revision;
	policy_row_fini(&row);
	return true;
}

static bool explain_one(struct cli *c, const struct asking *from,
	int64_t revision, struct err *e)
{
	struct explained x = {.policy = from->policy, .revision = revision};
	struct asked asked;
	bool done = true;

	x.asked = &asked;
	x.id = cli_word(c, 0);
	if (!read_request(c, &x.what, e) || !asked_load(from, x.id, &asked, e))
		return false;
	if (x.what.action == ACTION_NONE && !asked.found)
		return err_set(e, ERR_NOT_FOUND,
			"there is no device '%.*s'; see weir device list",
			STR_ARG(x.id));
	if (x.what.action == ACTION_NONE) {
		done = explain_summary(c, &x, e);
	} else {
		x.decision = decide(x.policy, &asked.who, &x.what);
		c->answer_no = x.decision.verdict == VERDICT_REFUSED;
		explain_print(c, &x);
	}
	asked_fini(&asked);
	return done;
}

/* Explains by what R, live.db and the policy say. */
static bool explain(struct cli *c, struct registry *r, struct err *e)
{
	const char *batch = args_get(c->args, "batch");
	struct live_view live;
	struct policy *policy = NULL;
	struct asking from = {.c = c, .r = r, .live = &live};
	int64_t revision;
	bool ok;

	if (!live_view_need(c, &live, e))
		return false;
	ok = find_policy(c, r, &revision, &policy, e);
	from.policy = policy;
	if (ok && batch != NULL)
		ok = explain_batch(&from, batch, e);
	else if (ok)
		ok = explain_one(c, &from, revision, e);
	policy_free(&policy);
	live_view_fini(&live);
	return ok;
}

static bool run_explain(struct cli *c, struct err *e)
{
	bool batch = args_get(c->args, "batch") != NULL, ok;
	struct registry *r = NULL;

	if (batch == (c->args->n_words != 0))
		return err_set(e, ERR_INPUT,
			"give a device, or --batch FILE; see weir help "
			"explain");
	if (!cli_registry(c, REGISTRY_READ, &r, e))
		return false;
	ok = explain(c, r, e);
	registry_close(&r);
	return ok;
}

static const struct opt EXPLAIN_OPTIONS[] = {
	{"qos", '\0', OPT_VALUE, "N", "quality of service, 0 to 2 (0)"},
	{"retain", '\0', OPT_FLAG, NULL, "the message is retained"},
	{"bytes", '\0', OPT_VALUE, "N", "the payload's size (0)"},
	{"client-id", '\0', OPT_VALUE, "C", "connect: the client id (ID)"},
	{"policy", '\0', OPT_VALUE, "FILE",
		"ask this policy, not the one in force"},
	{"batch", '\0', OPT_VALUE, "FILE",
		"answer the lines of a file, or of '-'"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command explain_commands[] = {
	{
		.name = "explain",
		.usage = "ID [connect|publish|subscribe|receive [TOPIC]] | "
			 "--batch FILE",
		.summary = "Say what a device may do, and why not",
		.help = "The verdict comes from the code that decides in the "
			"broker. Exit status 0: allowed,\nor observed: allowed "
			"only because its class or the device is in observe "
			"mode; 1: refused.\nWithout an action: all that the "
			"device may do, and its last refusal. What the device "
			"has used of its "
			"class's\nlimits is not known here, so rate and quota "
			"are never the answer.\n\n"
			"  weir explain pump-1 publish plant/pump-1/state "
			"--qos 1 --bytes 200\n\n"
			"--batch reads lines of device, action, topic, qos, "
			"retain, bytes, tab separated (the\nlast may be "
			"missing; for connect the topic is the client id), "
			"and writes for each:\nallow or deny, reason, rule; "
			"what is only observed is allow with the reason that "
			"enforcing\nwould give. Its exit status is 0 whatever "
			"the verdicts.\n",
		.options = EXPLAIN_OPTIONS,
		.words_max = 3,
		.run = run_explain,
	},
	{.name = NULL},
};
