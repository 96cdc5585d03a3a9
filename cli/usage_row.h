/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of the tables that weir usage prints: some cells, the columns of
 * everybody, and one more, if that is none of them.
 */
#ifndef CLI_USAGE_ROW_H
#define CLI_USAGE_ROW_H

#include "cli/output.h"
#include "io/meter_device.h"

#define USAGE_COLUMNS  5u
#define USAGE_CELLS    (USAGE_COLUMNS + 5u)
#define USAGE_ROW_TEXT 32

struct usage_row {
	const char *cell[USAGE_CELLS];
	char text[USAGE_CELLS][USAGE_ROW_TEXT];
	size_t n;
};

/* The headings of the columns, and of MORE; METER_COUNTS: of none. */
void usage_row_heads(struct usage_row *r, unsigned more);
/* What they have. */
void usage_row_counts(struct usage_row *r,
	const uint64_t counter[static COUNTERS], unsigned more);
/* A cell with N. */
void usage_row_number(struct usage_row *r, uint64_t n);

#endif
