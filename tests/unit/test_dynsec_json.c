/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamic-security.json: what is asked of whom in which order, what is refused,
 * and the classes that follow. That decisions stay the same is asked of a real
 * broker in tests/integration/test_import_acl.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/acl_import.h"
#include "cli/filter_meet.h"
#include "io/dynsec_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Texts are written with ' for ". Given. */
static char *quoted(const char *text)
{
	char *out = strdup(text);

	assert_non_null(out);
	for (char *p = strchr(out, '\''); p != NULL; p = strchr(p, '\''))
		*p = '"';
	return out;
}

static bool parse(const char *text, struct acl *a, struct errs *errs)
{
	char *json = quoted(text);
	bool ok = dynsec_json_parse(str_from(json), a, errs);

	free(json);
	return ok;
}

static void must_parse(const char *text, struct acl *a)
{
	struct errs errs = {.n = 0};

	if (!parse(text, a, &errs))
		fail_msg("%s: %s: %s", text, errs.e[0].place, errs.e[0].msg);
}

/* "+wa": + allows, - denies; w r s l (literal); ! for all topics. */
static void put_rule(FILE *out, const struct acl_rule *r)
{
	uint8_t access = r->access != ACL_DENY ? r->access : r->denies;

	(void)fprintf(out, " %c%c%.*s%s", r->access != ACL_DENY ? '+' : '-',
		r->literal ? 'l' : "?wr?s"[access], STR_ARG(r->topic),
		r -> any ? "!" : "");
}

/* "name: +wa -rb", a user each. Given. */
static char *describe(const struct acl *a)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	for (size_t u = 0; u < a->n_users; u++) {
		const struct acl_user *user = &a->users[u];

		(void)fprintf(
			out, "%s%.*s:", u != 0 ? ";" : "", STR_ARG(user->name));
		for (size_t i = user->first; i < user->first + user->n; i++)
			put_rule(out, &a->rules[i]);
	}
	assert_int_equal(fclose(out), 0);
	return text;
}

#define RULE(type, topic, allow, priority)                                     \
	"{'acltype':'" type "','topic':'" topic "','allow':" allow             \
	",'priority':" priority "}"
#define SEND(topic)       RULE("publishClientSend", topic, "true", "0")
#define RECV(topic)       RULE("publishClientReceive", topic, "true", "0")
#define SUB(topic)        RULE("subscribePattern", topic, "true", "0")
#define ROLE(name, rules) "{'rolename':'" name "','acls':[" rules "]}"
#define ONE(rules)                                                             \
	"{'clients':[{'username':'aa','roles':[{'rolename':'r'}]}],"           \
	"'roles':[" ROLE("r", rules) "]}"

#define NAMED                                                                  \
	"'roles':[" ROLE("a", SEND("a")) "," ROLE("b", SEND("b")) "," ROLE(    \
		"c", SEND("c")) "]"

static const struct {
	const char *text, *expect;
} orders[] = {
	{"{}", ":"},
	{" {'clients':[]}", ":"},
	{"{'clients':[{'username':'u'}]}", ":;u:"},
	/* Rules: by priority, then as they stand; literals first. */
	{ONE(SEND("a") "," RULE(
		 "publishClientSend", "b", "false", "2") "," SEND("c")),
		":;aa: -wb +wa +wc"},
	{ONE(SUB("a") "," RULE("subscribeLiteral", "b", "true", "-7")),
		":;aa: +lb +sa"},
	{ONE("{'acltype':'publishClientReceive','topic':'a'}"), ":;aa: -ra"},
	{ONE(RULE("unsubscribePattern", "#", "true", "0")), ":;aa:"},
	/* Roles: by priority, then by name. */
	{"{" NAMED ",'clients':[{'username':'u','roles':["
	 "{'rolename':'c'},{'rolename':'b'},"
	 "{'rolename':'a','priority':-2}]}]}",
		":;u: +wb +wc +wa"},
	/* A client's own roles, then its groups' by their priority. */
	{"{" NAMED ",'clients':[{'username':'u','roles':["
	 "{'rolename':'c','priority':-9}]}],'groups':["
	 "{'groupname':'g','roles':[{'rolename':'a'}],"
	 "'clients':[{'username':'u'}]},"
	 "{'groupname':'h','roles':[{'rolename':'b'}],"
	 "'clients':[{'username':'u','priority':3}]}]}",
		":;u: +wc +wb +wa"},
	/* Two groups of one priority: by name. */
	{"{" NAMED ",'clients':[{'username':'u'}],'groups':["
	 "{'groupname':'h','roles':[{'rolename':'a'}],"
	 "'clients':[{'username':'u'}]},"
	 "{'groupname':'g','roles':[{'rolename':'b'}],"
	 "'clients':[{'username':'u'}]}]}",
		":;u: +wb +wa"},
	{"{'clients':[{'username':'u'}],'defaultACLAccess':{"
	 "'publishClientSend':true,'publishClientReceive':true,"
	 "'subscribe':true,'unsubscribe':false}}",
		":;u: +w#! +r#! +s#!"},
	{"{" NAMED ",'anonymousGroup':'g','groups':[{'groupname':'g',"
	 "'roles':[{'rolename':'a'}]}]}",
		": +wa"},
};

