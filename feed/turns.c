/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/turns.h"

#include "feed/conn.h"

static void on_next(lws_sorted_usec_list_t *sul)
{
	struct turns *t = OWNER_OF(sul, struct turns, next);

	t->begun = false;
	while (t->waiting.head != NULL && turns_has_time(t)) {
		struct conn *c =
			OWNER_OF(t->waiting.head, struct conn, waiting);

		turns_leave(c);
		conn_go_on(c);
	}
}

void turns_open(struct turns *t, struct lws_context *context)
{
	t->context = context;
}

void turns_close(struct turns *t)
{
	lws_sul_cancel(&t->next);
}

bool turns_has_time(struct turns *t)
{
	if (t->begun)
		return !turn_over(t->turn);
	t->begun = true;
	t->turn = turn_begin();
	/* The next turn of the loop begins with it. */
	lws_sul_schedule(t->context, 0, &t->next, on_next, 1);
	return true;
}

bool turns_waits(const struct conn *c)
{
	return c->waiting.owner != NULL;
}

void turns_wait(struct turns *t, struct conn *c)
{
	if (!turns_waits(c))
		lws_dll2_add_tail(&c->waiting, &t->waiting);
}

void turns_leave(struct conn *c)
{
	lws_dll2_remove(&c->waiting);
}
