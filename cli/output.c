/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include "cli/screen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void no_memory(void) __attribute__((noreturn));

static void no_memory(void)
{
	screen_abandon();
	(void)fputs("weir: out of memory\n", stderr);
	_Exit(3);
}

void *need_memory(size_t n, size_t size)
{
	void *p = calloc(n != 0 ? n : 1, size != 0 ? size : 1);

	if (p == NULL)
		no_memory();
	return p;
}

FILE *need_stream(char **text, size_t *len)
{
	FILE *stream = open_memstream(text, len);

	if (stream == NULL)
		no_memory();
	return stream;
}

void need_stream_end(FILE *stream)
{
	/* Into memory, nothing else fails. */
	if (ferror(stream) != 0 || fclose(stream) != 0)
		no_memory();
}

char *need_copy(const char *text)
{
	char *p = strdup(text);

	if (p == NULL)
		no_memory();
	return p;
}

const char *environment(const char *name)
{
	/* weir has one thread and never changes its environment. */
	const char *v = getenv(name); /* NOLINT(concurrency-mt-unsafe) */

	return v != NULL && v[0] != '\0' ? v : NULL;
}

const char *errno_text(int number, char out[static ERRNO_TEXT])
{
	if (strerror_r(number, out, ERRNO_TEXT) != 0)
		(void)snprintf(out, ERRNO_TEXT, "error %d", number);
	return out;
}

bool output_ok(void)
{
	return ferror(stdout) == 0;
}

/* --------------------------------------------------------------- plain texts */

/* Bytes of the printable UTF-8 character at P, of which N are left; 0 when it
 * must be escaped. Whether code points are assigned is not looked at. */
static size_t printable(const unsigned char *p, size_t n)
{
	size_t len;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f ? 1 : 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > n || (p[0] == 0xc2 && p[1] < 0xa0)) /* C1 controls */
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

#define ESCAPED_MAX(n) (4 * (n) + 1)

/* TEXT with what is not printable escaped, into OUT of ESCAPED_MAX bytes of it,
 * with a NUL; how many, without that. */
static size_t escape(const char *text, char *out)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = strlen(text), k = 0;
	const unsigned char *p = (const unsigned char *)text;

	while (n != 0) {
		size_t len = printable(p, n);

		if (len == 0) {
			out[k++] = '\\';
			out[k++] = 'x';
			out[k++] = hex[p[0] >> 4];
			out[k++] = hex[p[0] & 15];
			len = 1;
		} else {
			memcpy(out + k, p, len);
			k += len;
		}
		p += len;
		n -= len;
	}
	out[k] = '\0';
	return k;
}

/* The columns of an escaped text, if each character takes one. */
static size_t columns_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void print_text(FILE *out, const char *text)
{
	char *s = need_memory(ESCAPED_MAX(strlen(text)), 1);

	(void)escape(text, s);
	(void)fputs(s, out);
	free(s);
}

void print_err(const struct err *e)
{
	(void)fputs("weir: ", stderr);
	print_text(stderr, e->place);
	if (e->line != 0)
		(void)fprintf(stderr, "%s%u", e->place[0] != '\0' ? ":" : "",
			e->line);
	if (e->line != 0 && e->col != 0)
		(void)fprintf(stderr, ":%u", e->col);
	if (e->place[0] != '\0' || e->line != 0)
		(void)fputs(": ", stderr);
	print_text(stderr, e->msg);
	(void)fputc('\n', stderr);
}

void print_note(const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)fputs("weir: ", stderr);
	print_text(stderr, text);
	(void)fputc('\n', stderr);
}

void print_field(const char *label, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)printf("%s:%*s", label,
		strlen(label) < 16 ? (int)(17 - strlen(label)) : 1, "");
	print_text(stdout, text);
	(void)putchar('\n');
}

/* ------------------------------------------------------------------- tables */

/* The cells row after row, each ended by a NUL: of a million devices there are
 * eight million, so none has memory of its own. */
struct table {
	const char *const *heads;
	size_t n_cols, n_rows;
	size_t right, n_right; /* these columns are aligned at the right */
	char *text;
	size_t used, cap; /* of text */
	size_t *widths;
};

struct table *table_new(const char *const *heads, size_t n)
{
	struct table *t = need_memory(1, sizeof(*t));

	t->heads = heads;
	t->n_cols = n;
	t->widths = need_memory(n, sizeof(*t->widths));
	for (size_t i = 0; i < n; i++)
		t->widths[i] = strlen(heads[i]);
	return t;
}

void table_right(struct table *t, size_t from, size_t n)
{
	t->right = from;
	t->n_right = n;
}