static void test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct acl a;
		char *said;

		must_parse(orders[i].text, &a);
		said = describe(&a);
		assert_string_equal(said, orders[i].expect);
		free(said);
		acl_free(&a);
	}
}

static void test_shares(void **state)
{
	struct acl a;

	(void)state;
	must_parse("{" NAMED ",'clients':["
		   "{'username':'u','roles':[{'rolename':'a'}]},"
		   "{'username':'v','clientid':'v'},"
		   "{'username':'w','clientid':'x','disabled':true,"
		   "'roles':[{'rolename':'a'}]}]}",
		&a);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.users[1].first, a.users[3].first);
	assert_int_equal(a.users[2].n, 0);
	assert_true(a.users[3].disabled && !a.users[1].disabled);
	assert_true(a.client_ids);
	assert_string_equal(a.places[a.users[3].line - 1], "clients[2]");
	assert_string_equal(a.places[a.rules[0].line - 1], "roles[0].acls[0]");
	acl_free(&a);
}

static const struct {
	const char *text, *place, *says;
} refused[] = {
	{"{", "", ""},
	{"[]", "", "must be an object"},
	{"{'clients':{}}", "clients", "must be an array"},
	{"{'client':[]}", "client", "did you mean"},
	{"{'clients':[{}]}", "clients[0]", "is missing"},
	{"{'clients':[{'username':''}]}", "clients[0].username", "not empty"},
	{"{'clients':[{'username':'a\\u0001'}]}", "clients[0].username",
		"control"},
	{"{'clients':[{'username':'a'},{'username':'a'}]}", "", "twice"},
	{"{'clients':[{'username':'a','groups':[]}]}", "clients[0].groups",
		"groups[].clients"},
	{"{'clients':[{'username':'a','roles':[{'rolename':'x'}]}]}", "",
		"which there is not"},
	{"{'clients':[{'username':'a','roles':[{'rolename':'r'},"
	 "{'rolename':'r'}]}],'roles':[{'rolename':'r'}]}",
		"", "twice"},
	{"{'clients':[{'username':'a','roles':[{'rolename':'r',"
	 "'priority':1000001}]}],'roles':[{'rolename':'r'}]}",
		"clients[0].roles[0].priority", "must be from"},
	{"{'groups':[{'groupname':'g','clients':[{'username':'a'}]}]}", "",
		"which there is not"},
	{"{'groups':[{'groupname':'g'},{'groupname':'g'}]}", "", "twice"},
	{"{'anonymousGroup':'g'}", "", "anonymousGroup"},
	{ONE(SEND("a+")), "roles[0].acls[0].topic", "not a valid"},
	{ONE(SEND("")), "roles[0].acls[0].topic", "not a valid"},
	{ONE(SEND("a/%u")), "roles[0].acls[0].topic", "2.1"},
	{ONE(SEND("%c")), "roles[0].acls[0].topic", "2.1"},
	{ONE(RULE("publish", "a", "true", "0")), "roles[0].acls[0].acltype",
		"publishClientSend"},
	{ONE(RULE("subscribePattern", "a", "1", "0")), "roles[0].acls[0].allow",
		"true or false"},
	{ONE(RULE("subscribePattern", "a", "true", "'0'")),
		"roles[0].acls[0].priority", "whole number"},
	{ONE(RULE("subscribeLiteral", "a", "true", "0") "," RULE(
		 "subscribeLiteral", "a", "false", "1")),
		"", "twice"},
	{ONE("{'topic':'a'}"), "roles[0].acls[0]", "acltype"},
	{ONE("{'acltype':'publishClientSend'}"), "roles[0].acls[0]", "topic"},
	{"{'defaultACLAccess':{'subscribe':'yes'}}",
		"defaultACLAccess.subscribe", "true or false"},
	{"{'defaultACLAccess':{'publish':true}}", "defaultACLAccess.publish",
		"unknown key"},
};

