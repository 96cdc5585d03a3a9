/* SPDX-License-Identifier: Apache-2.0 */
#include "core/decide.h"

#include "core/policy_private.h"
#include "core/topic.h"
#include "core/utf8.h"

static const char *const action_names[] = {
	[ACTION_NONE] = "none",
	[ACTION_CONNECT] = "connect",
	[ACTION_PUBLISH] = "publish",
	[ACTION_SUBSCRIBE] = "subscribe",
	[ACTION_RECEIVE] = "receive",
};
#define N_ACTIONS (sizeof(action_names) / sizeof(action_names[0]))

const char *action_name(enum action a)
{
	return action_names[a < N_ACTIONS ? a : ACTION_NONE];
}

enum action action_find(struct str name)
{
	size_t i;

	for (i = 1; i < N_ACTIONS; i++)
		if (str_eq(str_from(action_names[i]), name))
			return (enum action)i;
	return ACTION_NONE;
}

static struct decision refuse(enum reason reason)
{
	return (struct decision){VERDICT_REFUSED, reason, RULE_NONE};
}

/* --------------------------------------------------------------- connect */

static bool within_validity(const struct certificate *c, int64_t now_s)
{
	return now_s >= c->not_before_s && now_s <= c->not_after_s;
}

static enum reason certificate_reason(const struct subject *who, int64_t now_s)
{
	const struct certificate *c = who->certificate;

	if (c == NULL)
		return REASON_NO_CERTIFICATE;
	if (!c->usable)
		return REASON_CERTIFICATE_INVALID;
	if (who->credential == CREDENTIAL_REVOKED || who->key_barred)
		return REASON_CERTIFICATE_REVOKED;
	if (who->credential != CREDENTIAL_ACTIVE)
		return REASON_UNKNOWN_CERTIFICATE;
	if (!within_validity(c, now_s))
		return REASON_CERTIFICATE_EXPIRED;
	return REASON_ALLOWED;
}

static enum reason device_reason(const struct subject *who)
{
	if (who->device == NULL)
		return REASON_UNKNOWN_CERTIFICATE;
	switch ((enum device_status)who->device->status) {
	case DEVICE_ACTIVE:
	case DEVICE_QUARANTINED:
		return who->class != NULL ? REASON_ALLOWED
					  : REASON_CLASS_UNKNOWN;
	case DEVICE_SUSPENDED:
		return REASON_DEVICE_SUSPENDED;
	case DEVICE_RETIRED:
		return REASON_DEVICE_RETIRED;
	case DEVICE_NONE:
		break;
	}
	return REASON_UNAVAILABLE;
}

static enum reason sim_reason(const struct subject *who)
{
	const struct device *d = who->device;
	int kind;

	for (kind = SIMID_NONE + 1; kind < SIMID_KINDS; kind++) {
		struct str stated = str_from(who->certificate->stated[kind]);
		bool required = who->class->sim_require >> kind & 1;

		if (stated.n != 0 && !simid_same(&d->sim[kind], stated))
			return REASON_SIM_MISMATCH;
		if (required && d->sim[kind].kind == SIMID_NONE)
			return REASON_SIM_MISMATCH;
	}
	return REASON_ALLOWED;
}

static bool client_id_is(const struct client_id_form *form, struct str rest)
{
	if (rest.n < form->suffix.n ||
		(form->suffix.n != 0 &&
			memcmp(rest.p, form->suffix.p, form->suffix.n) != 0))
		return false;
	return form->open ? rest.n > form->suffix.n : rest.n == form->suffix.n;
}

static enum reason client_id_reason(
	const struct subject *who, struct str client_id)
{
	const struct device *d = who->device;
	struct str rest;
	size_t i;

	if (client_id.n == 0 || client_id.n > TOPIC_MAX ||
		!utf8_valid(client_id))
		return REASON_MALFORMED;
	if (client_id.n < d->id_len ||
		memcmp(client_id.p, d->id, d->id_len) != 0)
		return REASON_CLIENT_ID_MISMATCH;
	rest = (struct str){client_id.p + d->id_len, client_id.n - d->id_len};
	for (i = 0; i < who->class->n_client_ids; i++)
		if (client_id_is(&who->class->client_ids[i], rest))
			return REASON_ALLOWED;
	return REASON_CLIENT_ID_MISMATCH;
}

static struct decision decide_connect(
	const struct subject *who, const struct request *what)
{
	enum reason reason = certificate_reason(who, what->now_s);

	if (reason == REASON_ALLOWED)
		reason = device_reason(who);
	if (reason == REASON_ALLOWED)
		reason = sim_reason(who);
	if (reason == REASON_ALLOWED)
		reason = client_id_reason(who, what->topic);
	if (reason != REASON_ALLOWED)
		return refuse(reason);
	return (struct decision){VERDICT_ALLOWED, REASON_ALLOWED, RULE_NONE};
}

/* ----------------------------------------- publish, subscribe and receive */

static struct trie_answer ask(const struct policy_class *rules,
	const struct subject *who, const struct request *what)
{
	struct trie_query q = {
		.device = who->device,
		.topic = what->topic,
		.qos = what->qos,
		.retain = what->retain,
		.any_limit = what->action == ACTION_RECEIVE,
		.payload_len = what->payload_len,
	};

	if (what->action != ACTION_SUBSCRIBE)
		return trie_match(rules->trie[what->action == ACTION_PUBLISH
						      ? DIRECTION_PUBLISH
						      : DIRECTION_SUBSCRIBE],
			&q);
	if (!share_split(what->topic, &q.group, &q.topic) ||
		!filter_valid(q.topic))
		return (struct trie_answer){REASON_MALFORMED, RULE_NONE};
	return trie_cover(rules->trie[DIRECTION_SUBSCRIBE], &q);
}

/* Budget: see decide.h; the trie's walk is all but some 40 instructions. */
static struct decision decide_topic(const struct policy *policy,
	const struct subject *who, const struct request *what)
{
	const struct policy_class *rules = who->class;
	enum reason reason = who->barred;
	struct trie_answer a;

	if (reason == REASON_ALLOWED && who->certificate != NULL &&
		!within_validity(who->certificate, what->now_s))
		reason = REASON_CERTIFICATE_EXPIRED;
	if (reason == REASON_ALLOWED)
		reason = device_reason(who);
	if (reason != REASON_ALLOWED)
		return refuse(reason);
	if (who->device->status == DEVICE_QUARANTINED)
		rules = &policy->classes[policy->n_classes];
	a = ask(rules, who, what);
	if (a.reason == REASON_ALLOWED)
		return (struct decision){
			VERDICT_ALLOWED, REASON_ALLOWED, a.number};
	if (who->device->status == DEVICE_QUARANTINED &&
		a.reason != REASON_MALFORMED)
		a.reason = REASON_QUARANTINED;
	return (struct decision){VERDICT_REFUSED, a.reason, a.number};
}

struct decision decide(const struct policy *policy, const struct subject *who,
	const struct request *what)
{
	if (policy == NULL || what->qos > 2)
		return refuse(REASON_UNAVAILABLE);
	switch (what->action) {
	case ACTION_CONNECT:
		return decide_connect(who, what);
	case ACTION_PUBLISH:
	case ACTION_SUBSCRIBE:
	case ACTION_RECEIVE:
		return decide_topic(policy, who, what);
	case ACTION_NONE:
		break;
	}
	return refuse(REASON_UNAVAILABLE);
}
