/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/acl_import.h"

#include "cli/output.h"
#include "core/level.h"
#include "core/template.h"
#include "core/topic.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stands for the device in topics that are being worked on: no valid filter
 * holds it, and a level with it is neither a wildcard nor starts with '$'. */
#define OWN       '\x01'
#define OWN_TEXT  "\x01"
#define WILD_TEXT "+"
#define LOSS_TEXT 1024

/* A rule for one user. */
struct candidate {
	const struct acl_rule *rule;
	char *exact; /* with the user's name, or OWN where it is unknown */
	char *wide;  /* as exact, but '+' for a level with OWN */
	char *own;   /* OWN where the list says %c or %u */
	bool lost, covered;
};

/* What happened to one rule of the list. */
struct fate {
	const struct acl_rule *by; /* the deny */
	char *why;                 /* else: why it cannot be written */
	size_t users;              /* whom it is lost to */
	size_t first;              /* of them */
};

struct maker {
	struct import *imp;
	struct fate *fates; /* of each rule */
	struct candidate *c;
	size_t n;
};

/* ------------------------------------------------------------------- topics */

/* TOPIC with %c and %u replaced by NAME, if it is a pattern. */
static char *expand(struct str topic, bool pattern, struct str name)
{
	size_t n = 0, step;
	char *out = need_memory(topic.n * (name.n + 1) + 1, 1);

	for (size_t i = 0; i < topic.n; i += step) {
		bool variable =
			pattern && i + 1 < topic.n && topic.p[i] == '%' &&
			(topic.p[i + 1] == 'c' || topic.p[i + 1] == 'u');

		step = variable ? 2 : 1;
		if (variable) {
			memcpy(out + n, name.p, name.n);
			n += name.n;
		} else {
			out[n++] = topic.p[i];
		}
	}
	return out;
}

/* TOPIC with every level that WANTED(level, arg) picks replaced by TO. */
static char *replace_levels(const char *topic,
	bool (*wanted)(struct str level, struct str arg), struct str arg,
	struct str to)
{
	struct levels cursor = levels_of(str_from(topic));
	char *out = need_memory(strlen(topic) * (to.n + 1) + to.n + 1, 1);
	struct str level;
	size_t n = 0;

	while (levels_next(&cursor, &level)) {
		if (n != 0 || level.p != topic)
			out[n++] = '/';
		if (wanted(level, arg))
			level = to;
		if (level.n != 0)
			memcpy(out + n, level.p, level.n);
		n += level.n;
	}
	return out;
}

static bool has_own(struct str level, struct str arg)
{
	(void)arg;
	return level.n != 0 && memchr(level.p, OWN, level.n) != NULL;
}

static bool is_name(struct str level, struct str name)
{
	return name.n != 0 && str_eq(level, name);
}

/* TOPIC as a policy writes it: OWN is ${device}. */
static char *template_of(const char *topic)
{
	const struct str device = STR("${device}");
	char *out = need_memory(strlen(topic) * device.n + 1, 1);
	size_t n = 0;

	for (const char *p = topic; *p != '\0'; p++) {
		if (*p != OWN) {
			out[n++] = *p;
			continue;
		}
		memcpy(out + n, device.p, device.n);
		n += device.n;
	}
	return out;
}

/* --------------------------------------------------------------- what is lost */

static void lose(struct maker *m, const struct candidate *c, size_t user,
	const struct acl_rule *by, const char *why)
{
	struct fate *f = &m->fates[c->rule - m->imp->acl->rules];

	if (f->users++ != 0)
		return;
	f->by = by;
	f->first = user;
	f->why = by == NULL ? need_copy(why) : NULL;
}

/* True when a policy can write C. */
static bool expressible(struct maker *m, const struct candidate *c, size_t user)
{
	struct err e = {0};
	char *t;
	bool ok;

	if (strstr(c->own, "${") != NULL) {
		lose(m, c, user, NULL,
			"'${' begins a variable in a policy, and there is no "
			"other way to write it");
		return false;
	}
	t = template_of(c->own);
	ok = template_check(str_from(t), &e);
	free(t);
	if (!ok)
		lose(m, c, user, NULL, e.msg);
	return ok;
}

/* Judges candidate I by the denies that are asked before it. */
static void judge(struct maker *m, size_t i, size_t user)
{
	struct candidate *c = &m->c[i];
	struct str *denies = need_memory(i + 1, sizeof(*denies));
	const struct acl_rule *by = NULL;
	size_t n = 0;

	for (size_t k = 0; k < i; k++) {
		const struct candidate *d = &m->c[k];

		if (d->rule->access != ACL_DENY ||
			!filter_overlap(str_from(c->wide), str_from(d->wide)))
			continue;
		denies[n++] = str_from(d->exact);
		by = by == NULL ? d->rule : by;
	}
	c->covered = n != 0 && filter_covered(str_from(c->exact), denies, n);
	c->lost = n != 0 && !c->covered;
	if (c->lost)
		lose(m, c, user, by, "");
	else if (!c->covered)
		c->lost = !expressible(m, c, user);
	free(denies);
}

