/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-feed only takes rights away: whatever the registry, the policy and
 * live.db say, decide() of a device that weir-feed has put in quarantine, or
 * has not, answers as it would without weir-feed, or refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/confine.h"
#include "tests/support/rng.h"

#include <stdio.h>
#include <string.h>

#define NOW      INT64_C(1700000000)
#define POLICIES 4000
#define ASKED    200
#define RULES    4

static const char *const topics[] = {"a", "a/b", "a/d", "fw/d", "fw/d/x", "b",
	"$a", "+", "a/+", "fw/#", "#", "fw/+/x", "$share/g/a/b", "a/b/c", ""};
#define TOPICS (sizeof(topics) / sizeof(topics[0]))
static const char *const templates[] = {"a/b", "a/${device}", "fw/${device}",
	"fw/${device}/#", "+/b", "a/#", "#", "b", "$a"};
#define TEMPLATES (sizeof(templates) / sizeof(templates[0]))

static size_t random_rules(struct rng *r, struct rule_spec out[static RULES])
{
	size_t n = 0;

	for (size_t i = 0; i < TEMPLATES && n < RULES; i++) {
		if (rng_below(r, 3) != 0)
			continue;
		out[n++] = (struct rule_spec){.topic = str_from(templates[i]),
			.max_qos = (uint8_t)rng_below(r, 3),
			.retain = rng_below(r, 2),
			.max_bytes = rng_below(r, 2) ? 10 : POLICY_BYTES_MAX};
	}
	return n;
}

static struct policy *random_policy(struct rng *r)
{
	struct rule_spec rules[4][RULES];
	struct class_spec class = {.name = STR("c"),
		.publish = rules[0],
		.n_publish = random_rules(r, rules[0]),
		.subscribe = rules[1],
		.n_subscribe = random_rules(r, rules[1]),
		.observe = rng_below(r, 4) == 0};
	struct policy_spec spec = {.classes = &class,
		.n_classes = 1,
		.quarantine = {.publish = rules[2],
			.n_publish = random_rules(r, rules[2]),
			.subscribe = rules[3],
			.n_subscribe = random_rules(r, rules[3])},
		.observe = rng_below(r, 4) == 0};
	struct policy *p = NULL;
	struct errs errs = {0};

	class.limits.max[LIMIT_MESSAGES_PER_S] = rng_below(r, 2);
	spec.has_fallback = spec.observe;
	spec.fallback = rng_below(r, 2) ? FALLBACK_ALLOW : FALLBACK_BROKER;
	if (!policy_compile(&spec, &p, &errs))
		fail_msg("%s: %s", errs.e[0].place, errs.e[0].msg);
	return p;
}

/* What live.db may say: nothing, or an end that has come, will, or never. */
static int64_t random_end(struct rng *r)
{
	static const int64_t ends[] = {
		0, 1, NOW - 1, NOW, NOW + 1, INT64_MAX, INT64_MIN, -1};

	return ends[rng_below(r, sizeof(ends) / sizeof(ends[0]))];
}

struct random_subject {
	struct subject who;
	struct device device;
	struct certificate certificate;
	struct usage usage;
};

static void random_subject(
	struct rng *r, const struct policy *p, struct random_subject *s)
{
	memset(s, 0, sizeof(*s));
	(void)snprintf(s->device.id, sizeof(s->device.id), "d");
	s->device.id_len = 1;
	s->device.status = (uint8_t)rng_below(r, DEVICE_RETIRED + 1);
	if (rng_below(r, 2) != 0)
		s->device.status = DEVICE_ACTIVE;
	s->device.observe = rng_below(r, 4) == 0;
	s->certificate.usable = true;
	s->certificate.not_after_s = rng_below(r, 8) == 0 ? NOW - 1 : NOW + 1;
	s->usage.spent_until_ns[LIMIT_MESSAGES_PER_S] =
		rng_below(r, 2) ? NOW * 1000000000 : 0;
	s->who = (struct subject){
		.device = rng_below(r, 16) == 0 ? NULL : &s->device,
		.class = rng_below(r, 16) == 0 ? NULL : policy_class_at(p, 0),
		.certificate = &s->certificate,
		.credential = (enum credential_status)rng_below(r, 3),
		.usage = rng_below(r, 2) ? &s->usage : NULL,
		.barred = rng_below(r, 16) == 0 ? REASON_UNAVAILABLE
						: REASON_ALLOWED,
	};
}

static struct request random_request(struct rng *r)
{
	struct request what = {
		.action = (enum action)rng_below(r, ACTION_RECEIVE + 2),
		.qos = (uint8_t)rng_below(r, 3),
		.retain = rng_below(r, 2),
		.payload_len = rng_below(r, 20),
		.topic = str_from(topics[rng_below(r, TOPICS)]),
		.now_s = NOW,
	};

	if (what.action == ACTION_CONNECT && rng_below(r, 2) != 0)
		what.topic = STR("d");
	return what;
}

