/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The medians of several columns of numbers, without keeping or sorting the
 * numbers: MEDIAN_PASSES times all are shown, and each time a byte of every
 * median is found. So the memory does not grow with them, and no choice of
 * numbers makes it slow. Pure.
 *
 *	median_init(&m, columns);
 *	do
 *		for each row: median_row(&m, row);
 *	while (median_pass(&m));
 *
 * Where numbers change from pass to pass, a median is near the true one, and
 * nothing worse happens.
 */
#ifndef CORE_MEDIAN_H
#define CORE_MEDIAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEDIAN_COLUMNS 32u
#define MEDIAN_PASSES  9u

struct median_column {
	uint64_t prefix; /* what is known of the lower median, from the top */
	uint64_t rank;   /* its place among those that have it */
	uint64_t same;   /* how many have it */
	uint64_t above;  /* the least number above the lower median */
	uint64_t seen[256];
};

struct median {
	size_t n; /* columns */
	unsigned pass;
	uint64_t rows; /* of the pass */
	struct median_column column[MEDIAN_COLUMNS];
};

/* N columns, at most MEDIAN_COLUMNS. */
void median_init(struct median *m, size_t n);

/* Shows a row of n numbers. */
void median_row(struct median *m, const uint64_t *row);

/* Ends a pass. True: show all rows again. */
bool median_pass(struct median *m);

/* After the last pass: the median of COLUMN, between the two in the middle of
 * an even number; 0 of none. */
uint64_t median_of(const struct median *m, size_t column);

#endif
