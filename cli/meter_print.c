/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/meter_print.h"

#include "io/meter_text.h"
#include "io/x509.h"

#include <inttypes.h>
#include <stdlib.h>

bool meter_count_find(const char *name, unsigned *what, struct err *e)
{
	const char *names[METER_COUNTS];
	const char *near;

	for (unsigned i = 0; i < METER_COUNTS; i++) {
		names[i] = meter_count_name(i);
		if (strcmp(names[i], name) == 0) {
			*what = i;
			return true;
		}
	}
	near = nearest_name(name, names, METER_COUNTS);
	return err_set(e, ERR_INPUT,
		"'%.40s' is no counter%s%s; see weir help usage", name,
		near != NULL ? ": did you mean " : "",
		near != NULL ? near : "");
}

void json_mended(cJSON *o, const char *key, struct str s)
{
	char *text = need_memory(3 * s.n + 1, 1);

	json_str(o, key, text_mend(s, text));
	free(text);
}

void meter_reasons_json(cJSON *o, const struct meter_device *d)
{
	cJSON *reasons = json_object(o, "refusals");

	for (int r = 0; r < REASON_COUNT; r++) {
		uint32_t at = meter_reason_index((enum reason)r);

		if (at < METER_REASONS && d->reason[at] != 0)
			json_int(reasons, reason_name((enum reason)r),
				(int64_t)d->reason[at]);
	}
}

static enum reason reason_of(const struct meter_refusal *r)
{
	return r->reason < REASON_COUNT ? (enum reason)r->reason
					: REASON_UNAVAILABLE;
}

static struct str topic_of(const struct meter_refusal *r)
{
	return (struct str){r->topic,
		r->topic_len < METER_TOPIC ? r->topic_len : METER_TOPIC};
}

char *meter_refusal_text(const struct meter_refusal *r)
{
	char topic[3 * METER_TOPIC + 1], qos[16];
	size_t cap = sizeof(topic) + 256;
	char *out = need_memory(cap, 1);
	enum action action = (enum action)r->action;
	bool asks_qos = action == ACTION_PUBLISH || action == ACTION_SUBSCRIBE;

	(void)snprintf(qos, sizeof(qos), ", QoS %u", r->qos);
	(void)snprintf(out, cap, "%s%s %s%s%s: %s (%s)", action_name(action),
		action == ACTION_CONNECT ? " as" : "",
		text_mend(topic_of(r), topic),
		r->topic_len > METER_TOPIC ? "…" : "", asks_qos ? qos : "",
		reason_text(reason_of(r)), reason_name(reason_of(r)));
	return out;
}

static void print_connected(
	const struct meter_watch *w, const struct meter_device *d)
{
	char when[TIME_TEXT], state[WATCH_TEXT];

	if (w->state != BROKER_RUNNING) {
		meter_watch_text(w, state);
		print_field("connected", "%s; the broker: %s",
			w->state == BROKER_UNKNOWN ? "not known" : "no", state);
	} else if (d->connections != 0) {
		print_field("connected", "yes, %" PRIu32 " connection%s",
			d->connections, d->connections != 1 ? "s" : "");
	} else if (d->last_seen_s != 0) {
		time_format(d->last_seen_s, when);
		print_field("connected", "no, last seen %s", when);
	} else {
		print_field("connected", "no");
	}
}

void meter_device_print(
	const struct meter_watch *w, const struct meter_device *d)
{
	char when[TIME_TEXT], address[ADDRESS_TEXT], hex[FINGERPRINT_HEX];
	char *text;

	print_connected(w, d);
	if (!meter_watch_reads(w))
		return;
	if (d->connect.t_s == 0) {
		print_field("last connect", "none since the meter began");
	} else {
		time_format(d->connect.t_s, when);
		address_format(d->connect.address, address);
		fingerprint_format(d->connect.credential, hex);
		print_field("last connect", "%s from %s", when,
			address[0] != '\0' ? address : "an unknown address");
		print_field("  certificate", "%s", hex);
	}
	if (d->refusal.t_s == 0) {
		print_field("last refusal", "none since the meter began");
		return;
	}
	time_format(d->refusal.t_s, when);
	text = meter_refusal_text(&d->refusal);
	print_field("last refusal", "%s %s", when, text);
	free(text);
}

static void connect_json(cJSON *o, const struct meter_connect *c)
{
	char address[ADDRESS_TEXT], hex[FINGERPRINT_HEX];
	cJSON *j;

	if (c->t_s == 0) {
		json_str(o, "last_connect", NULL);
		return;
	}
	j = json_object(o, "last_connect");
	address_format(c->address, address);
	fingerprint_format(c->credential, hex);
	json_int(j, "t_s", c->t_s);
	json_str(j, "address", address[0] != '\0' ? address : NULL);
	json_str(j, "fingerprint", hex);
}

static void refusal_json(cJSON *o, const struct meter_refusal *r)
{
	cJSON *j;

	if (r->t_s == 0) {
		json_str(o, "last_refusal", NULL);
		return;
	}
	j = json_object(o, "last_refusal");
	json_int(j, "t_s", r->t_s);
	json_str(j, "action", action_name((enum action)r->action));
	json_str(j, "reason", reason_name(reason_of(r)));
	json_int(j, "qos", r->qos);
	json_mended(j, "topic", topic_of(r));
	json_int(j, "topic_bytes", r->topic_len);
}

void meter_device_json(
	cJSON *o, const struct meter_watch *w, const struct meter_device *d)
{
	json_str(o, "broker", broker_state_name(w->state));
	json_int(o, "connections", d->connections);
	connect_json(o, &d->connect);
	refusal_json(o, &d->refusal);
}
