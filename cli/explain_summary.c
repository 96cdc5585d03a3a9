/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir explain ID: all that a device may do.
 */
#include "cli/class_text.h"
#include "cli/explain_print.h"
#include "cli/meter_print.h"
#include "cli/output.h"
#include "cli/remedy.h"
#include "core/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_TEXT  1024
#define LIMITS_TEXT 256

/* One rule, as it comes out for the device. */
struct line {
	const struct rule_spec *rule;
	char place[RULE_PLACE_MAX];
	char topic[TOPIC_TEXT];
	struct str missing; /* the variable that makes it match nothing */
};

/* The class that judges the device; NULL: the quarantine. */
static const struct policy_class *judge(const struct explained *x)
{
	return x->asked->device.status == DEVICE_QUARANTINED
		       ? NULL
		       : x->asked->who.class;
}

/* Calls EACH for every rule of ACTION. */
static void each_rule(const struct explained *x, enum action action, bool mask,
	void (*each)(void *ctx, enum action action, const struct line *l),
	void *ctx)
{
	size_t n = 0, i;
	uint32_t *rules;

	/* A class that the policy lacks has no rules, in quarantine either. */
	if (x->asked->who.class == NULL)
		return;
	rules = explain_rules(x->policy, judge(x), action, &n);
	for (i = 0; rules != NULL && i < n && output_ok(); i++) {
		struct line l = {.rule = explain_rule(x->policy, rules[i])};

		(void)policy_rule_place(x->policy, rules[i], l.place);
		(void)explain_expand(l.rule->topic, &x->asked->device, mask,
			l.topic, sizeof(l.topic), &l.missing);
		each(ctx, action, &l);
	}
	if (rules == NULL)
		print_note("out of memory: rules are left out");
	free(rules);
}

/* --------------------------------------------------------------------- people */

/* "QoS 1, retained, 512 bytes, $share workers" */
static void limits_text(
	enum action action, const struct line *l, char out[static LIMITS_TEXT])
{
	const struct rule_spec *r = l->rule;
	char size[32], shared[120];
	size_t at = 0, i;

	size[0] = '\0';
	shared[0] = '\0';
	if (action == ACTION_PUBLISH && r->max_bytes != POLICY_BYTES_MAX)
		(void)snprintf(size, sizeof(size), ", %" PRIu32 " bytes",
			r->max_bytes);
	for (i = 0; i < r->n_shared && at < sizeof(shared); i++) {
		int k = snprintf(shared + at, sizeof(shared) - at, "%s%.*s",
			i == 0 ? ", $share " : " ", STR_ARG(r->shared[i]));

		at = k < 0 ? sizeof(shared) : at + (size_t)k;
	}
	(void)snprintf(out, LIMITS_TEXT, "QoS %u%s%s%s", r->max_qos,
		r->retain ? ", retained" : "", size, shared);
}

static void add_row(void *ctx, enum action action, const struct line *l)
{
	char limits[LIMITS_TEXT];

	limits_text(action, l, limits);
	if (l->missing.n != 0)
		(void)snprintf(limits, sizeof(limits),
			"nothing: the device has no %.*s", STR_ARG(l->missing));
	table_row(ctx, (const char *const[]){action_name(action), l->topic,
			       limits, l->place});
}

static void print_client_ids(const struct explained *x)
{
	char id[160];
	size_t i;

	for (i = 0; x->asked->who.class != NULL; i++) {
		if (explain_client_id(x->asked->who.class, i, &x->asked->device,
			    id, sizeof(id)) == 0)
			return;
		print_field(i == 0 ? "client id" : "or", "%s", id);
	}
}

static void print_mode(const struct explained *x)
{
	const char *by[OBSERVERS];
	size_t n = explain_observers(x, by);

	if (n != 0 && strcmp(by[n - 1], "broker") == 0)
		print_field("mode",
			"observe (broker): what enforcing would refuse %s",
			policy_fallback(x->policy) == FALLBACK_ALLOW
				? "passes"
				: "is left to the broker's own rules");
	else if (n != 0)
		print_field("mode",
			"observe (%s%s): what the rules below refuse passes, "
			"but for topics that start with $",
			by[0], n == 2 ? " and device" : "");
}

static void print_limit(void *ctx, enum limit limit, uint64_t max)
{
	bool *any = ctx;

	print_field(*any ? "and" : "at most", "%" PRIu64 " %s", max,
		limit_text(limit));
	*any = true;
}

/* Which hold in quarantine too. */
static void print_limits(const struct explained *x)
{
	bool any = false;

	class_limits_each(x->asked->who.class, print_limit, &any);
	if (any)
		print_field("used", "what the device has used of these limits "
				    "is not known here");
}

/* What the meter has of the device. */
struct seen {
	struct meter_watch w;
	struct meter_device d;
};

