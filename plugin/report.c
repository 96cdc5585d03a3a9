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
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	mosquitto_log_printf(level, "weir: %s", line);
}

void report_refusal(struct guard *g, struct refusal *r, uint32_t rule)
{
	char place[RULE_PLACE_MAX], line[REFUSAL_LINE];
	uint32_t suppressed;

	count_u64(&g->meter->refused, 1);
	if (!refusal_admit(&g->refusals, r, g->now_ms, &suppressed))
		return;
	(void)policy_rule_place(g->policy, rule, place);
	r->place = place;
	(void)refusal_format(r, suppressed, line);
	mosquitto_log_printf(MOSQ_LOG_WARNING, "%s", line);
}
