/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_json_parse() over the files of tests/table/policy: NAME.json, and for
 * one that must be refused NAME.err, whose lines are the starts of all errors
 * in order, as `line:col: place: message`. Every text ends at a guard page.
 */
#include "core/decide.h"
#include "io/policy_json.h"
#include "io/policy_keys.h"
#include "tests/support/guard.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define FILE_MAX ((size_t)64 * 1024)
#define TABLE    WEIR_SOURCE_DIR "/tests/table/policy"

static struct guard guard;

/* The bytes of PATH, NUL terminated, lent until the next call; p is NULL when
 * there is no such file. */
static struct str read_file(const char *path)
{
	static char bytes[FILE_MAX + 1];
	FILE *f = fopen(path, "rb");
	struct str s = {NULL, 0};

	if (f == NULL)
		return s;
	s = (struct str){bytes, fread(bytes, 1, FILE_MAX, f)};
	assert_true(s.n < FILE_MAX);
	bytes[s.n] = '\0';
	(void)fclose(f);
	return s;
}

static void format(const struct err *e, char *out, size_t cap)
{
	char at[32] = "";

	if (e->line != 0)
		(void)snprintf(at, sizeof(at), "%u:%u: ", e->line, e->col);
	(void)snprintf(out, cap, "%s%s%s%s", at, e->place,
		e->place[0] != '\0' ? ": " : "", e->msg);
}

static void check_errors(
	const char *name, struct str expected, const struct errs *errs)
{
	char got[ERR_PLACE_MAX + ERR_MSG_MAX + 64];
	const char *line = expected.p;
	size_t i = 0;

	for (; *line != '\0'; i++) {
		size_t n = strcspn(line, "\n");

		if (i == errs->n)
			fail_msg("%s: no error for: %.*s", name, (int)n, line);
		format(&errs->e[i], got, sizeof(got));
		if (errs->e[i].code != ERR_INPUT || strncmp(got, line, n) != 0)
			fail_msg("%s: got: %s\n  expected: %.*s", name, got,
				(int)n, line);
		line += n + (line[n] == '\n');
	}
	if (i < errs->n) {
		format(&errs->e[i], got, sizeof(got));
		fail_msg("%s: unexpected: %s", name, got);
	}
}

/* One NAME.json with its NAME.err; returns whether it was to be refused. */
static bool check_case(const char *name)
{
	struct policy *policy = NULL;
	struct errs errs;
	char path[512], got[ERR_PLACE_MAX + ERR_MSG_MAX + 64];
	struct str text, expected;
	bool ok;

	(void)snprintf(path, sizeof(path), TABLE "/%s.json", name);
	text = guard_put(&guard, read_file(path));
	(void)snprintf(path, sizeof(path), TABLE "/%s.err", name);
	expected = read_file(path);
	memset(&errs, 0xA5, sizeof(errs));
	ok = policy_json_parse(text, &policy, &errs);
	assert_int_equal(ok, policy != NULL);
	if (expected.p != NULL) {
		if (ok)
			fail_msg("%s: accepted", name);
		check_errors(name, expected, &errs);
		return true;
	}
	if (!ok) {
		format(&errs.e[0], got, sizeof(got));
		fail_msg("%s: refused: %s", name, got);
	}
	assert_int_equal(errs.n, 0);
	policy_free(&policy);
	return false;
}

static void test_table(void **state)
{
	DIR *dir = opendir(TABLE);
	const struct dirent *entry;
	size_t n[2] = {0, 0};

	(void)state;
	assert_non_null(dir);
	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);
		char name[256];

		if (len < 6 || strcmp(entry->d_name + len - 5, ".json") != 0)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)len - 5,
			entry->d_name);
		n[check_case(name)]++;
	}
	(void)closedir(dir);
	assert_true(n[0] >= 3 && n[1] >= 50);
}

static struct policy *parse(const char *text)
{
	struct policy *policy = NULL;
	struct errs errs;

	if (!policy_json_parse(
		    guard_put(&guard, str_from(text)), &policy, &errs))
		fail_msg("%s: %s", errs.e[0].place, errs.e[0].msg);
	return policy;
}

static enum reason ask(const struct policy *policy, enum action action,
	const char *topic, uint8_t qos, bool retain, uint32_t len)
{
	struct device device = {.id = "d1",
		.id_len = 2,
		.class_name = "meter",
		.status = DEVICE_ACTIVE};
	struct subject who = {.device = &device,
		.class = policy_class_find(policy, STR("meter")),
		.barred = REASON_ALLOWED};
	struct request what = {.action = action,
		.qos = qos,
		.retain = retain,
		.payload_len = len,
		.topic = str_from(topic),
		.now_s = 1700000000};

	return decide(policy, &who, &what).reason;
}

