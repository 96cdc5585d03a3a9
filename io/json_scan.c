/* SPDX-License-Identifier: Apache-2.0 */
#include "io/json_scan.h"

#include "io/json_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An object or array that is open. */
struct frame {
	bool object;
	bool in_member;   /* key names the member being read */
	struct str key;   /* raw */
	size_t index;     /* of the element being read */
	size_t first_key; /* of this object, in scan.keys */
};

struct scan {
	struct str text;
	const char *p, *end;
	size_t depth;
	struct frame stack[JSON_DEPTH_MAX];
	struct str *keys; /* raw; those of each open object after its outer's */
	size_t n_keys, cap_keys;
	struct err *e;
};

/* What may come next. */
enum state {
	FAILED = 0,
	WANT_VALUE,  /* a value must follow */
	WANT_MEMBER, /* a key must follow */
	AFTER_VALUE, /* a value ended: ',' or an end */
	DONE,
};

/* ------------------------------------------------------------------ errors */

static void set_place(const struct scan *s)
{
	struct json_path path = {0};

	for (size_t i = 0; i < s->depth; i++) {
		const struct frame *f = &s->stack[i];

		if (f->object && f->in_member)
			json_path_key(&path, f->key, JSON_RAW);
		else if (!f->object)
			json_path_index(&path, f->index);
	}
	(void)err_at(s->e, "%s", path.text);
}

/* Line and column, both from 1, of AT. */
static void set_position(const struct scan *s, const char *at)
{
	const char *line = s->text.p;

	s->e->line = 1;
	for (const char *q = s->text.p; q < at; q++) {
		if (*q == '\n') {
			s->e->line++;
			line = q + 1;
		}
	}
	s->e->col = (uint32_t)(at - line) + 1;
}

static bool fail(const struct scan *s, const char *at, const char *message)
{
	if (s->e == NULL)
		return false;
	(void)err_set(s->e, ERR_INPUT, "%s", message);
	set_place(s);
	set_position(s, at);
	return false;
}

/* WANTED was expected where the scan stands: says what is there instead. */
static bool fail_here(const struct scan *s, const char *wanted)
{
	char message[ERR_MSG_MAX];
	unsigned char c;

	if (s->p == s->end) {
		(void)snprintf(message, sizeof(message),
			"%s expected, but the text ends", wanted);
		return fail(s, s->p, message);
	}
	c = (unsigned char)*s->p;
	if (c > 0x20 && c < 0x7F)
		(void)snprintf(message, sizeof(message),
			"%s expected, not '%c'", wanted, (char)c);
	else
		(void)snprintf(message, sizeof(message),
			"%s expected, not byte 0x%02X", wanted, c);
	return fail(s, s->p, message);
}

/* ------------------------------------------------------------------- bytes */

static bool at(const struct scan *s, char c)
{
	return s->p < s->end && *s->p == c;
}

static bool at_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static void skip_space(struct scan *s)
{
	while (at(s, ' ') || at(s, '\t') || at(s, '\n') || at(s, '\r'))
		s->p++;
}

/*
 * The length of the UTF-8 sequence at the scan's place, 0 if ill formed.
 * Source: Unicode, table 3-7: after E0, ED, F0 and F4 the second byte has a
 * narrower range, which is what bars overlong forms and surrogates.
 */
static size_t utf8_length(const struct scan *s)
{
	const unsigned char *b = (const unsigned char *)s->p;
	size_t left = (size_t)(s->end - s->p);
	size_t n = b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : 2;
	unsigned char low = b[0] == 0xE0 ? 0xA0 : b[0] == 0xF0 ? 0x90 : 0x80;
	unsigned char high = b[0] == 0xED ? 0x9F : b[0] == 0xF4 ? 0x8F : 0xBF;

	if (b[0] < 0x80)
		return 1;
	if (b[0] < 0xC2 || b[0] > 0xF4 || left < n || b[1] < low || b[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((b[i] & 0xC0) != 0x80)
			return 0;
	}
	return n;
}

/* ----------------------------------------------------------------- scalars */

/* Four hexadecimal digits at the scan's place into *UNIT. */
static bool hex_unit(struct scan *s, uint32_t *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++) {
		uint32_t digit;

		if (at_digit(s))
			digit = (uint32_t)(*s->p - '0');
		else if (s->p < s->end && *s->p >= 'a' && *s->p <= 'f')
			digit = (uint32_t)(*s->p - 'a') + 10;
		else if (s->p < s->end && *s->p >= 'A' && *s->p <= 'F')
			digit = (uint32_t)(*s->p - 'A') + 10;
		else
			return fail_here(s, "a hexadecimal digit");
		*unit = *unit << 4 | digit;
		s->p++;
	}
	return true;
}