static bool same(struct decision a, struct decision b)
{
	return a.verdict == b.verdict && a.reason == b.reason &&
	       a.rule == b.rule;
}

struct tally {
	size_t taken, kept;
};

/* One question, with weir-feed and without. */
static void compare(struct rng *r, const struct policy *p, struct tally *n)
{
	struct random_subject s;
	struct request what = random_request(r);
	struct decision without, with;
	uint8_t status;

	random_subject(r, p, &s);
	status = s.device.status;
	without = decide(p, &s.who, &what);
	confine(&s.who, &s.device, random_end(r), NOW);
	with = decide(p, &s.who, &what);
	if (with.verdict != VERDICT_REFUSED && !same(with, without))
		fail_msg("%s %s: gained", action_name(what.action),
			what.topic.p);
	n->taken += with.verdict != without.verdict;
	n->kept += s.who.confined && with.verdict != VERDICT_REFUSED;
	confine_end(&s.who, &s.device);
	assert_int_equal(s.device.status, status);
	assert_false(s.who.confined);
	assert_true(same(without, decide(p, &s.who, &what)));
}

static void test_only_takes(void **state)
{
	struct rng r = {20261125};
	struct tally n = {0, 0};

	(void)state;
	for (int i = 0; i < POLICIES; i++) {
		struct policy *p = random_policy(&r);

		for (int k = 0; k < ASKED; k++)
			compare(&r, p, &n);
		policy_free(&p);
	}
	/* It does take, and it leaves what the allowlist has. */
	assert_true(n.taken > 10000);
	assert_true(n.kept > 10000);
}

/* What each status becomes. */
static void test_status(void **state)
{
	(void)state;
	for (int s = DEVICE_NONE; s <= DEVICE_RETIRED; s++) {
		struct device d = {.status = (uint8_t)s, .status_until_s = 7};
		struct subject who = {.device = &d};

		confine(&who, &d, NOW + 1, NOW);
		assert_int_equal(
			d.status, s == DEVICE_ACTIVE ? DEVICE_QUARANTINED : s);
		assert_int_equal(
			d.status_until_s, s == DEVICE_ACTIVE ? NOW + 1 : 7);
		assert_int_equal(who.confined, s == DEVICE_ACTIVE);
		confine_end(&who, &d);
		assert_int_equal(d.status, s);
	}
}

static void test_ended(void **state)
{
	struct device d = {.status = DEVICE_ACTIVE};
	struct subject who = {.device = &d};

	(void)state;
	confine(&who, &d, NOW, NOW);
	assert_false(who.confined);
	confine(&who, &d, NOW - 1, NOW);
	assert_false(who.confined);
	confine(&who, &d, -1, NOW);
	assert_false(who.confined);
	confine(&who, &d, 0, NOW);
	assert_true(who.confined);
	assert_int_equal(device_effective(&d, INT64_MAX), DEVICE_QUARANTINED);
}

struct case_ {
	const char *topic;
	enum reason want;
};

/* The allowlist and the class, both; the reason is of who refuses first. */
static void test_both(void **state)
{
	static const struct case_ cases[] = {
		{"both", REASON_ALLOWED},
		{"class", REASON_QUARANTINED},
		{"jail", REASON_NO_RULE},
		{"neither", REASON_QUARANTINED},
		{"wild/+", REASON_MALFORMED},
		{"sized", REASON_SIZE},
	};
	struct rule_spec class[] = {
		{.topic = STR("both"), .max_bytes = POLICY_BYTES_MAX},
		{.topic = STR("class"), .max_bytes = POLICY_BYTES_MAX},
		{.topic = STR("sized"), .max_bytes = 10},
	};
	struct rule_spec jail[] = {
		{.topic = STR("both"), .max_bytes = POLICY_BYTES_MAX},
		{.topic = STR("jail"), .max_bytes = POLICY_BYTES_MAX},
		{.topic = STR("sized"), .max_bytes = 100},
	};
	struct class_spec c = {
		.name = STR("c"), .publish = class, .n_publish = 3};
	struct policy_spec spec = {.classes = &c,
		.n_classes = 1,
		.quarantine = {.publish = jail, .n_publish = 3}};
	struct device d = {.id = "d", .id_len = 1, .status = DEVICE_ACTIVE};
	struct policy *p = NULL;
	struct errs errs = {0};
	struct subject who = {.device = &d, .barred = REASON_ALLOWED};

	(void)state;
	assert_true(policy_compile(&spec, &p, &errs));
	who.class = policy_class_at(p, 0);
	confine(&who, &d, 0, NOW);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request what = {.action = ACTION_PUBLISH,
			.payload_len = 20,
			.topic = str_from(cases[i].topic),
			.now_s = NOW};
		struct decision got = decide(p, &who, &what);

		if (got.reason != cases[i].want)
			fail_msg("%s: %s", cases[i].topic,
				reason_name(got.reason));
	}
	policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_takes),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
