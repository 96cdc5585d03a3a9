/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/json_oracle.h"

#include "io/json_scan.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text with a NUL behind it, so that looking at one byte is always fine;
 * a NUL inside is never part of JSON. */
struct reader {
	const char *p;
	unsigned depth;
};

static bool value(struct reader *r);

static void blank(struct reader *r)
{
	r->p += strspn(r->p, " \t\n\r");
}

static bool take(struct reader *r, const char *token)
{
	size_t n = strlen(token);

	if (strncmp(r->p, token, n) != 0)
		return false;
	r->p += n;
	return true;
}

/* Unicode 15, table 3-7, row by row: well-formed sequences above ASCII. */
static size_t utf8_sequence(const char *z)
{
	static const struct {
		unsigned char first[2], second[2];
		size_t n;
	} ROWS[] = {
		{{0xC2, 0xDF}, {0x80, 0xBF}, 2},
		{{0xE0, 0xE0}, {0xA0, 0xBF}, 3},
		{{0xE1, 0xEC}, {0x80, 0xBF}, 3},
		{{0xED, 0xED}, {0x80, 0x9F}, 3},
		{{0xEE, 0xEF}, {0x80, 0xBF}, 3},
		{{0xF0, 0xF0}, {0x90, 0xBF}, 4},
		{{0xF1, 0xF3}, {0x80, 0xBF}, 4},
		{{0xF4, 0xF4}, {0x80, 0x8F}, 4},
	};
	const unsigned char *b = (const unsigned char *)z;

	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		size_t k = 2;

		if (b[0] < ROWS[i].first[0] || b[0] > ROWS[i].first[1] ||
			b[1] < ROWS[i].second[0] || b[1] > ROWS[i].second[1])
			continue;
		while (k < ROWS[i].n && b[k] >= 0x80 && b[k] <= 0xBF)
			k++;
		return k == ROWS[i].n ? k : 0;
	}
	return 0;
}

/* "XXXX" behind \u; -1 when it is not that. */
static long unit(struct reader *r)
{
	char digits[5] = {0};

	if (strspn(r->p, "0123456789abcdefABCDEF") < 4)
		return -1;
	memcpy(digits, r->p, 4);
	r->p += 4;
	return strtol(digits, NULL, 16);
}

static bool escape(struct reader *r)
{
	long u;

	if (!take(r, "u")) {
		bool known =
			*r->p != '\0' && strchr("\"\\/bfnrt", *r->p) != NULL;

		r->p++;
		return known;
	}
	u = unit(r);
	if (u <= 0 || (u >= 0xDC00 && u <= 0xDFFF))
		return false;
	if (u < 0xD800 || u > 0xDFFF)
		return true;
	if (!take(r, "\\u"))
		return false;
	u = unit(r);
	return u >= 0xDC00 && u <= 0xDFFF;
}

static bool character(struct reader *r)
{
	unsigned char c = (unsigned char)*r->p;
	size_t n;

	if (take(r, "\\"))
		return escape(r);
	n = c < 0x80 ? (c >= 0x20) : utf8_sequence(r->p);
	r->p += n;
	return n != 0;
}

static bool string(struct reader *r)
{
	if (!take(r, "\""))
		return false;
	while (*r->p != '"') {
		if (!character(r))
			return false;
	}
	return take(r, "\"");
}

/* number = [ minus ] int, and nothing that would continue it. */
static bool number(struct reader *r)
{
	const char *start = r->p;
	char *end;
	long long v;

	(void)take(r, "-");
	if (take(r, "0"))
		return strchr("0123456789.eE", *r->p) == NULL || *r->p == '\0';
	if (strspn(r->p, "123456789") == 0)
		return false;
	errno = 0;
	v = strtoll(start, &end, 10);
	r->p = end;
	return errno == 0 && v >= -9007199254740992LL &&
	       v <= 9007199254740992LL &&
	       (*end == '\0' || strchr(".eE", *end) == NULL);
}

