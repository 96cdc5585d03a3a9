/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every line of the table of counters must be, so that JSON, Prometheus
 * and documentation can be made from it.
 */
#include "core/counter.h"
#include "core/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define WORD "abcdefghijklmnopqrstuvwxyz_"

static bool is_word(const char *s)
{
	return s[0] != '\0' && s[strspn(s, WORD)] == '\0';
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

/* "" or key="value" */
static bool is_label(const char *s)
{
	size_t key = strspn(s, WORD), value;

	if (s[0] == '\0')
		return true;
	if (key == 0 || strncmp(s + key, "=\"", 2) != 0)
		return false;
	value = strspn(s + key + 2, WORD);
	return value != 0 && strcmp(s + key + 2 + value, "\"") == 0;
}

static void test_helpers(void **state)
{
	(void)state;
	assert_true(is_label("") && is_label("direction=\"in\""));
	assert_false(is_label("direction"));
	assert_false(is_label("direction=in"));
	assert_false(is_label("direction=\"\""));
	assert_false(is_label("direction=\"in"));
	assert_false(is_label("=\"in\""));
	assert_false(is_label("direction=\"in\","));
	assert_false(is_word("") || is_word("a-b") || is_word("A"));
	assert_false(ends_with("x", "_total"));
}

static void test_rows(void **state)
{
	static const char *const units[] = {
		"messages", "bytes", "requests", "connections", "seconds"};

	(void)state;
	for (int i = 0; i < COUNTERS; i++) {
		enum counter c = (enum counter)i;
		const char *name = counter_name(c), *unit = counter_unit(c);
		bool known = false;

		for (size_t k = 0; k < sizeof units / sizeof units[0]; k++)
			known = known || strcmp(unit, units[k]) == 0;
		assert_true(known);
		assert_true(is_word(name));
		/* A name that says bytes is of bytes, and no other. */
		assert_int_equal(strcmp(unit, "bytes") == 0,
			strstr(name, "bytes") != NULL);
		assert_int_equal(
			strcmp(unit, "seconds") == 0, ends_with(name, "_s"));
		assert_true(
			counter_family(c)[0] == '\0' ||
			(is_word(counter_family(c)) &&
				ends_with(counter_family(c), "_total") &&
				strncmp(counter_family(c), "weir_", 5) == 0));
		assert_true(is_label(counter_labels(c)));
		assert_true(counter_labels(c)[0] == '\0' ||
			    counter_family(c)[0] != '\0');
		assert_true(strlen(counter_text(c)) > 10);
		assert_false(ends_with(counter_text(c), "."));
	}
}

/* Two counters in one metric would be one number. */
static void test_unique(void **state)
{
	(void)state;
	for (int i = 0; i < COUNTERS; i++)
		for (int k = 0; k < i; k++) {
			enum counter a = (enum counter)i, b = (enum counter)k;

			assert_string_not_equal(
				counter_name(a), counter_name(b));
			assert_true(counter_family(a)[0] == '\0' ||
				    strcmp(counter_family(a),
					    counter_family(b)) != 0 ||
				    strcmp(counter_labels(a),
					    counter_labels(b)) != 0);
		}
}

/* One family: one unit, and the same keys of labels. */
static void test_families(void **state)
{
	(void)state;
	for (int i = 0; i < COUNTERS; i++)
		for (int k = 0; k < i; k++) {
			enum counter a = (enum counter)i, b = (enum counter)k;

			if (counter_family(a)[0] == '\0' ||
				strcmp(counter_family(a), counter_family(b)) !=
					0)
				continue;
			assert_string_equal(counter_unit(a), counter_unit(b));
			assert_int_equal(strcspn(counter_labels(a), "="),
				strcspn(counter_labels(b), "="));
		}
}

/* Where a counter is in the file: its place may not move within a version. */
static void test_places(void **state)
{
	static const struct {
		enum counter c;
		size_t at;
	} rows[] = {
		{COUNTER_MESSAGES_IN, 400},
		{COUNTER_MESSAGES_QUEUED, 424},
		{COUNTER_MESSAGES_SENT, 448},
		{COUNTER_WIRE_BYTES_IN, 472},
		{COUNTER_WILLS, 488},
		{COUNTER_REFUSED_PUBLISHES, 496},
		{COUNTER_OBSERVED, 536},
		{COUNTER_CONNECTED_S, 568},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(offsetof(struct meter_slot, counter) +
					 (size_t)rows[i].c * sizeof(uint64_t),
			rows[i].at);
	assert_int_equal(offsetof(struct meter_slot, reason),
		offsetof(struct meter_slot, counter) +
			COUNTERS * sizeof(uint64_t));
}

static char page[65536];

static void read_page(void)
{
	FILE *f = fopen(WEIR_SOURCE_DIR "/docs/METER.md", "r");
	size_t n;

	assert_non_null(f);
	n = fread(page, 1, sizeof page - 1, f);
	assert_int_equal(fclose(f), 0);
	assert_true(n > 0 && n < sizeof page - 1);
	page[n] = '\0';
}

/* docs/METER.md has each line of the tables, and nothing between. */
static void test_page(void **state)
{
	char line[512], next[1024];

	(void)state;
	read_page();
	for (int i = 0; i < COUNTERS; i++) {
		enum counter c = (enum counter)i;

		(void)snprintf(line, sizeof line, "| `%s` | %s | %s |\n",
			counter_name(c), counter_unit(c), counter_text(c));
		assert_non_null(strstr(page, line));
		(void)snprintf(next, sizeof next, "%s| `%s` |", line,
			i + 1 < COUNTERS ? counter_name((enum counter)(i + 1))
					 : "");
		assert_int_equal(strstr(page, next) != NULL, i + 1 < COUNTERS);
	}
	for (int i = EVENT_NONE + 1; i < EVENT_TYPES; i++) {
		enum event_type t = (enum event_type)i;

		(void)snprintf(line, sizeof line, "| `%s` | %d | %s | %s%s|\n",
			event_name(t), i, event_text(t), event_value(t),
			event_value(t)[0] != '\0' ? " " : "");
		assert_non_null(strstr(page, line));
	}
	(void)snprintf(line, sizeof line, "` | %d | ", EVENT_TYPES);
	assert_null(strstr(page, line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_helpers),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_unique),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
