/* SPDX-License-Identifier: Apache-2.0 */
#include "io/acl_file.h"

#include "core/topic.h"
#include "core/utf8.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN UINT32_MAX /* the user of a pattern, until all is read */

struct reader {
	struct acl a;
	size_t rules_cap, users_cap;
	uint32_t line;
	uint32_t user; /* that topic lines belong to */
};

void acl_free(struct acl *a)
{
	free(a->rules);
	free(a->users);
	free(a->places);
	cJSON_Delete(a->tree);
	*a = (struct acl){.n = 0};
}

static bool fail(const struct reader *r, struct err *e, const char *what)
{
	(void)err_set(e, ERR_INPUT, "%s", what);
	if (e != NULL) {
		e->line = r->line;
		e->col = 1;
	}
	return false;
}

/* isspace() of the C locale. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct str trim(struct str s)
{
	while (s.n != 0 && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n != 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* The first word of *REST, which then begins behind the blank after it. */
static struct str word(struct str *rest)
{
	struct str w;
	size_t n = 0;

	while (rest->n != 0 && rest->p[0] == ' ') {
		rest->p++;
		rest->n--;
	}
	while (n < rest->n && rest->p[n] != ' ')
		n++;
	w = (struct str){rest->p, n};
	n += n < rest->n;
	rest->p += n;
	rest->n -= n;
	return w;
}

/* LIST, of N items of SIZE bytes, with room for one more; NULL: no memory, and
 * LIST is as it was. */
static void *grown(void *list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap != 0 ? *cap * 2 : 64;
	void *p;

	if (list != NULL && n < *cap)
		return list;
	p = realloc(list, more * size);
	if (p != NULL)
		*cap = more;
	return p;
}

static bool take_user(struct reader *r, struct str name, struct err *e)
{
	struct acl_user *users;
	uint32_t i = 0;

	while (i < r->a.n_users && !str_eq(r->a.users[i].name, name))
		i++;
	r->user = i;
	if (i < r->a.n_users)
		return true;
	if (i == ACL_USERS_MAX)
		return fail(r, e,
			"more users than one policy can be made for; split "
			"the file");
	users = grown(r->a.users, i, &r->users_cap, sizeof(*users));
	if (users == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	r->a.users = users;
	r->a.n_users++;
	users[i] = (struct acl_user){.name = name, .line = r->line};
	return true;
}

static bool read_access(struct str s, uint8_t *access)
{
	static const struct {
		struct str name;
		uint8_t access;
	} known[] = {
		{STR_INIT("read"), ACL_READ},
		{STR_INIT("write"), ACL_WRITE},
		{STR_INIT("readwrite"), ACL_READ | ACL_WRITE},
		{STR_INIT("deny"), ACL_DENY},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (str_eq(s, known[i].name)) {
			*access = known[i].access;
			return true;
		}
	}
	return false;
}

static bool take_rule(
	struct reader *r, uint32_t user, struct str rest, struct err *e)
{
	struct acl_rule rule = {
		.line = r->line, .user = user, .access = ACL_READ | ACL_WRITE};
	struct str first = word(&rest);
	struct acl_rule *rules;

	if (first.n == 0)
		return fail(r, e, "a filter is missing: topic read sensors/#");
	rule.topic = first;
	if (rest.n != 0) {
		rule.topic = trim(rest);
		if (!read_access(first, &rule.access))
			return fail(r, e,
				"the access must be read, write, readwrite "
				"or deny");
	}
	if (!filter_valid(rule.topic))
		return fail(r, e,
			"not a valid filter: '+' and '#' must be whole "
			"levels, and '#' the last");
	if (r->a.n == ACL_RULES_MAX)
		return fail(r, e,
			"more rules than one policy can hold; split the file");
	rules = grown(r->a.rules, r->a.n, &r->rules_cap, sizeof(*rules));
	if (rules == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	r->a.rules = rules;
	rules[r->a.n++] = rule;
	return true;
}

static bool take_line(struct reader *r, struct str s, struct err *e)
{
	struct str rest, what;

	while (s.n != 0 && is_space(s.p[s.n - 1]))
		s.n--;
	if (s.n == 0 || s.p[0] == '#')
		return true;
	/* What Mosquitto would take in silence and a terminal would obey. */
	if (!utf8_valid(s))
		return fail(r, e,
			"this line holds a control character or malformed "
			"UTF-8; write it anew");
	rest = s;
	what = word(&rest);
	if (str_eq(what, STR("topic")))
		return take_rule(r, r->user, rest, e);
	if (str_eq(what, STR("pattern")))
		return take_rule(r, PATTERN, rest, e);
	if (!str_eq(what, STR("user")))
		return fail(r, e, "a line begins with user, topic or pattern");
	rest = trim(rest);
	if (rest.n == 0)
		return fail(r, e, "a name is missing: user pump-0001");
	return take_user(r, rest, e);
}

static bool take_all(struct reader *r, struct str text, struct err *e)
{
	while (text.n != 0) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;

		r->line++;
		if (!take_line(r, (struct str){text.p, n}, e))
			return false;
		n += n < text.n;
		text.p += n;
		text.n -= n;
	}
	return true;
}

/* By user, patterns last; what denies first. A line holds one rule. */
static int by_user(const void *a, const void *b)
{
	const struct acl_rule *x = a, *y = b;
	int denies = (x->access != ACL_DENY) - (y->access != ACL_DENY);

	if (x->user != y->user)
		return x->user < y->user ? -1 : 1;
	return denies != 0 ? denies : (x->line > y->line) - (x->line < y->line);
}

static void index_users(struct acl *a)
{
	size_t i = 0;

	if (a->n != 0)
		qsort(a->rules, a->n, sizeof(*a->rules), by_user);
	for (size_t u = 0; u < a->n_users; u++) {
		a->users[u].first = i;
		while (i < a->n && a->rules[i].user == u)
			i++;
		a->users[u].n = i - a->users[u].first;
	}
	a->first_pattern = i;
}

bool acl_file_parse(struct str text, struct acl *out, struct err *e)
{
	struct reader r = {.line = 0};

	if (text.n > ACL_BYTES_MAX)
		return err_set(e, ERR_INPUT,
			"the file is larger than 4 MiB; split it");
	if (!take_user(&r, (struct str){NULL, 0}, e) ||
		!take_all(&r, text, e)) {
		acl_free(&r.a);
		return false;
	}
	index_users(&r.a);
	*out = r.a;
	return true;
}