/* What docs/POLICY.md promises for what a rule leaves out. */
static void test_defaults(void **state)
{
	struct policy *p = parse(
		"{\"version\":1,\"classes\":{\"meter\":{\"publish\":[\"p\","
		"{\"topic\":\"o\"}],\"subscribe\":[\"s\",{\"topic\":\"t\"}]}}"
		"}");
	const char *const publish[] = {"p", "o"}, *const subscribe[] = {
							  "s", "t"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(p, ACTION_PUBLISH, publish[i], 1, false,
					 POLICY_BYTES_MAX),
			REASON_ALLOWED);
		assert_int_equal(
			ask(p, ACTION_PUBLISH, publish[i], 2, false, 0),
			REASON_QOS);
		assert_int_equal(ask(p, ACTION_PUBLISH, publish[i], 0, true, 0),
			REASON_RETAIN);
		assert_int_equal(
			ask(p, ACTION_SUBSCRIBE, subscribe[i], 2, false, 0),
			REASON_ALLOWED);
	}
	assert_int_equal(
		policy_class_on_deny(policy_class_at(p, 0)), ON_DENY_DROP);
	policy_free(&p);
}

static void test_values(void **state)
{
	struct policy *p = parse(
		"{\"version\":1,\"classes\":{\"other\":{},\"meter\":{"
		"\"on_deny\":\"disconnect\",\"publish\":[{\"topic\":\"p\","
		"\"max_qos\":2,\"retain\":true,\"max_bytes\":4}],"
		"\"subscribe\":[{\"topic\":\"s\",\"max_qos\":0,"
		"\"shared\":[\"g\"]}]}}}");

	(void)state;
	assert_int_equal(policy_n_classes(p), 2);
	assert_true(
		str_eq(policy_class_name(policy_class_at(p, 1)), STR("meter")));
	assert_int_equal(policy_class_on_deny(policy_class_at(p, 1)),
		ON_DENY_DISCONNECT);
	assert_int_equal(
		ask(p, ACTION_PUBLISH, "p", 2, true, 4), REASON_ALLOWED);
	assert_int_equal(ask(p, ACTION_PUBLISH, "p", 2, true, 5), REASON_SIZE);
	assert_int_equal(
		ask(p, ACTION_SUBSCRIBE, "s", 1, false, 0), REASON_QOS);
	assert_int_equal(ask(p, ACTION_SUBSCRIBE, "$share/g/s", 0, false, 0),
		REASON_ALLOWED);
	assert_int_not_equal(
		ask(p, ACTION_SUBSCRIBE, "$share/h/s", 0, false, 0),
		REASON_ALLOWED);
	policy_free(&p);
}

/* The first 20 errors, and that there are more. */
static void test_many_errors(void **state)
{
	char text[4096];
	struct policy *policy = NULL;
	struct errs errs;
	int n = snprintf(text, sizeof(text),
		"{\"version\":1,\"classes\":{\"m\":{\"publish\":[0");

	(void)state;
	for (int i = 1; i <= ERRS_MAX; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ",0");
	(void)snprintf(text + n, sizeof(text) - (size_t)n, "]}}}");
	assert_false(policy_json_parse(str_from(text), &policy, &errs));
	assert_null(policy);
	assert_int_equal(errs.n, ERRS_MAX);
	assert_true(errs.more);
	assert_string_equal(
		errs.e[ERRS_MAX - 1].place, "classes.m.publish[19]");
}

/* ------------------------------------------------- schema and page agree */

#define KEY_NAME(name, required, function) {name, required},

struct key {
	const char *name;
	bool required;
};

static const struct key TOP[] = {POLICY_TOP_KEYS(KEY_NAME){NULL, false}};
static const struct key CLASS[] = {POLICY_CLASS_KEYS(KEY_NAME){NULL, false}};
static const struct key QUARANTINE[] = {
	POLICY_QUARANTINE_KEYS(KEY_NAME){NULL, false}};
static const struct key PUBLISH[] = {
	POLICY_PUBLISH_KEYS(KEY_NAME){NULL, false}};
static const struct key SUBSCRIBE[] = {
	POLICY_SUBSCRIBE_KEYS(KEY_NAME){NULL, false}};
static const struct key LIMIT[] = {POLICY_LIMITS_KEYS(KEY_NAME){NULL, false}};
static const struct key UNKNOWN[] = {
	POLICY_UNKNOWN_KEYS(KEY_NAME){NULL, false}};
static const struct key SIM[] = {POLICY_SIM_KEYS(KEY_NAME){NULL, false}};

