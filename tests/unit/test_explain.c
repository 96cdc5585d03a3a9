/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What weir explain says of a refusal: the level that differs, and a rule that
 * does allow it when it is put into the policy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/explain.h"
#include "tests/support/rng.h"

#include <stdio.h>
#include <stdlib.h>

static struct attr attrs[] = {
	{{"site", 4}, {"s9", 2}},
	{{"zone", 4}, {"north", 5}},
	{{"zone", 4}, {"south", 5}},
};
static const struct device till = {
	.id = "till-7",
	.id_len = 6,
	.class_name = "till",
	.status = DEVICE_ACTIVE,
	.sim = {[SIMID_IMSI] = {SIMID_IMSI, 15, "234150123456789"}},
	.n_attrs = 3,
	.attrs = attrs,
};

static struct rule_spec rule(const char *topic)
{
	return (struct rule_spec){
		str_from(topic), 1, false, POLICY_BYTES_MAX, NULL, 0};
}

/* ----------------------------------------------------------------- levels */

static const struct {
	const char *template, *topic;
	uint32_t level;                 /* 0: no difference */
	const char *rule_at, *topic_at; /* NULL: it ends there */
} levels[] = {
	{"a/b", "a/b", 0, NULL, NULL},
	{"a/+", "a/b", 0, NULL, NULL},
	{"a/#", "a", 0, NULL, NULL},
	{"a/#", "a/b/c", 0, NULL, NULL},
	{"a/#", "a/#", 0, NULL, NULL},
	{"a/+/#", "a/+", 0, NULL, NULL},
	{"pay/${device}/x", "pay/till-7/x", 0, NULL, NULL},
	{"p-${device}/#", "p-till-7", 0, NULL, NULL},
	{"${attr.zone}/b", "south/b", 0, NULL, NULL},
	{"${attr.zone}/x/${attr.zone}", "south/x/south", 0, NULL, NULL},
	{"$SYS/#", "$SYS/x", 0, NULL, NULL},
	{"a/", "a/", 0, NULL, NULL},
	{"a/b", "a/c", 2, "b", "c"},
	{"a/b", "x/b", 1, "a", "x"},
	{"a/b/c", "a/b", 3, "c", NULL},
	{"a/b", "a/b/c", 3, NULL, "c"},
	{"a", "a/", 2, NULL, ""},
	{"a/", "a", 2, "", NULL},
	{"a/+", "a/#", 2, "+", "#"},
	{"a/b", "a/+", 2, "b", "+"},
	{"a/+/+", "a/#", 2, "+", "#"},
	{"+", "$SYS", 1, "+", "$SYS"},
	{"#", "$SYS/x", 1, "#", "$SYS"},
	{"pay/${device}/x", "pay/till-8/x", 2, "${device}", "till-8"},
	{"pay/${device}/x", "pay/+/x", 2, "${device}", "+"},
	{"${iccid}", "x", 1, "${iccid}", "x"},
	{"${attr.none}/b", "south/b", 1, "${attr.none}", "south"},
	{"${attr.zone}/x/${attr.zone}", "south/x/north", 3, "${attr.zone}",
		"north"},
	{"${attr.zone}/x/${attr.zone}/y", "south/x/north/y", 3, "${attr.zone}",
		"north"},
};

static void same_level(
	const char *what, bool ends, struct str is, const char *expect)
{
	if (ends != (expect == NULL) ||
		(!ends && !str_eq(is, str_from(expect))))
		fail_msg("%s: '%.*s', not '%s'", what, STR_ARG(is),
			expect != NULL ? expect : "(end)");
}

static void test_levels(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		struct explain_level at;

		explain_level(str_from(levels[i].template), &till,
			str_from(levels[i].topic), &at);
		if (at.level != levels[i].level)
			fail_msg("%s against %s: level %u, not %u",
				levels[i].topic, levels[i].template, at.level,
				levels[i].level);
		if (at.level == 0)
			continue;
		same_level(levels[i].template, at.rule_ends, at.rule,
			levels[i].rule_at);
		same_level(levels[i].topic, at.topic_ends, at.topic,
			levels[i].topic_at);
	}
}

static void test_other_value(void **state)
{
	struct explain_level at;

	(void)state;
	explain_level(STR("${attr.zone}/${attr.zone}"), &till,
		STR("south/north"), &at);
	assert_true(at.other_value);
	explain_level(STR("${attr.zone}/${attr.zone}"), &till,
		STR("south/west"), &at);
	assert_false(at.other_value);
}

