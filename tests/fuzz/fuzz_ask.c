/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's target. Oracle: a second decoder, written from RFC 3986 byte by
 * byte, accepts the same targets and finds the same path and arguments; what is
 * accepted, escaped again in every byte, is accepted as the same.
 */
#include "core/utf8.h"
#include "feed/ask.h"
#include "feed/text.h"
#include "tests/support/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target cut at its own delimiters, and decoded piece by piece. */
struct model {
	bool ok;
	size_t n_segments, n_args;
	struct text segment[ASK_TARGET_MAX + 1], name[ASK_ARGS],
		value[ASK_ARGS];
};

static int digit(char c)
{
	const char *digits = "0123456789abcdef0123456789ABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)((at - digits) % 16) : -1;
}

/* False: a bad escape, or a piece that no text may be. */
static bool decoded(struct str s, struct text *out)
{
	text_add(out, STR(""));
	while (s.n != 0) {
		size_t n = s.p[0] == '%' ? 3 : 1;
		char c = s.p[0];

		if (n == 3) {
			if (s.n < 3 || digit(s.p[1]) < 0 || digit(s.p[2]) < 0)
				return false;
			c = (char)(digit(s.p[1]) * 16 + digit(s.p[2]));
		}
		text_add(out, (struct str){&c, 1});
		s = (struct str){s.p + n, s.n - n};
	}
	return utf8_valid((struct str){out->p, out->n});
}

static struct str until(struct str *s, char c)
{
	struct str part = {s->p, 0};

	while (part.n < s->n && s->p[part.n] != c)
		part.n++;
	s->p += part.n + (part.n < s->n);
	s->n -= part.n + (part.n < s->n);
	return part;
}

static bool is(const struct text *t, const char *word)
{
	return t->p != NULL && str_eq((struct str){t->p, t->n}, str_from(word));
}

static bool model_path(struct model *m, struct str path)
{
	size_t slashes = 0;

	if (path.n == 0 || path.p[0] != '/')
		return false;
	if (path.n == 1)
		return true;
	for (size_t i = 0; i < path.n; i++)
		slashes += path.p[i] == '/';
	(void)until(&path, '/');
	for (; slashes != 0; slashes--) {
		struct text *t = &m->segment[m->n_segments++];

		if (!decoded(until(&path, '/'), t) || t->n == 0 || is(t, ".") ||
			is(t, "..") || memchr(t->p, '/', t->n) != NULL)
			return false;
	}
	return true;
}

static bool model_args(struct model *m, struct str query)
{
	size_t n = 1;

	if (query.n == 0)
		return true;
	for (size_t i = 0; i < query.n; i++)
		n += query.p[i] == '&';
	if (n > ASK_ARGS)
		return false;
	for (; m->n_args < n; m->n_args++) {
		struct str arg = until(&query, '&');
		struct text *name = &m->name[m->n_args];

		if (!decoded(until(&arg, '='), name) || name->n == 0 ||
			!decoded(arg, &m->value[m->n_args]))
			return false;
		for (size_t i = 0; i < m->n_args; i++) {
			if (is(name, m->name[i].p))
				return false;
		}
	}
	return true;
}

static void model_make(struct model *m, struct str target)
{
	struct str path;

	memset(m, 0, sizeof(*m));
	if (target.n > ASK_TARGET_MAX)
		return;
	path = until(&target, '?');
	m->ok = model_path(m, path) && model_args(m, target);
}

static void model_free(struct model *m)
{
	for (size_t i = 0; i < m->n_segments; i++)
		text_free(&m->segment[i]);
	for (size_t i = 0; i < ASK_ARGS; i++) {
		text_free(&m->name[i]);
		text_free(&m->value[i]);
	}
}

static void check_as(const struct model *m, const struct ask *q)
{
	struct text path = {0};

	for (size_t i = 0; i < m->n_segments; i++)
		text_fmt(&path, "/%s", m->segment[i].p);
	if (m->n_segments == 0)
		text_add(&path, STR("/"));
	CHECK(str_eq(q->path, (struct str){path.p, path.n}));
	CHECK(q->n_args == m->n_args);
	for (size_t i = 0; i < q->n_args; i++) {
		CHECK(is(&m->name[i], m->name[i].p));
		CHECK(str_eq(q->arg[i].name,
			(struct str){m->name[i].p, m->name[i].n}));
		CHECK(str_eq(q->arg[i].value,
			(struct str){m->value[i].p, m->value[i].n}));
		CHECK(str_eq(ask_arg(q, m->name[i].p), q->arg[i].value));
	}
	text_free(&path);
}

static void add_escaped(struct text *out, struct str s, bool path)
{
	for (size_t i = 0; i < s.n; i++) {
		if (path && s.p[i] == '/')
			text_add(out, STR("/"));
		else
			text_fmt(out, "%%%02x", (unsigned char)s.p[i]);
	}
}

static void check_again(const struct ask *q)
{
	struct text t = {0};
	struct ask again;
	struct err e;

	add_escaped(&t, q->path, true);
	for (size_t i = 0; i < q->n_args; i++) {
		text_add(&t, i == 0 ? STR("?") : STR("&"));
		add_escaped(&t, q->arg[i].name, false);
		text_add(&t, STR("="));
		add_escaped(&t, q->arg[i].value, false);
	}
	if (t.n > ASK_TARGET_MAX) {
		text_free(&t);
		return;
	}
	CHECK(ask_parse((struct str){t.p, t.n}, &again, &e));
	CHECK(str_eq(again.path, q->path) && again.n_args == q->n_args);
	for (size_t i = 0; i < q->n_args; i++) {
		CHECK(str_eq(again.arg[i].name, q->arg[i].name));
		CHECK(str_eq(again.arg[i].value, q->arg[i].value));
	}
	text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str target = {(const char *)data, size};
	static struct model m; /* large */
	struct err e = {0};
	struct ask q;
	bool ok = ask_parse(target, &q, &e);

	model_make(&m, target);
	CHECK(ok == m.ok);
	if (ok) {
		check_as(&m, &q);
		check_again(&q);
	} else {
		CHECK(check_report(&e) && e.code == ERR_INPUT);
		CHECK(q.n_args == 0 && q.path.n == 0);
	}
	model_free(&m);
	return 0;
}
