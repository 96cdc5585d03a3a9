/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/report.h"

#include "plugin/guard.h"

#include <stdarg.h>
#include <stdio.h>

void report(int level, const char *fmt, ...)
{
	char line[960];
	va_list ap;

	va_start(ap, fmt);
	// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 errs
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	mosquitto_log_printf(level, "weir: %s", line);
}

static void write_line(struct guard *g, const struct refusal *r, uint32_t rule)
{
	char place[RULE_PLACE_MAX], line[REFUSAL_LINE];
	struct refusal placed = *r;
	uint32_t suppressed;

	if (!refusal_admit(&g->refusals, r, g->now_ms, &suppressed))
		return;
	(void)policy_rule_place(g->policy, rule, place);
	placed.place = place;
	(void)refusal_format(&placed, suppressed, line);
	mosquitto_log_printf(MOSQ_LOG_WARNING, "%s", line);
}

void report_refusal(struct guard *g, struct badge *badge,
	const struct refusal *r, uint32_t rule)
{
	gauge_refusal(g, badge, r);
	write_line(g, r, rule);
}

void report_ended(struct guard *g, const struct binding *b, enum reason reason)
{
	struct refusal r = {
		.action = ACTION_CONNECT,
		.reason = reason,
		.device = b->device_id,
		.class_name = b->badge->device.class_name,
		.client_id = b->client_id,
		.address = b->address,
		.note = "connection=ended",
	};

	write_line(g, &r, RULE_NONE);
}
