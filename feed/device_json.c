/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/device_json.h"

#include "feed/event_json.h"
#include "io/meter_text.h"
#include "io/x509.h"

#include <string.h>

#define NAME_MAX_BYTES 256u

void json_time(struct text *t, const char *key, int64_t unix_s)
{
	if (unix_s <= 0)
		json_null(t, key);
	else
		json_count(t, key, json_exact((uint64_t)unix_s));
}

/* S, cut from a text that may hold anything. */
static void mended(struct text *t, const char *key, struct str s)
{
	char whole[3 * NAME_MAX_BYTES + 1];

	if (s.n > NAME_MAX_BYTES)
		s.n = NAME_MAX_BYTES;
	json_text(t, key, str_from(text_mend(s, whole)));
}

void json_name(struct text *t, const char *key, struct str s)
{
	if (s.n == 0)
		json_null(t, key);
	else
		mended(t, key, s);
}

/* ------------------------------------------------------------ the registry's */

static void attrs_json(struct text *t, const struct device *d)
{
	json_open(t, "attrs", '{');
	for (size_t i = 0; i < d->n_attrs; i++) {
		char name[ATTR_NAME_MAX + 1] = "";
		const struct attr *a = &d->attrs[i];

		if (i == 0 || !str_eq(a->name, d->attrs[i - 1].name)) {
			if (i != 0)
				json_close(t, ']');
			/* attr_name_valid(): needs no escaping. */
			memcpy(name, a->name.p, a->name.n);
			json_open(t, name, '[');
		}
		json_text(t, NULL, a->value);
	}
	if (d->n_attrs != 0)
		json_close(t, ']');
	json_close(t, '}');
}

static void held_json(struct text *t, const struct quarantine *q)
{
	if (q == NULL) {
		json_null(t, "feed_quarantine");
		return;
	}
	json_open(t, "feed_quarantine", '{');
	json_number(t, "since_s", q->since_s);
	json_time(t, "until_s", q->until_s);
	json_name(t, "reason", str_from(q->reason));
	json_text(t, "actor", str_from(q->actor));
	json_number(t, "change", q->change);
	json_close(t, '}');
}

void device_json_begin(struct text *t, const char *key, const struct device *d,
	const struct quarantine *held, int64_t now_s)
{
	enum device_status status = device_effective(d, now_s);

	if (status == DEVICE_ACTIVE && held != NULL)
		status = DEVICE_QUARANTINED;
	json_open(t, key, '{');
	json_text(t, "id", str_from(d->id));
	json_text(t, "class", str_from(d->class_name));
	json_text(t, "mode", d->observe ? STR("observe") : STR("enforce"));
	json_text(t, "status",
		str_from(device_status_name((enum device_status)d->status)));
	json_text(t, "effective_status", str_from(device_status_name(status)));
	json_name(t, "status_reason", str_from(d->status_reason));
	json_time(t, "status_until_s", d->status_until_s);
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++)
		json_name(t, simid_name((enum simid_kind)k),
			(struct str){d->sim[k].digits, d->sim[k].n});
	attrs_json(t, d);
	json_number(t, "created_s", d->created_s);
	json_number(t, "updated_s", d->updated_s);
	json_number(t, "revision", d->revision);
	held_json(t, held);
}

void credential_json(struct text *t, const struct credential *c)
{
	char hex[FINGERPRINT_HEX], spki[FINGERPRINT_HEX];

	fingerprint_format(c->fingerprint, hex);
	fingerprint_format(c->spki, spki);
	json_open(t, NULL, '{');
	json_text(t, "fingerprint", str_from(hex));
	json_text(t, "spki", str_from(spki));
	json_text(t, "device_id", str_from(c->device_id));
	json_text(t, "serial", str_from(c->serial));
	json_text(t, "issuer", str_from(c->issuer));
	json_number(t, "not_before_s", c->not_before_s);
	json_number(t, "not_after_s", c->not_after_s);
	json_text(t, "status",
		c->status == CREDENTIAL_ACTIVE ? STR("active")
					       : STR("revoked"));
	json_time(t, "revoked_s", c->revoked_s);
	json_name(t, "reason", str_from(c->reason));
	json_close(t, '}');
}

/* --------------------------------------------------------------- the meter's */

