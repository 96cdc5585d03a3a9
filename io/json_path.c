/* SPDX-License-Identifier: Apache-2.0 */
#include "io/json_path.h"

#include <stdio.h>
#include <string.h>

#define REPLACEMENT 0xFFFDu

static struct str rest(struct str s, size_t n)
{
	return (struct str){s.p + n, s.n - n};
}

/* The value of four hexadecimal digits at S, or -1. */
static int32_t hex4(struct str s)
{
	static const char DIGITS[] = "0123456789abcdef";
	int32_t v = 0;

	if (s.n < 4)
		return -1;
	for (size_t i = 0; i < 4; i++) {
		char lower = s.p[i];
		const char *d;

		if (lower >= 'A' && lower <= 'F')
			lower = (char)(lower - 'A' + 'a');
		d = memchr(DIGITS, lower, sizeof(DIGITS) - 1);
		if (d == NULL)
			return -1;
		v = v * 16 + (int32_t)(d - DIGITS);
	}
	return v;
}

/* The N continuation bytes at S appended to the bits C, or U+FFFD. */
static uint32_t continued(struct str s, uint32_t c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char b = (unsigned char)s.p[i];

		if ((b & 0xC0) != 0x80)
			return REPLACEMENT;
		c = c << 6 | (b & 0x3Fu);
	}
	return c;
}

static uint32_t utf8_next(struct str *s)
{
	unsigned char lead = (unsigned char)s->p[0];
	size_t more = lead >= 0xF0   ? 3
		      : lead >= 0xE0 ? 2
		      : lead >= 0xC0 ? 1
				     : 0;
	uint32_t c;

	*s = rest(*s, 1);
	if (lead < 0x80)
		return lead;
	if (more == 0 || s->n < more)
		return REPLACEMENT;
	c = continued(*s, lead & (0x3Fu >> more), more);
	if (c != REPLACEMENT)
		*s = rest(*s, more);
	return c;
}

/* S stands behind "\u". */
static uint32_t unicode_next(struct str *s)
{
	int32_t high = hex4(*s), low;

	if (high < 0)
		return REPLACEMENT;
	*s = rest(*s, 4);
	if (high < 0xD800 || high > 0xDBFF || s->n < 6 || s->p[0] != '\\' ||
		s->p[1] != 'u')
		return (uint32_t)high;
	low = hex4(rest(*s, 2));
	if (low < 0xDC00 || low > 0xDFFF)
		return (uint32_t)high;
	*s = rest(*s, 6);
	return 0x10000u + ((uint32_t)high - 0xD800u) * 0x400u +
	       ((uint32_t)low - 0xDC00u);
}

/* S stands behind a backslash. */
static uint32_t escape_next(struct str *s)
{
	static const char NAMES[] = "\"\\/bfnrt";
	static const char VALUES[] = "\"\\/\b\f\n\r\t";
	const char *name;
	char c;

	if (s->n == 0)
		return REPLACEMENT;
	c = s->p[0];
	*s = rest(*s, 1);
	if (c == 'u')
		return unicode_next(s);
	name = memchr(NAMES, c, sizeof(NAMES) - 1);
	return name != NULL ? (unsigned char)VALUES[name - NAMES] : REPLACEMENT;
}

bool json_char_next(struct str *text, enum json_form form, uint32_t *c)
{
	if (text->n == 0)
		return false;
	if (form == JSON_RAW && text->p[0] == '\\') {
		*text = rest(*text, 1);
		*c = escape_next(text);
	} else {
		*c = utf8_next(text);
	}
	return true;
}

static bool plain_char(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '.' || c == ':' ||
	       c == '-' || c == '$';
}

static bool plain(struct str key, enum json_form form)
{
	size_t n = 0;
	uint32_t c;

	while (json_char_next(&key, form, &c)) {
		if (!plain_char(c) || ++n > JSON_PATH_KEY_MAX)
			return false;
	}
	return n > 0;
}

/* All or nothing, so that no escape is cut in the middle. */
static void append(struct json_path *path, const char *z)
{
	size_t n = strlen(z);

	if (n >= sizeof(path->text) - path->n)
		return;
	memcpy(path->text + path->n, z, n + 1);
	path->n += n;
}

static void append_char(struct json_path *path, uint32_t c)
{
	char s[16];

	if (c == '"' || c == '\\')
		(void)snprintf(s, sizeof(s), "\\%c", (char)c);
	else if (c >= 0x20 && c < 0x7F)
		(void)snprintf(s, sizeof(s), "%c", (char)c);
	else if (c < 0x10000)
		(void)snprintf(s, sizeof(s), "\\u%04x", c);
	else
		(void)snprintf(s, sizeof(s), "\\u%04x\\u%04x",
			0xD800u + ((c - 0x10000u) >> 10),
			0xDC00u + ((c - 0x10000u) & 0x3FFu));
	append(path, s);
}

void json_path_key(struct json_path *path, struct str key, enum json_form form)
{
	bool bare = plain(key, form);
	size_t shown = 0;
	uint32_t c;

	append(path, !bare ? "[\"" : path->n > 0 ? "." : "");
	while (shown < JSON_PATH_KEY_MAX && json_char_next(&key, form, &c)) {
		append_char(path, c);
		shown++;
	}
	if (!bare)
		append(path, key.n > 0 ? "...\"]" : "\"]");
}

void json_path_index(struct json_path *path, size_t index)
{
	char s[32];

	(void)snprintf(s, sizeof(s), "[%zu]", index);
	append(path, s);
}

void json_path_cut(struct json_path *path, size_t n)
{
	path->n = n;
	path->text[n] = '\0';
}
