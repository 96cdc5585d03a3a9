/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain_print.h"

#include "cli/class_text.h"
#include "cli/output.h"
#include "cli/remedy.h"
#include "core/explain.h"
#include "core/topic.h"
#include "io/x509.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 1024 /* of a topic or template, shown to people */

/* S as a NUL-terminated text. Given: free(). */
static char *text_of(struct str s)
{
	char *out = need_memory(s.n + 1, 1);

	if (s.n != 0)
		memcpy(out, s.p, s.n);
	return out;
}

static void json_text(cJSON *o, const char *key, struct str s)
{
	char *text = text_of(s);

	json_str(o, key, text);
	free(text);
}

static bool allowed(const struct explained *x)
{
	return x->decision.verdict == VERDICT_ALLOWED;
}

size_t explain_observers(
	const struct explained *x, const char *out[static OBSERVERS])
{
	const struct subject *who = &x->asked->who;
	bool active =
		who->device != NULL && who->device->status == DEVICE_ACTIVE;
	size_t n = 0;

	if (active && who->class != NULL && policy_class_observes(who->class))
		out[n++] = "class";
	if (active && who->class != NULL && who->device->observe)
		out[n++] = "device";
	if (policy_observes(x->policy, who->class) &&
		(who->device == NULL || active))
		out[n++] = "broker";
	return n;
}

void explain_observers_json(cJSON *o, const struct explained *x)
{
	cJSON *list = json_array(o, "observed_by");
	const char *by[OBSERVERS];
	size_t n = explain_observers(x, by), i;

	for (i = 0; i < n; i++)
		json_push(list, cJSON_CreateString(by[i]));
}

/* True when the rule of the decision is what decided, not just the nearest. */
static bool rule_decided(const struct explained *x)
{
	enum reason r = x->decision.reason;

	return x->decision.rule != RULE_NONE &&
	       (allowed(x) || r == REASON_QOS || r == REASON_RETAIN ||
		       r == REASON_SIZE);
}

/* What explain_level and explain_suggest say of a refusal by rules. */
struct analysis {
	struct explain_level level; /* level 0: none */
	char suggest[EXPLAIN_SUGGEST_CAP];
	uint32_t instead;
	char list[RULE_PLACE_MAX]; /* where the suggestion goes */
};

/* "classes.meter.publish": the list that is asked for the device. */
static void list_name(
	const struct explained *x, char out[static RULE_PLACE_MAX])
{
	const struct device *d = x->asked->who.device;
	bool publish = x->what.action == ACTION_PUBLISH;
	/* weir-feed's quarantine leaves the class's rules in force. */
	bool jail = d->status == DEVICE_QUARANTINED &&
		    (!x->asked->who.confined ||
			    x->decision.reason == REASON_QUARANTINED);

	(void)snprintf(out, RULE_PLACE_MAX, "%s%s.%s",
		jail ? "quarantine" : "classes.", jail ? "" : d->class_name,
		publish ? "publish" : "subscribe");
}

static void analyse(const struct explained *x, struct analysis *out)
{
	const struct rule_spec *rule =
		explain_rule(x->policy, x->decision.rule);
	struct str group, topic = x->what.topic;

	memset(out, 0, sizeof(*out));
	out->instead = RULE_NONE;
	if (allowed(x) || x->asked->who.device == NULL)
		return;
	list_name(x, out->list);
	(void)explain_suggest(x->policy, &x->asked->who, &x->what, &x->decision,
		&out->instead, out->suggest);
	if (x->what.action == ACTION_SUBSCRIBE &&
		!share_split(x->what.topic, &group, &topic))
		return;
	if (rule != NULL)
		explain_level(
			rule->topic, x->asked->who.device, topic, &out->level);
}

/* Lent until OUT goes. */
#define SENTENCE_MAX 256
static const char *reason_sentence(
	const struct explained *x, char out[static SENTENCE_MAX])
{
	const char *by[OBSERVERS] = {"", "", ""};

	if (x->decision.verdict == VERDICT_OBSERVED) {
		size_t n = explain_observers(x, by);
		bool left = policy_observes(x->policy, x->asked->who.class) &&
			    policy_fallback(x->policy) == FALLBACK_BROKER;

		(void)snprintf(out, SENTENCE_MAX,
			"%s, because the %s%s%s%s in observe mode; enforcing "
			"would refuse it: %s",
			left ? "left to the broker's own rules" : "allowed",
			by[0], n > 1 ? " and the " : "", n > 1 ? by[1] : "",
			n > 1 ? " are" : " is",
			reason_text(x->decision.reason));
		return out;
	}
	if (!allowed(x))
		return reason_text(x->decision.reason);
	if (x->what.action == ACTION_CONNECT)
		return "the certificate, the device and the client id are good";
	if (x->decision.rule == RULE_NONE)
		return "several rules together cover the filter";
	return reason_text(REASON_ALLOWED);
}

