/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/past.h"

#include "feed/feed.h"
#include "io/history_writer.h"

bool past_open(struct feed *f, struct history **out, struct err *e)
{
	if (f->pasts >= PAST_MAX)
		return err_set(e, ERR_ENVIRONMENT,
			"%u requests read the history at this moment; try "
			"again in a second",
			PAST_MAX);
	if (!history_open_beside(f->config.state, out, e)) {
		/* Who asks has done nothing wrong. */
		e->code = ERR_ENVIRONMENT;
		return false;
	}
	f->pasts++;
	return true;
}

void past_close(struct feed *f, struct history **h)
{
	if (*h == NULL)
		return;
	history_close(h);
	f->pasts--;
}
