/* SPDX-License-Identifier: Apache-2.0 */
/* Policies and attributes, from text to verdict, while memory runs out. */
#include "core/decide.h"
#include "core/explain.h"
#include "core/learn.h"
#include "core/seen_write.h"
#include "io/acl_file.h"
#include "io/attrs_json.h"
#include "io/dynsec_json.h"
#include "io/policy_json.h"
#include "tests/support/check.h"
#include "tests/torture/alloc.h"
#include "tests/torture/torture.h"

static const char good[] =
	"{\"version\": 1, \"classes\": {"
	"\"base\": {\"publish\": [\"base/${device}/#\"]},"
	"\"meter\": {\"include\": [\"base\"],"
	" \"client_ids\": [\"${device}\", \"${device}/*\"],"
	" \"sim\": {\"require\": [\"imei\"]},"
	" \"publish\": [\"v1/${class}/${device}/up\","
	"  {\"topic\": \"site/${attr.site}/+\", \"max_qos\": 2,"
	"   \"max_bytes\": 100}],"
	" \"subscribe\": [\"v1/${device}/down/#\","
	"  {\"topic\": \"jobs/+\", \"shared\": [\"g1\", \"g2\"]}]}},"
	"\"quarantine\": {\"publish\": [\"q/${device}\"]}}";

/* The POINTER that no call may write when it fails. */
static char poison;
#define UNTOUCHED ((void *)&poison)

/* --------------------------------------------------------------- a verdict */

static void check_verdict(const struct policy *p, const char *topic,
	enum action action, bool want)
{
	struct attr site = {STR("site"), STR("leeds")};
	struct device d = {.id = "dev-1",
		.class_name = "meter",
		.id_len = 5,
		.status = DEVICE_ACTIVE,
		.n_attrs = 1,
		.attrs = &site};
	struct subject who = {.device = &d,
		.class = policy_class_find(p, STR("meter")),
		.barred = REASON_ALLOWED};
	struct request what = {.action = action, .topic = str_from(topic)};
	uint64_t before = alloc_count();
	struct decision decision = decide(p, &who, &what);

	CHECK((decision.verdict == VERDICT_ALLOWED) == want);
	CHECK(alloc_count() == before);
}

static void check_policy(const struct policy *p)
{
	size_t n = 77;
	uint32_t *rules;

	check_verdict(p, "v1/meter/dev-1/up", ACTION_PUBLISH, true);
	check_verdict(p, "v1/meter/dev-2/up", ACTION_PUBLISH, false);
	check_verdict(p, "base/dev-1/x/y", ACTION_PUBLISH, true);
	check_verdict(p, "site/leeds/t", ACTION_PUBLISH, true);
	check_verdict(p, "site/york/t", ACTION_PUBLISH, false);
	check_verdict(p, "v1/dev-1/down/#", ACTION_SUBSCRIBE, true);
	check_verdict(p, "$share/g2/jobs/+", ACTION_SUBSCRIBE, true);
	check_verdict(p, "$share/g3/jobs/+", ACTION_SUBSCRIBE, false);
	check_verdict(p, "#", ACTION_SUBSCRIBE, false);
	rules = explain_rules(
		p, policy_class_find(p, STR("meter")), ACTION_PUBLISH, &n);
	CHECK(rules != NULL ? n == 3 : alloc_fired());
	free(rules);
}

static void good_run(void)
{
	struct policy *p = UNTOUCHED;
	struct errs errs;

	if (policy_json_parse(STR(good), &p, &errs)) {
		CHECK(errs.n == 0);
		check_policy(p);
		policy_free(&p);
		CHECK(p == NULL);
		return;
	}
	if (!alloc_fired())
		check_failed(__FILE__, __LINE__, "accepted", errs.e[0].msg);
	CHECK(p == UNTOUCHED);
	CHECK(errs.n >= 1 && errs.n <= ERRS_MAX);
	for (size_t i = 0; i < errs.n; i++) {
		CHECK(check_report(&errs.e[i]));
		/* The text is good: no report may blame it. */
		CHECK(errs.e[i].code == ERR_ENVIRONMENT);
	}
}

const struct scenario POLICY_GOOD = {.name = "policy", .run = good_run};

/* ------------------------------------------------------- what must not pass */

static void bad_run(void)
{
	static const char *const bad[] = {
		"{\"version\": 1, \"classes\": {\"a\": {}, \"a\": {}}}",
		"{\"version\": 1, \"classes\": {\"a\": {\"publish\": "
		"[\"x\", \"x\"]}}}",
		"{\"version\": 1, \"classes\": {\"a\": {\"publish\": "
		"[{\"topic\": \"x\", \"max_qos\": 3, \"nonsense\": 1}]}}}",
		"{\"version\": 1, \"classes\": {\"a\": {\"include\": [\"b\"]},"
		" \"b\": {\"include\": [\"a\"]}}}",
		"{\"version\": 1, \"classes\": {\"a\": {\"sim\": {\"require\":"
		" [\"imie\"]}}}}",
		"{\"version\": 1, \"classes\": {\"a\": {\"publish\": "
		"[\"${attr.a}${attr.a}/b\", \"a+/b\", \"$share/g/x\"]}}}",
		"{\"version\": 1, \"classes\": {}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct policy *p = UNTOUCHED;
		struct errs errs;

		CHECK(!policy_json_parse(str_from(bad[i]), &p, &errs));
		CHECK(p == UNTOUCHED);
		CHECK(errs.n >= 1 && check_report(&errs.e[0]));
	}
}

const struct scenario POLICY_BAD = {.name = "policy_bad", .run = bad_run};

/* -------------------------------------------------------------- attributes */

