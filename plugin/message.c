/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/message.h"

#include "plugin/access.h"
#include "plugin/judge.h"
#include "plugin/property.h"
#include "plugin/record.h"

#include <stdlib.h>

/* True when D, about a message of B, lets it pass: where the whole broker
 * observes, what is only observed does. */
static bool passes(
	const struct guard *g, const struct binding *b, struct decision d)
{
	return d.verdict == VERDICT_ALLOWED ||
	       (d.verdict == VERDICT_OBSERVED &&
		       policy_observes(g->policy, b->badge->subject.class));
}

static int check_response(struct guard *g, const struct mosquitto *client,
	struct binding *b, const char *topic)
{
	struct request what = {
		.action = ACTION_RECEIVE,
		.topic = str_from(topic),
		.now_s = g->now_s,
	};
	struct decision d = {VERDICT_REFUSED, REASON_RESPONSE_TOPIC, RULE_NONE};

	if (topic != NULL)
		d = decide(g->policy, &b->badge->subject, &what);
	if (passes(g, b, d))
		return MOSQ_ERR_SUCCESS;
	d.verdict = VERDICT_REFUSED;
	what.action = ACTION_PUBLISH;
	d.reason = REASON_RESPONSE_TOPIC;
	return access_refuse(g, client, b, &what, d);
}

/* The remaining length of the packet that ED is, with PROPERTIES bytes of
 * them. */
static uint64_t remaining(
	const struct mosquitto_evt_message *ed, uint64_t properties)
{
	return publish_remaining(strlen(ed->topic), ed->qos, ed->payloadlen) +
	       varint_bytes(properties) + properties;
}

/*
 * What N bytes of properties add to a PUBLISH. ACL_CHECK, which does not show
 * them, has just counted the packet as one without.
 */
static uint64_t count_properties(const struct guard *g, const struct binding *b,
	const struct mosquitto_evt_message *ed, uint64_t n)
{
	uint64_t more =
		packet_bytes(remaining(ed, n)) - packet_bytes(remaining(ed, 0));

	count_u64(&b->badge->slot->counter[COUNTER_MQTT_BYTES_IN], more);
	count_u64(&b->badge->total->counter[COUNTER_MQTT_BYTES_IN], more);
	if (g->gauge.last != NULL)
		count_u64(&g->gauge.last->mqtt_bytes, more);
	return more;
}

/*
 * The publish again, with what its N bytes of properties hold. Otherwise
 * `max_bytes` would bound nothing that MQTT 5 sends, and no rate or quota hold:
 * a packet may be all properties, and they reach whoever receives it.
 */
static int check_size(struct guard *g, const struct mosquitto_evt_message *ed,
	struct binding *b, uint64_t n)
{
	struct badge *badge = b->badge;
	struct request what = {
		.action = ACTION_PUBLISH,
		.qos = ed->qos,
		.retain = ed->retain,
		.payload_len = ed->payloadlen + (uint32_t)n,
		.topic = str_from(ed->topic),
		.now_s = g->now_s,
	};
	uint64_t more = count_properties(g, b, ed, n);
	struct decision d = decide(g->policy, &badge->subject, &what);

	if (d.verdict != VERDICT_REFUSED && badge->limited)
		d = judge_more(g, badge, more, d);
	return d.verdict == VERDICT_REFUSED
		       ? access_refuse(g, ed->client, b, &what, d)
		       : MOSQ_ERR_SUCCESS;
}

static __attribute__((cold, noinline)) int check_properties(
	struct guard *g, const struct mosquitto_evt_message *ed)
{
	struct binding *b = binding_find(&g->bindings, ed->client);
	bool read;
	char *topic;
	int answer;

	/* ACL_CHECK has just let the publish in: the binding is there. */
	if (b != NULL && b->state == BINDING_GUEST)
		return MOSQ_ERR_SUCCESS;
	if (b == NULL || b->state != BINDING_CONNECTED)
		return MOSQ_ERR_ACL_DENIED;
	judge_class(g, b->badge);
	answer = check_size(g, ed, b, property_bytes(ed->properties));
	if (answer != MOSQ_ERR_SUCCESS)
		return answer;
	read = property_response_topic(ed->properties, &topic);
	if (read && topic == NULL)
		return MOSQ_ERR_SUCCESS;
	answer = check_response(g, ed->client, b, topic);
	free(topic);
	return answer;
}

int message_check(struct guard *g, const struct mosquitto_evt_message *ed)
{
	if (record_is_due(&g->record, ed->client))
		record_message(g, ed);
	return ed->properties == NULL ? MOSQ_ERR_SUCCESS
				      : check_properties(g, ed);
}

void message_sent(struct guard *g, const struct mosquitto_evt_message *ed)
{
	const struct binding *b = binding_find(&g->bindings, ed->client);
	uint64_t mqtt_bytes;

	if (b == NULL || b->state != BINDING_CONNECTED)
		return;
	mqtt_bytes = packet_bytes(
		b->v5 ? remaining(ed, property_bytes(ed->properties))
		      : publish_remaining(
				strlen(ed->topic), ed->qos, ed->payloadlen));
	gauge_add(&b->badge->slot->counter[COUNTER_MESSAGES_SENT],
		ed->payloadlen, mqtt_bytes);
	gauge_add(&b->badge->total->counter[COUNTER_MESSAGES_SENT],
		ed->payloadlen, mqtt_bytes);
}