/* ----------------------------------------------------------------- expand */

static const struct {
	const char *text;
	bool mask;
	const char *expect, *missing;
} expansions[] = {
	{"pay/+/#", false, "pay/+/#", ""},
	{"pay/${device}/${class}", false, "pay/till-7/till", ""},
	{"${imsi}/x", false, "234150123456789/x", ""},
	{"${imsi}/x", true, "234150*******89/x", ""},
	{"${attr.site}", false, "s9", ""},
	{"a/z-${attr.zone}/b", false, "a/z-{north|south}/b", ""},
	{"a/${iccid}/b", false, "a/${iccid}/b", "iccid"},
	{"a/x${attr.none}/b", false, "a/x${attr.none}/b", "attr.none"},
	{"", false, "", ""},
	{"a//", false, "a//", ""},
};

static void test_expand(void **state)
{
	struct str missing;
	char out[64];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(expansions) / sizeof(expansions[0]); i++) {
		n = explain_expand(str_from(expansions[i].text), &till,
			expansions[i].mask, out, sizeof(out), &missing);
		assert_string_equal(out, expansions[i].expect);
		assert_int_equal(n, strlen(out));
		assert_true(str_eq(missing, str_from(expansions[i].missing)));
	}
	n = explain_expand(
		STR("pay/${device}"), &till, false, out, 6, &missing);
	assert_int_equal(n, 10);
	assert_string_equal(out, "pay/t");
	assert_int_equal(explain_expand(STR("${device}"), &till, false, NULL, 0,
				 &missing),
		6);
}

/* ---------------------------------------------------------------- suggest */

static struct policy *compile(const struct rule_spec *publish, size_t n_publish,
	const struct rule_spec *subscribe, size_t n_subscribe)
{
	const struct class_spec class = {
		.name = STR("till"),
		.publish = publish,
		.n_publish = n_publish,
		.subscribe = subscribe,
		.n_subscribe = n_subscribe,
	};
	const struct policy_spec spec = {.classes = &class, .n_classes = 1};
	struct policy *p = NULL;
	struct errs errs = {0};

	if (!policy_compile(&spec, &p, &errs))
		fail_msg("%s: %s", errs.e[0].place, errs.e[0].msg);
	return p;
}

static struct subject who_is(const struct policy *p)
{
	return (struct subject){.device = &till,
		.class = policy_class_find(p, STR("till")),
		.barred = REASON_ALLOWED};
}

static const struct {
	const char *rule; /* publish and subscribe, at the defaults */
	const char *topic;
	const char *expect; /* "": none */
	enum action action;
	enum reason reason;
	uint8_t qos;
	bool retain, instead;
} suggestions[] = {
	{"pay/${device}/status", "pay/till-8/status", "\"pay/till-8/status\"",
		ACTION_PUBLISH, REASON_NO_RULE, 1, false, false},
	{"pay/${device}/status", "pay/till-7/stat", "\"pay/${device}/stat\"",
		ACTION_PUBLISH, REASON_NO_RULE, 1, false, false},
	{"pay/${device}/status", "pay/till-7/status",
		"{\"topic\": \"pay/${device}/status\", \"max_qos\": 2}",
		ACTION_PUBLISH, REASON_QOS, 2, false, true},
	{"pay/${device}/status", "pay/till-7/status",
		"{\"topic\": \"pay/${device}/status\", \"retain\": true}",
		ACTION_PUBLISH, REASON_RETAIN, 0, true, true},
	{"x", "y/till-7",
		"{\"topic\": \"y/${device}\", \"max_qos\": 2, \"retain\": "
		"true}",
		ACTION_PUBLISH, REASON_NO_RULE, 2, true, false},
	{"x", "gw-till-7/v", "\"gw-${device}/v\"", ACTION_PUBLISH,
		REASON_NO_RULE, 0, false, false},
	{"x", "till-77/v", "\"till-77/v\"", ACTION_PUBLISH, REASON_NO_RULE, 0,
		false, false},
	{"x", "a/north/234150123456789", "\"a/${attr.zone}/${imsi}\"",
		ACTION_PUBLISH, REASON_NO_RULE, 0, false, false},
	{"x", "north/south", "\"north/south\"", ACTION_PUBLISH, REASON_NO_RULE,
		0, false, false},
	{"notice/${class}/a", "notice/till/b", "\"notice/${class}/b\"",
		ACTION_PUBLISH, REASON_NO_RULE, 0, false, false},
	{"x", "q\"\\", "\"q\\\"\\\\\"", ACTION_PUBLISH, REASON_NO_RULE, 0,
		false, false},
	{"x", "${device}", "", ACTION_PUBLISH, REASON_NO_RULE, 0, false, false},
	{"x", "a/${oops}", "", ACTION_PUBLISH, REASON_NO_RULE, 0, false, false},
	{"x", "a/+", "", ACTION_PUBLISH, REASON_MALFORMED, 0, false, false},
	{"x", "", "", ACTION_PUBLISH, REASON_MALFORMED, 0, false, false},
	{"pay/${device}/+", "pay/till-7/#", "\"pay/${device}/#\"",
		ACTION_SUBSCRIBE, REASON_FILTER_TOO_WIDE, 1, false, false},
	{"pay/${device}/+", "$share/g/pay/till-7/+",
		"{\"topic\": \"pay/${device}/+\", \"max_qos\": 1, \"shared\": "
		"[\"g\"]}",
		ACTION_SUBSCRIBE, REASON_NO_RULE, 1, false, true},
	{"x", "$share/g/y", "{\"topic\": \"y\", \"shared\": [\"g\"]}",
		ACTION_SUBSCRIBE, REASON_NO_RULE, 1, false, false},
	{"x", "$share/+/y", "", ACTION_SUBSCRIBE, REASON_MALFORMED, 1, false,
		false},
	{"x", "y", "\"y\"", ACTION_RECEIVE, REASON_NO_RULE, 2, true, false},
};

