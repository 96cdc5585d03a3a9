/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/access.h"

#include "io/x509.h"
#include "plugin/cut.h"
#include "plugin/judge.h"
#include "plugin/record.h"
#include "plugin/report.h"

#define BYPASS_TOLD_MS 60000u
#define SHARE          "$share/"

/* What is rare stays out of the hot function's frame. */
#define COLD __attribute__((cold, noinline))

/* By the three bits of an access; zero is ACTION_NONE. */
static const uint8_t action_of[8] = {
	[MOSQ_ACL_READ] = ACTION_RECEIVE,
	[MOSQ_ACL_WRITE] = ACTION_PUBLISH,
	[MOSQ_ACL_SUBSCRIBE] = ACTION_SUBSCRIBE,
};

/* ----------------------------------------------------------------- refusals */

/* True for a client that is connected, and not the one whose connection is
 * just being ended: 2.1 asks about its will before it closes the socket. */
static bool is_live(const struct guard *g, const struct mosquitto *client)
{
	X509 *x = mosquitto_client_certificate(client);

	X509_free(x);
	return x != NULL && x != g->leaving;
}

/* Who asked, for the log: a device (BADGE may be NULL) behind a client. Or
 * observed: then it passes, and the log says what enforcing would do. */
static COLD int deny(struct guard *g, const struct mosquitto *client,
	struct badge *badge, const struct request *what, struct decision why)
{
	const struct device *d = badge != NULL ? &badge->device : NULL;
	const char *address = mosquitto_client_address(client);
	struct refusal r = {
		.action = what->action,
		.reason = why.reason,
		.observed = why.verdict == VERDICT_OBSERVED,
		.device = d != NULL ? d->id : NULL,
		.class_name = d != NULL ? d->class_name : NULL,
		.client_id = mosquitto_client_id(client),
		.address = address != NULL ? address : "-",
		.has_message = what->action != ACTION_SUBSCRIBE,
		.qos = what->qos,
		.retain = what->retain,
		.v5 = mosquitto_client_protocol_version(client) == 5,
		.bytes = what->payload_len,
		.topic = what->topic,
	};

	report_refusal(g, badge, &r, why.rule);
	return r.observed && badge != NULL
		       ? record_observed(g, badge, what, why,
				 is_live(g, client) ? client : NULL)
		       : MOSQ_ERR_ACL_DENIED;
}

COLD int access_refuse(struct guard *g, const struct mosquitto *client,
	struct binding *b, const struct request *what, struct decision why)
{
	if (why.verdict == VERDICT_REFUSED)
		cut_after(g, b, what);
	return deny(g, client, b->badge, what, why);
}

/* A guest, whom the whole broker observes or who is about to be gone. */
static int check_guest(struct guard *g, const struct mosquitto *client,
	const struct binding *b, const struct request *what)
{
	struct decision why = {
		VERDICT_REFUSED, REASON_NO_CERTIFICATE, RULE_NONE};
	const char *id = mosquitto_client_id(client);

	if (!policy_observes(g->policy, NULL) || id == NULL ||
		strcmp(id, b->client_id) != 0)
		return deny(g, client, NULL, what, why);
	return policy_fallback(g->policy) == FALLBACK_ALLOW
		       ? MOSQ_ERR_SUCCESS
		       : MOSQ_ERR_PLUGIN_DEFER;
}

static COLD int deny_stranger(struct guard *g, const struct mosquitto *client,
	const struct request *what)
{
	struct decision why = {VERDICT_REFUSED, REASON_UNAVAILABLE, RULE_NONE};

	return deny(g, client, NULL, what, why);
}

/* ------------------------------------------------- clients without a binding */

/* A live client that BASIC_AUTH never saw. */
static int deny_bypass(struct guard *g, const struct mosquitto *client,
	const struct request *what)
{
	if (g->bypass_told_ms == 0 ||
		g->now_ms - g->bypass_told_ms >= BYPASS_TOLD_MS) {
		g->bypass_told_ms = g->now_ms;
		report(MOSQ_LOG_ERR,
			"a client from %s is connected that was never shown to "
			"Weir; all it does is refused. Remove "
			"use_identity_as_username and use_subject_as_username "
			"from the broker's configuration",
			mosquitto_client_address(client));
	}
	return deny_stranger(g, client, what);
}

/*
 * A client that Weir has not bound. With an address it is alive, and its
 * username is worth nothing: refused. Without one it is a session restored
 * from disk, or the publisher of a retained message whose source is checked;
 * their username is what Weir set. A delivery to such a session is queued, and
 * the broker asks again for each queued message when the session is resumed:
 * so it needs no look-up, which a broadcast could not afford.
 */
