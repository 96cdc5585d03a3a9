/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/admission.h"

#include "io/x509.h"
#include "plugin/judge.h"
#include "plugin/record.h"
#include "plugin/report.h"

#include <stdio.h>

#define CERTIFICATE_KEY "certificate="
#define GUEST_NAME      "~guest" /* no device id */

static int refuse(struct guard *g, const struct binding *b, enum reason reason,
	const char *remedy)
{
	struct badge *badge = b->badge;
	char note[sizeof CERTIFICATE_KEY + FINGERPRINT_HEX + 64];
	char hex[FINGERPRINT_HEX] = "-";
	struct refusal r = {
		.action = ACTION_CONNECT,
		.reason = reason,
		.client_id = b->client_id,
		.address = b->address,
		.note = note,
	};

	if (badge->subject.certificate != NULL)
		fingerprint_format(badge->certificate.fingerprint, hex);
	if (badge->subject.device != NULL) {
		r.device = badge->device.id;
		r.class_name = badge->device.class_name;
	}
	(void)snprintf(note, sizeof note, CERTIFICATE_KEY "%s%s", hex, remedy);
	report_refusal(
		g, badge->subject.device != NULL ? badge : NULL, &r, RULE_NONE);
	return reason == REASON_UNAVAILABLE ? MOSQ_ERR_UNKNOWN : MOSQ_ERR_AUTH;
}

/* An unregistered certificate, by its CN, where the policy takes it in. */
static bool take_in(
	struct guard *g, X509 *x, struct badge *badge, struct err *e)
{
	uint8_t issuer[FINGERPRINT_LEN];
	struct x509_names names;

	if (badge->subject.device != NULL || policy_unknown(g->policy).n == 0 ||
		!badge->certificate.usable)
		return true;
	x509_names(x, &names);
	if (!judge_take_in(g, badge, names.cn, e))
		return false;
	if (badge->taken_in)
		record_certificate(g, badge, x,
			wires_issuer(&g->wires, x, issuer) ? issuer : NULL);
	return true;
}

/* Reads the client's certificate and its rows. UNAVAILABLE: could not tell;
 * ALLOWED: decide() can. */
static enum reason read_facts(struct guard *g, X509 *x, struct badge *badge)
{
	struct err e;

	if (!x509_read(x, &badge->certificate, &e)) {
		report(MOSQ_LOG_ERR, "%s", e.msg);
		return REASON_UNAVAILABLE;
	}
	badge->subject.certificate = &badge->certificate;
	if (!g->admitting || !live_admits(&g->live))
		return REASON_UNAVAILABLE;
	if (!judge_read(g, badge, &e) || !take_in(g, x, badge, &e)) {
		report(MOSQ_LOG_ERR, "%s", e.msg);
		return REASON_UNAVAILABLE;
	}
	if (badge->subject.device != NULL)
		gauge_device(g, badge);
	return REASON_ALLOWED;
}

/* What B's client shows, and where its connection is counted. */
static enum reason identify(
	struct guard *g, struct mosquitto *client, struct binding *b)
{
	X509 *x = mosquitto_client_certificate(client); /* a reference */
	struct badge *badge = b->badge;
	enum reason reason;

	if (x == NULL)
		return REASON_ALLOWED; /* which decide() refuses */
	reason = read_facts(g, x, badge);
	if (badge->slot != NULL)
		wire_hold(&b->wire,
			wires_bind(&g->wires, x, badge->slot, badge->total));
	X509_free(x);
	return reason;
}

/* The next binding from B on that has the client id; NULL: none. */
static struct binding *same_client_id(struct binding *b, const char *client_id)
{
	while (b != NULL && strcmp(b->client_id, client_id) != 0)
		b = b->same_device;
	return b;
}

/*
 * The session that the client wants to resume may hold QoS 2 messages that
 * were stored before the device lost a right. Their PUBREL asks nobody, so
 * only a session begun anew is safe. A loss is remembered by the old binding
 * and, for when the broker has been restarted, by the device's slot.
 */
static bool is_stale(const struct guard *g, const struct mosquitto *client,
	const struct binding *b)
{
	const struct badge *badge = b->badge;
	struct binding *old;

	if (mosquitto_client_clean_session(client))
		return false;
	if (badge->device.status == DEVICE_QUARANTINED && judge_qos2(badge))
		return true;
	old = binding_of_device(&g->bindings, str_from(badge->device.id));
	old = same_client_id(old, b->client_id);
	/* Unknown: from before the broker was started. */
	if (old == NULL)
		return atomic_load_explicit(&badge->slot->stale_change,
			       memory_order_relaxed) != 0;
	for (; old != NULL;
		old = same_client_id(old->same_device, b->client_id)) {
		/* Who was away when the registry was replaced was not judged
		 * by the file that is there now. */
		if (old->stale || (old->qos2 && old->epoch != g->follow.epoch))
			return true;
	}
	return false;
}

