/* SPDX-License-Identifier: Apache-2.0 */
#include "core/csv.h"

enum place {
	START,  /* of a field */
	PLAIN,  /* in an unquoted field */
	QUOTED, /* in a quoted one */
	QUOTE,  /* behind a quote in it: its end, or half of a doubled one */
};

static enum csv_end bad(struct err *e, const char *what)
{
	(void)err_set(e, ERR_INPUT,
		"%s; a field with a quote, a comma or a line break stands in "
		"quotes, and a quote in it is doubled",
		what);
	return CSV_BAD;
}

/* The place behind C, which ends no record; false: C may not be there. */
static bool step(enum place *at, char c)
{
	if (*at == QUOTED) {
		*at = c == '"' ? QUOTE : QUOTED;
	} else if (c == ',') {
		*at = START;
	} else if (c == '"') {
		if (*at == PLAIN)
			return false;
		*at = QUOTED; /* opens a field, or is the second of two */
	} else {
		if (*at == QUOTE)
			return false;
		*at = PLAIN;
	}
	return true;
}

/* The line end at TEXT[I], outside quotes: its length; 0: there is none; -1:
 * a CR that LF does not follow; -2: it depends on what follows TEXT. */
static int line_end(struct str text, size_t i, bool last)
{
	if (text.p[i] == '\n')
		return 1;
	if (text.p[i] != '\r')
		return 0;
	if (i + 1 == text.n)
		return last ? -1 : -2;
	return text.p[i + 1] == '\n' ? 2 : -1;
}

/* TEXT ends, and no line end was met. */
static enum csv_end text_end(
	struct str text, enum place at, bool last, size_t *len, struct err *e)
{
	if (!last)
		return CSV_MORE;
	if (at == QUOTED)
		return bad(e, "a quote that is never closed");
	*len = text.n;
	return CSV_RECORD;
}

enum csv_end csv_record(struct str text, bool last, size_t *len, struct err *e)
{
	enum place at = START;
	size_t i;
	int end = 0;

	for (i = 0; i < text.n && end == 0; i++) {
		end = at == QUOTED ? 0 : line_end(text, i, last);
		if (end == 0 && !step(&at, text.p[i]))
			return bad(e, at == PLAIN ? "a quote within a field"
						  : "bytes behind the quote "
						    "that ends a field");
	}
	if (end == 0)
		return text_end(text, at, last, len, e);
	if (end == -2)
		return CSV_MORE;
	if (end == -1)
		return bad(e, "a CR without LF outside quotes");
	*len = i - 1 + (size_t)end;
	return CSV_RECORD;
}

/* Where the record's line end starts. */
static size_t trimmed(const char *p, size_t n)
{
	size_t end;

	/* A line end within quotes is no line end: the quote is behind it. */
	if (n == 0 || p[n - 1] != '\n')
		return n;
	end = n - 1;
	return end != 0 && p[end - 1] == '\r' ? end - 1 : end;
}

/* The field at P + *AT, unquoted in place; *at then stands on the comma behind
 * it, or on N. */
static struct str take(char *p, size_t n, size_t *at)
{
	size_t i = *at, start, to;

	if (i == n || p[i] != '"') {
		start = i;
		while (i < n && p[i] != ',')
			i++;
		*at = i;
		return (struct str){p + start, i - start};
	}
	start = to = ++i;
	for (; i < n; i++) {
		if (p[i] == '"' && (++i == n || p[i] != '"'))
			break;
		p[to++] = p[i];
	}
	*at = i;
	return (struct str){p + start, to - start};
}

bool csv_split(char *p, size_t n, struct str *fields, size_t max,
	size_t *n_fields, struct err *e)
{
	size_t end = trimmed(p, n), at = 0, count = 0, len;

	/* All of it is one record, or take() would not stand on a comma. */
	if (csv_record((struct str){p, end}, true, &len, e) != CSV_RECORD)
		return false;
	if (len != end)
		return err_set(e, ERR_INPUT, "more than one record");
	for (;;) {
		if (count == max)
			return err_set(e, ERR_INPUT,
				"more than %zu fields in a record", max);
		fields[count++] = take(p, end, &at);
		if (at == end)
			break;
		at++;
	}
	*n_fields = count;
	return true;
}

size_t csv_field(struct str value, char *out)
{
	bool quote = false;
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		quote = quote || c == '"' || c == ',' || c == '\n' || c == '\r';
	}
	if (quote)
		out[n++] = '"';
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"')
			out[n++] = '"';
		out[n++] = value.p[i];
	}
	if (quote)
		out[n++] = '"';
	return n;
}
