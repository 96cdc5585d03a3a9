/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/judge.h"

#include "core/confine.h"
#include "plugin/clock.h"
#include "plugin/record.h"
#include "plugin/report.h"

#define JUDGE_READS 32 /* of a poll: 50 us each, and nobody is served */

/* ------------------------------------------------------- what is registered */

struct rows {
	struct credential credential;
	struct device device;
	bool has_credential, key_barred, has_device;
};

static bool look_up(struct registry *r, const struct certificate *c,
	struct rows *rows, struct err *e)
{
	if (!registry_credential(r, c->fingerprint, &rows->credential,
		    &rows->has_credential, e))
		return false;
	if (!rows->has_credential)
		return true;
	return registry_key_barred(r, c->spki, &rows->key_barred, e) &&
	       registry_device(r, str_from(rows->credential.device_id),
		       &rows->device, &rows->has_device, e);
}

/* All rows of one state of the registry. */
static bool read_rows(struct registry *r, const struct certificate *c,
	struct rows *rows, struct err *e)
{
	bool told;

	if (r == NULL)
		return err_set(
			e, ERR_ENVIRONMENT, "the registry cannot be read");
	if (!registry_snapshot(r, e))
		return false;
	told = look_up(r, c, rows, e);
	registry_snapshot_end(r);
	return told;
}

bool judge_read(struct guard *g, struct badge *badge, struct err *e)
{
	struct rows rows = {0};
	struct subject *s = &badge->subject;

	if (!read_rows(g->registry, &badge->certificate, &rows, e))
		return false;
	device_fini(&badge->device);
	if (rows.has_device)
		badge->device = rows.device;
	s->certificate = &badge->certificate;
	s->device = rows.has_device ? &badge->device : NULL;
	s->credential = rows.has_credential
				? (enum credential_status)rows.credential.status
				: CREDENTIAL_NONE;
	s->key_barred = rows.key_barred;
	s->barred = REASON_ALLOWED;
	s->confined = false;
	badge->policy_gen = 0;
	badge->taken_in = false;
	if (badge->device.observe)
		record_ready(g, true);
	judge_status(g, badge);
	judge_class(g, badge);
	return true;
}

/* The device that the badge is taken for. */
static void make_device(struct guard *g, struct badge *badge, struct str id)
{
	struct device *d = &badge->device;
	struct str class = policy_unknown(g->policy);

	device_fini(d);
	memcpy(d->id, id.p, id.n);
	d->id_len = (uint8_t)id.n;
	memcpy(d->class_name, class.p, class.n);
	d->status = DEVICE_ACTIVE;
	badge->subject.device = d;
	badge->subject.confined = false;
	badge->taken_in = true;
	badge->policy_gen = 0;
	judge_status(g, badge);
	judge_class(g, badge);
}

static bool note_credential(void *ctx, const struct credential *c)
{
	bool *found = ctx;

	(void)c;
	*found = true;
	return false;
}

/* *taken: ID is a registered device's, which has or had a certificate, or was
 * never to have one again. A device that waits for its first is nobody else. */
static bool is_taken(struct guard *g, struct str id, bool *taken, struct err *e)
{
	struct device d = {0};
	struct credential_filter f = {.device_id = d.id};
	bool found = false, active;

	*taken = false;
	if (!registry_device(g->registry, id, &d, &found, e))
		return false;
	active = d.status == DEVICE_ACTIVE;
	*taken = found && !active;
	if (found && active &&
		!registry_credentials(
			g->registry, &f, note_credential, taken, e)) {
		device_fini(&d);
		return false;
	}
	device_fini(&d);
	return true;
}

bool judge_take_in(
	struct guard *g, struct badge *badge, const char *cn, struct err *e)
{
	struct str id = str_from(cn);
	bool taken = false, barred = false;

	if (badge->subject.device != NULL ||
		badge->subject.credential != CREDENTIAL_NONE ||
		policy_unknown(g->policy).n == 0 || !device_id_valid(id))
		return true;
	if (!registry_key_barred(
		    g->registry, badge->certificate.spki, &barred, e) ||
		!is_taken(g, id, &taken, e))
		return false;
	badge->subject.key_barred = barred;
	if (!taken && !barred)
		make_device(g, badge, id);
	return true;
}

