/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir usage over time: what weir-feed has told the history.
 */
#ifndef CLI_USAGE_HISTORY_H
#define CLI_USAGE_HISTORY_H

#include "cli/command.h"
#include "io/meter_watch.h"

/* True when C asks for usage over time: --since, --until, --by or --csv. */
bool usage_asks_history(const struct cli *c);

/* Answers it; TOP devices by counter or refusals SORT, or 0. W is the meter's:
 * it knows who could have been told of. */
MUST bool usage_history(const struct cli *c, const struct meter_watch *w,
	size_t top, unsigned sort, struct err *e);

#endif
