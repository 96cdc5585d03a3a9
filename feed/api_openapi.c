/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_openapi.h"

void api_openapi(struct feed *f, const struct ask *q, struct answer *a)
{
	struct err e;

	(void)f;
	if (!ask_only(q, NULL, 0, &e)) {
		answer_err(a, &e);
		return;
	}
	text_add(&a->body, (struct str){OPENAPI_JSON, OPENAPI_JSON_LEN});
}
