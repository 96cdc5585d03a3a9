/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mosquitto's acl_file. Oracle: a second reader, which takes lines apart with
 * strtok_r as Mosquitto does, says the same of every line: taken or not, and
 * as what. What is taken keeps the order of io/acl.h.
 */
#include "core/topic.h"
#include "core/utf8.h"
#include "io/acl_file.h"
#include "tests/support/check.h"

#include <ctype.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What one line says; kind 0: nothing, 'x': an error. */
struct said {
	char kind; /* 'u', 't', 'p' */
	uint8_t access;
	const char *text;
};

static char *trimmed(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n != 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
	return s;
}

static struct said rule_said(char kind, char **save)
{
	static const char *const names[] = {
		"deny", "write", "read", "readwrite"};
	struct said bad = {'x', 0, ""};
	struct said s = {kind, ACL_READ | ACL_WRITE, ""};
	char *first = strtok_r(NULL, " ", save);
	char *rest;

	if (first == NULL)
		return bad;
	rest = strtok_r(NULL, "", save);
	s.text = rest != NULL ? trimmed(rest) : first;
	if (rest != NULL) {
		uint8_t i = 0;

		while (i < 4 && strcmp(names[i], first) != 0)
			i++;
		if (i == 4)
			return bad;
		s.access = i;
	}
	return filter_valid(str_from(s.text)) ? s : bad;
}

/* LINE is changed, and what is returned lies in it. */
static struct said line_said(char *line)
{
	struct said bad = {'x', 0, ""}, nothing = {0, 0, ""};
	char *save = NULL, *word, *rest;
	size_t n = strlen(line);

	while (n != 0 && isspace((unsigned char)line[n - 1]))
		line[--n] = '\0';
	if (n == 0 || line[0] == '#')
		return nothing;
	if (!utf8_valid(str_from(line)))
		return bad;
	word = strtok_r(line, " ", &save);
	if (word != NULL && strcmp(word, "topic") == 0)
		return rule_said('t', &save);
	if (word != NULL && strcmp(word, "pattern") == 0)
		return rule_said('p', &save);
	if (word == NULL || strcmp(word, "user") != 0)
		return bad;
	rest = strtok_r(NULL, "", &save);
	return rest != NULL ? (struct said){'u', 0, trimmed(rest)} : bad;
}

/* The rule of line LINE; NULL: there is none. */
static const struct acl_rule *rule_at(const struct acl *a, uint32_t line)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->rules[i].line == line)
			return &a->rules[i];
	}
	return NULL;
}

static void check_rule(const struct acl *a, const struct said *s, uint32_t line,
	const char *user)
{
	const struct acl_rule *r = rule_at(a, line);
	bool pattern;

	CHECK((r != NULL) == (s->kind == 't' || s->kind == 'p'));
	if (r == NULL)
		return;
	pattern = (size_t)(r - a->rules) >= a->first_pattern;
	CHECK(pattern == (s->kind == 'p'));
	CHECK(r->access == s->access);
	CHECK(str_eq(r->topic, str_from(s->text)));
	if (!pattern)
		CHECK(str_eq(a->users[r->user].name, str_from(user)));
}

static void check_order(const struct acl *a)
{
	size_t at = 0;

	for (size_t u = 0; u < a->n_users; u++) {
		CHECK(a->users[u].first == at);
		at += a->users[u].n;
	}
	CHECK(a->first_pattern == at && at <= a->n);
	for (size_t i = 1; i < a->n; i++) {
		const struct acl_rule *x = &a->rules[i - 1];

		if (i == a->first_pattern || x->user != x[1].user)
			continue;
		CHECK(x->access == ACL_DENY || x[1].access != ACL_DENY);
		CHECK((x->access == ACL_DENY) != (x[1].access == ACL_DENY) ||
			x->line < x[1].line);
	}
}

/* Compares the lines of TEXT (SIZE bytes, a NUL behind them) with A, NULL when
 * it was refused, up to one that is none: its number, or 0. */
static uint32_t compare_lines(char *text, size_t size, const struct acl *a)
{
	const char *user = NULL;
	uint32_t n = 0;

	for (char *line = text; line < text + size;) {
		char *end = memchr(line, '\n', (size_t)(text + size - line));
		size_t len = (size_t)((end != NULL ? end : text + size) - line);
		/* A NUL would end the line for the second reader alone. */
		bool nul = memchr(line, '\0', len) != NULL && line[0] != '#';
		struct said s;

		line[len] = '\0';
		n++;
		s = nul ? (struct said){'x', 0, ""} : line_said(line);
		if (s.kind == 'x')
			return n;
		if (s.kind == 'u')
			user = s.text;
		if (a != NULL)
			check_rule(a, &s, n, user);
		line += len + 1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acl a = {.n = 7};
	struct err e = {0};
	bool ok =
		acl_file_parse((struct str){(const char *)data, size}, &a, &e);
	char *text = malloc(size + 1);
	uint32_t bad;

	CHECK(text != NULL);
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	CHECK(ok || (check_report(&e) && a.n == 7));
	bad = compare_lines(text, size, ok ? &a : NULL);
	CHECK(ok == (bad == 0));
	CHECK(ok || e.line == bad);
	if (ok) {
		check_order(&a);
		acl_free(&a);
	}
	free(text);
	return 0;
}
