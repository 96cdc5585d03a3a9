/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/credentials.h"

#include "feed/log.h"

#define EVERY_MS 60000
#define AGAIN_MS 10000 /* after a walk that failed */
#define ROWS     1000  /* of a step: below a millisecond */

void credentials_second(struct credentials *c, int64_t now_s, int64_t now_ms)
{
	if (c->walking || now_ms < c->next_ms)
		return;
	c->next_ms = now_ms + EVERY_MS;
	c->walk = (struct registry_expiry){.now_s = now_s};
	c->walking = true;
}

static bool read_some(
	struct credentials *c, struct roster *roster, bool *more, struct err *e)
{
	struct registry *r = roster_get(roster, e);

	if (r == NULL)
		return false;
	if (registry_expiry(r, &c->walk, ROWS, more, e))
		return true;
	r = roster_retry(roster, e);
	return r != NULL && registry_expiry(r, &c->walk, ROWS, more, e);
}

bool credentials_step(struct credentials *c, struct roster *roster)
{
	bool more = false, first = !c->tried;
	struct err e;

	if (!c->walking)
		return false;
	if (!read_some(c, roster, &more, &e)) {
		if (c->up || first)
			log_say(LOG_WARNING, "registry",
				"certificates that end soon are not counted: "
				"%s",
				e.msg);
		c->tried = true;
		c->up = c->walking = false;
		c->next_ms -= EVERY_MS - AGAIN_MS;
		return false;
	}
	if (more)
		return true;
	c->found = c->walk;
	c->tried = c->up = c->known = true;
	c->walking = false;
	return false;
}