/* ----------------------------------------------------------------------- JSON */

static void json_place(
	cJSON *o, const char *key, const struct policy *p, uint32_t rule)
{
	char place[RULE_PLACE_MAX];

	json_str(o, key, policy_rule_place(p, rule, place) != 0 ? place : NULL);
}

static void json_level(
	cJSON *o, const struct explained *x, const struct explain_level *l)
{
	char value[TEXT_MAX];
	struct str missing;
	cJSON *level;

	if (l->level == 0) {
		json_str(o, "level", NULL);
		return;
	}
	level = json_object(o, "level");
	json_int(level, "number", l->level);
	if (l->rule_ends) {
		json_str(level, "rule", NULL);
		json_str(level, "value", NULL);
	} else {
		json_text(level, "rule", l->rule);
		(void)explain_expand(l->rule, x->asked->who.device, false,
			value, sizeof(value), &missing);
		json_str(level, "value", missing.n == 0 ? value : NULL);
	}
	if (l->topic_ends)
		json_str(level, "topic", NULL);
	else
		json_text(level, "topic", l->topic);
}

static void json_device(cJSON *o, const struct explained *x)
{
	const struct asked *a = x->asked;
	char hex[FINGERPRINT_HEX];

	json_text(o, "device", x->id);
	json_str(o, "class", a->found ? a->device.class_name : NULL);
	json_str(o, "status",
		a->found ? device_status_name(
				   (enum device_status)a->device.status)
			 : NULL);
	if (a->registered)
		fingerprint_format(a->credential.fingerprint, hex);
	json_str(o, "fingerprint", a->registered ? hex : NULL);
	json_bool(o, "by_feed", a->who.confined);
	if (x->revision != 0)
		json_int(o, "policy_revision", x->revision);
	else
		json_str(o, "policy_revision", NULL);
}

static void json_verdict(cJSON *o, const struct explained *x)
{
	char sentence[SENTENCE_MAX];

	json_str(o, "verdict", verdict_name((enum verdict)x->decision.verdict));
	json_str(o, "reason", reason_name(x->decision.reason));
	json_str(o, "text", reason_sentence(x, sentence));
	explain_observers_json(o, x);
}

static void print_json(const struct explained *x, const struct analysis *an)
{
	cJSON *o = json_new();
	char remedy[REMEDY_MAX];

	json_device(o, x);
	json_str(o, "action", action_name(x->what.action));
	json_text(o, "topic", x->what.topic);
	json_int(o, "qos", x->what.qos);
	json_bool(o, "retain", x->what.retain);
	json_int(o, "bytes", x->what.payload_len);
	json_verdict(o, x);
	json_place(o, "rule", x->policy,
		rule_decided(x) ? x->decision.rule : RULE_NONE);
	json_place(o, "nearest", x->policy,
		allowed(x) ? RULE_NONE : x->decision.rule);
	json_text(
		o, "template", policy_rule_topic(x->policy, x->decision.rule));
	json_level(o, x, &an->level);
	json_str(o, "suggest", an->suggest[0] != '\0' ? an->suggest : NULL);
	json_str(o, "suggest_list", an->suggest[0] != '\0' ? an->list : NULL);
	json_place(o, "suggest_instead_of", x->policy, an->instead);
	json_str(o, "remedy", remedy_text(x, remedy) ? remedy : NULL);
	json_print(o);
}

/* ----------------------------------------------------------------- for people */

static void print_device(const struct explained *x)
{
	const struct asked *a = x->asked;

	if (!a->found)
		print_field("device", "%.*s, which the registry does not have",
			STR_ARG(x->id));
	else
		print_field("device", "%s (class %s, %s%s)", a->device.id,
			a->device.class_name,
			device_status_name(
				(enum device_status)a->device.status),
			a->who.confined ? " by weir-feed" : "");
}

static void print_request(const struct explained *x)
{
	const struct request *w = &x->what;
	struct str topic = w->topic;

	if (topic.n > TEXT_MAX / 2)
		topic.n = TEXT_MAX / 2;
	if (w->action == ACTION_CONNECT)
		print_field(
			"asks to", "connect as client id %.*s", STR_ARG(topic));
	else if (w->action == ACTION_PUBLISH)
		print_field("asks to",
			"publish %.*s, QoS %u%s, %" PRIu32 " bytes",
			STR_ARG(topic), w->qos, w->retain ? ", retained" : "",
			w->payload_len);
	else if (w->action == ACTION_SUBSCRIBE)
		print_field("asks to", "subscribe to %.*s, QoS %u",
			STR_ARG(topic), w->qos);
	else
		print_field("asks to", "receive %.*s", STR_ARG(topic));
}