static const struct {
	const char *definition; /* in the schema's $defs; NULL: the top */
	const struct key *keys;
} OBJECTS[] = {
	{NULL, TOP},
	{"class", CLASS},
	{"quarantine", QUARANTINE},
	{"publishRule", PUBLISH},
	{"subscribeRule", SUBSCRIBE},
	{"sim", SIM},
	{"limits", LIMIT},
	{"unknown", UNKNOWN},
};
#define N_OBJECTS (sizeof(OBJECTS) / sizeof(OBJECTS[0]))

static bool lists(const cJSON *array, const char *word)
{
	const cJSON *element;

	cJSON_ArrayForEach (element, array) {
		if (strcmp(element->valuestring, word) == 0)
			return true;
	}
	return false;
}

static void check_definition(const cJSON *schema, const struct key *keys)
{
	const cJSON *properties =
		cJSON_GetObjectItemCaseSensitive(schema, "properties");
	const cJSON *required =
		cJSON_GetObjectItemCaseSensitive(schema, "required");
	int n = 0;

	assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(
		schema, "additionalProperties")));
	for (; keys[n].name != NULL; n++) {
		const cJSON *p = cJSON_GetObjectItemCaseSensitive(
			properties, keys[n].name);

		if (p == NULL)
			fail_msg("the schema lacks %s", keys[n].name);
		assert_int_equal(
			lists(required, keys[n].name), keys[n].required);
	}
	assert_int_equal(cJSON_GetArraySize(properties), n);
}

static void test_schema_keys(void **state)
{
	struct str text =
		read_file(WEIR_SOURCE_DIR "/broker-conf/policy.schema.json");
	cJSON *schema = cJSON_ParseWithLength(text.p, text.n);
	const cJSON *defs = cJSON_GetObjectItemCaseSensitive(schema, "$defs");

	(void)state;
	assert_non_null(schema);
	for (size_t i = 0; i < N_OBJECTS; i++)
		check_definition(OBJECTS[i].definition == NULL
					 ? schema
					 : cJSON_GetObjectItemCaseSensitive(
						   defs, OBJECTS[i].definition),
			OBJECTS[i].keys);
	cJSON_Delete(schema);
}

static const char *read_page(void)
{
	struct str page = read_file(WEIR_SOURCE_DIR "/docs/POLICY.md");

	if (page.p == NULL)
		fail_msg("no docs/POLICY.md");
	return page.p != NULL ? page.p : "";
}

/* The page's example, its first indented block, is a policy. */
static void test_page_example(void **state)
{
	const char *line = strstr(read_page(), "\n    {\n");
	char text[4096] = "";
	struct policy *p;
	size_t n = 0;

	(void)state;
	assert_non_null(line);
	for (line++; strncmp(line, "    ", 4) == 0; line++) {
		size_t len = strcspn(line, "\n") + 1;

		assert_true(n + len < sizeof(text));
		memcpy(text + n, line, len);
		n += len;
		line += len - 1;
	}
	p = parse(text);
	assert_int_equal(policy_n_classes(p), 2);
	policy_free(&p);
}

/* Every one of KEYS has a row of a table in PAGE: "| `key` |". */
static void check_rows(const char *page, const struct key *keys)
{
	char row[64];

	for (; keys->name != NULL; keys++) {
		(void)snprintf(row, sizeof(row), "\n| `%s` |", keys->name);
		if (strstr(page, row) == NULL)
			fail_msg("docs/POLICY.md lacks %s", keys->name);
	}
}

static void test_page_keys(void **state)
{
	const char *page = read_page();

	(void)state;
	for (size_t i = 0; i < N_OBJECTS; i++)
		check_rows(page, OBJECTS[i].keys);
}

/* The page's table of reasons is REASONS, in its order. */
static void test_page_reasons(void **state)
{
	static const char HEAD[] = "\n| reason | meaning |\n|---|---|\n";
	const char *p = strstr(read_page(), HEAD);
	char row[256];

	(void)state;
	assert_non_null(p);
	p += sizeof(HEAD) - 1;
	for (int r = 0; r < REASON_COUNT; r++) {
		int n = snprintf(row, sizeof(row), "| `%s` | %s |\n",
			reason_name((enum reason)r),
			reason_text((enum reason)r));

		if (strncmp(p, row, (size_t)n) != 0)
			fail_msg("expected: %s", row);
		p += n;
	}
	assert_int_not_equal(*p, '|');
}

static int setup(void **state)
{
	(void)state;
	guard_init(&guard, FILE_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guard_fini(&guard);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_many_errors),
		cmocka_unit_test(test_schema_keys),
		cmocka_unit_test(test_page_example),
		cmocka_unit_test(test_page_keys),
		cmocka_unit_test(test_page_reasons),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