/* B's session begins anew. When the device can have no other, nothing is left
 * that could be stale. */
static void begun_anew(const struct binding *b)
{
	struct meter_slot *s = b->badge->slot;

	if (b->badge->subject.class == NULL ||
		!policy_class_one_session(b->badge->subject.class))
		return;
	atomic_store_explicit(&s->stale_change, 0, memory_order_relaxed);
	atomic_store_explicit(&s->qos2, 0, memory_order_relaxed);
}

/* B's session is over: its subscriptions count no more. */
static void session_ended(struct guard *g, const struct binding *b)
{
	struct str id = str_from(b->badge->device.id);
	struct account *a = ledger_account(&g->ledger, id, g->now_ms);

	if (a != NULL)
		account_forget(a, subscription_of(&g->ledger.key,
					  str_from(b->client_id), id)
					  .client);
}

/* B takes its client id over: of older connections only the end, and perhaps
 * a will, is still to come, and a kick of theirs would hit B. RESUMED: with
 * what the session holds. */
static void supersede(struct guard *g, struct binding *b, bool resumed)
{
	struct binding *old =
		binding_of_device(&g->bindings, str_from(b->device_id));

	for (old = same_client_id(old, b->client_id); old != NULL;
		old = same_client_id(old->same_device, b->client_id)) {
		if (old == b)
			continue;
		if (old->state == BINDING_CONNECTED && !old->superseded)
			gauge_takeover(g, old);
		old->superseded = true;
		b->qos2 = b->qos2 || (resumed && old->qos2);
		b->shares = b->shares || (resumed && old->shares);
		old->qos2 = old->shares = old->stale = false;
		kick_forget(&g->kicks, &g->outcomes, old, true);
	}
}

/* Takes *B over; false: no memory. */
static bool bind_to(
	struct guard *g, struct mosquitto *client, struct binding **b)
{
	struct binding *x = *b;

	if (!judge_file(g, x))
		return false;
	/* Without a user name the broker would drop the client at SIGHUP. */
	if (mosquitto_set_username(client, x->badge->device.id) !=
			MOSQ_ERR_SUCCESS ||
		!binding_add(&g->bindings, x)) {
		due_remove(&g->due, x);
		return false;
	}
	x->epoch = g->follow.epoch;
	x->policy_gen = g->policy_gen;
	x->v5 = mosquitto_client_protocol_version(client) == 5;
	supersede(g, x, !mosquitto_client_clean_session(client));
	if (mosquitto_client_clean_session(client))
		begun_anew(x);
	gauge_connected(g, x);
	*b = NULL;
	return true;
}

/* The connect against the class's limits, and what a clean session ends. */
static struct decision admit_limited(
	struct guard *g, const struct mosquitto *client, struct binding *b)
{
	struct request what = {
		.action = ACTION_CONNECT,
		.topic = str_from(b->client_id),
		.now_s = g->now_s,
	};
	struct decision d = judge_limited(g, b->badge, &what, b->client_id);

	if (d.verdict != VERDICT_REFUSED &&
		mosquitto_client_clean_session(client))
		session_ended(g, b);
	return d;
}

/* What a guest is answered: the broker's own rules go on from DEFER. */
static int guest_answer(const struct guard *g)
{
	return policy_fallback(g->policy) == FALLBACK_ALLOW
		       ? MOSQ_ERR_SUCCESS
		       : MOSQ_ERR_PLUGIN_DEFER;
}

/* Takes *B over as a guest. Where nothing but Weir answers for it, it has a
 * name that no device has: without one the broker would drop it at SIGHUP. */
static int admit_guest(
	struct guard *g, struct mosquitto *client, struct binding **b)
{
	int answer = guest_answer(g);

	if ((answer == MOSQ_ERR_SUCCESS &&
		    mosquitto_set_username(client, GUEST_NAME) !=
			    MOSQ_ERR_SUCCESS) ||
		!binding_add_guest(&g->bindings, *b))
		return refuse(g, *b, REASON_UNAVAILABLE, "");
	*b = NULL;
	return answer;
}