static void test_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct acl a = {.n = 77};
		struct errs errs = {.n = 0};

		if (parse(refused[i].text, &a, &errs))
			fail_msg("taken: %s", refused[i].text);
		assert_int_equal(a.n, 77);
		assert_int_not_equal(errs.n, 0);
		assert_int_equal(errs.e[0].code, ERR_INPUT);
		assert_string_equal(errs.e[0].place, refused[i].place);
		if (strstr(errs.e[0].msg, refused[i].says) == NULL)
			fail_msg("%s: %s", refused[i].text, errs.e[0].msg);
	}
}

static void test_is(void **state)
{
	(void)state;
	assert_true(dynsec_json_is(STR("{")));
	assert_true(dynsec_json_is(STR(" \t\r\n{}")));
	assert_false(dynsec_json_is(STR("")));
	assert_false(dynsec_json_is(STR("  ")));
	assert_false(dynsec_json_is(STR("# {")));
	assert_false(dynsec_json_is(STR("user {")));
	assert_false(dynsec_json_is(STR("[]")));
}

static const struct {
	const char *a, *b, *expect; /* NULL: nothing */
} meets[] = {
	{"a", "a", "a"},
	{"#", "a/b", "a/b"},
	{"a/#", "a", "a"},
	{"a/#", "+/b/+", "a/b/+"},
	{"+/b", "a/+", "a/b"},
	{"+/#", "#", "+/#"},
	{"+", "+", "+"},
	{"#", "#", "#"},
	{"a//+", "+//c", "a//c"},
	{"/a", "+/a", "/a"},
	{"$SYS/#", "#", "$SYS/#"},
	{"a/#", "a/#", "a/#"},
	{"a/b/#", "a/+", "a/b"},
	{"a", "b", NULL},
	{"a", "a/b", NULL},
	{"a/+", "a", NULL},
	{"a/b/#", "a", NULL},
	{"a/b/#", "a/c/#", NULL},
	{"+", "+/+", NULL},
	{"a/", "a", NULL},
	{"/", "a/a", NULL},
	{"a/+/#", "a", NULL},
};

static void check_meet(const char *a, const char *b, const char *expect)
{
	char *m = filter_meet(a, b);

	if ((m == NULL) != (expect == NULL) ||
		(m != NULL && strcmp(m, expect) != 0))
		fail_msg("%s, %s: %s", a, b, m != NULL ? m : "nothing");
	free(m);
}

static void test_meet(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(meets) / sizeof(meets[0]); i++) {
		check_meet(meets[i].a, meets[i].b, meets[i].expect);
		check_meet(meets[i].b, meets[i].a, meets[i].expect);
	}
}

static size_t put(
	char *out, size_t cap, char mark, const struct import_topics *t)
{
	size_t used = 0;

	for (size_t i = 0; i < t->n; i++)
		used += (size_t)snprintf(
			out + used, cap - used, " %c%s", mark, t->t[i].own);
	assert_true(used < cap);
	return used;
}

/* What the first class may, and "!place" of each loss. */
static void check(const char *text, const char *expect)
{
	struct acl a;
	struct import imp;
	char said[512] = "";
	size_t n = 0;

	must_parse(text, &a);
	import_make(&a, &imp);
	if (imp.n_users != 0) {
		n += put(said, sizeof(said), '>', &imp.users[0].write);
		n += put(said + n, sizeof(said) - n, '<', &imp.users[0].read);
	}
	for (size_t i = 0; i < imp.n_losses; i++)
		n += (size_t)snprintf(said + n, sizeof(said) - n, " !%s",
			imp.losses[i].place);
	if (strcmp(said, expect) != 0)
		fail_msg("%s: '%s', not '%s'", text, said, expect);
	import_free(&imp);
	acl_free(&a);
}

#define DENY(type, topic) RULE(type, topic, "false", "1")
#define DEFAULT_RECEIVE(rules)                                                 \
	"{'defaultACLAccess':{'publishClientReceive':true},"                   \
	"'clients':[{'username':'aa','roles':[{'rolename':'r'}]}],"            \
	"'roles':[" ROLE("r", rules) "]}"

