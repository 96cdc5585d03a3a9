/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamic-security.json. Oracle: for each client the rules are found again in
 * the JSON by the definition, the next one being the one that nothing left
 * precedes.
 */
#include "core/topic.h"
#include "io/dynsec_json.h"
#include "tests/support/check.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Elements of one array in the order of asking. */
struct list {
	const cJSON *e[LIST_MAX];
	int priority[LIST_MAX];
	size_t n;
};

static const cJSON *get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

static const char *text(const cJSON *o, const char *key)
{
	const cJSON *v = get(o, key);

	return v != NULL ? v->valuestring : "";
}

static int priority(const cJSON *o, int none)
{
	const cJSON *v = get(o, "priority");

	return v != NULL ? (int)v->valuedouble : none;
}

static void add(struct list *l, const cJSON *e, int p)
{
	CHECK(l->n < LIST_MAX);
	l->priority[l->n] = p;
	l->e[l->n++] = e;
}

/* Takes the next element off L; of equal ones the least by KEY, if any, else the
 * first. */
static const cJSON *next(struct list *l, const char *key)
{
	const cJSON *e;
	size_t best = 0;

	for (size_t i = 1; i < l->n; i++) {
		int d = l->priority[i] - l->priority[best];

		if (d > 0 || (d == 0 && key != NULL &&
				     strcmp(text(l->e[i], key),
					     text(l->e[best], key)) < 0))
			best = i;
	}
	e = l->e[best];
	l->n--;
	for (size_t i = best; i < l->n; i++) {
		l->e[i] = l->e[i + 1];
		l->priority[i] = l->priority[i + 1];
	}
	return e;
}

static const cJSON *named(const cJSON *list, const char *key, const char *name)
{
	const cJSON *o;

	cJSON_ArrayForEach (o, list) {
		if (strcmp(text(o, key), name) == 0)
			return o;
	}
	return NULL;
}

static void check_rule(
	const struct acl *a, const struct acl_rule *r, const cJSON *e)
{
	CHECK(str_eq(r->topic, str_from(text(e, "topic"))));
	CHECK(filter_valid(r->topic));
	CHECK((r->access != ACL_DENY) == (cJSON_IsTrue(get(e, "allow")) != 0));
	CHECK(!r->any);
	CHECK(strncmp(a->places[r->line - 1], "roles[", 6) == 0);
}

/* The rules of ROLE that are about ACCESS are the next of A at *AT. */
static void check_role(const cJSON *role, const char *type, uint8_t access,
	const struct acl *a, size_t *at)
{
	struct list l = {.n = 0};
	const cJSON *e;
	bool literal = strcmp(type, "subscribeLiteral") == 0;

	cJSON_ArrayForEach (e, get(role, "acls")) {
		if (strcmp(text(e, "acltype"), type) == 0)
			add(&l, e, literal ? 0 : priority(e, 0));
	}
	while (l.n != 0) {
		while ((a->rules[*at].access | a->rules[*at].denies) != access)
			++*at;
		CHECK(a->rules[*at].literal == literal);
		check_rule(a, &a->rules[(*at)++],
			next(&l, literal ? "topic" : NULL));
	}
}

/* The rules of the roles that OWNER has, of ACCESS, from *AT on. */
static void check_owner(const cJSON *tree, const cJSON *owner, uint8_t access,
	const struct acl *a, size_t *at)
{
	struct list l = {.n = 0};
	const cJSON *e;

	cJSON_ArrayForEach (e, get(owner, "roles")) {
		add(&l, e, priority(e, -1));
	}
	while (l.n != 0) {
		const cJSON *role = named(get(tree, "roles"), "rolename",
			text(next(&l, "rolename"), "rolename"));

		CHECK(role != NULL);
		if (access == ACL_SUBSCRIBE)
			check_role(role, "subscribeLiteral", access, a, at);
		check_role(role,
			access == ACL_SUBSCRIBE ? "subscribePattern"
			: access == ACL_READ    ? "publishClientReceive"
						: "publishClientSend",
			access, a, at);
	}
}

static void check_client(const cJSON *tree, const cJSON *client, size_t user,
	uint8_t access, const struct acl *a)
{
	const struct acl_user *u = &a->users[user];
	struct list groups = {.n = 0};
	size_t at = u->first;
	const cJSON *g;

	CHECK(str_eq(u->name, str_from(text(client, "username"))));
	CHECK(u->disabled == (cJSON_IsTrue(get(client, "disabled")) != 0));
	check_owner(tree, client, access, a, &at);
	cJSON_ArrayForEach (g, get(tree, "groups")) {
		const cJSON *m = named(get(g, "clients"), "username",
			text(client, "username"));

		if (m != NULL)
			add(&groups, g, priority(m, -1));
	}
	while (groups.n != 0)
		check_owner(tree, next(&groups, "groupname"), access, a, &at);
	/* What is left is the default. */
	for (; at < u->first + u->n; at++) {
		const struct acl_rule *r = &a->rules[at];

		CHECK(r->any || (r->access | r->denies) != access);
	}
	CHECK(at == u->first + u->n);
}

static void check_all(const cJSON *tree, const struct acl *a)
{
	static const uint8_t all[] = {ACL_WRITE, ACL_READ, ACL_SUBSCRIBE};
	const cJSON *client;
	size_t user = 0;

	CHECK(a->first_pattern == a->n && a->users[0].name.n == 0);
	cJSON_ArrayForEach (client, get(tree, "clients")) {
		user++;
		CHECK(a->users[user].first + a->users[user].n <= a->n);
		for (size_t i = 0; i < 3; i++)
			check_client(tree, client, user, all[i], a);
	}
	CHECK(user + 1 == a->n_users);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acl a = {.n = 7};
	struct errs errs = {.n = 0};
	struct str in = {(const char *)data, size};

	if (size > 2048)
		return 0; /* no list is longer than LIST_MAX */
	if (!dynsec_json_parse(in, &a, &errs)) {
		CHECK(a.n == 7 && errs.n != 0 && check_report(&errs.e[0]));
		return 0;
	}
	CHECK(dynsec_json_is(in));
	check_all(a.tree, &a);
	acl_free(&a);
	return 0;
}
