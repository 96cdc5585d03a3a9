/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/exchange.h"

#include <stdlib.h>
#include <time.h>

void exchange_begin(struct exchange *x, bool last, struct text *out)
{
	struct answer *a = &x->answer;

	if (a->body.failed) {
		answer_free(a);
		answer_problem(a, 503, "out of memory; try again later");
		a->retry_after_s = 10;
	}
	if (a->more != NULL)
		x->how = x->head.minor ? REPLY_CHUNKED : REPLY_CLOSE;
	x->close = x->close || a->close || x->head.close || last ||
		   x->how == REPLY_CLOSE;
	x->body_left =
		!x->bare && reply_has_body(a->status != 0 ? a->status : 200);
	reply_head(a, x->how, x->close, (int64_t)time(NULL), out);
}

bool exchange_is_made(const struct exchange *x)
{
	return !x->body_left || x->how == REPLY_LENGTH ||
	       /* The first piece may be there before it is asked for. */
	       (!x->asked && x->answer.body.n != 0);
}

bool exchange_next(struct exchange *x, struct text *out, bool *end)
{
	struct answer *a = &x->answer;
	struct text swap = *out;
	enum answer_more more = ANSWER_MORE;

	if (x->broken)
		return false;
	*end = !x->body_left;
	if (*end)
		return true;
	if (x->how == REPLY_LENGTH) {
		*out = a->body;
		a->body = swap;
		x->body_left = false;
		return true;
	}
	if (!exchange_is_made(x))
		more = a->more(a);
	x->body_left = more == ANSWER_MORE;
	x->asked = true;
	x->broken = more == ANSWER_BROKEN || a->body.failed;
	if (x->broken)
		return false;
	/* All of it is made: what made it serves the next one. */
	if (!x->body_left && a->drop != NULL) {
		a->drop(a->ctx);
		a->drop = NULL;
	}
	if (x->how == REPLY_CHUNKED)
		reply_chunk(out, (struct str){a->body.p, a->body.n});
	else
		text_add(out, (struct str){a->body.p, a->body.n});
	text_clear(&a->body);
	if (!x->body_left && x->how == REPLY_CHUNKED)
		reply_last_chunk(out);
	return true;
}

void exchange_free(struct exchange **x)
{
	if (*x == NULL)
		return;
	answer_free(&(*x)->answer);
	free(*x);
	*x = NULL;
}
