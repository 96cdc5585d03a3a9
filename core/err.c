/* SPDX-License-Identifier: Apache-2.0 */
#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf is the one function of stdio that core/ may use: it is pure. */

bool err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list args;

	if (e == NULL)
		return false;
	e->code = code;
	e->line = 0;
	e->col = 0;
	e->place[0] = '\0';
	va_start(args, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, args);
	va_end(args);
	return false;
}

bool err_at(struct err *e, const char *fmt, ...)
{
	va_list args;

	if (e == NULL)
		return false;
	va_start(args, fmt);
	(void)vsnprintf(e->place, sizeof(e->place), fmt, args);
	va_end(args);
	return false;
}

struct err *errs_next(struct errs *list)
{
	struct err *e;

	if (list->n == ERRS_MAX) {
		list->more = true;
		return NULL;
	}
	e = &list->e[list->n++];
	memset(e, 0, sizeof(*e));
	return e;
}
