/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plugin says in the broker's log, and the refusals it counts.
 */
#ifndef PLUGIN_REPORT_H
#define PLUGIN_REPORT_H

#include "plugin/broker.h"
#include "plugin/refusal.h"

struct badge;
struct binding;
struct guard;

/* `weir: …` at LEVEL (MOSQ_LOG_…). */
void report(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Counts the refusal and writes its line if the limits allow. BADGE: whose it
 * is; NULL: a stranger's. RULE is the decision's; it gives the line its place,
 * r->place does not. */
void report_refusal(struct guard *g, struct badge *badge,
	const struct refusal *r, uint32_t rule);

/* B, admitted before, could not connect now for REASON: its connection ends.
 * Limited as refusals are. */
void report_ended(struct guard *g, const struct binding *b, enum reason reason);

#endif
