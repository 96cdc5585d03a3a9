/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage_row.h"

#include "io/meter_text.h"

/* What the tables show of each class or device. */
static const unsigned columns[USAGE_COLUMNS] = {COUNTER_MESSAGES_IN,
	COUNTER_WIRE_BYTES_IN, COUNTER_MESSAGES_QUEUED, COUNTER_WIRE_BYTES_OUT,
	METER_REFUSED};

static bool is_column(unsigned what)
{
	for (size_t i = 0; i < USAGE_COLUMNS; i++) {
		if (columns[i] == what)
			return true;
	}
	return what == METER_COUNTS;
}

static void row_text(struct usage_row *r, const char *text)
{
	size_t i = r->n++;

	(void)snprintf(r->text[i], USAGE_ROW_TEXT, "%s", text);
	for (char *p = r->text[i]; *p != '\0'; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	}
	r->cell[i] = r->text[i];
}

void usage_row_number(struct usage_row *r, uint64_t n)
{
	size_t i = r->n++;

	scaled_format((double)n, r->text[i]);
	r->cell[i] = r->text[i];
}

void usage_row_heads(struct usage_row *r, unsigned more)
{
	for (size_t i = 0; i < USAGE_COLUMNS; i++)
		row_text(r, meter_count_name(columns[i]));
	if (!is_column(more))
		row_text(r, meter_count_name(more));
}

void usage_row_counts(struct usage_row *r,
	const uint64_t counter[static COUNTERS], unsigned more)
{
	for (size_t i = 0; i < USAGE_COLUMNS; i++)
		usage_row_number(r, meter_count(counter, columns[i]));
	if (!is_column(more))
		usage_row_number(r, meter_count(counter, more));
}