/* -------------------------------------------------------------- one user */

/* The broker refuses to publish there, whatever its lists say, but for the
 * state of bridges, which are no devices. */
static bool never_written(const char *topic)
{
	return strncmp(topic, "$SYS", 4) == 0 &&
	       (topic[4] == '/' || topic[4] == '\0');
}

static int by_shared(const void *a, const void *b)
{
	const struct import_topic *x = a, *y = b;

	return strcmp(x->shared, y->shared);
}

static void topic_free(struct import_topic *t)
{
	free(t->shared);
	free(t->own);
}

/* Another topic of T, with wildcards, allows all that topic I does. */
static bool needless(const struct import_topics *t, const bool *wild, size_t i)
{
	for (size_t k = 0; k < t->n; k++) {
		struct str by = str_from(t->t[k].shared);

		if (k != i && wild[k] &&
			filter_covered(str_from(t->t[i].shared), &by, 1))
			return true;
	}
	return false;
}

/* Sorts T, and drops what others of it allow too. */
static void topics_tidy(struct import_topics *t)
{
	struct import_topics kept = {.n = 0};
	bool *wild;
	size_t n = 0;

	if (t->n == 0)
		return;
	qsort(t->t, t->n, sizeof(*t->t), by_shared);
	for (size_t i = 0; i < t->n; i++) {
		if (n != 0 && strcmp(t->t[n - 1].shared, t->t[i].shared) == 0)
			topic_free(&t->t[i]);
		else
			t->t[n++] = t->t[i];
	}
	t->n = n;
	wild = need_memory(n, sizeof(*wild));
	kept.t = need_memory(n, sizeof(*kept.t));
	for (size_t i = 0; i < n; i++)
		wild[i] = strpbrk(t->t[i].shared, "+#") != NULL;
	for (size_t i = 0; i < n; i++) {
		if (!needless(t, wild, i))
			kept.t[kept.n++] =
				(struct import_topic){need_copy(t->t[i].shared),
					need_copy(t->t[i].own)};
	}
	for (size_t i = 0; i < n; i++)
		topic_free(&t->t[i]);
	free(wild);
	free(t->t);
	*t = kept;
}

static void topics_free(struct import_topics *t)
{
	for (size_t i = 0; i < t->n; i++)
		topic_free(&t->t[i]);
	free(t->t);
}

/* The kept candidates that have ACCESS. */
static struct import_topics topics_of(
	const struct maker *m, uint8_t access, struct str name)
{
	struct import_topics out = {need_memory(m->n + 1, sizeof(*out.t)), 0};

	for (size_t i = 0; i < m->n; i++) {
		const struct candidate *c = &m->c[i];
		char *shared;

		if ((c->rule->access & access) == 0 || c->lost || c->covered ||
			(access == ACL_WRITE && never_written(c->exact)))
			continue;
		shared = replace_levels(c->own, is_name, name, STR(OWN_TEXT));
		out.t[out.n++] = (struct import_topic){
			template_of(shared), template_of(c->own)};
		free(shared);
	}
	topics_tidy(&out);
	return out;
}

static void add_candidates(
	struct maker *m, size_t from, size_t n, struct str name)
{
	const struct acl *a = m->imp->acl;

	for (size_t i = from; i < from + n; i++) {
		bool pattern = i >= a->first_pattern;
		const struct acl_rule *r = &a->rules[i];
		struct candidate *c = &m->c[m->n++];

		*c = (struct candidate){.rule = r};
		c->exact = expand(
			r->topic, pattern, name.n != 0 ? name : STR(OWN_TEXT));
		c->own = expand(r->topic, pattern, STR(OWN_TEXT));
		c->wide =
			replace_levels(c->exact, has_own, name, STR(WILD_TEXT));
	}
}

/* User USER of the list, or, for 0, whoever is not in it. */
static void make_user(struct maker *m, size_t user)
{
	const struct acl *a = m->imp->acl;
	const struct acl_user *u = &a->users[user];
	struct import_user *out = &m->imp->users[m->imp->n_users++];
	size_t own = user != 0 ? u->n : 0;

	m->n = 0;
	m->c = need_memory(own + (a->n - a->first_pattern) + 1, sizeof(*m->c));
	add_candidates(m, u->first, own, u->name);
	add_candidates(m, a->first_pattern, a->n - a->first_pattern, u->name);
	for (size_t i = 0; i < m->n; i++) {
		if (m->c[i].rule->access != ACL_DENY)
			judge(m, i, user);
	}
	out->user = user;
	out->write = topics_of(m, ACL_WRITE, u->name);
	out->read = topics_of(m, ACL_READ, u->name);
	for (size_t i = 0; i < m->n; i++) {
		free(m->c[i].exact);
		free(m->c[i].wide);
		free(m->c[i].own);
	}
	free(m->c);
}

