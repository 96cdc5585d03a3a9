/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.db as the plugin reads it: at once, and never an invalid row. Asserts
 * with CMocka.
 */
#ifndef TESTS_SUPPORT_LIVE_READER_H
#define TESTS_SUPPORT_LIVE_READER_H

#include "tests/support/live_fixture.h"

#include <time.h>

#define FX_AT_ONCE_S 0.5

static inline double fx_clock_s(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline bool see_quarantine(void *ctx, const struct quarantine *q)
{
	assert_true(device_id_valid(str_from(q->device_id)));
	++*(int *)ctx;
	return true;
}

static inline bool see_change(void *ctx, const struct live_change *c)
{
	assert_true(device_id_valid(c->device_id));
	++*(int *)ctx;
	return true;
}

/* All that the plugin asks. False: it was told that it cannot be read. */
static inline bool read_all(struct fixture *fx)
{
	struct live_heads h;
	struct live *l = NULL;
	double begin = fx_clock_s();
	int n = 0;
	bool told;

	memset(&fx->e, 0, sizeof(fx->e));
	told = live_open(fx->path, LIVE_FOLLOW, &l, &fx->e) &&
	       (l == NULL || (live_heads(l, &h, &fx->e) &&
				     live_quarantines(l, "", 4096,
					     see_quarantine, &n, &fx->e) &&
				     live_changes(l, 0, 512, see_change, &n,
					     &fx->e)));
	live_close(&l);
	if (fx_clock_s() - begin > FX_AT_ONCE_S)
		fail_msg("it took %.1f s", fx_clock_s() - begin);
	if (!told && (fx->e.code != ERR_ENVIRONMENT || fx->e.msg[0] == '\0'))
		fail_msg("code %d: %s", (int)fx->e.code, fx->e.msg);
	return told;
}

static inline void good(struct fixture *fx)
{
	(void)fx_put(fx, "meter-1", 0);
	(void)fx_put(fx, "meter-2", 0);
	if (!read_all(fx))
		fail_msg("%s", fx->e.msg);
}

#endif
