/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/prom_oracle.h"

#include <stdlib.h>
#include <string.h>

struct line {
	struct str name, labels, value; /* of a sample; labels with braces */
};

/* Takes the next line off *PAGE. False: the last does not end. */
static bool next_line(struct str *page, struct str *out)
{
	const char *end = memchr(page->p, '\n', page->n);

	if (end == NULL)
		return false;
	*out = (struct str){page->p, (size_t)(end - page->p)};
	page->n -= out->n + 1;
	page->p = end + 1;
	return true;
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool of_label(char c)
{
	return letter(c) || digit(c);
}

static bool of_name(char c)
{
	return of_label(c) || c == ':';
}

static bool of_value(char c)
{
	return of_name(c) || c == '.' || c == '-';
}

/* Takes characters that are OF off *S. */
static struct str take(struct str *s, bool (*of)(char c))
{
	struct str got = {s->p, 0};

	while (got.n < s->n && of(s->p[got.n]))
		got.n++;
	s->p += got.n;
	s->n -= got.n;
	return got;
}

static bool take_text(struct str *s, const char *text)
{
	size_t n = strlen(text);

	if (s->n < n || memcmp(s->p, text, n) != 0)
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

static bool take_name(struct str *s, struct str *out)
{
	*out = take(s, of_name);
	return out->n != 0 && !digit(out->p[0]);
}

static bool take_labels(struct str *s, struct str *out)
{
	struct str name;

	*out = (struct str){s->p, 0};
	if (s->n == 0 || s->p[0] != '{')
		return true;
	do {
		s->p++;
		s->n--;
		name = take(s, of_label);
		if (name.n == 0 || digit(name.p[0]) || !take_text(s, "=\""))
			return false;
		(void)take(s, of_value);
		if (!take_text(s, "\""))
			return false;
	} while (s->n != 0 && s->p[0] == ',');
	if (!take_text(s, "}"))
		return false;
	out->n = (size_t)(s->p - out->p);
	return true;
}

static bool take_value(struct str *s, struct str *out, bool may_be_below)
{
	struct str digits;

	*out = *s;
	if (s->n != 0 && s->p[0] == '-') {
		if (!may_be_below)
			return false;
		(void)take_text(s, "-");
	}
	digits = take(s, digit);
	if (digits.n == 0)
		return false;
	if (take_text(s, ".") && take(s, digit).n == 0)
		return false;
	return s->n == 0;
}

static bool read_sample(struct str s, struct line *out, bool counter)
{
	return take_name(&s, &out->name) && take_labels(&s, &out->labels) &&
	       take_text(&s, " ") && take_value(&s, &out->value, !counter);
}

/* "# HELP name text" and "# TYPE name counter|gauge" of the same name. */
static const char *read_head(
	struct str help, struct str *page, struct str *name, bool *counter)
{
	struct str type, again;

	if (!take_text(&help, "# HELP ") || !take_name(&help, name) ||
		!take_text(&help, " ") || help.n == 0)
		return "not a HELP";
	if (!next_line(page, &type) || !take_text(&type, "# TYPE ") ||
		!take_name(&type, &again) || !str_eq(again, *name) ||
		!take_text(&type, " "))
		return "not the TYPE of the HELP before";
	*counter = str_eq(type, STR("counter"));
	return *counter || str_eq(type, STR("gauge")) ? NULL : "no such type";
}

static int by_text(const void *a, const void *b)
{
	const struct str *x = a, *y = b;
	int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

	return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

static const struct str *twice(struct str *all, size_t n)
{
	qsort(all, n, sizeof(*all), by_text);
	for (size_t i = 1; i < n; i++)
		if (str_eq(all[i - 1], all[i]))
			return &all[i];
	return NULL;
}

/* SERIES and FAMILY have room for one a line. */
static const char *walk(struct str page, struct str *where, struct str *series,
	struct str *family)
{
	size_t n_series = 0, n_families = 0;
	bool counter = false;
	struct str name = {NULL, 0};
	const struct str *again;

	while (page.n != 0) {
		struct line l;
		const char *why;

		if (!next_line(&page, where))
			return "the last line does not end";
		if (where->n != 0 && where->p[0] == '#') {
			why = read_head(*where, &page, &name, &counter);
			if (why != NULL)
				return why;
			family[n_families++] = name;
			continue;
		}
		if (!read_sample(*where, &l, counter))
			return "not a sample";
		if (!str_eq(l.name, name))
			return "not of the family before";
		series[n_series++] =
			(struct str){l.name.p, l.name.n + l.labels.n};
	}
	again = twice(series, n_series);
	if (again == NULL)
		again = twice(family, n_families);
	if (again == NULL)
		return NULL;
	*where = *again;
	return "comes twice";
}

const char *prom_problem(struct str page, struct str *where)
{
	struct str *series, *family;
	const char *why;
	size_t lines = 1;

	for (size_t i = 0; i < page.n; i++)
		lines += page.p[i] == '\n' ? 1 : 0;
	series = calloc(lines, sizeof(*series));
	family = calloc(lines, sizeof(*family));
	if (series == NULL || family == NULL)
		abort();
	*where = (struct str){"", 0};
	why = walk(page, where, series, family);
	free(series);
	free(family);
	return why;
}

static bool whole_number(struct str s, uint64_t *out)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (!digit(s.p[i]))
			return false;
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	}
	*out = n;
	return s.n != 0;
}

bool prom_value(struct str page, const char *series, uint64_t *out)
{
	struct str line;

	while (next_line(&page, &line))
		if (take_text(&line, series) && take_text(&line, " "))
			return whole_number(line, out);
	return false;
}

static bool has(struct str s, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i + n <= s.n; i++)
		if (memcmp(s.p + i, text, n) == 0)
			return true;
	return false;
}

uint64_t prom_sum(struct str page, const char *name, const char *label)
{
	uint64_t sum = 0, n;
	struct str line;
	struct line l;

	while (next_line(&page, &line))
		if (read_sample(line, &l, false) &&
			str_eq(l.name, str_from(name)) &&
			has(l.labels, label) && whole_number(l.value, &n))
			sum += n;
	return sum;
}