static COLD int check_unbound(struct guard *g, const struct mosquitto *client,
	const struct request *what)
{
	const char *name = mosquitto_client_username(client);
	struct badge *badge;
	struct decision d;

	if (mosquitto_client_address(client) != NULL)
		return deny_bypass(g, client, what);
	if (what->action == ACTION_RECEIVE)
		return MOSQ_ERR_SUCCESS;
	badge = name != NULL && what->action == ACTION_PUBLISH
			? absent_find(g, str_from(name))
			: NULL;
	if (badge == NULL)
		return deny_stranger(g, client, what);
	d = decide(g->policy, &badge->subject, what);
	if (d.verdict == VERDICT_ALLOWED)
		return MOSQ_ERR_SUCCESS;
	return deny(g, client, badge, what, d);
}

/* Who was away when the registry was replaced has not been judged by the one
 * that is there now. False: it cannot be told. */
static bool is_judged(struct guard *g, struct binding *b)
{
	struct err e;

	if (b->epoch == g->follow.epoch)
		return true;
	if (!judge_again(g, b, 0, &e))
		return false;
	b->epoch = g->follow.epoch;
	return true;
}

/*
 * A binding whose connection has ended: deliveries to its session are asked
 * about again when it is resumed, and its will is judged now. A live client
 * is another one at the same address.
 */
static COLD int check_offline(struct guard *g, const struct mosquitto *client,
	struct binding *b, struct request *what)
{
	struct decision d;

	if (is_live(g, client))
		return deny_bypass(g, client, what);
	if (what->action == ACTION_RECEIVE)
		return MOSQ_ERR_SUCCESS;
	if (what->action != ACTION_PUBLISH || b->badge == NULL ||
		!is_judged(g, b))
		return deny_stranger(g, client, what);
	judge_status(g, b->badge);
	judge_class(g, b->badge);
	d = b->badge->limited ? judge_limited(g, b->badge, what, b->client_id)
			      : decide(g->policy, &b->badge->subject, what);
	if (d.verdict != VERDICT_REFUSED)
		gauge_will(b->badge);
	if (d.verdict == VERDICT_ALLOWED)
		return MOSQ_ERR_SUCCESS;
	return access_refuse(g, client, b, what, d);
}

/* ------------------------------------------------------------------ the checks */

/*
 * True when CLIENT is the one that B was made for: a pointer is no identity.
 * The username of a connected client is set by Weir and changes at SIGHUP
 * only, so it is compared once after each; the client id every time.
 */
static inline bool is_bound_to(const struct guard *g,
	const struct mosquitto *client, struct binding *b)
{
	const char *id = mosquitto_client_id(client);
	const char *name;

	if (id == NULL || strcmp(id, b->client_id) != 0)
		return false;
	if (b->state == BINDING_CONNECTED && b->named_at == g->reloads)
		return true;
	name = mosquitto_client_username(client);
	if (name == NULL || strcmp(name, b->device_id) != 0)
		return false;
	b->named_at = g->reloads;
	return true;
}

static void unsubscribe(
	struct guard *g, const struct binding *b, struct str filter)
{
	struct account *a;

	if (b == NULL || b->badge == NULL || !b->badge->limited)
		return;
	a = ledger_account(&g->ledger, str_from(b->device_id), g->now_ms);
	if (a != NULL)
		account_unsubscribe(a, subscription_of(&g->ledger.key,
					       str_from(b->client_id), filter));
}

/* Whatever is not a connected device doing what it may. WHY: decide()'s
 * refusal, or NULL when it was not asked. */
static COLD int check_rest(struct guard *g,
	const struct mosquitto_evt_acl_check *ed, struct request *what,
	const struct decision *why)
{
	struct binding *b = binding_find(&g->bindings, ed->client);

	/* Who may no longer receive may always stop listening. */
	if (ed->access == MOSQ_ACL_UNSUBSCRIBE) {
		unsubscribe(g, b, what->topic);
		return MOSQ_ERR_SUCCESS;
	}
	if (why != NULL)
		return access_refuse(g, ed->client, b, what, *why);
	if (b == NULL)
		return check_unbound(g, ed->client, what);
	if (b->guest)
		return check_guest(g, ed->client, b, what);
	if (!is_bound_to(g, ed->client, b))
		return deny_stranger(g, ed->client, what);
	return check_offline(g, ed->client, b, what);
}

/* From now on B's session may hold QoS 2 messages, also when the broker has
 * been restarted. */
static COLD void note_qos2(struct binding *b)
{
	b->qos2 = true;
	atomic_store_explicit(&b->badge->slot->qos2, 1, memory_order_relaxed);
}

/* What B's session may hold from now on, whatever policies to come say. */
static inline void note_session(struct binding *b, const struct request *what)
{
	if (what->action == ACTION_PUBLISH) {
		if (what->qos == 2 && !b->qos2)
			note_qos2(b);
	} else if (what->action == ACTION_SUBSCRIBE) {
		b->shares = b->shares || strncmp(what->topic.p, SHARE,
						 sizeof SHARE - 1) == 0;
	}
}

