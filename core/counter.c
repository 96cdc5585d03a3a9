/* SPDX-License-Identifier: Apache-2.0 */
#include "core/counter.h"

struct row {
	const char *name, *unit, *family, *labels, *text;
};

static const struct row rows[COUNTERS] = {
#define COUNTER_ROW(c, name, unit, family, labels, text)                       \
	[COUNTER_##c] = {#name, (unit), (family), (labels), (text)},
	COUNTERS_TABLE(COUNTER_ROW)
#undef COUNTER_ROW
};

const char *counter_name(enum counter c)
{
	return rows[c].name;
}

const char *counter_unit(enum counter c)
{
	return rows[c].unit;
}

const char *counter_family(enum counter c)
{
	return rows[c].family;
}

const char *counter_labels(enum counter c)
{
	return rows[c].labels;
}

const char *counter_text(enum counter c)
{
	return rows[c].text;
}