static void test_rights(void **state)
{
	(void)state;
	check(ONE(SEND("a/#")), " >a/#");
	/* What is delivered needs both. */
	check(ONE(RECV("a/#")), "");
	check(ONE(SUB("a/#")), "");
	check(ONE(RECV("a/#") "," SUB("+/b")), " <a/b");
	check(ONE(RECV("a") "," SUB("b")), "");
	check(DEFAULT_RECEIVE(SUB("a/+")), " <a/+");
	check(DEFAULT_RECEIVE(SUB("$SYS/#")), " <$SYS/#");
	check(DEFAULT_RECEIVE(SUB("$CONTROL/x")), "");
	check(ONE(RECV("#") "," SUB("$SYS/#")), "");
	check(ONE(RECV("$SYS/#") "," SUB("#")), " <$SYS/#");
	check(ONE(RECV("$SYS/#") "," RULE(
		      "subscribeLiteral", "#", "true", "0")),
		"");
}

static void test_denies(void **state)
{
	(void)state;
	/* A deny is of its own kind alone. */
	check(ONE(SEND("a") "," DENY("publishClientReceive", "a")), " >a");
	check(ONE(SEND("a") "," DENY("publishClientSend", "+")), "");
	check(ONE(SEND("+") "," DENY("publishClientSend", "a")),
		" !roles[0].acls[0]");
	check(ONE(SEND("+") "," RULE("publishClientSend", "a", "false", "-1")),
		" >+");
	/* It holds for what both allow, not for each. */
	check(DEFAULT_RECEIVE(SUB("a/#") "," DENY("publishClientReceive", "b")),
		" <a/#");
	check(DEFAULT_RECEIVE(
		      SUB("a/#") "," DENY("publishClientReceive", "a/b")),
		" !defaultACLAccess.publishClientReceive");
	check(DEFAULT_RECEIVE(SUB("a/#") "," DENY("subscribePattern", "a/b")),
		" !roles[0].acls[0]");
	check(DEFAULT_RECEIVE(SUB("a/+") "," DENY("subscribePattern", "#")),
		"");
	check(DEFAULT_RECEIVE(SUB("$SYS/#") "," DENY("subscribePattern", "#")),
		" !roles[0].acls[0]");
}

static void test_literals(void **state)
{
	(void)state;
	/* A literal is of one text. */
	check(DEFAULT_RECEIVE(SUB("a/#") "," DENY("subscribeLiteral", "#")),
		" <a/#");
	check(DEFAULT_RECEIVE(SUB("a/#") "," DENY("subscribeLiteral", "a/+")),
		" !roles[0].acls[0]");
	check(DEFAULT_RECEIVE(SUB("a/b") "," DENY("subscribeLiteral", "a/b")),
		"");
	check(DEFAULT_RECEIVE(SUB("a/+") "," DENY("subscribeLiteral", "a/+")),
		" !roles[0].acls[0]");
	/* What is denied by another role is not allowed for a part of it. */
	check("{'clients':[{'username':'aa','roles':[{'rolename':'r'},"
	      "{'rolename':'q','priority':3}]}],'roles':[" ROLE(
		      "r", RECV("c") "," RULE("subscribeLiteral", "+", "true",
				   "0")) "," ROLE("q",
		      RULE("subscribeLiteral", "+", "false", "0")) "]}",
		"");
	/* SUBSCRIBE "+" passes, though "a" alone would not. */
	check(ONE(RECV("a") "," SUB("+") "," DENY("subscribePattern", "a")),
		" !roles[0].acls[1]");
	/* Denies of SUBSCRIBE hold one by one. */
	check(DEFAULT_RECEIVE(SUB("+/#") "," DENY("subscribePattern",
		      "+") "," DENY("subscribePattern", "+/+/#")),
		" !roles[0].acls[0]");
	check("{'clients':[{'username':'a b'},{'username':'c',"
	      "'disabled':true}]}",
		" !clients[0] !clients[1]");
	check("{" NAMED ",'anonymousGroup':'g','groups':[{'groupname':'g',"
	      "'roles':[{'rolename':'b'}]}]}",
		" !roles[1].acls[0]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_is),
		cmocka_unit_test(test_meet),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_denies),
		cmocka_unit_test(test_literals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
