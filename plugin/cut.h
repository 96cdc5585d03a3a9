/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a refusal means for the connection that asked: it goes on, it is ended
 * at the tick, or what it has sent is not even read any more.
 */
#ifndef PLUGIN_CUT_H
#define PLUGIN_CUT_H

#include "plugin/guard.h"

/* WHAT was refused to B, which has its badge. */
void cut_after(struct guard *g, struct binding *b, const struct request *what);

#endif