/* ------------------------------------------------------------------ classes */

static int topics_cmp(
	const struct import_topics *a, const struct import_topics *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (size_t i = 0; i < a->n; i++) {
		int c = strcmp(a->t[i].shared, b->t[i].shared);

		if (c != 0)
			return c;
	}
	return 0;
}

static int by_rights(const void *a, const void *b)
{
	const struct import_user *x = a, *y = b;
	int c = topics_cmp(&x->write, &y->write);

	c = c != 0 ? c : topics_cmp(&x->read, &y->read);
	return c != 0 ? c : (x->user > y->user) - (x->user < y->user);
}

static int by_class(const void *a, const void *b)
{
	const struct import_user *x = a, *y = b;

	if (x->class_index != y->class_index)
		return x->class_index < y->class_index ? -1 : 1;
	return (x->user > y->user) - (x->user < y->user);
}

/* Numbers the classes in the order in which the list names their users. */
static void number_classes(struct import *imp)
{
	size_t *class_of, *number;
	size_t users = imp->acl->n_users, n = 0, groups = 0;

	class_of = need_memory(users, sizeof(*class_of));
	number = need_memory(imp->n_users + 1, sizeof(*number));
	qsort(imp->users, imp->n_users, sizeof(*imp->users), by_rights);
	for (size_t i = 0; i < imp->n_users; i++) {
		const struct import_user *u = &imp->users[i];

		if (i == 0 || topics_cmp(&u->write, &u[-1].write) != 0 ||
			topics_cmp(&u->read, &u[-1].read) != 0)
			groups++;
		class_of[u->user] = groups;
	}
	/* users[0], whoever is not in the list, comes last. */
	for (size_t i = 1; i <= users; i++) {
		size_t g = class_of[i % users];

		if (g != 0 && number[g] == 0)
			number[g] = ++n;
	}
	for (size_t i = 0; i < imp->n_users; i++)
		imp->users[i].class_index =
			number[class_of[imp->users[i].user]] - 1;
	imp->n_classes = n;
	free(class_of);
	free(number);
}

/* What all names of the class begin with, without the digits and marks at
 * its end: "till" of till-7 and till-8. */
static struct str stem(const struct import *imp, const struct import_class *c)
{
	const struct acl_user *users = imp->acl->users;
	struct str s = users[imp->users[c->first].user].name;

	if (c->n == 1)
		return s;
	for (size_t i = c->first + 1; i < c->first + c->n; i++) {
		struct str other = users[imp->users[i].user].name;
		size_t n = 0;

		while (n < s.n && n < other.n && s.p[n] == other.p[n])
			n++;
		s.n = n;
	}
	while (s.n != 0 && strchr("0123456789-_.:", s.p[s.n - 1]) != NULL)
		s.n--;
	return s;
}

static bool name_taken(const struct import *imp, size_t but, struct str name)
{
	for (size_t i = 0; i < imp->n_classes; i++) {
		if (i != but && str_eq(str_from(imp->classes[i].name), name))
			return true;
	}
	return false;
}

static void name_class(struct import *imp, size_t i)
{
	struct import_class *c = &imp->classes[i];
	struct str s = c->others ? STR("others") : stem(imp, c);

	if (s.n >= 2 && class_name_valid(s) && !name_taken(imp, i, s)) {
		(void)snprintf(c->name, sizeof(c->name), "%.*s", STR_ARG(s));
		return;
	}
	for (size_t k = i + 1;
		c->name[0] == '\0' || name_taken(imp, i, str_from(c->name));
		k++)
		(void)snprintf(c->name, sizeof(c->name), "class-%zu", k);
}

static void make_classes(struct import *imp)
{
	number_classes(imp);
	imp->classes = need_memory(imp->n_classes + 1, sizeof(*imp->classes));
	qsort(imp->users, imp->n_users, sizeof(*imp->users), by_class);
	for (size_t i = 0; i < imp->n_users; i++) {
		const struct import_user *u = &imp->users[i];
		struct import_class *c = &imp->classes[u->class_index];

		c->first = c->n == 0 ? i : c->first;
		c->n++;
		c->others |= u->user == 0;
	}
	for (size_t i = 0; i < imp->n_classes; i++)
		name_class(imp, i);
}

static const struct import_user *find_user(
	const struct import *imp, struct str name)
{
	for (size_t i = 0; i < imp->n_users; i++) {
		const struct import_user *u = &imp->users[i];

		if (u->user != 0 && str_eq(imp->acl->users[u->user].name, name))
			return u;
	}
	return NULL;
}

