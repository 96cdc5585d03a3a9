/* SPDX-License-Identifier: Apache-2.0 */
#include "core/median.h"

#include <string.h>

#define BYTES 8u /* passes that find a byte; the last looks what is above */

void median_init(struct median *m, size_t n)
{
	memset(m, 0, sizeof(*m));
	m->n = n < MEDIAN_COLUMNS ? n : MEDIAN_COLUMNS;
}

void median_row(struct median *m, const uint64_t *row)
{
	unsigned low = 8 * (BYTES - 1 - (m->pass < BYTES ? m->pass : 0));

	m->rows++;
	for (size_t i = 0; i < m->n; i++) {
		struct median_column *c = &m->column[i];
		uint64_t v = row[i];

		if (m->pass == BYTES) {
			if (v > c->prefix && v < c->above)
				c->above = v;
		} else if (m->pass == 0 || v >> (low + 8) == c->prefix) {
			c->seen[v >> low & 255]++;
		}
	}
}

/* The byte at which so many have been passed that the rank is reached. */
static void find_byte(struct median_column *c)
{
	unsigned b = 0;

	while (b < 255 && c->rank >= c->seen[b])
		c->rank -= c->seen[b++];
	c->prefix = c->prefix << 8 | b;
	c->same = c->seen[b];
	memset(c->seen, 0, sizeof(c->seen));
}

bool median_pass(struct median *m)
{
	uint64_t rows = m->rows;

	for (size_t i = 0; i < m->n; i++) {
		struct median_column *c = &m->column[i];

		if (m->pass == 0)
			c->rank = rows != 0 ? (rows - 1) / 2 : 0;
		if (m->pass < BYTES)
			find_byte(c);
		if (m->pass == BYTES - 1)
			c->above = UINT64_MAX;
	}
	if (m->pass == BYTES)
		return false;
	m->pass++;
	m->rows = 0;
	return rows != 0;
}

uint64_t median_of(const struct median *m, size_t column)
{
	const struct median_column *c = &m->column[column];

	if (m->rows == 0)
		return 0;
	/* Of an odd number, or where the upper one is the same. */
	if (m->rows % 2 != 0 || c->rank + 1 < c->same)
		return c->prefix;
	return c->prefix + (c->above - c->prefix) / 2;
}