static char *room(struct table *t, size_t n)
{
	size_t cap = t->cap != 0 ? t->cap : 4096;
	char *more;

	while (cap - t->used < n)
		cap *= 2;
	if (cap == t->cap)
		return t->text + t->used;
	more = need_memory(cap, 1);
	if (t->used != 0)
		memcpy(more, t->text, t->used);
	free(t->text);
	t->text = more;
	t->cap = cap;
	return more + t->used;
}

void table_row(struct table *t, const char *const *cells)
{
	for (size_t i = 0; i < t->n_cols; i++) {
		const char *cell = cells[i] != NULL ? cells[i] : "";
		char *text = room(t, ESCAPED_MAX(strlen(cell)));
		size_t width;

		t->used += escape(cell, text) + 1;
		width = columns_of(text);
		if (width > t->widths[i])
			t->widths[i] = width;
	}
	t->n_rows++;
}

/* The row at AT, or (NULL) the heads; where the next one is. */
static const char *print_row(const struct table *t, const char *at)
{
	size_t blanks = 0; /* printed before the next text, not at the end */

	for (size_t i = 0; i < t->n_cols; i++) {
		const char *text = at != NULL ? at : t->heads[i];
		size_t width = columns_of(text);

		if (i - t->right < t->n_right) {
			blanks += t->widths[i] - width;
			width = t->widths[i];
		}
		if (text[0] != '\0') {
			(void)printf("%*s%s", (int)blanks, "", text);
			blanks = 0;
		}
		blanks += t->widths[i] - width + 2;
		if (at != NULL)
			at += strlen(at) + 1;
	}
	(void)putchar('\n');
	return at;
}

void table_print(const struct table *t)
{
	/* Bold headings, where that means something. */
	bool bold =
		isatty(STDOUT_FILENO) == 1 && environment("NO_COLOR") == NULL;
	const char *at;

	if (t->n_rows == 0)
		return;
	if (bold)
		(void)fputs("\x1b[1m", stdout);
	(void)print_row(t, NULL);
	if (bold)
		(void)fputs("\x1b[0m", stdout);
	at = t->text;
	for (size_t i = 0; i < t->n_rows && output_ok(); i++)
		at = print_row(t, at);
}

void table_free(struct table **t)
{
	if (*t == NULL)
		return;
	free((*t)->text);
	free((*t)->widths);
	free(*t);
	*t = NULL;
}

/* --------------------------------------------------------------------- JSON */

static cJSON *need(cJSON *item)
{
	if (item == NULL)
		no_memory();
	return item;
}

cJSON *json_new(void)
{
	return need(cJSON_CreateObject());
}

cJSON *json_array(cJSON *o, const char *key)
{
	return need(cJSON_AddArrayToObject(o, key));
}

cJSON *json_object(cJSON *o, const char *key)
{
	return need(cJSON_AddObjectToObject(o, key));
}

void json_push(cJSON *array, cJSON *item)
{
	if (item == NULL || !cJSON_AddItemToArray(array, item))
		no_memory();
}

void json_str(cJSON *o, const char *key, const char *value)
{
	if (value == NULL)
		(void)need(cJSON_AddNullToObject(o, key));
	else
		(void)need(cJSON_AddStringToObject(o, key, value));
}

void json_int(cJSON *o, const char *key, int64_t value)
{
	/* Revisions, counts and times stay far below 2^53. */
	(void)need(cJSON_AddNumberToObject(o, key, (double)value));
}

void json_decimal(cJSON *o, const char *key, double value)
{
	/* Rates: not negative, far below 2^53. */
	(void)need(cJSON_AddNumberToObject(
		o, key, (double)(int64_t)(value * 1000 + 0.5) / 1000));
}

void json_time(cJSON *o, const char *key, int64_t unix_s)
{
	if (unix_s == 0)
		(void)need(cJSON_AddNullToObject(o, key));
	else
		json_int(o, key, unix_s);
}

void json_bool(cJSON *o, const char *key, bool value)
{
	(void)need(cJSON_AddBoolToObject(o, key, value));
}

void json_simid(cJSON *o, const struct simid *id, enum simid_kind kind)
{
	json_str(o, simid_name(kind),
		id->kind != SIMID_NONE ? id->digits : NULL);
}

char *json_quoted(const char *text)
{
	cJSON *s = cJSON_CreateString(text);
	char *quoted = s != NULL ? cJSON_PrintUnformatted(s) : NULL;

	if (quoted == NULL)
		no_memory();
	cJSON_Delete(s);
	return quoted;
}

void json_print(cJSON *o)
{
	char *text = cJSON_PrintUnformatted(o);

	if (text == NULL)
		no_memory();
	(void)puts(text);
	cJSON_free(text);
	cJSON_Delete(o);
}

const char *simid_text(
	const struct simid *id, bool show, char out[static SIMID_MAX + 1])
{
	if (id->kind == SIMID_NONE)
		return "";
	if (show)
		return id->digits;
	(void)simid_mask(id, out);
	return out;
}
