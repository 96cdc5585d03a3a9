/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide() where the whole broker observes: what is only observed, what is
 * refused even so, and who is not observed at all.
 */
#include "core/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000)

static const struct rule_spec publish[] = {
	{.topic = STR_INIT("m/${device}/up"), .max_qos = 1, .max_bytes = 100},
};
static const struct str both[] = {STR_INIT("${device}")};

/* Classes: one that says nothing, one that enforces, one with limits. */
static struct policy *make(bool observe, enum fallback fallback, bool unknown)
{
	const struct class_spec classes[] = {
		{.name = STR("plain"),
			.publish = publish,
			.n_publish = 1,
			.client_ids = both,
			.n_client_ids = 1,
			.sim_require = 1u << SIMID_ICCID},
		{.name = STR("strict"),
			.publish = publish,
			.n_publish = 1,
			.enforce = true},
		{.name = STR("limited"),
			.publish = publish,
			.n_publish = 1,
			.limits.max[LIMIT_MESSAGES_PER_S] = 1},
	};
	struct policy_spec spec = {.classes = classes,
		.n_classes = 3,
		.observe = observe,
		.has_fallback = observe,
		.fallback = fallback};
	struct errs errs = {0};
	struct policy *p = NULL;

	if (unknown)
		spec.unknown = STR("plain");
	assert_true(policy_compile(&spec, &p, &errs));
	return p;
}

/* A device of CLASS with a certificate that is registered, and may do all. */
struct world {
	struct device device;
	struct certificate certificate;
	struct subject who;
	struct request what;
};

static void world_of(struct world *w, const struct policy *p, const char *class)
{
	*w = (struct world){
		.device = {.id = "d1", .id_len = 2, .status = DEVICE_ACTIVE},
		.certificate = {.usable = true,
			.not_before_s = NOW - 10,
			.not_after_s = NOW + 10},
		.what = {.action = ACTION_CONNECT,
			.topic = STR("d1"),
			.now_s = NOW},
	};
	assert_true(simid_parse(SIMID_ICCID, STR("8944500102198304826"),
		SIMID_ANY_CHECK_DIGIT, &w->device.sim[SIMID_ICCID], NULL));
	w->who = (struct subject){
		.device = &w->device,
		.class = policy_class_find(p, str_from(class)),
		.certificate = &w->certificate,
		.credential = CREDENTIAL_ACTIVE,
		.barred = REASON_ALLOWED,
	};
}

static void expect(const struct policy *p, const struct world *w,
	enum verdict verdict, enum reason reason)
{
	struct decision d = decide(p, &w->who, &w->what);

	assert_int_equal(d.reason, reason);
	assert_int_equal(d.verdict, verdict);
}

/* Each way to be refused at CONNECT that nobody decided, one at a time. */
static void spoil(struct world *w, enum reason reason)
{
	switch ((int)reason) {
	case REASON_NO_CERTIFICATE:
		w->who.certificate = NULL;
		break;
	case REASON_UNKNOWN_CERTIFICATE:
		w->who.credential = CREDENTIAL_NONE;
		break;
	case REASON_CERTIFICATE_INVALID:
		w->certificate.usable = false;
		break;
	case REASON_CLASS_UNKNOWN:
		w->who.class = NULL;
		break;
	case REASON_CLIENT_ID_MISMATCH:
		w->what.topic = STR("d2");
		break;
	case REASON_SIM_MISMATCH:
		w->device.sim[SIMID_ICCID].kind = SIMID_NONE;
		break;
	case REASON_CERTIFICATE_REVOKED:
		w->who.credential = CREDENTIAL_REVOKED;
		break;
	case REASON_CERTIFICATE_EXPIRED:
		w->what.now_s = NOW + 11;
		break;
	case REASON_DEVICE_SUSPENDED:
		w->device.status = DEVICE_SUSPENDED;
		break;
	case REASON_DEVICE_RETIRED:
		w->device.status = DEVICE_RETIRED;
		break;
	case REASON_MALFORMED:
		w->what.topic = STR("");
		break;
	default:
		fail_msg("no way to spoil it for %s", reason_name(reason));
	}
}

