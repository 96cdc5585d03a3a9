/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meter holds of one device, as commands print it.
 */
#ifndef CLI_METER_PRINT_H
#define CLI_METER_PRINT_H

#include "cli/command.h"
#include "cli/output.h"
#include "io/meter_device.h"

/* ERR_INPUT: none is called NAME. */
MUST bool meter_count_find(const char *name, unsigned *what, struct err *e);

/* Adds S, which may be cut or hold anything: see text_mend. */
void json_mended(cJSON *o, const char *key, struct str s);

/* How many of all its refusals had each reason: "refusals", an object of those
 * that are not zero. */
void meter_reasons_json(cJSON *o, const struct meter_device *d);

/* Fields for people: whether the device is connected, its last connect and its
 * last refusal. */
void meter_device_print(
	const struct meter_watch *w, const struct meter_device *d);

/* The same: "broker", "connections", "last_connect", "last_refusal". */
void meter_device_json(
	cJSON *o, const struct meter_watch *w, const struct meter_device *d);

/* "publish a/b, QoS 1: no rule of the class matches (no_rule)". The topic may
 * be cut. Given: free(). */
char *meter_refusal_text(const struct meter_refusal *r);

#endif
