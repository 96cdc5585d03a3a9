/* SPDX-License-Identifier: Apache-2.0 */
#include "io/dynsec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULTS  3                 /* the first places */
#define ASKED_MAX ((size_t)1 << 20) /* roles of all clients */

/* --------------------------------------------------------- names to their items */

static int by_name(const void *a, const void *b)
{
	const struct dyn_ref *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

/* What is asked first. */
static int by_priority(const void *a, const void *b)
{
	const struct dyn_ref *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return str_cmp(x->name, y->name);
}

static void index_names(struct json_reader *r, struct dyn_list *l)
{
	l->by_name = json_reader_array(r, l->n, sizeof(*l->by_name));
	if (l->by_name == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		l->by_name[i] =
			(struct dyn_ref){.name = l->items[i].name, .to = i};
	qsort(l->by_name, l->n, sizeof(*l->by_name), by_name);
	for (size_t i = 1; i < l->n; i++) {
		if (str_eq(l->by_name[i - 1].name, l->by_name[i].name))
			json_reader_fail(r, "'%.*s' is there twice",
				STR_ARG(l->by_name[i].name));
	}
}

static bool find(const struct dyn_list *in, struct dyn_ref *ref)
{
	const struct dyn_ref *hit =
		in->by_name == NULL ? NULL
				    : bsearch(ref, in->by_name, in->n,
					      sizeof(*in->by_name), by_name);

	if (hit != NULL)
		ref->to = hit->to;
	return hit != NULL;
}

static void find_all(struct json_reader *r, struct dyn_refs *refs,
	const struct dyn_list *in, struct str who)
{
	for (size_t i = 0; i < refs->n; i++) {
		if (!find(in, &refs->r[i]))
			json_reader_fail(r,
				"'%.*s' names '%.*s', which there is not; "
				"remove it",
				STR_ARG(who), STR_ARG(refs->r[i].name));
	}
}

/* Finds what REFS name, and puts them in the order of asking. */
static void resolve(struct json_reader *r, struct dyn_refs *refs,
	const struct dyn_list *in, struct str who)
{
	if (refs->n == 0)
		return;
	find_all(r, refs, in, who);
	qsort(refs->r, refs->n, sizeof(*refs->r), by_name);
	for (size_t i = 1; i < refs->n; i++) {
		if (str_eq(refs->r[i - 1].name, refs->r[i].name))
			json_reader_fail(r, "'%.*s' names '%.*s' twice",
				STR_ARG(who), STR_ARG(refs->r[i].name));
	}
	qsort(refs->r, refs->n, sizeof(*refs->r), by_priority);
}

/* ------------------------------------------------------------ order of asking */

static int by_order(const void *a, const void *b)
{
	const struct dyn_rule *x = a, *y = b;

	if (x->literal != y->literal)
		return x->literal ? -1 : 1;
	/* Of literals the one of that very text is asked: no order among them. */
	if (x->literal && !str_eq(x->topic, y->topic))
		return str_cmp(x->topic, y->topic);
	if (x->literal && x->access != y->access)
		return x->access > y->access ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return (x->line > y->line) - (x->line < y->line);
}

/* Gives each client its groups. */
static void join_groups(struct json_reader *r, struct dynsec *d)
{
	struct dyn_item *clients = d->clients.items;

	for (size_t g = 0; g < d->groups.n; g++) {
		const struct dyn_refs *m = &d->groups.items[g].members;

		for (size_t i = 0; i < m->n; i++)
			clients[m->r[i].to].groups.n++;
	}
	for (size_t c = 0; c < d->clients.n; c++) {
		struct dyn_refs *groups = &clients[c].groups;

		groups->r = json_reader_array(r, groups->n, sizeof(*groups->r));
		groups->n = 0;
	}
	for (size_t g = 0; r->errs->n == 0 && g < d->groups.n; g++) {
		const struct dyn_item *group = &d->groups.items[g];

		for (size_t i = 0; i < group->members.n; i++) {
			const struct dyn_ref *m = &group->members.r[i];
			struct dyn_refs *to = &clients[m->to].groups;

			to->r[to->n++] =
				(struct dyn_ref){group->name, m->priority, g};
		}
	}
	for (size_t c = 0; r->errs->n == 0 && c < d->clients.n; c++) {
		if (clients[c].groups.n != 0)
			qsort(clients[c].groups.r, clients[c].groups.n,
				sizeof(struct dyn_ref), by_priority);
	}
}

static size_t add_roles(size_t *asked, size_t n, const struct dyn_refs *roles)
{
	for (size_t i = 0; i < roles->n; i++)
		asked[n++] = roles->r[i].to;
	return n;
}

static void order_roles(struct json_reader *r, const struct dynsec *d,
	size_t *total, struct dyn_item *c)
{
	size_t n = c->roles.n;
	size_t *asked;

	for (size_t i = 0; i < c->groups.n; i++)
		n += d->groups.items[c->groups.r[i].to].roles.n;
	*total += n;
	if (*total > ASKED_MAX) {
		json_reader_fail(r, "clients have more roles than one policy "
				    "can be made for; split the file");
		return;
	}
	asked = json_reader_array(r, n, sizeof(*asked));
	if (asked == NULL)
		return;
	n = add_roles(asked, 0, &c->roles);
	for (size_t i = 0; i < c->groups.n; i++)
		n = add_roles(
			asked, n, &d->groups.items[c->groups.r[i].to].roles);
	c->asked = asked;
	c->n_asked = n;
}

static void resolve_all(struct json_reader *r, struct dynsec *d)
{
	index_names(r, &d->roles);
	index_names(r, &d->clients);
	index_names(r, &d->groups);
	for (size_t i = 0; i < d->clients.n; i++)
		resolve(r, &d->clients.items[i].roles, &d->roles,
			d->clients.items[i].name);
	for (size_t i = 0; i < d->groups.n; i++) {
		struct dyn_item *g = &d->groups.items[i];

		resolve(r, &g->roles, &d->roles, g->name);
		resolve(r, &g->members, &d->clients, g->name);
	}
}

/* --------------------------------------------------------------------- places */

/* Sorts the rules of ROLE. Of two literals of one text it is chance which one
 * Mosquitto finds. */
static void order_rules(struct json_reader *r, struct dyn_item *role)
{
	if (role->n_rules == 0)
		return;
	qsort(role->rules, role->n_rules, sizeof(*role->rules), by_order);
	for (size_t i = 1; i < role->n_rules; i++) {
		const struct dyn_rule *x = &role->rules[i - 1];

		if (x->literal && x[1].literal && x->access == x[1].access &&
			x->access != 0 && str_eq(x->topic, x[1].topic))
			json_reader_fail(r,
				"role '%.*s' has subscribeLiteral '%.*s' "
				"twice; keep one",
				STR_ARG(role->name), STR_ARG(x->topic));
	}
}

/* Numbers rules and clients by where they stand, and writes down where. */
static bool name_places(struct json_reader *r, struct dynsec *d, struct acl *a)
{
	static const char *const defaults[DEFAULTS] = {
		"publishClientSend", "publishClientReceive", "subscribe"};
	size_t n = DEFAULTS + d->clients.n, at = DEFAULTS;

	for (size_t i = 0; i < d->roles.n; i++)
		n += d->roles.items[i].n_rules;
	a->places = calloc(n, sizeof(*a->places));
	if (a->places == NULL)
		return err_set(
			errs_next(r->errs), ERR_ENVIRONMENT, "out of memory");
	for (size_t i = 0; i < DEFAULTS; i++)
		(void)snprintf(a->places[i], ACL_PLACE_MAX,
			"defaultACLAccess.%s", defaults[i]);
	for (size_t i = 0; i < d->clients.n; i++)
		(void)snprintf(
			a->places[at++], ACL_PLACE_MAX, "clients[%zu]", i);
	for (size_t i = 0; i < d->roles.n; i++) {
		struct dyn_item *role = &d->roles.items[i];

		for (size_t k = 0; k < role->n_rules; k++) {
			(void)snprintf(a->places[at++], ACL_PLACE_MAX,
				"roles[%zu].acls[%zu]", i, k);
			role->rules[k].line = (uint32_t)at;
		}
		order_rules(r, role);
	}
	return r->errs->n == 0;
}

/* ---------------------------------------------------------------------- rules */

static void add_rule(struct acl *a, const struct dyn_rule *from)
{
	if (from->access == 0)
		return;
	a->rules[a->n++] = (struct acl_rule){.topic = from->topic,
		.line = from->line,
		.access = from->allow ? from->access : ACL_DENY,
		.denies = from->access,
		.literal = from->literal};
}

/* The rules of the N roles ASKED, and the defaults; false: too many. */
static bool add_rules(
	struct acl *a, const struct dynsec *d, const size_t *asked, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct dyn_item *role = &d->roles.items[asked[i]];

		if (role->n_rules > ACL_RULES_MAX - a->n)
			return false;
		for (size_t k = 0; k < role->n_rules; k++)
			add_rule(a, &role->rules[k]);
	}
	return true;
}

static bool add_defaults(struct acl *a, const struct dynsec *d)
{
	const bool allow[DEFAULTS] = {d->write, d->read, d->subscribe};
	static const uint8_t access[DEFAULTS] = {
		ACL_WRITE, ACL_READ, ACL_SUBSCRIBE};

	if (ACL_RULES_MAX - a->n < DEFAULTS)
		return false;
	for (uint32_t i = 0; i < DEFAULTS; i++) {
		if (allow[i])
			a->rules[a->n++] = (struct acl_rule){.topic = STR("#"),
				.line = i + 1,
				.access = access[i],
				.any = true};
	}
	return true;
}

/* A client by what it is asked, in qsort's reach. */
struct asker {
	const struct dyn_item *client;
	size_t user;
};

static int by_asked(const void *a, const void *b)
{
	const struct asker *x = a, *y = b;
	size_t n = x->client->n_asked;

	if (n != y->client->n_asked)
		return n < y->client->n_asked ? -1 : 1;
	for (size_t i = 0; i < n; i++) {
		size_t p = x->client->asked[i], q = y->client->asked[i];

		if (p != q)
			return p < q ? -1 : 1;
	}
	return (x->user > y->user) - (x->user < y->user);
}

static bool same_asked(const struct asker *x, const struct asker *y)
{
	size_t n = x->client->n_asked;

	return n == y->client->n_asked &&
	       (n == 0 || memcmp(x->client->asked, y->client->asked,
				  n * sizeof(*x->client->asked)) == 0);
}

/* The rules of the group of clients without a username. */
static bool add_anonymous(
	struct json_reader *r, const struct dynsec *d, struct acl *a)
{
	struct dyn_ref ref = {.name = d->anonymous};
	const struct dyn_refs *roles;
	bool ok = true;

	if (d->anonymous.n == 0)
		return true;
	if (!find(&d->groups, &ref)) {
		json_reader_fail(r, "anonymousGroup names a group that there "
				    "is not; remove it");
		return true;
	}
	roles = &d->groups.items[ref.to].roles;
	for (size_t i = 0; ok && i < roles->n; i++)
		ok = add_rules(a, d, &roles->r[i].to, 1);
	a->users[0].n = a->n;
	return ok;
}

static bool add_users(struct json_reader *r, const struct dynsec *d,
	struct acl *a, struct asker *askers)
{
	size_t n = d->clients.n;

	for (size_t i = 0; i < n; i++) {
		const struct dyn_item *c = &d->clients.items[i];

		askers[i] = (struct asker){c, i + 1};
		a->users[i + 1] = (struct acl_user){.name = c->name,
			.line = (uint32_t)(DEFAULTS + i + 1),
			.disabled = c->disabled};
		a->client_ids |=
			c->client_id.n != 0 && !str_eq(c->client_id, c->name);
	}
	if (!add_anonymous(r, d, a))
		return false;
	qsort(askers, n, sizeof(*askers), by_asked);
	for (size_t i = 0; i < n; i++) {
		struct acl_user *u = &a->users[askers[i].user];

		if (i != 0 && same_asked(&askers[i - 1], &askers[i])) {
			u->first = a->users[askers[i - 1].user].first;
			u->n = a->users[askers[i - 1].user].n;
			continue;
		}
		u->first = a->n;
		if (!add_rules(a, d, askers[i].client->asked,
			    askers[i].client->n_asked) ||
			!add_defaults(a, d))
			return false;
		u->n = a->n - u->first;
	}
	return true;
}

void dynsec_flatten(struct json_reader *r, struct dynsec *d, struct acl *a)
{
	struct asker *askers;
	size_t total = 0;

	resolve_all(r, d);
	if (r->errs->n == 0)
		join_groups(r, d);
	for (size_t i = 0; r->errs->n == 0 && i < d->clients.n; i++)
		order_roles(r, d, &total, &d->clients.items[i]);
	askers = json_reader_array(r, d->clients.n + 1, sizeof(*askers));
	if (r->errs->n != 0 || !name_places(r, d, a))
		return;
	a->rules = calloc(ACL_RULES_MAX, sizeof(*a->rules));
	a->users = calloc(d->clients.n + 1, sizeof(*a->users));
	if (a->rules == NULL || a->users == NULL) {
		(void)err_set(
			errs_next(r->errs), ERR_ENVIRONMENT, "out of memory");
		return;
	}
	a->n_users = d->clients.n + 1;
	if (!add_users(r, d, a, askers))
		json_reader_fail(r, "more rules than one policy can hold; "
				    "split the file");
	a->first_pattern = a->n;
}