static void connect_json(struct text *t, const struct meter_connect *c)
{
	char address[ADDRESS_TEXT], hex[FINGERPRINT_HEX];

	if (c->t_s == 0) {
		json_null(t, "last_connect");
		return;
	}
	address_format(c->address, address);
	fingerprint_format(c->credential, hex);
	json_open(t, "last_connect", '{');
	json_time(t, "t_s", c->t_s);
	json_name(t, "address", str_from(address));
	json_text(t, "fingerprint", str_from(hex));
	json_close(t, '}');
}

static void refusal_json(struct text *t, const struct meter_refusal *r)
{
	enum reason reason = r->reason < REASON_COUNT ? (enum reason)r->reason
						      : REASON_UNAVAILABLE;
	size_t n = r->topic_len < METER_TOPIC ? r->topic_len : METER_TOPIC;

	if (r->t_s == 0) {
		json_null(t, "last_refusal");
		return;
	}
	json_open(t, "last_refusal", '{');
	json_time(t, "t_s", r->t_s);
	json_text(t, "action", str_from(action_name((enum action)r->action)));
	json_text(t, "reason", str_from(reason_name(reason)));
	json_number(t, "qos", r->qos);
	mended(t, "topic", (struct str){r->topic, n});
	json_number(t, "topic_bytes", r->topic_len);
	json_close(t, '}');
}

void device_json_seen(struct text *t, const struct meter_watch *w,
	const struct meter_device *d)
{
	json_text(t, "broker", str_from(broker_state_name(w->state)));
	json_number(t, "connections", d->connections);
	connect_json(t, &d->connect);
	refusal_json(t, &d->refusal);
}

void counters_json(struct text *t, const uint64_t counter[static COUNTERS])
{
	for (unsigned i = 0; i < COUNTERS; i++)
		json_count(t, counter_name((enum counter)i),
			json_exact(counter[i]));
}

static void reasons_json(struct text *t, const struct meter_device *d)
{
	json_open(t, "refusals", '{');
	for (int r = 0; r < REASON_COUNT; r++) {
		uint32_t at = meter_reason_index((enum reason)r);

		if (at < METER_REASONS && d->reason[at] != 0)
			json_count(t, reason_name((enum reason)r),
				json_exact(d->reason[at]));
	}
	json_close(t, '}');
}

void usage_json(struct text *t, const char *key, const struct meter_watch *w,
	const struct meter_device *d, const uint64_t *median)
{
	char class[CLASS_NAME_MAX + 1], address[ADDRESS_TEXT];

	meter_class_text(w, d->class, class);
	address_format(d->connect.address, address);
	json_open(t, key, '{');
	json_name(t, "device", str_from(d->id));
	json_name(t, "class", str_from(class));
	json_time(t, "first_seen_s", d->first_seen_s);
	json_time(t, "last_seen_s", d->last_seen_s);
	json_name(t, "last_address", str_from(address));
	device_json_seen(t, w, d);
	counters_json(t, d->counter);
	reasons_json(t, d);
	if (median != NULL) {
		json_open(t, "class_median", '{');
		counters_json(t, median);
		json_close(t, '}');
	}
	json_close(t, '}');
}

/* ------------------------------------------------------------------ classes */

static void refused_json(struct text *t, const struct meter_use *u)
{
	json_open(t, "refusals", '{');
	for (unsigned a = 0; a < METER_ALL_ACTIONS; a++) {
		json_open(t, action_name((enum action)(a + 1)), '{');
		for (int r = 0; r < REASON_COUNT; r++) {
			if (u->refused[a][r] != 0)
				json_count(t, reason_name((enum reason)r),
					json_exact(u->refused[a][r]));
		}
		json_close(t, '}');
	}
	json_close(t, '}');
}

void use_json_begin(struct text *t, const char *key,
	const struct meter_watch *w, const struct meter_use *u)
{
	json_open(t, key, '{');
	json_name(t, "class", str_from(u->name));
	json_text(t, "broker", str_from(broker_state_name(w->state)));
	json_number(t, "devices", u->devices);
	json_number(t, "connections", u->connections);
	counters_json(t, u->counter);
	refused_json(t, u);
}

void rule_json(struct text *t, const struct meter_rule_use *r)
{
	size_t n = strlen(r->topic);

	json_open(t, NULL, '{');
	json_text(t, "list", r->list == 0 ? STR("publish") : STR("subscribe"));
	json_name(t, "topic", (struct str){r->topic, n});
	json_count(t, "messages", json_exact(r->messages));
	json_count(t, "payload_bytes", json_exact(r->payload_bytes));
	json_count(t, "mqtt_bytes", json_exact(r->mqtt_bytes));
	json_close(t, '}');
}
