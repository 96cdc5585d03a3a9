/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/decide.h"
#include "core/limit.h"
#include "tests/support/rng.h"

#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)
#define HOUR   INT64_C(3600)

static const struct siphash_key key = {1, 2};

static struct request publish(uint32_t bytes, int64_t now_ns)
{
	return (struct request){.action = ACTION_PUBLISH,
		.qos = 1,
		.payload_len = bytes,
		.topic = STR("a/b"),
		.now_ns = now_ns,
		.now_s = now_ns / SECOND};
}

/* Asks and, when allowed, charges. */
static enum reason ask(
	const struct limits *l, struct usage *u, const struct request *what)
{
	enum reason r = limit_reason(l, u, what);

	if (r == REASON_ALLOWED)
		limit_charge(l, u, what);
	return r;
}

/* Source: MQTT 3.1.1 §2.2.3 (remaining length), §3.3. */
static void test_bytes(void **state)
{
	static const struct {
		uint8_t qos;
		uint32_t payload;
		uint64_t bytes;
	} table[] = {
		{0, 0, 7}, /* 2 + 2 + "a/b" */
		{1, 0, 9}, {2, 0, 9},
		{0, 122, 129},                    /* remaining 127: one byte */
		{0, 123, 131},                    /* 128: two */
		{1, 121, 131}, {0, 16378, 16386}, /* 16,383: two */
		{0, 16379, 16388},                /* 16,384: three */
		{0, 2097146, 2097155},            /* 2,097,151: three */
		{0, 2097147, 2097157},            /* 2,097,152: four */
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct request what = publish(table[i].payload, 0);

		what.qos = table[i].qos;
		assert_int_equal(request_bytes(&what), table[i].bytes);
	}
}

static void test_nothing_limited(void **state)
{
	const struct limits none = {{0}};
	struct usage u = {{0}, 0, 0, {0}, NULL, 0};
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		struct request what = publish(1000000, 0);

		assert_int_equal(ask(&none, &u, &what), REASON_ALLOWED);
	}
	assert_int_equal(u.day_bytes, 0);
}

/* A burst of the rate, then the rate, whatever was refused between. */
static void test_rate(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 1000};
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct limits l = {{[LIMIT_MESSAGES_PER_S] = rates[i]}};
		struct usage u = {{0}, 0, 0, {0}, NULL, 0};
		uint64_t allowed = 0;
		int64_t t;

		/* ten thousand tries at one instant */
		for (t = 0; t < 10000; t++) {
			struct request what = publish(1, 50 * SECOND);

			allowed += ask(&l, &u, &what) == REASON_ALLOWED;
		}
		assert_int_equal(allowed, rates[i]);
		/* and 100 s of a flood, a try a millisecond */
		for (t = 1; t <= 100000; t++) {
			struct request what =
				publish(1, 50 * SECOND + t * 1000000);

			allowed += ask(&l, &u, &what) == REASON_ALLOWED;
		}
		assert_in_range(allowed, 100 * rates[i], 101 * rates[i]);
	}
}

/* What is larger than the burst passes, and is paid for by waiting. */
static void test_bytes_rate(void **state)
{
	struct limits l = {{[LIMIT_BYTES_PER_S] = 100}};
	struct usage u = {{0}, 0, 0, {0}, NULL, 0};
	struct request big = publish(991, 0); /* 1,001 bytes */
	struct request small = publish(1, 0);

	(void)state;
	assert_int_equal(request_bytes(&big), 1001);
	assert_int_equal(ask(&l, &u, &big), REASON_ALLOWED);
	assert_int_equal(ask(&l, &u, &small), REASON_RATE);
	small.now_ns = 9 * SECOND - 1;
	assert_int_equal(ask(&l, &u, &small), REASON_RATE);
	small.now_ns = 9 * SECOND + SECOND / 10;
	assert_int_equal(ask(&l, &u, &small), REASON_ALLOWED);
}

/* No debt lasts longer than a day, no number overflows. */
static void test_huge(void **state)
{
	struct limits l = {{[LIMIT_BYTES_PER_S] = 1}};
	struct usage u = {{0}, 0, 0, {0}, NULL, 0};
	struct request huge = publish(UINT32_MAX, 0);

	(void)state;
	assert_int_equal(ask(&l, &u, &huge), REASON_ALLOWED);
	assert_int_equal(ask(&l, &u, &huge), REASON_RATE);
	huge.now_ns = (int64_t)86400 * SECOND;
	assert_int_equal(ask(&l, &u, &huge), REASON_ALLOWED);
}