void judge_status(struct guard *g, struct badge *badge)
{
	struct device *d = &badge->device;
	const struct jailed *by_feed;
	enum device_status effective;

	confine_end(&badge->subject, d);
	effective = device_effective(d, g->now_s);
	if (effective != (enum device_status)d->status) {
		d->status = (uint8_t)effective;
		d->status_until_s = 0;
	}
	by_feed = jail_find(&g->live.jail, (struct str){d->id, d->id_len});
	if (by_feed != NULL)
		confine(&badge->subject, d, by_feed->until_s, g->now_s);
}

/* The policy takes the badge's certificate in no more: unless it has been
 * registered as what it was taken for, it has lost all rights. The follower,
 * when it comes to it, ends its connection. */
static void no_longer_taken_in(struct guard *g, struct badge *badge)
{
	char id[DEVICE_ID_MAX + 1];
	struct err e;

	memcpy(id, badge->device.id, sizeof id);
	if (judge_read(g, badge, &e) && badge->subject.device != NULL &&
		strcmp(badge->device.id, id) == 0)
		return;
	badge->taken_in = true;
	badge->subject.device = NULL;
	badge->subject.barred = REASON_UNKNOWN_CERTIFICATE;
	badge->policy_gen = g->policy_gen;
	recall_forget(&badge->recalls);
}

void judge_class_anew(struct guard *g, struct badge *badge)
{
	const struct policy_class *class = policy_class_find(
		g->policy, str_from(badge->device.class_name));

	badge->subject.class = class;
	badge->limited = class != NULL && policy_class_limited(class);
	badge->policy_gen = g->policy_gen;
	gauge_badge_class(g, badge);
	recall_forget(&badge->recalls);
	if (badge->taken_in && (policy_unknown(g->policy).n == 0 ||
				       !policy_observes(g->policy, class)))
		no_longer_taken_in(g, badge);
}

bool judge_qos2(const struct badge *badge)
{
	const struct policy_class *class = badge->subject.class;

	return badge->device.observe ||
	       (class != NULL && policy_class_qos2(class));
}

struct decision judge_connect(
	struct guard *g, struct badge *badge, const char *client_id)
{
	struct request what = {
		.action = ACTION_CONNECT,
		.topic = str_from(client_id),
		.now_s = g->now_s,
	};

	judge_class(g, badge);
	return decide(g->policy, &badge->subject, &what);
}

struct decision judge_limited(struct guard *g, struct badge *badge,
	struct request *what, const char *client_id)
{
	struct account *a = ledger_account(
		&g->ledger, str_from(badge->device.id), g->now_ms);
	struct subscription s = {0, 0};
	struct subject who = badge->subject;
	struct decision d = {VERDICT_REFUSED, REASON_UNAVAILABLE, RULE_NONE};

	if (a == NULL)
		return d;
	if (!a->known) {
		gauge_usage_load(g, badge, &a->usage);
		a->known = true;
	}
	if (what->action == ACTION_SUBSCRIBE) {
		s = subscription_of(
			&g->ledger.key, str_from(client_id), what->topic);
		what->subscription = &s;
	}
	who.usage = &a->usage;
	what->now_ns = (int64_t)g->now_ms * 1000000;
	d = decide(g->policy, &who, what);
	what->subscription = NULL;
	if (d.verdict == VERDICT_REFUSED)
		return d;
	if (what->action == ACTION_SUBSCRIBE && !account_subscribe(a, s))
		return (struct decision){
			VERDICT_REFUSED, REASON_QUOTA, RULE_NONE};
	limit_charge(policy_class_limits(who.class), &a->usage, what);
	gauge_usage_store(g, badge, &a->usage);
	return d;
}

