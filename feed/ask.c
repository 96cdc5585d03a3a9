/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/ask.h"

#include "core/utf8.h"

#include <stdio.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What a target is written into: never more bytes than it has. */
struct held {
	char *p; /* the next byte */
};

/* Decodes S behind what H holds, into *OUT. */
static bool decode(struct held *h, struct str s, struct str *out, struct err *e)
{
	char *begin = h->p;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			*h->p++ = s.p[i];
			continue;
		}
		if (s.n - i < 3 || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
			return err_set(e, ERR_INPUT,
				"the target has a '%%' that is not followed by "
				"two hexadecimal digits; write %%25 for '%%'");
		*h->p++ = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
		i += 2;
	}
	*out = (struct str){begin, (size_t)(h->p - begin)};
	if (!utf8_valid(*out))
		return err_set(e, ERR_INPUT,
			"the target holds a control character, or is not "
			"UTF-8");
	return true;
}

/* The bytes of *S up to C, which is taken off with them; all when it is not
 * there. *more: it was. */
static struct str take_until(struct str *s, char c, bool *more)
{
	const char *at = s->n != 0 ? memchr(s->p, c, s->n) : NULL;
	struct str part = *s;

	*more = at != NULL;
	if (at != NULL) {
		part.n = (size_t)(at - s->p);
		s->p = at + 1;
		s->n -= part.n + 1;
	} else {
		s->n = 0;
	}
	return part;
}

/* -------------------------------------------------------------------- path */

/* "/" alone is a path; otherwise no segment is empty, "." or "..". */
static bool parse_path(
	struct held *h, struct str raw, struct str *out, struct err *e)
{
	struct str left = {raw.p + 1, raw.n - 1};
	char *begin = h->p;
	bool more = left.n != 0;

	*h->p++ = '/';
	while (more) {
		struct str segment = take_until(&left, '/', &more);
		struct str part = {NULL, 0};

		if (!decode(h, segment, &part, e))
			return false;
		if (part.n == 0)
			return err_set(e, ERR_INPUT,
				"the path has an empty segment: \"//\", or a "
				"'/' at its end; leave it out");
		if (str_eq(part, STR(".")) || str_eq(part, STR("..")))
			return err_set(e, ERR_INPUT,
				"the path has a segment '%.*s'; name the "
				"whole path without it",
				STR_ARG(part));
		if (memchr(part.p, '/', part.n) != NULL)
			return err_set(e, ERR_INPUT,
				"the path has an escaped '/', which no name "
				"holds");
		if (more)
			*h->p++ = '/';
	}
	*out = (struct str){begin, (size_t)(h->p - begin)};
	return true;
}

/* --------------------------------------------------------------- arguments */

static bool parse_arg(
	struct held *h, struct str raw, struct ask *out, struct err *e)
{
	struct ask_arg *arg = &out->arg[out->n_args];
	bool valued;
	struct str name = take_until(&raw, '=', &valued);

	if (out->n_args == ASK_ARGS)
		return err_set(e, ERR_INPUT, "there are more than %u arguments",
			ASK_ARGS);
	if (!decode(h, name, &arg->name, e) ||
		!decode(h, valued ? raw : STR(""), &arg->value, e))
		return false;
	if (arg->name.n == 0)
		return err_set(e, ERR_INPUT,
			"an argument has no name; arguments are name=value, "
			"with '&' between them");
	for (size_t i = 0; i < out->n_args; i++) {
		if (str_eq(out->arg[i].name, arg->name))
			return err_set(e, ERR_INPUT,
				"argument '%.*s' is there twice",
				(int)(arg->name.n < 64 ? arg->name.n : 64),
				arg->name.p);
	}
	out->n_args++;
	return true;
}

static bool parse(struct str target, struct ask *out, struct err *e)
{
	struct held h = {out->held};
	struct str path;
	bool more;

	if (target.n > ASK_TARGET_MAX)
		return err_set(e, ERR_INPUT,
			"the target has more than %u bytes", ASK_TARGET_MAX);
	if (target.n == 0 || target.p[0] != '/')
		return err_set(e, ERR_INPUT,
			"the target must be a path that starts with '/'");
	path = take_until(&target, '?', &more);
	if (!parse_path(&h, path, &out->path, e))
		return false;
	more = target.n != 0; /* "/path?" asks for nothing */
	while (more) {
		struct str arg = take_until(&target, '&', &more);

		if (!parse_arg(&h, arg, out, e))
			return false;
	}
	return true;
}

bool ask_parse(struct str target, struct ask *out, struct err *e)
{
	out->n_args = 0;
	out->path = STR("");
	if (parse(target, out, e))
		return true;
	out->n_args = 0;
	out->path = STR("");
	return false;
}

struct str ask_arg(const struct ask *a, const char *name)
{
	for (size_t i = 0; i < a->n_args; i++) {
		if (str_eq(a->arg[i].name, str_from(name)))
			return a->arg[i].value;
	}
	return (struct str){NULL, 0};
}

static bool is_one_of(struct str given, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(given, str_from(names[i])))
			return true;
	}
	return false;
}

static bool not_known(
	struct str given, const char *const *names, size_t n, struct err *e)
{
	char list[ERR_MSG_MAX / 2] = "none";
	size_t used = 0;

	for (size_t i = 0; i < n && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used,
			"%s%s", i != 0 ? ", " : "", names[i]);
	if (given.n > 64)
		given.n = 64;
	(void)err_set(e, ERR_INPUT,
		"argument '%.*s' is not known here; there are: %s",
		STR_ARG(given), list);
	return err_at(e, "%.*s", STR_ARG(given));
}

bool ask_only(
	const struct ask *a, const char *const *names, size_t n, struct err *e)
{
	for (size_t i = 0; i < a->n_args; i++) {
		if (!is_one_of(a->arg[i].name, names, n))
			return not_known(a->arg[i].name, names, n, e);
	}
	return true;
}

struct str ask_segment(
	const struct ask *a, const char *prefix, struct str *rest)
{
	size_t n = strlen(prefix);
	struct str left = a->path;
	const char *at;

	*rest = STR("");
	if (left.n < n || memcmp(left.p, prefix, n) != 0)
		return STR("");
	left.p += n;
	left.n -= n;
	at = left.n != 0 ? memchr(left.p, '/', left.n) : NULL;
	if (at == NULL)
		return left;
	*rest = (struct str){at, left.n - (size_t)(at - left.p)};
	left.n = (size_t)(at - left.p);
	return left;
}
