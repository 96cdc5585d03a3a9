/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir explain --batch: many questions, one line each.
 */
#ifndef CLI_EXPLAIN_BATCH_H
#define CLI_EXPLAIN_BATCH_H

#include "cli/asked.h"

/*
 * Answers every line of the file PATH ("-": standard input), in order, as it
 * is read. In: device, action, topic, qos, retain, bytes, tab separated, the
 * last ones may be missing. Out: allow or deny, reason, and the place of the
 * rule that allowed or whose limit refused, else `-`. ERR_INPUT names the
 * first line that is none; those before it are answered.
 */
MUST bool explain_batch(
	const struct asking *from, const char *path, struct err *e);

#endif
