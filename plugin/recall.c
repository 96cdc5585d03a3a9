/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/recall.h"

void recall_keep(struct recalls *r, const struct subject *who,
	const struct request *what, struct decision d)
{
	struct recall *x = &r->of[what->action == ACTION_RECEIVE];

	if (d.verdict != VERDICT_ALLOWED || what->topic.n > RECALL_TOPIC ||
		what->topic.n == 0 || who->device == NULL ||
		who->device->status != DEVICE_ACTIVE ||
		(what->action != ACTION_PUBLISH &&
			what->action != ACTION_RECEIVE))
		return;
	x->rule = d.rule;
	x->payload_len =
		policy_class_sized(who->class) ? what->payload_len : RECALL_ANY;
	x->action = (uint8_t)what->action;
	x->qos = what->qos;
	x->retain = what->retain;
	x->topic_len = (uint16_t)what->topic.n;
	memcpy(x->topic, what->topic.p, what->topic.n);
}
