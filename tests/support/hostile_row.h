/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row that a fuzzer writes past its table's owner: of each column
 * { type 1, length 1, bytes }; what is missing is NULL.
 */
#ifndef TESTS_SUPPORT_HOSTILE_ROW_H
#define TESTS_SUPPORT_HOSTILE_ROW_H

#include "tests/support/check.h"

#include <sqlite3.h>
#include <stdint.h>

static inline int hostile_row_bind(
	sqlite3_stmt *st, int i, int type, struct str s)
{
	int64_t v = 0;

	for (size_t k = 0; k < s.n && k < 8; k++)
		v = (int64_t)((uint64_t)v << 8 | (uint8_t)s.p[k]);
	switch (type % 6) {
	case 0:
		return sqlite3_bind_null(st, i);
	case 1:
		return sqlite3_bind_int64(st, i, v);
	case 2:
		return sqlite3_bind_double(st, i, (double)v / 3);
	case 3:
		return sqlite3_bind_blob(st, i, s.p, (int)s.n, SQLITE_STATIC);
	default:
		return sqlite3_bind_text(st, i, s.p, (int)s.n, SQLITE_STATIC);
	}
}

/* Runs ST, an INSERT of N columns, with the row in IN. *FIRST: the bytes of the
 * first column. False: the table does not take it (a key that is NULL, or no
 * number). */
static inline bool hostile_row_insert(
	sqlite3_stmt *st, int n, struct str in, struct str *first)
{
	bool taken;

	*first = (struct str){in.p, 0};
	for (int i = 1; i <= n; i++) {
		struct str s = {in.p, 0};
		int type = 0;

		if (in.n >= 2) {
			type = (uint8_t)in.p[0];
			s = (struct str){in.p + 2, (uint8_t)in.p[1]};
			if (s.n > in.n - 2)
				s.n = in.n - 2;
			in = (struct str){s.p + s.n, in.n - 2 - s.n};
		}
		CHECK(hostile_row_bind(st, i, type, s) == SQLITE_OK);
		if (i == 1)
			*first = s;
	}
	taken = sqlite3_step(st) == SQLITE_DONE;
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return taken;
}

#endif