struct decision judge_more(
	struct guard *g, struct badge *badge, uint64_t n, struct decision d)
{
	struct account *a = ledger_account(
		&g->ledger, str_from(badge->device.id), g->now_ms);
	const struct limits *l = policy_class_limits(badge->subject.class);
	struct request what = {
		.now_ns = (int64_t)g->now_ms * 1000000, .now_s = g->now_s};

	if (a == NULL || !limit_more(l, &a->usage, n, &what)) {
		/* Where the whole broker observes, no limit refuses. */
		if (!policy_observes(g->policy, badge->subject.class))
			d = (struct decision){
				VERDICT_REFUSED, REASON_QUOTA, RULE_NONE};
		return d;
	}
	gauge_usage_store(g, badge, &a->usage);
	return d;
}

bool judge_file(struct guard *g, struct binding *b)
{
	const struct badge *badge = b->badge;

	/* The validity's last second still counts. */
	b->due_s = badge->certificate.not_after_s;
	if (b->due_s < INT64_MAX)
		b->due_s++;
	if (badge->device.status_until_s > g->now_s &&
		badge->device.status_until_s < b->due_s)
		b->due_s = badge->device.status_until_s;
	return due_put(&g->due, b);
}

/* --------------------------------------------------------- judged once more */

static void bar(
	struct guard *g, struct binding *b, enum reason reason, int64_t change)
{
	b->badge->subject.barred = reason;
	recall_forget(&b->badge->recalls);
	if (b->state == BINDING_CONNECTED && !b->kick_queued && !b->kicked)
		report_ended(g, b, reason);
	kick_add(&g->kicks, &g->outcomes, b, change);
}

/* Bars B if it could not connect as it is now, else files it again. */
static bool stands(struct guard *g, struct binding *b, int64_t change)
{
	struct decision d = judge_connect(g, b->badge, b->client_id);

	if (b->wire != NULL)
		b->wire->total = b->badge->total;
	if (d.verdict != VERDICT_REFUSED &&
		(b->state != BINDING_CONNECTED || judge_file(g, b))) {
		b->badge->subject.barred = REASON_ALLOWED;
		return true;
	}
	bar(g, b, d.verdict != VERDICT_REFUSED ? REASON_UNAVAILABLE : d.reason,
		change);
	return false;
}

static bool same_attrs(const struct device *a, const struct device *b)
{
	if (a->n_attrs != b->n_attrs)
		return false;
	for (size_t i = 0; i < a->n_attrs; i++) {
		if (!str_eq(a->attrs[i].name, b->attrs[i].name) ||
			!str_eq(a->attrs[i].value, b->attrs[i].value))
			return false;
	}
	return true;
}

/* True when both have the same rights under any policy, but for what
 * observing lets pass. */
static bool same_rights(const struct device *a, const struct device *b)
{
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		if (!str_eq(str_from(a->sim[k].digits),
			    str_from(b->sim[k].digits)))
			return false;
	}
	return a->status == b->status &&
	       str_eq(str_from(a->class_name), str_from(b->class_name)) &&
	       same_attrs(a, b);
}

/*
 * B's rights are not what they were. QoS 2 messages that its session stored
 * before would be released after, without a question to the plugin; only a
 * session begun anew discards them. A device that gained is not asked to:
 * what it stored it was allowed to.
 */
static void rights_changed(
	struct guard *g, struct binding *b, bool gained, int64_t change)
{
	if (!gained && b->qos2)
		b->stale = true;
	/* Its subscriptions were made under the old rights, and those that
	 * were refused then are missing: it has to come back. */
	kick_add(&g->kicks, &g->outcomes, b, change);
}

/*
 * Reads B's rows anew. *registered: it was taken in and is by now registered
 * as what it was taken for, which takes nothing from it. False: as judge_read,
 * and the badge is as it was.
 */
static bool read_again(struct guard *g, struct binding *b,
	struct device *before, bool *registered, struct err *e)
{
	struct badge *badge = b->badge;
	bool taken_in = badge->taken_in, confined = badge->subject.confined;