static bool object(struct reader *r)
{
	blank(r);
	if (take(r, "}"))
		return true;
	do {
		blank(r);
		if (!string(r))
			return false;
		blank(r);
		if (!take(r, ":") || !value(r))
			return false;
	} while (take(r, ","));
	return take(r, "}");
}

static bool array(struct reader *r)
{
	blank(r);
	if (take(r, "]"))
		return true;
	do {
		if (!value(r))
			return false;
	} while (take(r, ","));
	return take(r, "]");
}

static bool container(struct reader *r)
{
	bool ok;

	if (++r->depth > 32)
		return false;
	ok = take(r, "{") ? object(r) : take(r, "[") && array(r);
	r->depth--;
	return ok;
}

/* With the blanks around it. */
static bool value(struct reader *r)
{
	bool ok;

	blank(r);
	if (*r->p == '{' || *r->p == '[')
		ok = container(r);
	else if (*r->p == '"')
		ok = string(r);
	else
		ok = take(r, "true") || take(r, "false") || take(r, "null") ||
		     number(r);
	blank(r);
	return ok;
}

static bool keys_unique(const cJSON *node)
{
	const cJSON *a, *b;

	for (a = node->child; a != NULL; a = a->next) {
		if (!keys_unique(a))
			return false;
		if (!cJSON_IsObject(node))
			continue;
		for (b = a->next; b != NULL; b = b->next) {
			if (strcmp(a->string, b->string) == 0)
				return false;
		}
	}
	return true;
}

static void must(bool ok, const char *what, struct str text)
{
	if (ok)
		return;
	(void)fprintf(stderr, "%s: %.*s\n", what, STR_ARG(text));
	abort();
}

bool json_oracle(struct str text)
{
	char z[JSON_ORACLE_MAX + 4] = {0};
	struct reader r = {z, 0};
	cJSON *tree;
	bool unique;

	must(text.n <= JSON_ORACLE_MAX, "too long for the oracle", STR(""));
	if (text.n != 0)
		memcpy(z, text.p, text.n);
	if (!value(&r) || (size_t)(r.p - z) != text.n)
		return false;
	tree = cJSON_ParseWithLength(z, text.n);
	must(tree != NULL, "cJSON refuses", text);
	unique = keys_unique(tree);
	cJSON_Delete(tree);
	return unique;
}

/* cJSON prints numbers from 10^15 with an exponent, which json_scan refuses. */
static bool prints_exponent(const cJSON *node)
{
	const cJSON *child;

	if (cJSON_IsNumber(node))
		return node->valuedouble >= 1e15 || node->valuedouble <= -1e15;
	cJSON_ArrayForEach (child, node) {
		if (prints_exponent(child))
			return true;
	}
	return false;
}

/* Printing twice, not cJSON_Compare(), which takes 2^depth steps. */
static void check_round_trip(struct str text)
{
	struct err e;
	cJSON *tree = cJSON_ParseWithLength(text.p, text.n);
	cJSON *again;
	char *printed, *reprinted;

	must(tree != NULL, "cJSON refuses", text);
	printed = cJSON_PrintUnformatted(tree);
	must(printed != NULL, "cJSON cannot print", text);
	must(prints_exponent(tree) ||
			json_scan(str_from(printed), SIZE_MAX, &e),
		"printed, it is refused", text);
	again = cJSON_Parse(printed);
	reprinted = cJSON_PrintUnformatted(again);
	must(reprinted != NULL && strcmp(printed, reprinted) == 0,
		"printed, it differs", text);
	cJSON_free(reprinted);
	cJSON_Delete(again);
	cJSON_free(printed);
	cJSON_Delete(tree);
}

bool json_oracle_check(struct str text)
{
	struct err e = {0};
	bool ok = json_scan(text, JSON_ORACLE_MAX, &e);

	must(ok == json_oracle(text),
		ok ? "accepted, but the oracle refuses"
		   : "refused, but the oracle accepts",
		text);
	if (ok) {
		check_round_trip(text);
		return true;
	}
	must(e.code == ERR_INPUT && e.msg[0] != '\0', "no message", text);
	must(e.line >= 1 && e.col >= 1, "no position", text);
	return false;
}
