/* SPDX-License-Identifier: Apache-2.0 */
#include "io/dynsec_json.h"

#include "core/topic.h"
#include "core/utf8.h"
#include "io/dynsec.h"
#include "io/json_reader.h"
#include "io/json_scan.h"

#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* -------------------------------------------------------------------- values */

static void take_name(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_item *item = into;

	json_read_string(r, v, &item->name);
	if (cJSON_IsString(v) && (item->name.n == 0 || !utf8_valid(item->name)))
		json_reader_fail(
			r, "a name is not empty and has no control character");
}

static void take_text(struct json_reader *r, const cJSON *v, void *into)
{
	struct str ignored;

	(void)into;
	json_read_string(r, v, &ignored);
}

static void take_any(struct json_reader *r, const cJSON *v, void *into)
{
	(void)r;
	(void)v;
	(void)into;
}

static void read_priority(struct json_reader *r, const cJSON *v, int *out)
{
	if (!cJSON_IsNumber(v))
		json_reader_wrong(r, "a whole number", v);
	else if (v->valuedouble > DYNSEC_PRIORITY_MAX ||
		 v->valuedouble < -DYNSEC_PRIORITY_MAX)
		json_reader_fail(r, "must be from -%d to %d",
			DYNSEC_PRIORITY_MAX, DYNSEC_PRIORITY_MAX);
	else
		*out = (int)v->valuedouble;
}

/* The elements of the array V, each read by READ; NULL: there are none. */
static void *read_array(struct json_reader *r, const cJSON *v, size_t size,
	void (*read)(struct json_reader *r, const cJSON *v, void *into),
	size_t *n)
{
	size_t up = r->at.n, count, i = 0;
	const cJSON *element;
	char *list;

	*n = 0;
	if (!cJSON_IsArray(v)) {
		json_reader_wrong(r, "an array", v);
		return NULL;
	}
	count = (size_t)cJSON_GetArraySize(v);
	list = json_reader_array(r, count, size);
	if (list == NULL)
		return NULL;
	cJSON_ArrayForEach (element, v) {
		json_path_index(&r->at, i);
		read(r, element, list + i * size);
		json_path_cut(&r->at, up);
		i++;
	}
	*n = count;
	return list;
}

/* ---------------------------------------------------------------- references */

static void take_ref_name(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_ref *ref = into;

	json_read_string(r, v, &ref->name);
	if (cJSON_IsString(v) && !utf8_valid(ref->name))
		json_reader_fail(r, "holds a control character");
}

static void take_ref_priority(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_ref *ref = into;

	read_priority(r, v, &ref->priority);
}

static const struct json_key ROLE_REF_KEYS[] = {
	{"rolename", true, take_ref_name, NULL},
	{"priority", false, take_ref_priority, NULL},
};
static const struct json_key MEMBER_KEYS[] = {
	{"username", true, take_ref_name, NULL},
	{"priority", false, take_ref_priority, NULL},
};

static void read_role_ref(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_ref *ref = into;

	ref->priority = -1;
	json_read_object(r, v, "a role's name", ROLE_REF_KEYS,
		COUNT(ROLE_REF_KEYS), ref);
}

static void read_member(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_ref *ref = into;

	ref->priority = -1;
	json_read_object(
		r, v, "a group's client", MEMBER_KEYS, COUNT(MEMBER_KEYS), ref);
}

static void take_roles_of(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_item *item = into;

	item->roles.r = read_array(
		r, v, sizeof(*item->roles.r), read_role_ref, &item->roles.n);
}

static void take_members(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_item *item = into;

	item->members.r = read_array(
		r, v, sizeof(*item->members.r), read_member, &item->members.n);
}

/* --------------------------------------------------------------------- rules */

static void take_type(struct json_reader *r, const cJSON *v, void *into)
{
	static const struct {
		struct str name;
		uint8_t access;
		bool literal;
	} types[] = {
		{STR_INIT("publishClientSend"), ACL_WRITE, false},
		{STR_INIT("publishClientReceive"), ACL_READ, false},
		{STR_INIT("subscribeLiteral"), ACL_SUBSCRIBE, true},
		{STR_INIT("subscribePattern"), ACL_SUBSCRIBE, false},
		{STR_INIT("unsubscribeLiteral"), 0, true},
		{STR_INIT("unsubscribePattern"), 0, false},
	};
	struct dyn_rule *rule = into;
	struct str word = {NULL, 0};

	json_read_string(r, v, &word);
	for (size_t i = 0; i < COUNT(types); i++) {
		if (str_eq(word, types[i].name)) {
			rule->access = types[i].access;
			rule->literal = types[i].literal;
			return;
		}
	}
	if (word.p != NULL)
		json_reader_fail(r,
			"must be publishClientSend, publishClientReceive, "
			"subscribeLiteral, subscribePattern, "
			"unsubscribeLiteral or unsubscribePattern");
}

static void take_topic(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_rule *rule = into;

	json_read_string(r, v, &rule->topic);
	if (!cJSON_IsString(v))
		return;
	if (!filter_valid(rule->topic))
		json_reader_fail(r,
			"not a valid filter: '+' and '#' must be whole "
			"levels, and '#' the last");
	else if (strstr(v->valuestring, "%c") != NULL ||
		 strstr(v->valuestring, "%u") != NULL)
		json_reader_fail(r,
			"%%c and %%u are text in Mosquitto 2.0 and variables "
			"in 2.1; write each client's topic out");
}

static void take_priority(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_rule *rule = into;

	read_priority(r, v, &rule->priority);
}

static void take_allow(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_rule *rule = into;

	json_read_bool(r, v, &rule->allow);
}