static void test_connects(void **state)
{
	struct limits l = {{[LIMIT_CONNECTS_PER_MIN] = 6}};
	struct usage u = {{0}, 0, 0, {0}, NULL, 0};
	struct request what = {.action = ACTION_CONNECT, .topic = STR("d")};
	struct request other = publish(1, 0);
	int i;

	(void)state;
	for (i = 0; i < 6; i++)
		assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
	assert_int_equal(ask(&l, &u, &what), REASON_RATE);
	/* only connects are */
	assert_int_equal(ask(&l, &u, &other), REASON_ALLOWED);
	what.now_ns = 9 * SECOND;
	assert_int_equal(ask(&l, &u, &what), REASON_RATE);
	what.now_ns = 10 * SECOND + 1;
	assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
	assert_int_equal(ask(&l, &u, &what), REASON_RATE);
}

struct sent {
	int64_t s;
	uint64_t bytes;
};

struct sums {
	uint64_t in_buckets, in_24h;
};

static struct sums sums_of(const struct sent *sent, int n, int64_t now_s)
{
	struct sums sum = {0, 0};
	int i;

	for (i = 0; i < n; i++) {
		if (sent[i].s / LIMIT_BUCKET_S >
			now_s / LIMIT_BUCKET_S - LIMIT_BUCKETS)
			sum.in_buckets += sent[i].bytes;
		if (sent[i].s > now_s - 24 * HOUR)
			sum.in_24h += sent[i].bytes;
	}
	return sum;
}

/* Against a plain list of what was sent when: no 24 hours see more than the
 * quota, and what is refused would have made more of the buckets at hand. */
static void test_day(void **state)
{
	enum { QUOTA = 10000, STEPS = 4000 };
	static struct sent sent[STEPS];
	struct limits l = {{[LIMIT_BYTES_PER_DAY] = QUOTA}};
	struct usage u = {{0}, 0, 0, {0}, NULL, 0};
	struct rng r = {24};
	int64_t now_s = 1700000000;
	int n = 0, refused = 0, i;

	(void)state;
	for (i = 0; i < STEPS; i++) {
		struct request what = publish(rng_below(&r, 900), 0);
		struct sums sum;
		enum reason reason;

		now_s += rng_below(&r, 50) == 0
				 ? (int64_t)rng_below(&r, 30 * HOUR)
				 : (int64_t)rng_below(&r, 3000);
		what.now_s = now_s;
		sum = sums_of(sent, n, now_s);
		reason = ask(&l, &u, &what);
		assert_int_equal(
			reason, sum.in_buckets + request_bytes(&what) <= QUOTA
					? REASON_ALLOWED
					: REASON_QUOTA);
		if (reason == REASON_ALLOWED) {
			sent[n].s = now_s;
			sent[n++].bytes = request_bytes(&what);
			assert_true(sum.in_24h + request_bytes(&what) <= QUOTA);
		} else {
			refused++;
		}
	}
	assert_in_range(refused, STEPS / 20, STEPS);
	assert_in_range(n, STEPS / 20, STEPS);
}

/* A clock that goes back neither frees nor loses anything. */
static void test_day_backwards(void **state)
{
	struct limits l = {{[LIMIT_BYTES_PER_DAY] = 1000}};
	struct usage u = {{0}, 0, 0, {0}, NULL, 0};
	struct request what = publish(891, 0);

	(void)state;
	what.now_s = 1700000000;
	assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
	what.now_s -= 100 * HOUR;
	assert_int_equal(ask(&l, &u, &what), REASON_QUOTA);
	what.payload_len = 1;
	assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
	what.now_s += 101 * HOUR;
	what.payload_len = 891;
	assert_int_equal(ask(&l, &u, &what), REASON_QUOTA);
	what.now_s += 24 * HOUR;
	assert_int_equal(ask(&l, &u, &what), REASON_QUOTA);
	/* its two hours are older than 24 now, all of them */
	what.now_s += HOUR;
	assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
}

/* A publish that turns out to be longer costs what it would have cost at once;
 * but for a day that it would exceed, which is then as it was. */
static void test_more(void **state)
{
	struct limits l = {
		{[LIMIT_BYTES_PER_S] = 100, [LIMIT_BYTES_PER_DAY] = 1000}};
	struct usage u = {{0}, 0, 0, {0}, NULL, 0}, at_once = u;
	struct request what = publish(0, 1700000000 * SECOND), all = what;
	uint64_t part = request_bytes(&what);

	(void)state;
	all.payload_len = 300;
	assert_int_equal(ask(&l, &at_once, &all), REASON_ALLOWED);
	assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
	assert_true(limit_more(&l, &u, request_bytes(&all) - part, &what));
	assert_memory_equal(&u, &at_once, sizeof(u));
	/* it is paid for by waiting, not refused */
	assert_int_equal(ask(&l, &u, &what), REASON_RATE);
	at_once = u;
	assert_false(limit_more(&l, &u, 1000 - request_bytes(&all) + 1, &what));
	assert_memory_equal(&u, &at_once, sizeof(u));
	assert_true(limit_more(&l, &u, 1000 - request_bytes(&all), &what));
	assert_false(limit_more(&l, &u, 1, &what));
	/* nothing of it counts where neither is limited */
	l = (struct limits){{[LIMIT_MESSAGES_PER_S] = 1}};
	at_once = u;
	assert_true(limit_more(&l, &u, UINT32_MAX, &what));
	assert_memory_equal(&u, &at_once, sizeof(u));
}

