/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An oracle's word in programs without CMocka: fuzz targets and torture.
 */
#ifndef TESTS_SUPPORT_CHECK_H
#define TESTS_SUPPORT_CHECK_H

#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline _Noreturn void check_failed(
	const char *file, int line, const char *what, const char *said)
{
	(void)fprintf(stderr, "%s:%d: not so: %s%s%s\n", file, line, what,
		said[0] != '\0' ? ": " : "", said);
	abort();
}

static inline void check_that(
	bool so, const char *file, int line, const char *what)
{
	if (!so)
		check_failed(file, line, what, "");
}

/* Aborts, and says which, when COND is false; whatever NDEBUG says. */
#define CHECK(cond) check_that((cond), __FILE__, __LINE__, #cond)

/* True when a failure's report is fit to be shown: it has a code and a
 * message, and no control character in either text (a terminal would obey
 * it). Both may be cut within a character. */
static inline bool check_report(const struct err *e)
{
	const char *const text[] = {e->msg, e->place};
	const size_t cap[] = {sizeof(e->msg), sizeof(e->place)};

	for (size_t i = 0; i < 2; i++) {
		size_t n = strnlen(text[i], cap[i]);

		if (n == cap[i])
			return false;
		for (size_t k = 0; k < n; k++) {
			unsigned char c = (unsigned char)text[i][k];

			if (c < 0x20 || c == 0x7F)
				return false;
		}
	}
	return e->code != ERR_NONE && e->msg[0] != '\0';
}

#endif
