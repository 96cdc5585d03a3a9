/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/recall.h"

static struct recall *entry_of(struct recalls *r, const struct request *what)
{
	if (what->action == ACTION_PUBLISH && what->qos < 2)
		return &r->publish;
	return what->action == ACTION_RECEIVE ? &r->receive : NULL;
}

void recall_keep(struct recalls *r, const struct subject *who,
	const struct request *what, struct decision d)
{
	struct recall *x = entry_of(r, what);

	if (x == NULL || d.verdict != VERDICT_ALLOWED ||
		what->topic.n > RECALL_TOPIC || who->device == NULL ||
		who->device->status != DEVICE_ACTIVE)
		return;
	x->rule = d.rule;
	x->payload_len =
		policy_class_sized(who->class) ? what->payload_len : RECALL_ANY;
	x->topic_len = (uint32_t)what->topic.n;
	x->qos = what->qos;
	x->retain = what->retain;
	memcpy(x->topic, what->topic.p, what->topic.n);
	x->topic[what->topic.n] = '\0';
}