static void print_rule(const struct explained *x)
{
	char place[RULE_PLACE_MAX], rule[TEXT_MAX / 2];

	if (policy_rule_place(x->policy, x->decision.rule, place) == 0)
		return;
	(void)explain_rule_json(
		x->policy, x->decision.rule, rule, sizeof(rule));
	print_field(rule_decided(x) ? "rule" : "nearest rule", "%s: %s", place,
		rule);
}

/* What stands at a level, quoted and cut to a line. */
#define SHOWN 60

static void quote(struct str level, char out[static SHOWN + 8])
{
	if (level.n == 0)
		(void)snprintf(out, SHOWN + 8, "an empty level");
	else
		(void)snprintf(out, SHOWN + 8, "%.*s%s",
			level.n < SHOWN ? (int)level.n : SHOWN, level.p,
			level.n > SHOWN ? "…" : "");
}

/* ", which is till-7 here", when the rule's LEVEL holds a variable. */
static void print_value(const struct cli *c, const struct explained *x,
	struct str level, char out[static TEXT_MAX])
{
	char value[TEXT_MAX];
	struct str missing;

	out[0] = '\0';
	(void)explain_expand(level, x->asked->who.device, !c->show_ids, value,
		sizeof(value), &missing);
	if (missing.n != 0)
		(void)snprintf(out, TEXT_MAX, ", and the device has none");
	else if (!str_eq(str_from(value), level))
		(void)snprintf(out, TEXT_MAX, ", here %.900s", value);
}

static void print_level(const struct cli *c, const struct explained *x,
	const struct explain_level *l)
{
	const char *what =
		x->what.action == ACTION_SUBSCRIBE ? "filter" : "topic";
	char label[24], rule[SHOWN + 8], topic[SHOWN + 8], value[TEXT_MAX];

	if (l->level == 0)
		return;
	(void)snprintf(label, sizeof(label), "level %" PRIu32, l->level);
	print_value(c, x, l->rule, value);
	quote(l->rule, rule);
	quote(l->topic, topic);
	if (l->rule_ends)
		print_field(label, "the rule has no such level; the %s has %s",
			what, topic);
	else if (l->topic_ends)
		print_field(label, "the rule has %s%s; the %s ends before",
			rule, value, what);
	else
		print_field(label, "the rule has %s%s; the %s has %s%s", rule,
			value, what, topic,
			l->other_value ? ", another value than before" : "");
}

static void print_suggestion(
	const struct explained *x, const struct analysis *an)
{
	char place[RULE_PLACE_MAX];

	if (an->suggest[0] == '\0')
		return;
	if (policy_rule_place(x->policy, an->instead, place) != 0)
		print_field("would allow it", "in place of %s", place);
	else
		print_field("would allow it", "in %s%s", an->list,
			strstr(an->suggest, "${") == NULL
				? ", to every device of the class alike"
				: "");
	(void)fputs("    ", stdout);
	print_text(stdout, an->suggest);
	(void)putchar('\n');
}

/* A question about a topic takes for granted that the device is there. */
static void print_connect(const struct explained *x)
{
	const struct request what = {.action = ACTION_CONNECT,
		.topic = x->id,
		.now_s = x->what.now_s};
	struct decision d;

	if (x->what.action == ACTION_CONNECT || !x->asked->found)
		return;
	d = decide(x->policy, &x->asked->who, &what);
	if (d.verdict != VERDICT_ALLOWED && d.reason != x->decision.reason &&
		d.reason != REASON_CLIENT_ID_MISMATCH)
		print_field("but", "it cannot connect now: %s (%s)",
			reason_text(d.reason), reason_name(d.reason));
}

/* The broker alone knows what the device has used of them. */
static void print_limits(const struct explained *x)
{
	char limits[CLASS_LIMITS_TEXT];

	class_limits_text(x->asked->who.class, limits);
	if (limits[0] != '\0' && x->what.action != ACTION_RECEIVE &&
		x->decision.verdict != VERDICT_REFUSED)
		print_field("limits",
			"not judged: what the device has used of them is not "
			"known here");
}

void explain_print(const struct cli *c, const struct explained *x)
{
	struct analysis an;
	char remedy[REMEDY_MAX], sentence[SENTENCE_MAX];

	analyse(x, &an);
	if (c->json) {
		print_json(x, &an);
		return;
	}
	(void)printf("%s: %s", verdict_name((enum verdict)x->decision.verdict),
		reason_sentence(x, sentence));
	if (!allowed(x))
		(void)printf(" (%s)", reason_name(x->decision.reason));
	(void)putchar('\n');
	print_device(x);
	print_request(x);
	print_rule(x);
	print_level(c, x, &an.level);
	print_suggestion(x, &an);
	if (remedy_text(x, remedy))
		print_field("remedy", "%s", remedy);
	print_limits(x);
	print_connect(x);
}