static void test_suggest(void **state)
{
	char out[EXPLAIN_SUGGEST_CAP];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(suggestions) / sizeof(suggestions[0]); i++) {
		const struct rule_spec r = rule(suggestions[i].rule);
		struct policy *p = compile(&r, 1, &r, 1);
		struct subject who = who_is(p);
		struct request what = {
			.action = suggestions[i].action,
			.topic = str_from(suggestions[i].topic),
			.qos = suggestions[i].qos,
			.retain = suggestions[i].retain,
		};
		struct decision d = decide(p, &who, &what);
		uint32_t instead;
		size_t n;

		assert_string_equal(reason_name(d.reason),
			reason_name(suggestions[i].reason));
		n = explain_suggest(p, &who, &what, &d, &instead, out);
		assert_string_equal(out, suggestions[i].expect);
		assert_int_equal(n, strlen(out));
		assert_int_equal(instead != RULE_NONE, suggestions[i].instead);
		policy_free(&p);
	}
}

static void test_no_suggestion(void **state)
{
	const struct rule_spec r = rule("x");
	struct policy *p = compile(&r, 1, &r, 1);
	struct subject who = who_is(p);
	struct request what = {.action = ACTION_PUBLISH, .topic = STR("x")};
	struct decision d = decide(p, &who, &what);
	char out[EXPLAIN_SUGGEST_CAP], *long_topic;
	uint32_t instead;

	(void)state;
	assert_int_equal(d.verdict, VERDICT_ALLOWED);
	assert_int_equal(explain_suggest(p, &who, &what, &d, &instead, out), 0);
	who.barred = REASON_CERTIFICATE_REVOKED;
	d = decide(p, &who, &what);
	assert_int_equal(explain_suggest(p, &who, &what, &d, &instead, out), 0);
	who.barred = REASON_ALLOWED;
	long_topic = malloc(POLICY_TEMPLATE_MAX + 1);
	assert_non_null(long_topic);
	memset(long_topic, 'a', POLICY_TEMPLATE_MAX + 1);
	what.topic = (struct str){long_topic, POLICY_TEMPLATE_MAX + 1};
	d = decide(p, &who, &what);
	assert_int_equal(d.reason, REASON_NO_RULE);
	assert_int_equal(explain_suggest(p, &who, &what, &d, &instead, out), 0);
	free(long_topic);
	policy_free(&p);
}

/* ------------------------------------- what is suggested does allow it */

/* The inverse of what explain_suggest writes, for what it can write here. */
static struct rule_spec parse_rule(char *json, bool publish, struct str *group)
{
	struct rule_spec r = rule("");
	char *topic, *end, *g;

