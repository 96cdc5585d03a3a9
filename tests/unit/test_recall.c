/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memo against what it remembers: with random requests of few topics, so
 * that it answers often, its answer is decide()'s.
 */
#include "plugin/recall.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW_S 1700000000

static struct policy *compile(const struct rule_spec *publish, size_t n)
{
	static const struct rule_spec subscribe[] = {
		{.topic = STR_INIT("a/+"), .max_qos = 2},
		{.topic = STR_INIT("b/#"), .max_qos = 0},
	};
	struct class_spec class = {
		.name = STR_INIT("c"),
		.publish = publish,
		.n_publish = n,
		.subscribe = subscribe,
		.n_subscribe = 2,
	};
	struct policy_spec spec = {.classes = &class, .n_classes = 1};
	struct policy *p = NULL;
	static struct errs errs;

	assert_true(policy_compile(&spec, &p, &errs));
	return p;
}

static const struct rule_spec sized[] = {
	{.topic = STR_INIT("a/+"), .max_qos = 2, .max_bytes = 4},
	{.topic = STR_INIT("a/b"), .max_qos = 0, .max_bytes = 9},
	{.topic = STR_INIT("b"),
		.max_qos = 1,
		.retain = true,
		.max_bytes = POLICY_BYTES_MAX},
};

static const struct rule_spec unsized[] = {
	{.topic = STR_INIT("a/+"), .max_qos = 2, .max_bytes = POLICY_BYTES_MAX},
	{.topic = STR_INIT("b"),
		.max_qos = 1,
		.retain = true,
		.max_bytes = POLICY_BYTES_MAX},
};

static struct device device = {
	.id = "d", .class_name = "c", .id_len = 1, .status = DEVICE_ACTIVE};
static struct certificate certificate = {
	.not_before_s = 0, .not_after_s = INT64_MAX, .usable = true};

static struct subject subject_of(const struct policy *p)
{
	return (struct subject){
		.device = &device,
		.class = policy_class_find(p, STR("c")),
		.certificate = &certificate,
		.credential = CREDENTIAL_ACTIVE,
		.barred = REASON_ALLOWED,
	};
}

static const struct recall *find(
	const struct recalls *r, const struct request *what)
{
	if (what->action == ACTION_PUBLISH)
		return recall_publish(r, what->topic.p, what->qos, what->retain,
			what->payload_len);
	return recall_receive(r, what->topic.p);
}

static unsigned compare(struct policy *p, uint64_t seed)
{
	static const char *const topics[] = {
		"a/b", "a/c", "b", "x", "a/b/c", ""};
	struct subject who = subject_of(p);
	struct recalls r = {0};
	struct rng rng = {seed};
	unsigned answered = 0;

	for (int i = 0; i < 20000; i++) {
		struct request what = {
			.action = rng_below(&rng, 2) ? ACTION_PUBLISH
						     : ACTION_RECEIVE,
			.qos = (uint8_t)rng_below(&rng, 3),
			.retain = rng_below(&rng, 4) == 0,
			.payload_len = rng_below(&rng, 12),
			.topic = str_from(topics[rng_below(&rng, 6)]),
			.now_s = NOW_S,
		};
		struct decision d = decide(p, &who, &what);
		const struct recall *x = find(&r, &what);

		if (x != NULL) {
			assert_int_equal(d.verdict, VERDICT_ALLOWED);
			assert_int_equal(d.rule, x->rule);
			assert_int_equal(x->topic_len, what.topic.n);
			answered++;
		}
		if (rng_below(&rng, 50) == 0)
			recall_forget(&r);
		recall_keep(&r, &who, &what, d);
	}
	policy_free(&p);
	return answered;
}

static void test_same_as_decide(void **state)
{
	(void)state;
	assert_in_range(compare(compile(sized, 3), 1), 200, 20000);
	assert_in_range(compare(compile(unsized, 2), 2), 1000, 20000);
}

/* What must never be kept. */
static void test_not_kept(void **state)
{
	struct policy *p = compile(unsized, 2);
	struct subject who = subject_of(p);
	struct recalls r = {0};
	struct decision yes = {VERDICT_ALLOWED, REASON_ALLOWED, 0};
	struct decision no = {VERDICT_REFUSED, REASON_NO_RULE, 0};
	struct decision seen = {VERDICT_OBSERVED, REASON_NO_RULE, 0};
	struct request what = {
		.action = ACTION_PUBLISH, .topic = STR("a/b"), .now_s = NOW_S};
	char longer[RECALL_TOPIC + 2];

	(void)state;
	recall_keep(&r, &who, &what, no);
	recall_keep(&r, &who, &what, seen);
	assert_null(find(&r, &what));
	what.action = ACTION_SUBSCRIBE;
	recall_keep(&r, &who, &what, yes);
	what.action = ACTION_PUBLISH;
	assert_null(find(&r, &what));
	what.qos = 2;
	recall_keep(&r, &who, &what, yes);
	assert_null(find(&r, &what));
	what.qos = 0;
	device.status = DEVICE_QUARANTINED;
	recall_keep(&r, &who, &what, yes);
	device.status = DEVICE_ACTIVE;
	assert_null(find(&r, &what));
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	what.topic = str_from(longer);
	recall_keep(&r, &who, &what, yes);
	assert_null(find(&r, &what));
	longer[RECALL_TOPIC] = '\0';
	what.topic = str_from(longer);
	recall_keep(&r, &who, &what, yes);
	assert_non_null(find(&r, &what));
	recall_forget(&r);
	assert_null(find(&r, &what));
	policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_decide),
		cmocka_unit_test(test_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