	*before = badge->device;
	badge->device = (struct device){0};
	if (!judge_read(g, badge, e) ||
		(taken_in && !judge_take_in(g, badge, b->device_id, e))) {
		device_fini(&badge->device);
		badge->device = *before;
		*before = (struct device){0};
		badge->taken_in = taken_in;
		badge->subject.confined = confined;
		return false;
	}
	*registered = taken_in && !badge->taken_in;
	/* Registered under another name, it has to come back as that. */
	if (badge->subject.device != NULL &&
		strcmp(badge->device.id, b->device_id) != 0)
		badge->subject.device = NULL;
	return true;
}

bool judge_again(
	struct guard *g, struct binding *b, int64_t change, struct err *e)
{
	struct badge *badge = b->badge;
	struct device before;
	bool same, gained, registered, confined = false;

	if (badge == NULL) { /* a husk: what it could do is not known */
		b->stale = true;
		return true;
	}
	judge_class(g, badge);
	confined = badge->subject.confined;
	b->qos2 = b->qos2 || judge_qos2(badge);
	if (!read_again(g, b, &before, &registered, e)) {
		badge->subject.barred = REASON_UNAVAILABLE;
		recall_forget(&badge->recalls);
		return false;
	}
	if (!stands(g, b, change)) {
		b->stale = b->stale || b->qos2;
		device_fini(&before);
		return true;
	}
	same = same_rights(&before, &badge->device) &&
	       confined == badge->subject.confined &&
	       !(before.observe && !badge->device.observe);
	gained = before.status == DEVICE_QUARANTINED &&
		 badge->device.status == DEVICE_ACTIVE;
	device_fini(&before);
	if (!same && !registered)
		rights_changed(g, b, gained, change);
	return true;
}

void judge_registry_changed(struct guard *g)
{
	if (policy_unknown(g->policy).n != 0 && ++g->policy_gen == 0)
		g->policy_gen = 1;
}

void judge_due(struct guard *g, struct binding *b)
{
	struct badge *badge = b->badge;
	uint8_t before = badge->device.status;
	bool confined = badge->subject.confined;

	judge_class(g, badge);
	b->qos2 = b->qos2 || judge_qos2(badge);
	judge_status(g, badge);
	recall_forget(&badge->recalls);
	/* From the registry's quarantine into weir-feed's is a loss too. */
	if (stands(g, b, 0) && (badge->device.status != before ||
				       badge->subject.confined != confined))
		rights_changed(g, b, badge->device.status == DEVICE_ACTIVE, 0);
}

/* Guests are there as long as the whole broker observes. */
static void judge_guests(struct guard *g, int n)
{
	if (policy_observes(g->policy, NULL))
		return;
	for (struct binding *b = g->bindings.guests.first; b != NULL && n > 0;
		b = b->next, n--)
		kick_add(&g->kicks, &g->outcomes, b, 0);
}

/* Who was taken in may be registered by now. False: not told, or as many rows
 * are read as one poll may. */
static bool judge_taken_in(struct guard *g, struct binding *b, int *reads)
{
	struct err e;

	if (--*reads < 0)
		return false;
	return judge_again(g, b, 0, &e);
}

void judge_by_policy(struct guard *g, int n)
{
	int reads = JUDGE_READS;

	judge_guests(g, n);
	for (; n > 0; n--) {
		struct binding *b = g->bindings.connected.first;

		if (b == NULL || b->policy_gen == g->policy_gen)
			return;
		if (b->badge->taken_in) {
			if (!judge_taken_in(g, b, &reads))
				return;
		} else if (b->badge->subject.barred == REASON_ALLOWED) {
			/* Who is barred is being closed, or waits for the
			 * registry. */
			judge_due(g, b);
		}
		b->policy_gen = g->policy_gen;
		binding_to_end(&g->bindings, b);
		if (clock_ns() >= g->follow.until_ns)
			return;
	}
}

void judge_drop(struct guard *g, struct binding *b)
{
	wire_release(&b->wire);
	if (b->state == BINDING_CONNECTED)
		gauge_disconnected(g, b);
	kick_forget(&g->kicks, &g->outcomes, b, false);
	due_remove(&g->due, b);
	binding_remove(&g->bindings, b);
}