static void test_refusals(void **state)
{
	struct limits none = {0}, l = {{[LIMIT_REFUSALS_PER_S] = 20}};
	struct usage used = {0};
	struct request what = {.action = ACTION_PUBLISH, .topic = STR("a")};
	int64_t until = 0, now = INT64_C(7) * 1000000000;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		assert_false(limit_refused(&none, &until, now));
	assert_int_equal(until, 0);
	for (i = 0; i < 20; i++)
		assert_false(limit_refused(&l, &until, now));
	for (i = 0; i < 3; i++)
		assert_true(limit_refused(&l, &until, now));
	/* a twentieth of a second later there is room for one */
	assert_true(limit_refused(&l, &until, now + 49999999));
	assert_false(limit_refused(&l, &until, now + 50000000));
	assert_true(limit_refused(&l, &until, now + 50000000));
	/* a second later for all of them; a clock that stands or goes back
	 * gives none */
	for (i = 0; i < 20; i++)
		assert_false(limit_refused(&l, &until, now + 2000000000));
	assert_true(limit_refused(&l, &until, now + 2000000000));
	assert_true(limit_refused(&l, &until, now));
	/* and nothing is refused because of it */
	assert_int_equal(limit_reason(&l, &used, &what), REASON_ALLOWED);
}

/* Filters that a device chooses so that a hash without a key is the same for
 * both (these by FNV-1a) are two subscriptions. */
static void test_chosen_filters(void **state)
{
	static const char *const pairs[][2] = {
		{"8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"},
		{"gMPflVXtwGDXbIhP73TX", "LtHf1prlU1bCeYZEdqWf"},
		{"pFuM83THhM-Qw8FI5FKo", ".jPx7rOtTDteKAwvfOEo"},
	};
	struct subscription a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		a = subscription_of(&key, STR("d"), str_from(pairs[i][0]));
		b = subscription_of(&key, STR("d"), str_from(pairs[i][1]));
		assert_true(a.client == b.client && a.filter != b.filter);
	}
}

static void test_subscriptions(void **state)
{
	struct subscription list[2] = {
		subscription_of(&key, STR("d"), STR("a")),
		subscription_of(&key, STR("d"), STR("b")),
	};
	struct subscription again = list[1];
	struct subscription other = subscription_of(&key, STR("d/x"), STR("b"));
	struct limits l = {
		{[LIMIT_SUBSCRIPTIONS] = 2, [LIMIT_SUBSCRIBES_PER_S] = 3}};
	struct usage u = {.subscription = list, .n_subscriptions = 1};
	struct request what = {.action = ACTION_SUBSCRIBE,
		.topic = STR("b"),
		.subscription = &list[1]};

	(void)state;
	assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
	u.n_subscriptions = 2;
	what.subscription = &again;
	assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
	what.subscription = &other;
	assert_int_equal(ask(&l, &u, &what), REASON_QUOTA);
	what.subscription = NULL;
	assert_int_equal(ask(&l, &u, &what), REASON_QUOTA);
	what.subscription = &again;
	assert_int_equal(ask(&l, &u, &what), REASON_ALLOWED);
	assert_int_equal(ask(&l, &u, &what), REASON_RATE);
}

/* ------------------------------------------------------------ with decide() */

struct world {
	struct policy *policy;
	struct device device;
	struct usage usage;
	struct subject who;
};

static const struct rule_spec rule = {
	.topic = STR_INIT("a/+"), .max_qos = 1, .max_bytes = POLICY_BYTES_MAX};

static void world_init(struct world *w, bool observe)
{
	struct class_spec class = {.name = STR("m"),
		.publish = &rule,
		.n_publish = 1,
		.subscribe = &rule,
		.n_subscribe = 1,
		.observe = observe,
		.limits = {{[LIMIT_MESSAGES_PER_S] = 1}}};
	struct policy_spec spec = {.classes = &class,
		.n_classes = 1,
		.quarantine = {.publish = &rule, .n_publish = 1}};
	struct errs errs = {0};

	memset(w, 0, sizeof(*w));
	assert_true(policy_compile(&spec, &w->policy, &errs));
	w->device = (struct device){.id = "d",
		.class_name = "m",
		.id_len = 1,
		.status = DEVICE_ACTIVE};
	w->who = (struct subject){.device = &w->device,
		.class = policy_class_at(w->policy, 0),
		.usage = &w->usage,
		.barred = REASON_ALLOWED};
}

