/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock that bounds what one tick does: nobody is served meanwhile.
 */
#ifndef PLUGIN_CLOCK_H
#define PLUGIN_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER_NS UINT64_MAX

static inline uint64_t clock_ns(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

#endif