static void print_people(const struct cli *c, const struct explained *x,
	struct decision connect, const struct seen *seen)
{
	static const char *const heads[] = {
		"ACTION", "TOPIC", "LIMITS", "RULE"};
	const struct device *d = &x->asked->device;
	struct explained asked = *x;
	struct table *t = table_new(heads, 4);
	char remedy[REMEDY_MAX];

	print_field("device", "%s (class %s, %s%s)", d->id, d->class_name,
		device_status_name((enum device_status)d->status),
		x->asked->who.confined ? " by weir-feed" : "");
	if (x->asked->who.confined)
		print_field("rules",
			"of the quarantine, below: what the class's rules "
			"refuse is refused too");
	if (connect.verdict == VERDICT_ALLOWED)
		print_field("connect", "allowed");
	else
		print_field("connect", "refused: %s (%s)",
			reason_text(connect.reason),
			reason_name(connect.reason));
	asked.decision = connect;
	if (remedy_text(&asked, remedy))
		print_field("remedy", "%s", remedy);
	print_client_ids(x);
	print_mode(x);
	print_limits(x);
	meter_device_print(&seen->w, &seen->d);
	each_rule(x, ACTION_PUBLISH, !c->show_ids, add_row, t);
	each_rule(x, ACTION_SUBSCRIBE, !c->show_ids, add_row, t);
	(void)putchar('\n');
	table_print(t);
	table_free(&t);
}

/* ----------------------------------------------------------------------- JSON */

static void push_rule(void *ctx, enum action action, const struct line *l)
{
	const struct rule_spec *r = l->rule;
	char *missing = need_memory(l->missing.n + 1, 1);
	char *template = need_memory(r->topic.n + 1, 1);
	cJSON *o = json_new(), *shared;
	size_t i;

	if (l->missing.n != 0)
		memcpy(missing, l->missing.p, l->missing.n);
	memcpy(template, r->topic.p, r->topic.n);
	json_str(o, "rule", l->place);
	json_str(o, "template", template);
	json_str(o, "topic", l->missing.n == 0 ? l->topic : NULL);
	json_str(o, "missing", l->missing.n != 0 ? missing : NULL);
	json_int(o, "max_qos", r->max_qos);
	if (action == ACTION_PUBLISH) {
		json_bool(o, "retain", r->retain);
		json_int(o, "max_bytes", r->max_bytes);
	}
	shared = action == ACTION_SUBSCRIBE ? json_array(o, "shared") : NULL;
	for (i = 0; i < r->n_shared && shared != NULL; i++) {
		char *group = need_memory(r->shared[i].n + 1, 1);

		memcpy(group, r->shared[i].p, r->shared[i].n);
		json_push(shared, cJSON_CreateString(group));
		free(group);
	}
	json_push(ctx, o);
	free(missing);
	free(template);
}

static void print_json(const struct explained *x, struct decision connect,
	const struct seen *seen)
{
	const struct device *d = &x->asked->device;
	cJSON *o = json_new(), *v, *ids;
	char id[160];
	size_t i;

	json_str(o, "device", d->id);
	json_str(o, "class", d->class_name);
	json_str(
		o, "status", device_status_name((enum device_status)d->status));
	json_bool(o, "by_feed", x->asked->who.confined);
	v = json_object(o, "connect");
	json_str(v, "verdict",
		connect.verdict == VERDICT_ALLOWED ? "allowed" : "refused");
	json_str(v, "reason", reason_name(connect.reason));
	ids = json_array(o, "client_ids");
	for (i = 0; x->asked->who.class != NULL &&
		    explain_client_id(
			    x->asked->who.class, i, d, id, sizeof(id)) != 0;
		i++)
		json_push(ids, cJSON_CreateString(id));
	meter_device_json(o, &seen->w, &seen->d);
	explain_observers_json(o, x);
	class_limits_json(o, x->asked->who.class);
	each_rule(
		x, ACTION_PUBLISH, false, push_rule, json_array(o, "publish"));
	each_rule(x, ACTION_SUBSCRIBE, false, push_rule,
		json_array(o, "subscribe"));
	json_print(o);
}

/* The client id that the class allows first: ${device} is not always. */
bool explain_summary(
	const struct cli *c, const struct explained *x, struct err *e)
{
	struct request what = {.action = ACTION_CONNECT,
		.topic = x->id,
		.now_s = x->what.now_s};
	struct decision connect;
	struct seen seen;
	char id[160];

	if (!meter_watch_open(c->meter, &seen.w, e))
		return false;
	(void)meter_device_find(&seen.w, x->id, &seen.d);
	if (x->asked->who.class != NULL &&
		explain_client_id(x->asked->who.class, 0, &x->asked->device, id,
			sizeof(id)) != 0)
		what.topic = str_from(id);
	connect = decide(x->policy, &x->asked->who, &what);
	if (c->json)
		print_json(x, connect, &seen);
	else
		print_people(c, x, connect, &seen);
	meter_watch_close(&seen.w);
	return true;
}