_Static_assert(
	COUNTER_PAYLOAD_BYTES_IN == COUNTER_MESSAGES_IN + 1 &&
		COUNTER_MQTT_BYTES_IN == COUNTER_MESSAGES_IN + 2 &&
		COUNTER_PAYLOAD_BYTES_QUEUED == COUNTER_MESSAGES_QUEUED + 1 &&
		COUNTER_MQTT_BYTES_QUEUED == COUNTER_MESSAGES_QUEUED + 2 &&
		COUNTER_PAYLOAD_BYTES_SENT == COUNTER_MESSAGES_SENT + 1 &&
		COUNTER_MQTT_BYTES_SENT == COUNTER_MESSAGES_SENT + 2,
	"gauge_add() counts three in a row");

/* A message that B sent, or that is queued for it: for the device, its class
 * and the rule. REMAINING: the length of its packet as MQTT 3.1.1 writes it; MQTT
 * 5 writes the length of its properties too, here none. */
static inline void count_passed(const struct binding *b, enum counter first,
	uint32_t payload_len, uint64_t remaining, struct meter_flow *flow)
{
	uint64_t mqtt_bytes = packet_bytes(remaining + b->v5);

	gauge_add(&b->badge->slot->counter[first], payload_len, mqtt_bytes);
	gauge_add(&b->badge->total->counter[first], payload_len, mqtt_bytes);
	gauge_add(&flow->messages, payload_len, mqtt_bytes);
}

/* What came in with a PUBLISH is counted before it is acknowledged; what goes
 * out is not written yet, and counted at the tick. */
static inline void count_wire(
	struct guard *g, struct binding *b, int access, uint8_t qos)
{
	if (b->wire == NULL)
		return;
	if (access == MOSQ_ACL_WRITE)
		wire_count_in(b->wire);
	if (access != MOSQ_ACL_WRITE || qos != 0)
		wire_touch(&g->wires, b->wire);
}

static void count_decided(struct guard *g, const struct binding *b,
	const struct request *what, struct decision d)
{
	struct meter_flow *flow;

	if ((what->action != ACTION_PUBLISH &&
		    what->action != ACTION_RECEIVE) ||
		d.verdict == VERDICT_REFUSED)
		return;
	flow = d.verdict == VERDICT_ALLOWED ? g->gauge.flow[d.rule]
					    : gauge_no_rule(g, what->action);
	g->gauge.last = flow;
	count_passed(b,
		what->action == ACTION_RECEIVE ? COUNTER_MESSAGES_QUEUED
					       : COUNTER_MESSAGES_IN,
		what->payload_len, request_remaining(what), flow);
}

/* Whatever is not the same as the last time. */
static __attribute__((noinline)) int check(struct guard *g,
	const struct mosquitto_evt_acl_check *ed, struct binding *b)
{
	struct request what = {
		.action = (enum action)action_of[ed->access & 7],
		.qos = ed->qos,
		.retain = ed->retain,
		.payload_len = ed->payloadlen,
		.topic = str_from(ed->topic),
		.now_s = g->now_s,
	};
	struct decision d;
	struct badge *badge;

	if (b == NULL || b->state != BINDING_CONNECTED ||
		!is_bound_to(g, ed->client, b))
		return check_rest(g, ed, &what, NULL);
	badge = b->badge;
	note_session(b, &what);
	count_wire(g, b, ed->access, ed->qos);
	judge_class(g, badge);
	if (badge->limited && what.action != ACTION_NONE) {
		d = judge_limited(g, badge, &what, b->client_id);
	} else {
		d = decide(g->policy, &badge->subject, &what);
		recall_keep(&badge->recalls, &badge->subject, &what, d);
	}
	count_decided(g, b, &what, d);
	return d.verdict == VERDICT_ALLOWED ? MOSQ_ERR_SUCCESS
					    : check_rest(g, ed, &what, &d);
}

/* True when what decide() said the last time may be said again. */
static inline bool may_recall(const struct guard *g, const struct badge *badge)
{
	return badge->policy_gen == g->policy_gen &&
	       g->now_s >= badge->certificate.not_before_s &&
	       g->now_s <= badge->certificate.not_after_s;
}

int access_check(struct guard *g, const struct mosquitto_evt_acl_check *ed)
{
	struct binding *b = binding_find(&g->bindings, ed->client);
	enum counter first = COUNTER_MESSAGES_IN;
	const struct recall *x = NULL;

	if (b == NULL || b->state != BINDING_CONNECTED ||
		!is_bound_to(g, ed->client, b) || !may_recall(g, b->badge))
		return check(g, ed, b);
	if (ed->access == MOSQ_ACL_WRITE) {
		x = recall_publish(&b->badge->recalls, ed->topic, ed->qos,
			ed->retain, ed->payloadlen);
	} else if (ed->access == MOSQ_ACL_READ) {
		x = recall_receive(&b->badge->recalls, ed->topic);
		first = COUNTER_MESSAGES_QUEUED;
	}
	if (x == NULL)
		return check(g, ed, b);
	count_wire(g, b, ed->access, ed->qos);
	g->gauge.last = g->gauge.flow[x->rule];
	count_passed(b, first, ed->payloadlen,
		publish_remaining(x->topic_len, ed->qos, ed->payloadlen),
		g->gauge.last);
	return MOSQ_ERR_SUCCESS;
}