bool import_rename(
	struct import *imp, struct str name, struct str to, struct err *e)
{
	const struct import_user *u = find_user(imp, name);

	if (u == NULL)
		return err_set(e, ERR_NOT_FOUND, "no user '%.*s' has a class",
			STR_ARG(name));
	if (!class_name_valid(to))
		return err_set(e, ERR_INPUT,
			"'%.*s' is not a class's name: letters, digits, '.', "
			"'_', '-'",
			STR_ARG(to));
	if (name_taken(imp, u->class_index, to))
		return err_set(e, ERR_INPUT,
			"two classes would be called '%.*s'", STR_ARG(to));
	(void)snprintf(imp->classes[u->class_index].name, CLASS_NAME_MAX + 1,
		"%.*s", STR_ARG(to));
	return true;
}

const char *import_topic_text(
	const struct import_class *c, const struct import_topic *t)
{
	return c->n > 1 ? t->shared : t->own;
}

/* ------------------------------------------------------------------- losses */

static const char *access_text(uint8_t access)
{
	static const char *const texts[] = {
		"deny", "write", "read", "readwrite"};

	return texts[access & (ACL_WRITE | ACL_READ)];
}

__attribute__((format(printf, 3, 4))) static void add_loss(
	struct import *imp, uint32_t line, const char *fmt, ...)
{
	struct import_loss *l = &imp->losses[imp->n_losses++];
	char text[LOSS_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*l = (struct import_loss){line, need_copy(text)};
}

static void lose_rule(
	struct import *imp, const struct acl_rule *r, const struct fate *f)
{
	struct str first = imp->acl->users[f->first].name;
	char whom[2 * DEVICE_ID_MAX];

	if (f->users == 1 && f->first != 0)
		(void)snprintf(whom, sizeof(whom), "'%.*s'", STR_ARG(first));
	else
		(void)snprintf(whom, sizeof(whom), "%zu users", f->users);
	if (f->by != NULL)
		add_loss(imp, r->line,
			"%s '%.*s' is left out for %s: line %" PRIu32
			" denies part of it ('%.*s'), and a policy has no "
			"deny; list what remains",
			access_text(r->access), STR_ARG(r->topic), whom,
			f->by->line, STR_ARG(f->by->topic));
	else
		add_loss(imp, r->line, "%s '%.*s' is left out for %s: %s",
			access_text(r->access), STR_ARG(r->topic), whom,
			f->why);
}

static int by_line(const void *a, const void *b)
{
	const struct import_loss *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

static void collect_losses(struct maker *m)
{
	struct import *imp = m->imp;
	const struct acl *a = imp->acl;

	for (size_t i = 0; i < a->n; i++) {
		const struct acl_rule *r = &a->rules[i];

		if (m->fates[i].users != 0)
			lose_rule(imp, r, &m->fates[i]);
		else if (i < a->users[0].n && r->access != ACL_DENY)
			add_loss(imp, r->line,
				"%s '%.*s' is left out: it is for clients "
				"without a username, and Weir knows none",
				access_text(r->access), STR_ARG(r->topic));
	}
	for (size_t u = 1; u < a->n_users; u++) {
		if (!device_id_valid(a->users[u].name))
			add_loss(imp, a->users[u].line,
				"user '%.*s' is left out: a device's id has 1 "
				"to 64 of A-Z a-z 0-9 . _ : - and starts with "
				"a letter or digit",
				STR_ARG(a->users[u].name));
	}
	if (imp->n_losses != 0)
		qsort(imp->losses, imp->n_losses, sizeof(*imp->losses),
			by_line);
}

/* --------------------------------------------------------------------- make */

void import_make(const struct acl *acl, struct import *imp)
{
	struct maker m = {.imp = imp};

	*imp = (struct import){.acl = acl};
	imp->users = need_memory(acl->n_users, sizeof(*imp->users));
	imp->losses = need_memory(acl->n + acl->n_users, sizeof(*imp->losses));
	m.fates = need_memory(acl->n + 1, sizeof(*m.fates));
	for (size_t u = 1; u < acl->n_users; u++) {
		if (device_id_valid(acl->users[u].name))
			make_user(&m, u);
	}
	if (acl->n > acl->first_pattern)
		make_user(&m, 0);
	collect_losses(&m);
	make_classes(imp);
	for (size_t i = 0; i < acl->n; i++)
		free(m.fates[i].why);
	free(m.fates);
}

void import_free(struct import *imp)
{
	for (size_t i = 0; i < imp->n_users; i++) {
		topics_free(&imp->users[i].write);
		topics_free(&imp->users[i].read);
	}
	for (size_t i = 0; i < imp->n_losses; i++)
		free(imp->losses[i].text);
	free(imp->users);
	free(imp->classes);
	free(imp->losses);
	*imp = (struct import){.acl = NULL};
}
