/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/change.h"

#include "plugin/guard.h"
#include "plugin/judge.h"

bool change_apply(
	struct guard *g, int64_t change, struct str device, struct err *e)
{
	bool told = true;

	for (struct binding *b = binding_of_device(&g->bindings, device);
		b != NULL; b = b->same_device)
		told = judge_again(g, b, change, e) && told;
	return told;
}

void change_unknown(struct guard *g, struct binding *b, int64_t change)
{
	b->stale = b->stale || b->badge == NULL || b->qos2;
	kick_add(&g->kicks, &g->outcomes, b, change);
}

void change_give_up(struct guard *g, int64_t change, struct str device)
{
	for (struct binding *b = binding_of_device(&g->bindings, device);
		b != NULL; b = b->same_device)
		change_unknown(g, b, change);
}

void change_confine(struct guard *g, struct str device)
{
	for (struct binding *b = binding_of_device(&g->bindings, device);
		b != NULL; b = b->same_device) {
		if (b->badge ==
			NULL) /* a husk: what it could do is not known */
			b->stale = true;
		/* Who is barred is being closed, or waits for the registry;
		 * then its rows are read, and this is seen to. */
		else if (b->badge->subject.barred == REASON_ALLOWED)
			judge_due(g, b);
	}
}

void change_tell(
	struct guard *g, int64_t change, enum reason reason, struct str device)
{
	const struct binding *b = binding_of_device(&g->bindings, device);
	const struct badge *badge = b != NULL ? b->badge : NULL;
	struct event e = {
		.type = EVENT_STATUS,
		.reason = (uint8_t)reason,
		.value = (uint64_t)change,
		.class = badge != NULL ? badge->total_index : METER_NONE,
		.device = device,
	};
	bool stale = b == NULL;

	if (badge != NULL)
		e.text = str_from(device_status_name(
			(enum device_status)badge->device.status));
	gauge_event(g, &e);
	for (; b != NULL; b = b->same_device)
		stale = stale || b->stale;
	if (stale)
		gauge_stale(g, device, change);
}
