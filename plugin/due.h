/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which connection must be judged again first: a heap of bindings by due_s,
 * the second at which its certificate or its status ends.
 */
#ifndef PLUGIN_DUE_H
#define PLUGIN_DUE_H

#include "plugin/binding.h"

struct due {
	struct binding **heap;
	size_t n, cap;
};

void due_fini(struct due *d);

/* Files B under B->due_s, again if it is there. False: no memory; then B is
 * not in the heap. O(log n). */
MUST bool due_put(struct due *d, struct binding *b);

/* Nothing happens when B is not in it. O(log n). */
void due_remove(struct due *d, struct binding *b);

/* Takes the first binding that is due at NOW_S out; NULL if none is. */
struct binding *due_take(struct due *d, int64_t now_s);

#endif