static void check_attrs(const struct attr *a, uint16_t n)
{
	char *text = UNTOUCHED;
	struct err e = {0};

	CHECK(n == 3 && str_eq(a[0].name, STR("group")) &&
		str_eq(a[0].value, STR("b")) && str_eq(a[1].value, STR("a")) &&
		str_eq(a[2].value, STR("leeds-3")));
	if (!torture_done(attrs_json_format(a, n, &text, &e), &e)) {
		CHECK(text == UNTOUCHED);
		return;
	}
	CHECK(strcmp(text, "{\"group\":[\"b\",\"a\"],\"site\":\"leeds-3\"}") ==
		0);
	free(text);
}

static void attrs_run(void)
{
	struct attr *a = UNTOUCHED;
	char *bytes = UNTOUCHED;
	uint16_t n = 77;
	struct err e = {0};

	CHECK(!attrs_json_parse(
		STR("{\"a\": \"x\", \"a\": \"x\"}"), &a, &n, &bytes, &e));
	CHECK(!attrs_json_parse(
		STR("{\"a\": [\"x\", \"x/y\"]}"), &a, &n, &bytes, &e));
	CHECK(check_report(&e));
	CHECK(a == UNTOUCHED && bytes == UNTOUCHED && n == 77);
	if (!torture_done(
		    attrs_json_parse(STR("{\"site\": \"leeds-3\", \"group\": "
					 "[\"b\", \"a\"]}"),
			    &a, &n, &bytes, &e),
		    &e)) {
		CHECK(a == UNTOUCHED && bytes == UNTOUCHED && n == 77);
		return;
	}
	check_attrs(a, n);
	free(a);
	free(bytes);
}

const struct scenario ATTRS = {.name = "attrs", .run = attrs_run};

/* ---------------------------------------------------------------- acl_file */

static void acl_run(void)
{
	char text[2048];
	size_t n = 0;
	struct acl a = {.n = 77};
	struct err e = {0};

	/* More users and rules than the lists begin with. */
	for (int i = 0; i < 70; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			"user u%d\ntopic read a\n", i);
	CHECK(n < sizeof(text));
	CHECK(!acl_file_parse(STR("user u\ntopic a\ntopic a+\n"), &a, &e));
	CHECK(check_report(&e) && a.n == 77);
	if (!torture_done(acl_file_parse((struct str){text, n}, &a, &e), &e)) {
		CHECK(a.n == 77);
		return;
	}
	CHECK(a.n == 70 && a.n_users == 71 && a.first_pattern == 70);
	acl_free(&a);
}

static void dynsec_run(void)
{
	static const char text[] =
		"{\"defaultACLAccess\":{\"subscribe\":true},\"clients\":["
		"{\"username\":\"u\",\"roles\":[{\"rolename\":\"r\"}]}],"
		"\"groups\":[{\"groupname\":\"g\",\"roles\":["
		"{\"rolename\":\"r\"}],\"clients\":[{\"username\":\"u\"}]}],"
		"\"roles\":[{\"rolename\":\"r\",\"acls\":[{\"acltype\":"
		"\"publishClientSend\",\"topic\":\"a\",\"allow\":true}]}]}";
	struct acl a = {.n = 77};
	struct errs errs = {.n = 0};

	if (!torture_done(
		    dynsec_json_parse(str_from(text), &a, &errs), &errs.e[0])) {
		CHECK(a.n == 77);
		return;
	}
	CHECK(a.n == 3 && a.n_users == 2 && a.users[1].n == 3);
	acl_free(&a);
}

const struct scenario DYNSEC = {.name = "dynsec_json", .run = dynsec_run};

const struct scenario ACL_LIST = {.name = "acl_file", .run = acl_run};

/* ------------------------------------------------------------------- learning */

#define LEARNING 40

static void learn_run(void)
{
	static const struct learn_options options = {
		LEARN_MANY, LEARN_SHARE_PCT, false};
	static struct device device[2] = {
		{.id = "dev-1", .id_len = 5}, {.id = "dev-2", .id_len = 5}};
	struct observation o[LEARNING];
	char topic[LEARNING][16];
	struct learned_set set = {.n = 77};
	struct err e = {0};

	for (int i = 0; i < LEARNING; i++) {
		(void)snprintf(topic[i], sizeof(topic[i]), "a/dev-%d/%d",
			i % 2 + 1, i);
		o[i] = (struct observation){.device = &device[i % 2],
			.action = ACTION_PUBLISH,
			.topic = str_from(topic[i]),
			.messages = 1};
	}
	if (!torture_done(learn(o, LEARNING, &options, &set, &e), &e)) {
		CHECK(set.n == 77);
		return;
	}
	CHECK(set.n_rules == 1 && set.n == 1);
	CHECK(strcmp(set.item[0].topic, "a/${device}/+") == 0);
	learned_fini(&set);
}

const struct scenario LEARN = {.name = "learn", .run = learn_run};

/* The record's memory, which is a file's otherwise. */
static _Alignas(8) char record[SEEN_SIZE];

static void record_before(void)
{
	memset(record, 0, sizeof(record));
	seen_format(record, 1);
}

static void record_run(void)
{
	struct request what = {.action = ACTION_PUBLISH, .topic = STR("t")};
	struct seen_writer w;
	uint64_t before;

	if (!seen_writer_init(&w, record))
		return;
	before = alloc_count();
	seen_record(&w, seen_device(&w, STR("d")), &what, REASON_NO_RULE);
	CHECK(alloc_count() == before);
	CHECK(seen_requests(record) == 1);
	seen_writer_fini(&w);
}

const struct scenario RECORD = {
	.name = "record", .before = record_before, .run = record_run};