	if (!publish)
		r.max_qos = 2;
	topic = json[0] == '"' ? json + 1 : json + sizeof("{\"topic\": ");
	end = strchr(topic, '"');
	assert_non_null(end);
	r.topic = (struct str){topic, (size_t)(end - topic)};
	end++;
	if (strstr(end, "\"max_qos\": 0") != NULL)
		r.max_qos = 0;
	if (strstr(end, "\"max_qos\": 1") != NULL)
		r.max_qos = 1;
	if (strstr(end, "\"max_qos\": 2") != NULL)
		r.max_qos = 2;
	r.retain = strstr(end, "\"retain\": true") != NULL;
	g = strstr(end, "\"max_bytes\": ");
	if (g != NULL)
		r.max_bytes = (uint32_t)strtoul(g + 13, NULL, 10);
	if (strstr(end, "[\"g\"]") != NULL) {
		*group = STR("g");
		r.shared = group;
		r.n_shared = 1;
	}
	return r;
}

static const char *const rule_levels[] = {"a", "b", "+", "${device}",
	"${attr.zone}", "x-${attr.site}", "${imsi}", "#"};
static const char *const topic_levels[] = {"a", "b", "till-7", "north", "south",
	"x-s9", "234150123456789", "", "$x", "+", "#"};

/* 1..4 of the N level texts; '#' only last. */
static struct str random_text(struct rng *g, const char *const *texts,
	unsigned n, char out[static 128])
{
	unsigned count = 1 + rng_below(g, 4), i;
	size_t len = 0;

	for (i = 0; i < count; i++) {
		unsigned last = i + 1 == count ? 0 : 1;
		const char *t = texts[rng_below(g, n - last)];
		int k = snprintf(
			out + len, 128 - len, "%s%s", i != 0 ? "/" : "", t);

		assert_true(k >= 0 && (size_t)k < 128 - len);
		len += (size_t)k;
	}
	return (struct str){out, len};
}

#define RULES 3

/* One random policy and request. */
struct trial {
	char rules[RULES][128], topic[160], suggest[EXPLAIN_SUGGEST_CAP];
	struct rule_spec list[RULES + 1];
	struct request what;
	uint32_t instead;
};

static void trial_make(struct rng *g, struct trial *t)
{
	char text[128];
	unsigned n_levels;
	size_t i;

	for (i = 0; i < RULES; i++) {
		t->list[i] = rule("");
		t->list[i].topic = random_text(g, rule_levels, 8, t->rules[i]);
		t->list[i].max_qos = (uint8_t)rng_below(g, 3);
		/* Distinct, or the same rule would stand there twice. */
		t->list[i].max_bytes = 500 + (uint32_t)i;
	}
	t->what = (struct request){
		.action = (enum action)(ACTION_PUBLISH + rng_below(g, 3)),
		.qos = (uint8_t)rng_below(g, 3),
		.retain = rng_below(g, 2) != 0,
		.payload_len = rng_below(g, 2000),
	};
	n_levels = t->what.action == ACTION_SUBSCRIBE ? 11 : 9;
	(void)random_text(g, topic_levels, n_levels, text);
	(void)snprintf(t->topic, sizeof(t->topic), "%s%s",
		t->what.action == ACTION_SUBSCRIBE && rng_below(g, 4) == 0
			? "$share/g/"
			: "",
		text);
	t->what.topic = str_from(t->topic);
}

/* Asks about T under its first N rules. */
static struct decision trial_ask(struct trial *t, size_t n, bool suggest)
{
	bool publish = t->what.action == ACTION_PUBLISH;
	struct policy *p =
		compile(t->list, publish ? n : 0, t->list, publish ? 0 : n);
	struct subject who = who_is(p);
	struct decision d = decide(p, &who, &t->what);

	if (suggest)
		(void)explain_suggest(
			p, &who, &t->what, &d, &t->instead, t->suggest);
	policy_free(&p);
	return d;
}

