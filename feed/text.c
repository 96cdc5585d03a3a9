/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/text.h"

#include "io/meter_text.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_LEAST ((size_t)256)
#define TEXT_MOST  ((size_t)1 << 30) /* no answer comes near */

void text_free(struct text *t)
{
	if (t->secret && t->p != NULL)
		OPENSSL_cleanse(t->p, t->cap);
	free(t->p);
	*t = (struct text){.secret = t->secret};
}

void text_clear(struct text *t)
{
	t->n = 0;
	t->failed = false;
	t->comma = false;
	if (t->p != NULL)
		t->p[0] = '\0';
}

/* As realloc; what was secret does not stay behind. */
static char *grow(const struct text *t, size_t cap)
{
	char *p;

	if (!t->secret)
		return realloc(t->p, cap);
	p = malloc(cap);
	if (p == NULL || t->p == NULL)
		return p;
	memcpy(p, t->p, t->cap);
	OPENSSL_cleanse(t->p, t->cap);
	free(t->p);
	return p;
}

/* Room for N bytes more and a NUL. */
static bool room(struct text *t, size_t n)
{
	size_t cap = t->cap < TEXT_LEAST ? TEXT_LEAST : t->cap;
	char *p;

	if (t->failed)
		return false;
	if (n < t->cap - t->n)
		return true;
	while (n < TEXT_MOST && cap - t->n <= n)
		cap *= 2;
	p = cap <= TEXT_MOST && n < TEXT_MOST ? grow(t, cap) : NULL;
	if (p == NULL) {
		t->failed = true;
		return false;
	}
	t->p = p;
	t->cap = cap;
	return true;
}

void text_add(struct text *t, struct str s)
{
	if (!room(t, s.n))
		return;
	if (s.n != 0)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
	t->p[t->n] = '\0';
}

void text_fmt(struct text *t, const char *fmt, ...)
{
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		t->failed = true;
	else if (room(t, (size_t)n)) {
		(void)vsnprintf(t->p + t->n, (size_t)n + 1, fmt, again);
		t->n += (size_t)n;
	}
	va_end(again);
}

/* -------------------------------------------------------------------- JSON */

/* What comes before a value: a comma after another one, and its key. */
static void begin(struct text *t, const char *key)
{
	if (t->comma)
		text_add(t, STR(","));
	t->comma = true;
	if (key == NULL)
		return;
	text_add(t, STR("\""));
	text_add(t, str_from(key));
	text_add(t, STR("\":"));
}

void json_open(struct text *t, const char *key, char bracket)
{
	begin(t, key);
	text_add(t, (struct str){&bracket, 1});
	t->comma = false;
}

void json_close(struct text *t, char bracket)
{
	text_add(t, (struct str){&bracket, 1});
	t->comma = true;
}

static void add_escaped(struct text *t, unsigned char c)
{
	const char short_form[] = "\b\t\n\f\r\"\\";
	const char letter[] = "btnfr\"\\";
	const char *at = c != 0 ? strchr(short_form, (int)c) : NULL;

	if (at != NULL)
		text_add(
			t, (struct str){
				   (char[]){'\\', letter[at - short_form]}, 2});
	else
		text_fmt(t, "\\u%04x", c);
}

/* A byte that stands for itself in a JSON string. */
static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

/* Adds what S begins with, and returns of how many bytes that was. */
static size_t add_part(struct text *t, struct str s)
{
	unsigned char first = (unsigned char)s.p[0];
	size_t n = 0;

	while (n < s.n && plain((unsigned char)s.p[n]))
		n++;
	if (n == 0 && first < 0x80) {
		add_escaped(t, first);
		return 1;
	}
	if (n == 0)
		n = text_character(s);
	if (n == 0 || n > s.n) {
		text_add(t, STR("\xEF\xBF\xBD"));
		return 1;
	}
	text_add(t, (struct str){s.p, n});
	return n;
}

void json_text(struct text *t, const char *key, struct str s)
{
	begin(t, key);
	text_add(t, STR("\""));
	while (s.n != 0) {
		size_t n = add_part(t, s);

		s = (struct str){s.p + n, s.n - n};
	}
	text_add(t, STR("\""));
}

void json_number(struct text *t, const char *key, int64_t n)
{
	begin(t, key);
	text_fmt(t, "%" PRId64, n);
}

void json_count(struct text *t, const char *key, uint64_t n)
{
	begin(t, key);
	text_fmt(t, "%" PRIu64, n);
}

void json_truth(struct text *t, const char *key, bool b)
{
	begin(t, key);
	text_add(t, b ? STR("true") : STR("false"));
}

void json_null(struct text *t, const char *key)
{
	begin(t, key);
	text_add(t, STR("null"));
}

void json_line_end(struct text *t)
{
	text_add(t, STR("\n"));
	t->comma = false;
}
