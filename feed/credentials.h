/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many certificates end soon: the registry's credentials, counted once a
 * minute and a few at a time.
 */
#ifndef FEED_CREDENTIALS_H
#define FEED_CREDENTIALS_H

#include "feed/roster.h"

struct credentials {
	bool tried, up; /* the last walk came to its end */
	bool known;     /* one did, and this is what it found: */
	struct registry_expiry found;
	/* The rest is its own. */
	bool walking;
	struct registry_expiry walk;
	int64_t next_ms;
};

/* Each second: begins a walk when it is time. NOW_S is Unix time, NOW_MS of a
 * clock that does not jump. */
void credentials_second(struct credentials *c, int64_t now_s, int64_t now_ms);

/* Goes on with the walk, for some ms. True: there is more to do. */
bool credentials_step(struct credentials *c, struct roster *roster);

#endif