static const enum reason general[] = {REASON_NO_CERTIFICATE,
	REASON_UNKNOWN_CERTIFICATE, REASON_CERTIFICATE_INVALID,
	REASON_CLASS_UNKNOWN, REASON_CLIENT_ID_MISMATCH, REASON_SIM_MISMATCH};
static const enum reason decided[] = {REASON_CERTIFICATE_REVOKED,
	REASON_CERTIFICATE_EXPIRED, REASON_DEVICE_SUSPENDED,
	REASON_DEVICE_RETIRED, REASON_MALFORMED};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_connect(void **state)
{
	struct policy *observing = make(true, FALLBACK_BROKER, false);
	struct policy *enforcing = make(false, FALLBACK_BROKER, false);
	struct world w;

	(void)state;
	world_of(&w, observing, "plain");
	expect(observing, &w, VERDICT_ALLOWED, REASON_ALLOWED);
	for (size_t i = 0; i < COUNT(general); i++) {
		world_of(&w, observing, "plain");
		spoil(&w, general[i]);
		expect(observing, &w, VERDICT_OBSERVED, general[i]);
		world_of(&w, enforcing, "plain");
		spoil(&w, general[i]);
		expect(enforcing, &w, VERDICT_REFUSED, general[i]);
	}
	for (size_t i = 0; i < COUNT(decided); i++) {
		world_of(&w, observing, "plain");
		spoil(&w, decided[i]);
		expect(observing, &w, VERDICT_REFUSED, decided[i]);
	}
	world_of(&w, observing, "plain");
	w.who.key_barred = true;
	expect(observing, &w, VERDICT_REFUSED, REASON_CERTIFICATE_REVOKED);
	policy_free(&observing);
	policy_free(&enforcing);
}

/* A class that enforces itself is not observed. */
static void test_class_enforces(void **state)
{
	struct policy *p = make(true, FALLBACK_ALLOW, false);
	struct world w;

	(void)state;
	world_of(&w, p, "strict");
	spoil(&w, REASON_CLIENT_ID_MISMATCH);
	expect(p, &w, VERDICT_REFUSED, REASON_CLIENT_ID_MISMATCH);
	world_of(&w, p, "strict");
	spoil(&w, REASON_UNKNOWN_CERTIFICATE);
	expect(p, &w, VERDICT_REFUSED, REASON_UNKNOWN_CERTIFICATE);
	w.what.action = ACTION_PUBLISH;
	w.what.topic = STR("m/d2/up");
	expect(p, &w, VERDICT_REFUSED, REASON_NO_RULE);
	policy_free(&p);
}

/* Where unknown certificates are taken in, one that was not is refused. */
static void test_left_out(void **state)
{
	struct policy *p = make(true, FALLBACK_ALLOW, true);
	struct world w;

	(void)state;
	world_of(&w, p, "plain");
	spoil(&w, REASON_UNKNOWN_CERTIFICATE);
	expect(p, &w, VERDICT_OBSERVED, REASON_UNKNOWN_CERTIFICATE);
	w.who.device = NULL;
	w.who.class = NULL;
	expect(p, &w, VERDICT_REFUSED, REASON_UNKNOWN_CERTIFICATE);
	/* Without a certificate there is nothing to take in. */
	w.who.certificate = NULL;
	expect(p, &w, VERDICT_OBSERVED, REASON_NO_CERTIFICATE);
	policy_free(&p);
}

static void ask(struct world *w, enum action a, const char *topic)
{
	w->what.action = a;
	w->what.topic = str_from(topic);
}

