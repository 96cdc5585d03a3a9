/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A suggested rule does allow the request when it is put into the policy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/explain_fixture.h"
#include "tests/support/rng.h"

#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- suggest */

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

static const struct {
	const char *id, *topic, *expect;
} id_places[] = {
	{"till-7", "a/till-7.x", "\"a/${device}.x\""},
	{"till-7", "a/x_till-7", "\"a/x_${device}\""},
	{"till-7", "a/Xtill-7", "\"a/Xtill-7\""},
	{"till-7", "a/9till-7", "\"a/9till-7\""},
	{"till-7", "a/till-7a", "\"a/till-7a\""},
	{"till-7", "a/till-77.till-7", "\"a/till-77.${device}\""},
	{"till-7", "a/till-", "\"a/till-\""},
	{"t7", "a/x-t7", "\"a/x-t7\""},
	{"t7", "a/t7", "\"a/${device}\""},
};

/* The id is found as a word of its own only. */
static void test_id_in_level(void **state)
{
	const struct rule_spec r = rule("x");
	struct policy *p = compile(&r, 1, &r, 1);
	char out[EXPLAIN_SUGGEST_CAP];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(id_places) / sizeof(id_places[0]); i++) {
		struct device d = till;
		struct subject who = who_is(p);
		struct request what = {.action = ACTION_PUBLISH,
			.topic = str_from(id_places[i].topic)};
		struct decision decision;
		uint32_t instead;

		(void)snprintf(d.id, sizeof(d.id), "%s", id_places[i].id);
		d.id_len = (uint8_t)strlen(d.id);
		who.device = &d;
		decision = decide(p, &who, &what);
		(void)explain_suggest(p, &who, &what, &decision, &instead, out);
		assert_string_equal(out, id_places[i].expect);
	}
	policy_free(&p);
}

/* What a subscription to $share/g/a at QoS 2 suggests under rule R. */
static size_t suggest_group(
	const struct rule_spec *r, char out[static EXPLAIN_SUGGEST_CAP])
{
	struct policy *p = compile(NULL, 0, r, 1);
	struct subject who = who_is(p);
	const struct request what = {.action = ACTION_SUBSCRIBE,
		.topic = STR("$share/g/a"),
		.qos = 2};
	struct decision d = decide(p, &who, &what);
	uint32_t instead;
	size_t n = explain_suggest(p, &who, &what, &d, &instead, out);

	assert_int_equal(d.verdict, VERDICT_REFUSED);
	policy_free(&p);
	return n;
}

static void test_groups(void **state)
{
	static const struct str g[] = {{"g", 1}}, h[] = {{"h", 1}, {"i", 1}};
	static const char name[] =
		"a-group-whose-name-is-so-long-that-few-fit-a-line";
	struct str many[64];
	char out[EXPLAIN_SUGGEST_CAP];
	struct rule_spec r = rule("a");

	(void)state;
	r.shared = g;
	r.n_shared = 1;
	(void)suggest_group(&r, out);
	assert_string_equal(out, "{\"topic\": \"a\", \"shared\": [\"g\"]}");
	r.shared = h;
	r.n_shared = 2;
	(void)suggest_group(&r, out);
	assert_string_equal(
		out, "{\"topic\": \"a\", \"shared\": [\"h\", \"i\", \"g\"]}");
	/* Longer than a suggestion can be: none, rather than half of one. */
	for (size_t i = 0; i < 64; i++)
		many[i] = (struct str){name, sizeof(name) - 1};
	r.shared = many;
	r.n_shared = 64;
	assert_int_equal(suggest_group(&r, out), 0);
	assert_string_equal(out, "");
}

static void test_quarantine(void **state)
{
	const struct rule_spec r = rule("x"), q = rule("fw/${device}");
	const struct class_spec class = {
		.name = STR("till"), .publish = &r, .n_publish = 1};
	const struct policy_spec spec = {.classes = &class,
		.n_classes = 1,
		.quarantine = {.publish = &q, .n_publish = 1}};
	struct request what = {
		.action = ACTION_PUBLISH, .topic = STR("fw/till-7"), .qos = 2};
	struct device d = till;
	struct policy *p = NULL;
	struct errs errs = {0};
	struct subject who;
	struct decision decision;
	char out[EXPLAIN_SUGGEST_CAP];
	uint32_t instead;

	(void)state;
	assert_true(policy_compile(&spec, &p, &errs));
	d.status = DEVICE_QUARANTINED;
	who = who_is(p);
	who.device = &d;
	decision = decide(p, &who, &what);
	assert_int_equal(decision.reason, REASON_QUARANTINED);
	(void)explain_suggest(p, &who, &what, &decision, &instead, out);
	assert_string_equal(
		out, "{\"topic\": \"fw/${device}\", \"max_qos\": 2}");
	what.payload_len = POLICY_BYTES_MAX + 1;
	decision = decide(p, &who, &what);
	assert_int_equal(
		explain_suggest(p, &who, &what, &decision, &instead, out), 0);
	what.payload_len = 0;
	who.device = NULL;
	decision = decide(p, &who, &what);
	assert_int_equal(
		explain_suggest(p, &who, &what, &decision, &instead, out), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suggest),
		cmocka_unit_test(test_no_suggestion),
		cmocka_unit_test(test_id_in_level),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_suggestions_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
