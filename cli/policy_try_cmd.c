/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_try_cmd.h"

#include "cli/output.h"
#include "cli/policy_load.h"
#include "cli/seen_view.h"
#include "core/decide.h"
#include "core/level.h"

#include <inttypes.h>
#include <string.h>

#define SHOWN 50 /* requests, to people */

/* A level that no rule names stands for every value of a `+`: core/topic.h. */
#define FRESH "\x7e\x7e\x7e"

/* O's topic with each `+` as such a level, in OUT. */
static struct str hardest(
	const struct observation *o, char out[static 3 * SEEN_TOPIC])
{
	struct levels levels = levels_of(o->topic);
	struct str level;
	size_t n = 0;

	for (bool first = true; levels_next(&levels, &level); first = false) {
		if (str_eq(level, STR("+")))
			level = STR(FRESH);
		if (!first)
			out[n++] = '/';
		memcpy(out + n, level.p, level.n);
		n += level.n;
	}
	return (struct str){out, n};
}

bool seen_allowed(const struct policy *policy, const struct observation *o,
	enum reason *reason)
{
	char topic[3 * SEEN_TOPIC];
	struct subject who = {
		.device = o->device,
		.class = policy_class_find(
			policy, str_from(o->device->class_name)),
		.credential = CREDENTIAL_ACTIVE,
		.barred = REASON_ALLOWED,
	};
	struct request what = {
		.action = o->action,
		.topic = o->topic,
		.qos = o->qos,
		.retain = o->retain && o->action == ACTION_PUBLISH,
		.payload_len = (uint32_t)(o->largest < POLICY_BYTES_MAX
						  ? o->largest
						  : POLICY_BYTES_MAX),
	};
	struct decision d;

	if (o->folded && o->action == ACTION_PUBLISH)
		what.topic = hardest(o, topic);
	d = decide(policy, &who, &what);
	if (reason != NULL)
		*reason = (enum reason)d.reason;
	return d.verdict == VERDICT_ALLOWED;
}

/* ------------------------------------------------------------------------ try */

struct tally {
	size_t requests, devices;
	uint64_t messages;
	const struct device *last;
};

static void count(struct tally *t, const struct observation *o)
{
	t->requests++;
	t->messages += o->messages;
	t->devices += o->device != t->last;
	t->last = o->device;
}

static void refused_json(
	cJSON *list, const struct observation *o, enum reason reason)
{
	cJSON *j = json_new();

	json_str(j, "device", o->device->id);
	json_str(j, "class", o->device->class_name);
	json_str(j, "action", action_name(o->action));
	json_str(j, "topic", o->topic.p);
	json_str(j, "reason", reason_name(reason));
	json_int(j, "messages", (int64_t)o->messages);
	json_push(list, j);
}

static void refused_row(
	struct table *t, const struct observation *o, enum reason reason)
{
	char messages[24];

	(void)snprintf(messages, sizeof(messages), "%" PRIu64, o->messages);
	table_row(t, (const char *const[]){o->device->id, o->device->class_name,
			     action_name(o->action), reason_name(reason),
			     messages, o->topic.p});
}

static void tally_json(cJSON *o, const char *key, const struct tally *t)
{
	cJSON *j = json_object(o, key);

	json_int(j, "devices", (int64_t)t->devices);
	json_int(j, "requests", (int64_t)t->requests);
	json_int(j, "messages", (int64_t)t->messages);
}

static void print_tried(const struct tally *refused, const struct tally *passed,
	const struct table *t)
{
	(void)printf("would have refused: %zu device%s, %" PRIu64
		     " message%s%s\n",
		refused->devices, refused->devices == 1 ? "" : "s",
		refused->messages, refused->messages == 1 ? "" : "s",
		refused->requests != 0 ? ":" : "");
	table_print(t);
	if (refused->requests > SHOWN)
		(void)printf("… and %zu requests more; --json lists all\n",
			refused->requests - SHOWN);
	(void)printf("would have let pass: %zu device%s, %" PRIu64
		     " message%s\n",
		passed->devices, passed->devices == 1 ? "" : "s",
		passed->messages, passed->messages == 1 ? "" : "s");
}

/* Judges all of V by POLICY, and prints. */
static void try_all(
	struct cli *c, const struct policy *policy, const struct seen_view *v)
{
	static const char *const heads[] = {
		"DEVICE", "CLASS", "ACTION", "REASON", "MESSAGES", "TOPIC"};
	struct tally refused = {.last = NULL}, passed = {.last = NULL};
	struct table *t = table_new(heads, 6);
	cJSON *o = json_new(), *list = json_array(o, "requests");
	enum reason reason;

	for (size_t i = 0; i < v->n; i++) {
		if (seen_allowed(policy, &v->o[i], &reason)) {
			count(&passed, &v->o[i]);
			continue;
		}
		count(&refused, &v->o[i]);
		refused_json(list, &v->o[i], reason);
		if (refused.requests <= SHOWN)
			refused_row(t, &v->o[i], reason);
	}
	c->answer_no = refused.requests != 0;
	if (c->json) {
		tally_json(o, "refused", &refused);
		tally_json(o, "passed", &passed);
		json_print(o);
	} else {
		cJSON_Delete(o);
		print_tried(&refused, &passed, t);
	}
	table_free(&t);
}

/* Who is not registered is judged as the policy in force takes it in: what it
 * may do is asked here, not whether it may connect. */
static bool load(const struct cli *c, struct registry *r, struct seen_view *v,
	struct err *e)
{
	struct seen_filter f = {.class_name = args_get(c->args, "class")};
	struct policy_row row = {.revision = 0};
	struct policy *in_force = NULL;
	bool ok;

	if (!seen_since(c, &f.since_s, e) ||
		!policy_load_revision(r, 0, &row, &in_force, e))
		return false;
	f.unknown = policy_unknown(in_force);
	ok = seen_view_load(c, r, &f, v, e);
	policy_free(&in_force);
	policy_row_fini(&row);
	return ok;
}

bool run_policy_try(struct cli *c, struct err *e)
{
	struct policy *policy = NULL;
	struct registry *r = NULL;
	struct seen_view v = {.n = 0};
	bool ok = policy_load_file(cli_word(c, 0).p, &policy, e) &&
		  cli_registry(c, REGISTRY_READ, &r, e) && load(c, r, &v, e);

	if (ok)
		try_all(c, policy, &v);
	seen_view_fini(&v);
	policy_free(&policy);
	registry_close(&r);
	return ok;
}