/* Behind "\u"; START is the backslash. */
static bool scan_unicode(struct scan *s, const char *start)
{
	static const char LONE[] = "a surrogate without its other half";
	uint32_t unit, low;

	if (!hex_unit(s, &unit))
		return false;
	if (unit == 0)
		return fail(s, start, "\\u0000 is not allowed in a string");
	if (unit < 0xD800 || unit > 0xDFFF)
		return true;
	if (unit > 0xDBFF || !at(s, '\\'))
		return fail(s, start, LONE);
	s->p++;
	if (!at(s, 'u'))
		return fail(s, start, LONE);
	s->p++;
	if (!hex_unit(s, &low))
		return false;
	return (low >= 0xDC00 && low <= 0xDFFF) || fail(s, start, LONE);
}

static bool scan_escape(struct scan *s)
{
	const char *start = s->p++;

	if (s->p == s->end ||
		memchr("\"\\/bfnrtu", *s->p, sizeof("\"\\/bfnrtu") - 1) == NULL)
		return fail_here(s, "one of \" \\ / b f n r t u after \\");
	if (*s->p++ == 'u')
		return scan_unicode(s, start);
	return true;
}

/* At '"'. *RAW: what is between the quotes. */
static bool scan_string(struct scan *s, struct str *raw)
{
	const char *start = ++s->p;

	while (s->p < s->end && *s->p != '"') {
		size_t n;

		if (*s->p == '\\') {
			if (!scan_escape(s))
				return false;
			continue;
		}
		if ((unsigned char)*s->p < 0x20)
			return fail(s, s->p,
				"a control character must be escaped (\\n, "
				"\\t, \\u001b) in a string");
		n = utf8_length(s);
		if (n == 0)
			return fail(s, s->p, "not valid UTF-8");
		s->p += n;
	}
	if (s->p == s->end)
		return fail(s, start - 1, "this string has no closing quote");
	*raw = (struct str){start, (size_t)(s->p - start)};
	s->p++;
	return true;
}

static bool scan_number(struct scan *s)
{
	const char *start = s->p;
	int64_t v = 0;
	bool in_range = true;

	if (at(s, '-'))
		s->p++;
	if (!at_digit(s))
		return fail_here(s, "a digit");
	if (at(s, '0')) {
		s->p++;
		if (at_digit(s))
			return fail(s, start, "a number must not start with 0");
	}
	for (; at_digit(s); s->p++) {
		v = v * 10 + (*s->p - '0');
		if (v > JSON_NUMBER_MAX) {
			in_range = false;
			v = JSON_NUMBER_MAX;
		}
	}
	if (at(s, '.') || at(s, 'e') || at(s, 'E'))
		return fail(s, start,
			"write a whole number, without fraction or exponent");
	if (!in_range)
		return fail(
			s, start, "the number is out of range (-2^53 to 2^53)");
	return true;
}

static bool scan_word(struct scan *s)
{
	static const struct str WORDS[] = {
		{"true", 4}, {"false", 5}, {"null", 4}};
	struct str left = {s->p, (size_t)(s->end - s->p)};

	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
		struct str w = WORDS[i];

		if (left.n >= w.n && memcmp(left.p, w.p, w.n) == 0) {
			s->p += w.n;
			return true;
		}
	}
	return fail_here(s, "a value");
}

/* -------------------------------------------------------------- containers */

static bool push_key(struct scan *s, struct str raw)
{
	if (s->n_keys == s->cap_keys) {
		size_t cap = s->cap_keys == 0 ? 64 : s->cap_keys * 2;
		struct str *bigger = NULL;

		if (cap <= SIZE_MAX / sizeof(*bigger))
			bigger = realloc(s->keys, cap * sizeof(*bigger));
		if (bigger == NULL)
			return err_set(s->e, ERR_ENVIRONMENT, "out of memory");
		s->keys = bigger;
		s->cap_keys = cap;
	}
	s->keys[s->n_keys++] = raw;
	return true;
}

/* By decoded characters. */
static int key_cmp(struct str a, struct str b)
{
	uint32_t ca, cb;

	for (;;) {
		bool more_a = json_char_next(&a, JSON_RAW, &ca);
		bool more_b = json_char_next(&b, JSON_RAW, &cb);

		if (!more_a || !more_b)
			return (int)more_a - (int)more_b;
		if (ca != cb)
			return ca < cb ? -1 : 1;
	}
}

