/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last publish, and the last delivery, that decide() allowed a badge: asked
 * the same again, the answer is the same, and a device says the same again and
 * again. decide() is a pure function; this is its memo, of one entry an action.
 *
 * An entry is kept for an active device of a class without limits. It answers
 * for the same topic, QoS, retain flag and, where the class has rules that
 * bound it, payload length, as long as the certificate is valid. Whoever changes
 * anything else that decide() goes by (policy, class, device, status, barred)
 * calls recall_forget().
 */
#ifndef PLUGIN_RECALL_H
#define PLUGIN_RECALL_H

#include "core/decide.h"

#define RECALL_ANY   UINT32_MAX
#define RECALL_TOPIC 96u /* bytes; longer topics are asked about each time */

struct recall {
	uint32_t rule;
	uint32_t payload_len; /* RECALL_ANY: no rule looks at it */
	uint8_t action;       /* enum action */
	uint8_t qos;
	bool retain;
	uint16_t topic_len; /* 0: nothing is kept */
	char topic[RECALL_TOPIC];
};

/* By action: publish, receive. */
struct recalls {
	struct recall of[2];
};

static inline void recall_forget(struct recalls *r)
{
	r->of[0].topic_len = 0;
	r->of[1].topic_len = 0;
}

/* The rule that allowed WHAT before, or RULE_NONE: ask decide(). */
static inline uint32_t recall_find(const struct recalls *r,
	const struct certificate *c, const struct request *what)
{
	const struct recall *x = &r->of[what->action == ACTION_RECEIVE];

	if (x->action != what->action || x->topic_len != what->topic.n ||
		what->topic.n == 0 || what->now_s < c->not_before_s ||
		what->now_s > c->not_after_s)
		return RULE_NONE;
	if (what->action == ACTION_PUBLISH &&
		(x->qos != what->qos || x->retain != what->retain ||
			(x->payload_len != what->payload_len &&
				x->payload_len != RECALL_ANY)))
		return RULE_NONE;
	return memcmp(x->topic, what->topic.p, x->topic_len) == 0 ? x->rule
								  : RULE_NONE;
}

/* D is decide()'s answer to WHO asking WHAT. */
void recall_keep(struct recalls *r, const struct subject *who,
	const struct request *what, struct decision d);

#endif
