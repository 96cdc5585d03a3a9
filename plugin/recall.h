/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last publish, and the last delivery, that decide() allowed a badge: asked
 * the same again, the answer is the same, and a device says the same again and
 * again. decide() is a pure function; this is its memo, of one entry an action.
 *
 * An entry is kept for an active device of a class without limits. It answers
 * for the same topic, QoS, retain flag and, where the class has rules that
 * bound it, payload length. Whoever asks has seen that the certificate is valid
 * and the policy the same; whoever changes anything else that decide() goes by
 * (class, device, status, barred) calls recall_forget().
 */
#ifndef PLUGIN_RECALL_H
#define PLUGIN_RECALL_H

#include "core/decide.h"

#define RECALL_ANY   UINT32_MAX
#define RECALL_TOPIC 96u /* bytes; longer topics are asked about each time */

struct recall {
	uint32_t rule;
	uint32_t payload_len; /* RECALL_ANY: no rule looks at it */
	uint32_t topic_len;
	uint8_t qos;
	bool retain;
	char topic[RECALL_TOPIC + 1]; /* empty: nothing is kept */
};

struct recalls {
	struct recall publish, receive;
};

static inline void recall_forget(struct recalls *r)
{
	r->publish.topic[0] = '\0';
	r->receive.topic[0] = '\0';
}

/* The answer to the publish or delivery of TOPIC that was allowed before, if
 * it is an answer to this one; NULL: ask decide(). */
static inline const struct recall *recall_publish(const struct recalls *r,
	const char *topic, uint8_t qos, bool retain, uint32_t payload_len)
{
	const struct recall *x = &r->publish;

	if (x->qos != qos || x->retain != retain ||
		(x->payload_len != payload_len && x->payload_len != RECALL_ANY))
		return NULL;
	return topic[0] != '\0' && strcmp(x->topic, topic) == 0 ? x : NULL;
}

static inline const struct recall *recall_receive(
	const struct recalls *r, const char *topic)
{
	const struct recall *x = &r->receive;

	return topic[0] != '\0' && strcmp(x->topic, topic) == 0 ? x : NULL;
}

/* D is decide()'s answer to WHO asking WHAT. A publish with QoS 2 is not kept:
 * the session that holds it has to be noted each time. */
void recall_keep(struct recalls *r, const struct subject *who,
	const struct request *what, struct decision d);

#endif