/* True when a rule was suggested; it must allow what was refused. */
static bool suggestion_holds(struct rng *g)
{
	struct str group = {NULL, 0};
	struct decision d;
	struct trial t;
	bool instead;

	trial_make(g, &t);
	d = trial_ask(&t, RULES, true);
	if (d.verdict == VERDICT_ALLOWED || d.reason == REASON_MALFORMED) {
		assert_string_equal(t.suggest, "");
		return false;
	}
	/* All but what is malformed can be allowed. */
	assert_string_not_equal(t.suggest, "");
	instead = t.instead != RULE_NONE;
	t.list[instead ? t.instead : RULES] =
		parse_rule(t.suggest, t.what.action == ACTION_PUBLISH, &group);
	d = trial_ask(&t, instead ? RULES : RULES + 1, false);
	if (d.verdict != VERDICT_ALLOWED)
		fail_msg("%s: %s, with %.*s", t.topic, reason_name(d.reason),
			STR_ARG(t.list[instead ? t.instead : RULES].topic));
	return true;
}

static void test_suggestions_allow(void **state)
{
	struct rng g = {7};
	unsigned suggested = 0, i;

	(void)state;
	for (i = 0; i < 20000; i++)
		suggested += suggestion_holds(&g);
	assert_true(suggested > 10000);
}

/* ------------------------------------------------------- rules and classes */

static void test_rules(void **state)
{
	static const struct str groups[] = {{"g", 1}, {"h", 1}};
	struct rule_spec pub[3] = {rule("a"), rule("c/#"), rule("b")};
	struct rule_spec sub[1] = {rule("d")};
	struct policy *p;
	uint32_t *rules;
	char out[128];
	size_t n;

	(void)state;
	pub[1].max_qos = 0;
	pub[1].retain = true;
	pub[1].max_bytes = 9;
	sub[0].max_qos = 2;
	sub[0].shared = groups;
	sub[0].n_shared = 2;
	p = compile(pub, 3, sub, 1);
	rules = explain_rules(p, policy_class_at(p, 0), ACTION_PUBLISH, &n);
	assert_non_null(rules);
	assert_int_equal(n, 3);
	assert_int_equal(rules[0], 0);
	assert_int_equal(rules[2], 2);
	(void)explain_rule_json(p, rules[0], out, sizeof(out));
	assert_string_equal(out, "\"a\"");
	(void)explain_rule_json(p, rules[1], out, sizeof(out));
	assert_string_equal(out, "{\"topic\": \"c/#\", \"max_qos\": 0, "
				 "\"retain\": true, \"max_bytes\": 9}");
	free(rules);
	rules = explain_rules(p, policy_class_at(p, 0), ACTION_RECEIVE, &n);
	assert_non_null(rules);
	assert_int_equal(n, 1);
	(void)explain_rule_json(p, rules[0], out, sizeof(out));
	assert_string_equal(
		out, "{\"topic\": \"d\", \"shared\": [\"g\", \"h\"]}");
	free(rules);
	rules = explain_rules(p, NULL, ACTION_PUBLISH, &n);
	assert_non_null(rules);
	assert_int_equal(n, 0);
	free(rules);
	assert_int_equal(explain_rule_json(p, RULE_NONE, out, sizeof(out)), 0);
	assert_string_equal(out, "");
	assert_null(explain_rule(p, 4));
	assert_non_null(explain_rule(p, 3));
	policy_free(&p);
}

static void test_class(void **state)
{
	static const struct str ids[] = {{"${device}", 9}, {"${device}/*", 11}};
	const struct class_spec class = {
		.name = STR("till"),
		.client_ids = ids,
		.n_client_ids = 2,
		.sim_require = 1u << SIMID_IMEI,
	};
	const struct policy_spec spec = {.classes = &class, .n_classes = 1};
	const struct policy_class *c;
	struct policy *p = NULL;
	struct errs errs = {0};
	char out[64];

	(void)state;
	assert_true(policy_compile(&spec, &p, &errs));
	c = policy_class_at(p, 0);
	(void)explain_client_id(c, 0, &till, out, sizeof(out));
	assert_string_equal(out, "till-7");
	(void)explain_client_id(c, 1, &till, out, sizeof(out));
	assert_string_equal(out, "till-7/*");
	(void)explain_client_id(c, 1, NULL, out, sizeof(out));
	assert_string_equal(out, "${device}/*");
	assert_int_equal(explain_client_id(c, 2, &till, out, sizeof(out)), 0);
	assert_int_equal(explain_sim_require(c), 1u << SIMID_IMEI);
	policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_other_value),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_suggest),
		cmocka_unit_test(test_no_suggestion),
		cmocka_unit_test(test_suggestions_allow),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
