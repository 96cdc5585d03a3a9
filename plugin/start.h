/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and stopping the guard. There is no half-way: what is missing or
 * unsafe stops the broker from starting, with a line that says what to do.
 */
#ifndef PLUGIN_START_H
#define PLUGIN_START_H

#include "plugin/broker.h"
#include "plugin/guard.h"

/* Reads the plugin_opt_ lines into G. An unknown one is an error. */
MUST bool start_options(struct guard *g, const struct mosquitto_opt *options,
	int n, struct err *e);

/* Opens registry, policy and segment; refuses when the broker's user can read
 * a CA key. On false, stop() cleans up. */
MUST bool start(struct guard *g, struct err *e);

/* Says in the segment that the broker has ended, and frees all that G holds. */
void stop(struct guard *g);

#endif