/* For qsort: equal keys in the order of the text. */
static int key_order(const void *a, const void *b)
{
	const struct str *x = a, *y = b;
	int c = key_cmp(*x, *y);

	return c != 0 ? c : (x->p > y->p) - (x->p < y->p);
}

/* Refuses the earliest key of the object F that the object had before. */
static bool check_unique(struct scan *s, struct frame *f)
{
	struct str *keys = s->keys + f->first_key;
	size_t n = s->n_keys - f->first_key;
	const struct str *twice = NULL;

	s->n_keys = f->first_key;
	if (n < 2)
		return true;
	qsort(keys, n, sizeof(*keys), key_order);
	for (size_t i = 1; i < n; i++) {
		if (key_cmp(keys[i - 1], keys[i]) == 0 &&
			(twice == NULL || keys[i].p < twice->p))
			twice = &keys[i];
	}
	if (twice == NULL)
		return true;
	f->key = *twice;
	return fail(s, twice->p - 1,
		"this key comes twice in its object; keep one");
}

/* At '{' or '['. */
static enum state open_container(struct scan *s)
{
	struct frame *f;

	if (s->depth == JSON_DEPTH_MAX) {
		(void)fail(s, s->p, "nested more than 32 levels deep");
		return FAILED;
	}
	f = &s->stack[s->depth++];
	*f = (struct frame){.object = *s->p == '{', .first_key = s->n_keys};
	s->p++;
	skip_space(s);
	if (at(s, f->object ? '}' : ']')) {
		s->p++;
		s->depth--;
		return AFTER_VALUE;
	}
	return f->object ? WANT_MEMBER : WANT_VALUE;
}

static enum state scan_member(struct scan *s)
{
	struct frame *f = &s->stack[s->depth - 1];

	skip_space(s);
	f->in_member = false;
	if (!at(s, '"')) {
		(void)fail_here(s, "a key in double quotes");
		return FAILED;
	}
	if (!scan_string(s, &f->key))
		return FAILED;
	f->in_member = true;
	if (!push_key(s, f->key))
		return FAILED;
	skip_space(s);
	if (!at(s, ':')) {
		(void)fail_here(s, "':' after the key");
		return FAILED;
	}
	s->p++;
	return WANT_VALUE;
}

static enum state scan_value(struct scan *s)
{
	struct str ignored;
	bool ok;

	skip_space(s);
	if (at(s, '{') || at(s, '['))
		return open_container(s);
	if (at(s, '"'))
		ok = scan_string(s, &ignored);
	else if (at(s, '-') || at_digit(s))
		ok = scan_number(s);
	else
		ok = scan_word(s);
	return ok ? AFTER_VALUE : FAILED;
}

/* Behind a value: the next member or element, or the end of a container. */
static enum state scan_after(struct scan *s)
{
	struct frame *f;

	skip_space(s);
	if (s->depth == 0) {
		if (s->p == s->end)
			return DONE;
		(void)fail_here(s, "the end of the text");
		return FAILED;
	}
	f = &s->stack[s->depth - 1];
	if (at(s, ',')) {
		s->p++;
		f->index++;
		return f->object ? WANT_MEMBER : WANT_VALUE;
	}
	if (!at(s, f->object ? '}' : ']')) {
		(void)fail_here(s, f->object ? "',' or '}'" : "',' or ']'");
		return FAILED;
	}
	s->p++;
	if (f->object && !check_unique(s, f))
		return FAILED;
	s->depth--;
	return AFTER_VALUE;
}

static bool scan_text(struct scan *s)
{
	enum state state = WANT_VALUE;

	while (state != FAILED && state != DONE) {
		if (state == WANT_VALUE)
			state = scan_value(s);
		else if (state == WANT_MEMBER)
			state = scan_member(s);
		else
			state = scan_after(s);
	}
	return state == DONE;
}

bool json_scan(struct str text, size_t max_bytes, struct err *e)
{
	struct scan s = {.text = text, .e = e};
	bool ok;

	if (text.n > max_bytes)
		return err_set(e, ERR_INPUT,
			"the text has %zu bytes; at most %zu are read", text.n,
			max_bytes);
	if (text.n == 0)
		s.text = STR("");
	s.p = s.text.p;
	s.end = s.text.p + s.text.n;
	if (s.text.n >= 3 && memcmp(s.p, "\xEF\xBB\xBF", 3) == 0)
		return fail(&s, s.p,
			"the text starts with a byte order mark; save it as "
			"UTF-8 without one");
	ok = scan_text(&s);
	free(s.keys);
	return ok;
}
