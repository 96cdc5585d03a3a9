/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call that may fail came to, with its report in the words of a test.
 * Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_EXPECT_H
#define TESTS_SUPPORT_EXPECT_H

#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* OK, which EXPR returned, is true; else fails with *E. */
static inline void expect_ok(bool ok, const struct err *e, const char *expr)
{
	if (!ok)
		fail_msg("%s: %s", expr, e->msg);
}

/* OK is false, *E has CODE, and its message holds TEXT. */
static inline void expect_refused(bool ok, const struct err *e,
	enum err_code code, const char *text, const char *expr)
{
	if (ok)
		fail_msg("%s succeeded", expr);
	if (e->code != code || strstr(e->msg, text) == NULL)
		fail_msg("%s: code %d, %s", expr, (int)e->code, e->msg);
}

/* EXPR is true; else fails with what it left in FX->e. */
#define OK(fx, expr) expect_ok((expr), &(fx)->e, #expr)

/* EXPR fails with CODE, and its message holds TEXT. */
#define REFUSED(fx, expr, code, text)                                          \
	(memset(&(fx)->e, 0, sizeof((fx)->e)),                                 \
		expect_refused((expr), &(fx)->e, (code), (text), #expr))

#endif
