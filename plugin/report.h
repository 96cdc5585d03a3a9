/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plugin says in the broker's log, and the refusals it counts.
 */
#ifndef PLUGIN_REPORT_H
#define PLUGIN_REPORT_H

#include "plugin/broker.h"
#include "plugin/refusal.h"

struct guard;

/* `weir: …` at LEVEL (MOSQ_LOG_…). */
void report(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Counts the refusal and writes its line if the limits allow. RULE is the
 * decision's: r->place is filled from it. */
void report_refusal(struct guard *g, struct refusal *r, uint32_t rule);

#endif