static const struct json_key RULE_KEYS[] = {
	{"acltype", true, take_type, NULL},
	{"topic", true, take_topic, NULL},
	{"priority", false, take_priority, NULL},
	{"allow", false, take_allow, NULL},
};

static void read_rule(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "a rule", RULE_KEYS, COUNT(RULE_KEYS), into);
}

static void take_rules(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_item *role = into;

	role->rules = read_array(
		r, v, sizeof(*role->rules), read_rule, &role->n_rules);
}

/* --------------------------------------------------- clients, groups and roles */

static void take_client_id(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_item *client = into;

	json_read_string(r, v, &client->client_id);
}

static void take_disabled(struct json_reader *r, const cJSON *v, void *into)
{
	struct dyn_item *client = into;

	json_read_bool(r, v, &client->disabled);
}

static const struct json_key CLIENT_KEYS[] = {
	{"username", true, take_name, NULL},
	{"clientid", false, take_client_id, NULL},
	{"textname", false, take_text, NULL},
	{"textdescription", false, take_text, NULL},
	{"disabled", false, take_disabled, NULL},
	{"password", false, take_any, NULL},
	{"salt", false, take_any, NULL},
	{"iterations", false, take_any, NULL},
	{"roles", false, take_roles_of, NULL},
	{"groups", false, NULL,
		"Mosquitto reads memberships from groups[].clients alone; "
		"move it there"},
};
static const struct json_key GROUP_KEYS[] = {
	{"groupname", true, take_name, NULL},
	{"textname", false, take_text, NULL},
	{"textdescription", false, take_text, NULL},
	{"roles", false, take_roles_of, NULL},
	{"clients", false, take_members, NULL},
};
static const struct json_key ROLE_KEYS[] = {
	{"rolename", true, take_name, NULL},
	{"textname", false, take_text, NULL},
	{"textdescription", false, take_text, NULL},
	{"acls", false, take_rules, NULL},
};

static void read_client(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(
		r, v, "a client", CLIENT_KEYS, COUNT(CLIENT_KEYS), into);
}

static void read_group(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "a group", GROUP_KEYS, COUNT(GROUP_KEYS), into);
}

static void read_role(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "a role", ROLE_KEYS, COUNT(ROLE_KEYS), into);
}

static void take_list(struct json_reader *r, const cJSON *v,
	struct dyn_list *list,
	void (*read)(struct json_reader *r, const cJSON *v, void *into))
{
	list->items = read_array(r, v, sizeof(*list->items), read, &list->n);
	if (list->n >= ACL_USERS_MAX)
		json_reader_fail(r, "more than one policy can be made for; "
				    "split the file");
}

static void take_clients(struct json_reader *r, const cJSON *v, void *into)
{
	struct dynsec *d = into;

	take_list(r, v, &d->clients, read_client);
}

static void take_groups(struct json_reader *r, const cJSON *v, void *into)
{
	struct dynsec *d = into;

	take_list(r, v, &d->groups, read_group);
}

static void take_roles(struct json_reader *r, const cJSON *v, void *into)
{
	struct dynsec *d = into;

	take_list(r, v, &d->roles, read_role);
}

static void take_anonymous(struct json_reader *r, const cJSON *v, void *into)
{
	struct dynsec *d = into;

	json_read_string(r, v, &d->anonymous);
}

static void take_send(struct json_reader *r, const cJSON *v, void *into)
{
	struct dynsec *d = into;

	json_read_bool(r, v, &d->write);
}

static void take_receive(struct json_reader *r, const cJSON *v, void *into)
{
	struct dynsec *d = into;

	json_read_bool(r, v, &d->read);
}

static void take_subscribe(struct json_reader *r, const cJSON *v, void *into)
{
	struct dynsec *d = into;

	json_read_bool(r, v, &d->subscribe);
}

static const struct json_key DEFAULT_KEYS[] = {
	{"publishClientSend", false, take_send, NULL},
	{"publishClientReceive", false, take_receive, NULL},
	{"subscribe", false, take_subscribe, NULL},
	{"unsubscribe", false, take_any, NULL},
};

static void take_defaults(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "defaultACLAccess", DEFAULT_KEYS,
		COUNT(DEFAULT_KEYS), into);
}

static const struct json_key TOP_KEYS[] = {
	{"defaultACLAccess", false, take_defaults, NULL},
	{"clients", false, take_clients, NULL},
	{"groups", false, take_groups, NULL},
	{"roles", false, take_roles, NULL},
	{"anonymousGroup", false, take_anonymous, NULL},
};

/* --------------------------------------------------------------------- entry */

bool dynsec_json_is(struct str text)
{
	size_t i = 0;

	while (i < text.n && text.p[i] != '\0' &&
		strchr(" \t\r\n", text.p[i]) != NULL)
		i++;
	return i < text.n && text.p[i] == '{';
}

bool dynsec_json_parse(struct str text, struct acl *out, struct errs *errs)
{
	struct dynsec d = {.anonymous = {NULL, 0}};
	struct json_reader r = {.errs = errs};
	struct acl a = {.n = 0};
	struct err e;

	errs->n = 0;
	errs->more = false;
	if (!json_scan(text, ACL_BYTES_MAX, &e)) {
		*errs_next(errs) = e;
		return false;
	}
	a.tree = cJSON_ParseWithLength(text.p, text.n);
	if (a.tree == NULL)
		return err_set(errs_next(errs), ERR_ENVIRONMENT,
			"out of memory while reading the file");
	json_read_object(&r, a.tree, "dynamic-security.json", TOP_KEYS,
		COUNT(TOP_KEYS), &d);
	if (errs->n == 0)
		dynsec_flatten(&r, &d, &a);
	json_reader_fini(&r);
	if (errs->n != 0) {
		acl_free(&a);
		return false;
	}
	*out = a;
	return true;
}