static void test_requests(void **state)
{
	struct policy *p = make(true, FALLBACK_BROKER, false);
	struct policy *allow = make(true, FALLBACK_ALLOW, false);
	struct world w;

	(void)state;
	world_of(&w, p, "plain");
	ask(&w, ACTION_PUBLISH, "m/d1/up");
	expect(p, &w, VERDICT_ALLOWED, REASON_ALLOWED);
	w.what.payload_len = 101;
	expect(p, &w, VERDICT_OBSERVED, REASON_SIZE);
	w.what.payload_len = 0;
	w.what.qos = 2;
	expect(p, &w, VERDICT_OBSERVED, REASON_QOS);
	w.what.qos = 0;
	w.what.retain = true;
	expect(p, &w, VERDICT_OBSERVED, REASON_RETAIN);
	w.what.retain = false;
	ask(&w, ACTION_SUBSCRIBE, "#");
	expect(p, &w, VERDICT_OBSERVED, REASON_FILTER_TOO_WIDE);
	ask(&w, ACTION_RECEIVE, "x");
	expect(p, &w, VERDICT_OBSERVED, REASON_NO_RULE);
	ask(&w, ACTION_SUBSCRIBE, "a/#/b");
	expect(p, &w, VERDICT_REFUSED, REASON_MALFORMED);
	/* The broker's own topics: by its own rules, or not at all. */
	ask(&w, ACTION_PUBLISH, "$SYS/x");
	expect(p, &w, VERDICT_OBSERVED, REASON_NO_RULE);
	world_of(&w, allow, "plain");
	ask(&w, ACTION_PUBLISH, "$SYS/x");
	expect(allow, &w, VERDICT_REFUSED, REASON_NO_RULE);
	ask(&w, ACTION_SUBSCRIBE, "$SYS/#");
	expect(allow, &w, VERDICT_OBSERVED, REASON_NO_RULE);
	policy_free(&p);
	policy_free(&allow);
}

static void test_what_holds(void **state)
{
	struct policy *p = make(true, FALLBACK_ALLOW, false);
	struct usage usage = {0};
	struct world w;

	(void)state;
	world_of(&w, p, "plain");
	ask(&w, ACTION_PUBLISH, "x");
	w.device.status = DEVICE_QUARANTINED;
	expect(p, &w, VERDICT_REFUSED, REASON_QUARANTINED);
	w.device.status = DEVICE_SUSPENDED;
	expect(p, &w, VERDICT_REFUSED, REASON_DEVICE_SUSPENDED);
	w.device.status = DEVICE_ACTIVE;
	w.who.barred = REASON_CERTIFICATE_REVOKED;
	expect(p, &w, VERDICT_REFUSED, REASON_CERTIFICATE_REVOKED);
	w.who.barred = REASON_ALLOWED;
	w.who.class = NULL;
	expect(p, &w, VERDICT_OBSERVED, REASON_CLASS_UNKNOWN);
	/* A rate is only observed, as a rule is. */
	world_of(&w, p, "limited");
	ask(&w, ACTION_PUBLISH, "m/d1/up");
	w.who.usage = &usage;
	w.what.now_ns = INT64_C(1000000000);
	expect(p, &w, VERDICT_ALLOWED, REASON_ALLOWED);
	usage.spent_until_ns[LIMIT_MESSAGES_PER_S] = INT64_C(9000000000);
	expect(p, &w, VERDICT_OBSERVED, REASON_RATE);
	policy_free(&p);
}

static void test_accessors(void **state)
{
	struct policy *p = make(true, FALLBACK_ALLOW, true);
	struct policy *q = make(false, FALLBACK_BROKER, false);

	(void)state;
	assert_true(policy_observes(p, NULL));
	assert_true(policy_observes(p, policy_class_find(p, STR("plain"))));
	assert_false(policy_observes(p, policy_class_find(p, STR("strict"))));
	assert_false(policy_observes(q, NULL));
	assert_int_equal(policy_fallback(p), FALLBACK_ALLOW);
	assert_int_equal(policy_fallback(q), FALLBACK_BROKER);
	assert_true(str_eq(policy_unknown(p), STR("plain")));
	assert_int_equal(policy_unknown(q).n, 0);
	/* Observed, a device may have sessions and QoS 2 that its class lacks. */
	assert_true(policy_class_qos2(policy_class_find(p, STR("plain"))));
	assert_false(policy_class_qos2(policy_class_find(p, STR("strict"))));
	assert_false(
		policy_class_one_session(policy_class_find(p, STR("plain"))));
	assert_true(
		policy_class_one_session(policy_class_find(p, STR("strict"))));
	policy_free(&p);
	policy_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_class_enforces),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_what_holds),
		cmocka_unit_test(test_accessors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
