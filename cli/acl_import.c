/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/acl_import.h"

#include "cli/output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOSS_TEXT 1024

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

static const char *access_text(const struct acl *a, uint8_t access)
{
	static const char *const texts[] = {
		"deny", "write", "read", "readwrite"};

	if (a->places == NULL)
		return texts[access & (ACL_WRITE | ACL_READ)];
	return access == ACL_WRITE  ? "publishClientSend"
	       : access == ACL_READ ? "publishClientReceive"
				    : "subscribe";
}

/* "line 7", "roles[0].acls[2]". */
static void put_place(
	const struct acl *a, uint32_t line, char out[static ACL_PLACE_MAX])
{
	if (a->places != NULL)
		(void)snprintf(out, ACL_PLACE_MAX, "%s", a->places[line - 1]);
	else
		(void)snprintf(out, ACL_PLACE_MAX, "line %" PRIu32, line);
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
	*l = (struct import_loss){line,
		imp->acl->places != NULL ? imp->acl->places[line - 1] : NULL,
		need_copy(text)};
}

static void lose_rule(
	struct import *imp, const struct acl_rule *r, const struct rule_fate *f)
{
	struct str first = imp->acl->users[f->first].name;
	char whom[2 * DEVICE_ID_MAX], place[ACL_PLACE_MAX];

	if (f->users == 1 && f->first != 0)
		(void)snprintf(whom, sizeof(whom), "'%.*s'", STR_ARG(first));
	else
		(void)snprintf(whom, sizeof(whom), "%zu users", f->users);
	if (f->by != NULL) {
		put_place(imp->acl, f->by->line, place);
		add_loss(imp, r->line,
			"%s '%.*s' is left out for %s: %s denies part of it "
			"('%.*s'), and a policy has no deny; list what remains",
			access_text(imp->acl, r->access), STR_ARG(r->topic),
			whom, place, STR_ARG(f->by->topic));
		return;
	}
	add_loss(imp, r->line, "%s '%.*s' is left out for %s: %s",
		access_text(imp->acl, r->access), STR_ARG(r->topic), whom,
		f->why);
}

static int by_line(const void *a, const void *b)
{
	const struct import_loss *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

static void lose_users(struct import *imp)
{
	const struct acl *a = imp->acl;

	for (size_t u = 1; u < a->n_users; u++) {
		if (!device_id_valid(a->users[u].name))
			add_loss(imp, a->users[u].line,
				"user '%.*s' is left out: a device's id has 1 "
				"to 64 of A-Z a-z 0-9 . _ : - and starts with "
				"a letter or digit",
				STR_ARG(a->users[u].name));
		else if (a->users[u].disabled)
			add_loss(imp, a->users[u].line,
				"user '%.*s' is left out: it is disabled",
				STR_ARG(a->users[u].name));
	}
}

static void collect_losses(struct import *imp, const struct rule_fate *fates)
{
	const struct acl *a = imp->acl;

	for (size_t i = 0; i < a->n; i++) {
		const struct acl_rule *r = &a->rules[i];

		if (fates[i].users != 0)
			lose_rule(imp, r, &fates[i]);
		else if (i < a->users[0].n && r->access != ACL_DENY)
			add_loss(imp, r->line,
				"%s '%.*s' is left out: it is for clients "
				"without a username, and Weir knows none",
				access_text(a, r->access), STR_ARG(r->topic));
	}
	lose_users(imp);
	if (imp->n_losses != 0)
		qsort(imp->losses, imp->n_losses, sizeof(*imp->losses),
			by_line);
}

/* --------------------------------------------------------------------- make */

static void add_user(struct import *imp, size_t user, struct rule_fate *fates)
{
	struct import_user *u = &imp->users[imp->n_users++];

	u->user = user;
	rights_make(imp->acl, user, fates, &u->write, &u->read);
}

void import_make(const struct acl *acl, struct import *imp)
{
	struct rule_fate *fates = need_memory(acl->n + 1, sizeof(*fates));

	*imp = (struct import){.acl = acl};
	imp->users = need_memory(acl->n_users, sizeof(*imp->users));
	imp->losses = need_memory(acl->n + acl->n_users, sizeof(*imp->losses));
	for (size_t u = 1; u < acl->n_users; u++) {
		if (device_id_valid(acl->users[u].name) &&
			!acl->users[u].disabled)
			add_user(imp, u, fates);
	}
	if (acl->n > acl->first_pattern)
		add_user(imp, 0, fates);
	collect_losses(imp, fates);
	make_classes(imp);
	for (size_t i = 0; i < acl->n; i++)
		free(fates[i].why);
	free(fates);
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