/* Tells that enforcing would have refused B. */
static void report_observed(
	struct guard *g, const struct binding *b, enum reason reason)
{
	struct badge *badge = b->badge;
	bool known = badge->subject.device != NULL;
	struct refusal r = {
		.action = ACTION_CONNECT,
		.reason = reason,
		.observed = true,
		.device = known ? badge->device.id : NULL,
		.class_name = known ? badge->device.class_name : NULL,
		.client_id = b->client_id,
		.address = b->address,
	};

	report_refusal(g, known ? badge : NULL, &r, RULE_NONE);
}

static int admit(struct guard *g, struct mosquitto *client, struct binding **b)
{
	struct badge *badge = (*b)->badge;
	enum reason reason = identify(g, client, *b);
	struct decision d;

	if (reason != REASON_ALLOWED)
		return refuse(g, *b, reason, "");
	d = judge_connect(g, badge, (*b)->client_id);
	if (d.verdict != VERDICT_REFUSED && badge->limited)
		d = admit_limited(g, client, *b);
	if (d.verdict == VERDICT_REFUSED)
		return refuse(g, *b, d.reason, "");
	if (d.verdict == VERDICT_OBSERVED)
		report_observed(g, *b, d.reason);
	if (badge->subject.device == NULL)
		return admit_guest(g, client, b);
	if (is_stale(g, client, *b))
		return refuse(g, *b, REASON_SESSION_STALE,
			" remedy=connect-with-a-clean-session");
	if (!bind_to(g, client, b))
		return refuse(g, *b, REASON_UNAVAILABLE, "");
	return MOSQ_ERR_SUCCESS;
}

/*
 * SIGHUP asks again for every session it knows, connected or not. All of them
 * were admitted; whoever has lost a right since is barred, and kicked by the
 * follower. Refusing a session without connection is a use after free in
 * Mosquitto 2.0.11. Only WebSocket clients can newly connect before the next
 * tick, and they have their socket.
 */
static bool is_known_session(
	const struct mosquitto *client, const struct binding *b)
{
	X509 *x;

	if (b != NULL && b->state == BINDING_CONNECTED)
		return true;
	if (broker_is_websocket(client))
		return false;
	x = mosquitto_client_certificate(client);
	X509_free(x);
	return x == NULL;
}

int admission_connect(struct guard *g, struct mosquitto *client)
{
	const char *id = mosquitto_client_id(client);
	const char *address = mosquitto_client_address(client);
	struct binding *b = binding_find(&g->bindings, client);
	int answer;

	if (b != NULL && b->state == BINDING_GUEST && g->reloading)
		return guest_answer(g);
	if (g->reloading && is_known_session(client, b))
		return MOSQ_ERR_SUCCESS;
	/* The pointer of a client that is gone, used again. */
	if (b != NULL)
		judge_drop(g, b);
	b = binding_new(
		client, id != NULL ? id : "", address != NULL ? address : "");
	if (b == NULL) {
		report(MOSQ_LOG_ERR, "no memory to admit a client");
		return MOSQ_ERR_UNKNOWN;
	}
	answer = admit(g, client, &b);
	if (b != NULL)
		wire_release(&b->wire);
	binding_free(&b);
	return answer;
}

void admission_disconnect(struct guard *g, const struct mosquitto *client)
{
	struct binding *b = binding_find(&g->bindings, client);
	const char *id = mosquitto_client_id(client);

	/* A refused CONNECT ends too, without a client id, on a pointer that
	 * may have been a device's before. */
	if (b == NULL || id == NULL || strcmp(id, b->client_id) != 0)
		return;
	wire_release(&b->wire);
	if (b->state == BINDING_CONNECTED)
		gauge_disconnected(g, b);
	kick_forget(&g->kicks, &g->outcomes, b, false);
	if (b->guest) {
		binding_disconnect(&g->bindings, b, false);
		return;
	}
	due_remove(&g->due, b);
	if (broker_session_ends(client) && b->badge != NULL &&
		b->badge->limited && !b->superseded)
		session_ended(g, b);
	/* The will is judged inside this disconnect, or after its delay. 2.0
	 * has closed the socket by then; 2.1 still shows the certificate. It is
	 * kept, so that no other connection's can have its address. */
	X509_free(g->leaving);
	g->leaving = mosquitto_client_certificate(client);
	binding_disconnect(&g->bindings, b,
		!b->superseded && !broker_session_ends(client));
}
