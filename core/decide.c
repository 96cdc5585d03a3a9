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

const char *verdict_name(enum verdict v)
{
	return v == VERDICT_ALLOWED    ? "allowed"
	       : v == VERDICT_OBSERVED ? "observed"
				       : "refused";
}

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

static __attribute__((noinline)) struct decision refuse(enum reason reason)
{
	return (struct decision){VERDICT_REFUSED, (uint8_t)reason, RULE_NONE};
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
	enum device_status status =
		who->device != NULL ? who->device->status : DEVICE_NONE;

	if (status == DEVICE_ACTIVE || status == DEVICE_QUARANTINED)
		return who->class != NULL ? REASON_ALLOWED
					  : REASON_CLASS_UNKNOWN;
	if (who->device == NULL)
		return REASON_UNKNOWN_CERTIFICATE;
	if (status == DEVICE_SUSPENDED)
		return REASON_DEVICE_SUSPENDED;
	return status == DEVICE_RETIRED ? REASON_DEVICE_RETIRED
					: REASON_UNAVAILABLE;
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

/* D, unless WHAT exceeds the class's limits. */
static struct decision within_limits(const struct subject *who,
	const struct request *what, struct decision d)
{
	enum reason reason = REASON_ALLOWED;

	if (d.verdict != VERDICT_REFUSED && who->class->limited &&
		who->usage != NULL)
		reason = limit_reason(&who->class->limits, who->usage, what);
	return reason == REASON_ALLOWED ? d : refuse(reason);
}

/* ----------------------------------------------- the whole broker observes */

/*
 * What nobody has decided about this device in particular. What somebody did
 * (revoked, suspended, retired, quarantined), the end of a certificate, what
 * is malformed and what could not be told are never only observed.
 */
#define BIT(reason) (UINT32_C(1) << REASON_##reason)
static const uint32_t general = BIT(NO_CERTIFICATE) | BIT(UNKNOWN_CERTIFICATE) |
				BIT(CERTIFICATE_INVALID) | BIT(CLASS_UNKNOWN) |
				BIT(CLIENT_ID_MISMATCH) | BIT(SIM_MISMATCH) |
				BIT(NO_RULE) | BIT(FILTER_TOO_WIDE) | BIT(QOS) |
				BIT(RETAIN) | BIT(SIZE) | BIT(RATE) |
				BIT(QUOTA);
#undef BIT
_Static_assert(REASON_COUNT <= 32, "a bit each");

/* D, or observed where the whole broker observes WHO. To publish to the
 * broker's own `$` topics is left to the broker's rules, never just allowed. */
static struct decision observed_by_broker(const struct policy *policy,
	const struct subject *who, const struct request *what,
	struct decision d)
{
	if (d.verdict != VERDICT_REFUSED || (general >> d.reason & 1) == 0 ||
		!policy_observes(policy, who->class))
		return d;
	if (policy->fallback == FALLBACK_ALLOW &&
		what->action == ACTION_PUBLISH && what->topic.n != 0 &&
		what->topic.p[0] == '$')
		return d;
	d.verdict = VERDICT_OBSERVED;
	return d;
}

/* Where unknown certificates are taken in, whoever could not be (its CN is no
 * device id, or another's) is refused. */
static bool is_left_out(
	const struct policy *policy, const struct subject *who, enum reason r)
{
	return r == REASON_UNKNOWN_CERTIFICATE && who->device == NULL &&
	       policy->unknown.n != 0;
}

static struct decision connect_refused(const struct policy *policy,
	const struct subject *who, const struct request *what,
	enum reason reason)
{
	if (is_left_out(policy, who, reason))
		return refuse(reason);
	return observed_by_broker(policy, who, what, refuse(reason));
}

static __attribute__((noinline)) struct decision decide_connect(
	const struct policy *policy, const struct subject *who,
	const struct request *what)
{
	const struct decision allowed = {
		VERDICT_ALLOWED, REASON_ALLOWED, RULE_NONE};
	enum reason reason = certificate_reason(who, what->now_s);

	if (reason == REASON_ALLOWED)
		reason = device_reason(who);
	if (reason == REASON_ALLOWED)
		reason = sim_reason(who);
	if (reason == REASON_ALLOWED)
		reason = client_id_reason(who, what->topic);
	if (reason != REASON_ALLOWED)
		return connect_refused(policy, who, what, reason);
	return observed_by_broker(
		policy, who, what, within_limits(who, what, allowed));
}

/* ----------------------------------------- publish, subscribe and receive */

static __attribute__((noinline)) struct decision ask_filter(
	const struct trie *t, const struct subject *who,
	const struct request *what)
{
	struct str group, filter;

	if (!share_split(what->topic, &group, &filter) || !filter_valid(filter))
		return refuse(REASON_MALFORMED);
	return trie_cover(t, who->device, filter, group, what->qos);
}

static inline struct decision ask(const struct policy_class *rules,
	const struct subject *who, const struct request *what)
{
	const struct trie *t = rules->judge[what->action];

	if (what->action == ACTION_SUBSCRIBE)
		return ask_filter(t, who, what);
	return trie_match(t, who->device, what);
}

/* True when WHO's rules are observed, and D refuses by nothing but them. `$`
 * topics are the broker's own, and $share takes messages from others: those
 * are never relaxed. */
static bool is_observed(const struct subject *who, const struct request *what,
	struct decision d)
{
	if (!who->class->observe && !who->device->observe)
		return false;
	if (what->topic.n == 0 || what->topic.p[0] == '$')
		return false;
	return d.reason == REASON_NO_RULE || d.reason == REASON_QOS ||
	       d.reason == REASON_FILTER_TOO_WIDE ||
	       d.reason == REASON_RETAIN || d.reason == REASON_SIZE;
}

/* An active device's with limits, or in observation. */
static __attribute__((noinline)) struct decision decide_special(
	const struct policy *policy, const struct subject *who,
	const struct request *what)
{
	struct decision d = ask(who->class, who, what);

	if (d.verdict == VERDICT_REFUSED && is_observed(who, what, d))
		d.verdict = VERDICT_OBSERVED;
	d = within_limits(who, what, d);
	return observed_by_broker(policy, who, what, d);
}

/* What is not an active device's: refused, or judged by the quarantine's
 * allowlist alone; by its class as well if it is confined. */
static __attribute__((noinline)) struct decision decide_other(
	const struct policy *policy, const struct subject *who,
	const struct request *what)
{
	enum reason reason = device_reason(who);
	struct decision d;

	if (reason != REASON_ALLOWED)
		return observed_by_broker(policy, who, what, refuse(reason));
	d = ask(&policy->classes[policy->n_classes], who, what);
	if (d.verdict == VERDICT_REFUSED && d.reason != REASON_MALFORMED)
		d.reason = REASON_QUARANTINED;
	if (d.verdict == VERDICT_ALLOWED && who->confined)
		return decide_special(policy, who, what);
	return within_limits(who, what, d);
}

/* Budget: see decide.h; all but some 40 instructions are the trie's. Each way
 * out is a call, so that the common one needs no stack frame here. */
struct decision decide(const struct policy *policy, const struct subject *who,
	const struct request *what)
{
	const struct device *d = who->device;

	if (policy == NULL || what->action == ACTION_NONE ||
		what->action > ACTION_RECEIVE)
		return refuse(REASON_UNAVAILABLE);
	if (what->action == ACTION_CONNECT)
		return decide_connect(policy, who, what);
	if (who->barred != REASON_ALLOWED)
		return refuse(who->barred);
	if (who->certificate != NULL &&
		!within_validity(who->certificate, what->now_s))
		return refuse(REASON_CERTIFICATE_EXPIRED);
	if (d == NULL || d->status != DEVICE_ACTIVE || who->class == NULL)
		return decide_other(policy, who, what);
	if ((who->class->special | d->observe) != 0)
		return decide_special(policy, who, what);
	return ask(who->class, who, what);
}