static struct decision decided(
	struct world *w, enum action action, const char *topic)
{
	struct request what = {.action = action, .topic = str_from(topic)};
	struct decision d = decide(w->policy, &w->who, &what);

	if (d.verdict != VERDICT_REFUSED)
		limit_charge(
			policy_class_limits(w->who.class), &w->usage, &what);
	return d;
}

static void test_decide_limits(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	assert_int_equal(
		decided(&w, ACTION_PUBLISH, "x").reason, REASON_NO_RULE);
	assert_int_equal(
		decided(&w, ACTION_PUBLISH, "a/b").reason, REASON_ALLOWED);
	assert_int_equal(
		decided(&w, ACTION_PUBLISH, "a/b").reason, REASON_RATE);
	/* the rules come first, deliveries have no limit */
	assert_int_equal(
		decided(&w, ACTION_PUBLISH, "x").reason, REASON_NO_RULE);
	assert_int_equal(
		decided(&w, ACTION_RECEIVE, "a/b").reason, REASON_ALLOWED);
	/* limits hold in quarantine, too */
	w.device.status = DEVICE_QUARANTINED;
	assert_int_equal(
		decided(&w, ACTION_PUBLISH, "a/b").reason, REASON_RATE);
	w.who.usage = NULL;
	assert_int_equal(
		decided(&w, ACTION_PUBLISH, "a/b").reason, REASON_ALLOWED);
	policy_free(&w.policy);
}

static const struct {
	enum action action;
	const char *topic;
	enum verdict verdict;
	enum reason reason;
} observed[] = {
	{ACTION_RECEIVE, "a/b", VERDICT_ALLOWED, REASON_ALLOWED},
	{ACTION_RECEIVE, "x", VERDICT_OBSERVED, REASON_NO_RULE},
	{ACTION_SUBSCRIBE, "#", VERDICT_OBSERVED, REASON_FILTER_TOO_WIDE},
	{ACTION_SUBSCRIBE, "x/y", VERDICT_OBSERVED, REASON_NO_RULE},
	{ACTION_SUBSCRIBE, "$SYS/#", VERDICT_REFUSED, REASON_NO_RULE},
	{ACTION_SUBSCRIBE, "$share/g/x", VERDICT_REFUSED, REASON_NO_RULE},
	{ACTION_SUBSCRIBE, "a+", VERDICT_REFUSED, REASON_MALFORMED},
	{ACTION_RECEIVE, "$SYS/x", VERDICT_REFUSED, REASON_NO_RULE},
	{ACTION_PUBLISH, "$CONTROL/x/v1", VERDICT_REFUSED, REASON_NO_RULE},
	{ACTION_PUBLISH, "+", VERDICT_REFUSED, REASON_MALFORMED},
	{ACTION_PUBLISH, "", VERDICT_REFUSED, REASON_MALFORMED},
	{ACTION_PUBLISH, "x", VERDICT_OBSERVED, REASON_NO_RULE},
	{ACTION_PUBLISH, "x", VERDICT_REFUSED, REASON_RATE},
};

static void observed_ask(struct world *w)
{
	size_t i;

	for (i = 0; i < sizeof(observed) / sizeof(observed[0]); i++) {
		struct decision d =
			decided(w, observed[i].action, observed[i].topic);

		if (d.verdict != observed[i].verdict ||
			d.reason != observed[i].reason)
			fail_msg("entry %zu: %s %s", i, verdict_name(d.verdict),
				reason_name(d.reason));
	}
}

static void test_observe(void **state)
{
	struct world w;
	int by_device;

	(void)state;
	for (by_device = 0; by_device < 2; by_device++) {
		world_init(&w, by_device == 0);
		w.device.observe = by_device == 1;
		observed_ask(&w);
		/* never what is not the rules' */
		w.device.status = DEVICE_QUARANTINED;
		assert_int_equal(decided(&w, ACTION_RECEIVE, "x").reason,
			REASON_QUARANTINED);
		w.device.status = DEVICE_SUSPENDED;
		assert_int_equal(decided(&w, ACTION_RECEIVE, "x").verdict,
			VERDICT_REFUSED);
		policy_free(&w.policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_nothing_limited),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_bytes_rate),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_connects),
		cmocka_unit_test(test_day),
		cmocka_unit_test(test_day_backwards),
		cmocka_unit_test(test_chosen_filters),
		cmocka_unit_test(test_subscriptions),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_decide_limits),
		cmocka_unit_test(test_observe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
