/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/decide.h"

#include <stdio.h>
#include <string.h>

#define NOW INT64_C(1800000000)
#define RULE(t)                                                                \
	{                                                                      \
		.topic = {(t), sizeof(t) - 1}, .max_qos = 1,                   \
		.max_bytes = POLICY_BYTES_MAX                                  \
	}

static const struct str groups[] = {STR_INIT("workers"), STR_INIT("spare")};
static const struct rule_spec publish[] = {
	RULE("pay/${device}/status"),
	{.topic = STR_INIT("pay/${device}/txn/+"),
		.max_qos = 2,
		.retain = true,
		.max_bytes = 100},
	{.topic = STR_INIT("pay/${device}/txn/big"),
		.max_qos = 0,
		.max_bytes = 1000},
	RULE("site/${attr.site}/from/${attr.site}"),
	RULE("log/#"),
};
static const struct rule_spec subscribe[] = {
	{.topic = STR_INIT("pay/${device}/cmd/#"), .max_qos = 2},
	{.topic = STR_INIT("notice/+"), .max_qos = 1},
	{.topic = STR_INIT("notice/+/+/#"), .max_qos = 1},
	{.topic = STR_INIT("work/#"),
		.max_qos = 2,
		.shared = groups,
		.n_shared = 2},
	{.topic = STR_INIT("sim/${iccid}/#"), .max_qos = 2},
	{.topic = STR_INIT("none/${imsi}/#"), .max_qos = 2},
};
static const struct rule_spec jail_publish[] = {RULE("fw/${device}/state")};
static const struct rule_spec jail_subscribe[] = {
	{.topic = STR_INIT("fw/${class}/#"), .max_qos = 2}};
static const struct str client_ids[] = {STR_INIT("${device}"),
	STR_INIT("${device}/updater"), STR_INIT("${device}~w*")};

static struct policy *policy;

static int setup(void **state)
{
	const struct class_spec terminal = {.name = STR("terminal"),
		.publish = publish,
		.n_publish = sizeof(publish) / sizeof(publish[0]),
		.subscribe = subscribe,
		.n_subscribe = sizeof(subscribe) / sizeof(subscribe[0]),
		.client_ids = client_ids,
		.n_client_ids = 3,
		.sim_require = 1u << SIMID_ICCID};
	const struct policy_spec spec = {.classes = &terminal,
		.n_classes = 1,
		.quarantine = {.publish = jail_publish,
			.n_publish = 1,
			.subscribe = jail_subscribe,
			.n_subscribe = 1}};
	struct errs errs = {0};

	(void)state;
	return policy_compile(&spec, &policy, &errs) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	policy_free(&policy);
	return 0;
}

/* A terminal in good standing; tests spoil one thing each. */
struct world {
	struct attr attrs[2];
	struct device device;
	struct certificate certificate;
	struct subject who;
	struct request what;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->attrs[0] = (struct attr){STR("site"), STR("north")};
	w->attrs[1] = (struct attr){STR("site"), STR("south")};
	w->device = (struct device){.id = "dev-1",
		.class_name = "terminal",
		.id_len = 5,
		.status = DEVICE_ACTIVE,
		.n_attrs = 2,
		.attrs = w->attrs};
	w->device.sim[SIMID_ICCID] =
		(struct simid){SIMID_ICCID, 19, "8988211000000467343"};
	w->device.sim[SIMID_IMEI] =
		(struct simid){SIMID_IMEI, 15, "354178036859789"};
	w->certificate = (struct certificate){.not_before_s = NOW - 10,
		.not_after_s = NOW + 10,
		.usable = true};
	w->who = (struct subject){.device = &w->device,
		.class = policy_class_find(policy, STR("terminal")),
		.certificate = &w->certificate,
		.credential = CREDENTIAL_ACTIVE,
		.barred = REASON_ALLOWED};
	w->what = (struct request){.now_s = NOW};
}

static enum reason ask(struct world *w, enum action action, const char *topic)
{
	struct decision d;

	w->what.action = action;
	w->what.topic = str_from(topic);
	d = decide(policy, &w->who, &w->what);
	assert_int_equal(
		d.verdict == VERDICT_ALLOWED, d.reason == REASON_ALLOWED);
	return (enum reason)d.reason;
}

#define CHECK(w, action, topic, want)                                          \
	assert_string_equal(reason_name(ask(w, action, topic)),                \
		reason_name(REASON_##want))

static void state_simid(struct world *w, enum simid_kind kind, const char *s)
{
	memcpy(w->certificate.stated[kind], s, strlen(s) + 1);
}

static void test_connect(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	CHECK(&w, ACTION_CONNECT, "dev-1", ALLOWED);
	CHECK(&w, ACTION_CONNECT, "dev-1/updater", ALLOWED);
	CHECK(&w, ACTION_CONNECT, "dev-1~w7", ALLOWED);
	CHECK(&w, ACTION_CONNECT, "dev-1~w", CLIENT_ID_MISMATCH);
	CHECK(&w, ACTION_CONNECT, "dev-2", CLIENT_ID_MISMATCH);
	CHECK(&w, ACTION_CONNECT, "dev-10", CLIENT_ID_MISMATCH);
	CHECK(&w, ACTION_CONNECT, "dev-1/", CLIENT_ID_MISMATCH);
	CHECK(&w, ACTION_CONNECT, "dev-1/updater2", CLIENT_ID_MISMATCH);
	CHECK(&w, ACTION_CONNECT, "dev-", CLIENT_ID_MISMATCH);
	CHECK(&w, ACTION_CONNECT, "", MALFORMED);
	CHECK(&w, ACTION_CONNECT, "dev-1\x01", MALFORMED);

	/* quarantine is a jail, not a ban */
	w.device.status = DEVICE_QUARANTINED;
	CHECK(&w, ACTION_CONNECT, "dev-1", ALLOWED);
}

static void test_connect_identity(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	state_simid(&w, SIMID_ICCID, "898821100000046734F");
	CHECK(&w, ACTION_CONNECT, "dev-1", ALLOWED);
	state_simid(&w, SIMID_IMEI, "3541780368597801");
	CHECK(&w, ACTION_CONNECT, "dev-1", ALLOWED);
	state_simid(&w, SIMID_IMEI, "354178036859779");
	CHECK(&w, ACTION_CONNECT, "dev-1", SIM_MISMATCH);
	world_init(&w);
	/* states one that the registry does not have */
	state_simid(&w, SIMID_EID, "89049032007008882600086562427831");
	CHECK(&w, ACTION_CONNECT, "dev-1", SIM_MISMATCH);
	world_init(&w);
	/* lacks one that the class requires */
	w.device.sim[SIMID_ICCID] = (struct simid){0};
	CHECK(&w, ACTION_CONNECT, "dev-1", SIM_MISMATCH);
}

/* Everything wrong at once: mended one by one, the reasons come in the order
 * of the contract. */
static void test_connect_order(void **state)
{
	struct world w;
	const struct policy_class *class;

	(void)state;
	world_init(&w);
	class = w.who.class;
	w.who.certificate = NULL;
	w.who.credential = CREDENTIAL_REVOKED;
	w.who.device = NULL;
	w.who.class = NULL;
	w.certificate.usable = false;
	w.certificate.not_after_s = NOW - 1;
	w.device.status = DEVICE_SUSPENDED;
	state_simid(&w, SIMID_IMSI, "001010123456789");
	CHECK(&w, ACTION_CONNECT, "other", NO_CERTIFICATE);
	w.who.certificate = &w.certificate;
	CHECK(&w, ACTION_CONNECT, "other", CERTIFICATE_INVALID);
	w.certificate.usable = true;
	CHECK(&w, ACTION_CONNECT, "other", CERTIFICATE_REVOKED);
	w.who.credential = CREDENTIAL_NONE;
	CHECK(&w, ACTION_CONNECT, "other", UNKNOWN_CERTIFICATE);
	w.who.key_barred = true;
	CHECK(&w, ACTION_CONNECT, "other", CERTIFICATE_REVOKED);
	w.who.credential = CREDENTIAL_ACTIVE;
	CHECK(&w, ACTION_CONNECT, "other", CERTIFICATE_REVOKED);
	w.who.key_barred = false;
	CHECK(&w, ACTION_CONNECT, "other", CERTIFICATE_EXPIRED);
	w.certificate.not_after_s = NOW;
	CHECK(&w, ACTION_CONNECT, "other", UNKNOWN_CERTIFICATE);
	w.who.device = &w.device;
	CHECK(&w, ACTION_CONNECT, "other", DEVICE_SUSPENDED);
	w.device.status = DEVICE_RETIRED;
	CHECK(&w, ACTION_CONNECT, "other", DEVICE_RETIRED);
	w.device.status = DEVICE_NONE;
	CHECK(&w, ACTION_CONNECT, "other", UNAVAILABLE);
	w.device.status = 77;
	CHECK(&w, ACTION_CONNECT, "other", UNAVAILABLE);
	w.device.status = DEVICE_ACTIVE;
	CHECK(&w, ACTION_CONNECT, "other", CLASS_UNKNOWN);
	w.who.class = class;
	CHECK(&w, ACTION_CONNECT, "other", SIM_MISMATCH);
	w.certificate.stated[SIMID_IMSI][0] = '\0';
	CHECK(&w, ACTION_CONNECT, "other", CLIENT_ID_MISMATCH);
	CHECK(&w, ACTION_CONNECT, "dev-1", ALLOWED);
}

static void test_validity_edges(void **state)
{
	static const struct {
		int64_t now_s;
		enum reason reason;
	} table[] = {
		{NOW - 11, REASON_CERTIFICATE_EXPIRED},
		{NOW - 10, REASON_ALLOWED},
		{NOW + 10, REASON_ALLOWED},
		{NOW + 11, REASON_CERTIFICATE_EXPIRED},
	};
	struct world w;
	size_t i;

	(void)state;
	world_init(&w);
	for (i = 0; i < 4; i++) {
		w.what.now_s = table[i].now_s;
		assert_int_equal(
			ask(&w, ACTION_CONNECT, "dev-1"), table[i].reason);
		assert_int_equal(ask(&w, ACTION_PUBLISH, "pay/dev-1/status"),
			table[i].reason);
	}
}

static const struct {
	const char *topic;
	uint8_t qos;
	bool retain;
	uint32_t bytes;
	enum reason reason;
	const char *place;
} publishes[] = {
	{"pay/dev-1/status", 1, false, 9, REASON_ALLOWED,
		"classes.terminal.publish[0]"},
	{"pay/dev-1/status", 2, false, 9, REASON_QOS,
		"classes.terminal.publish[0]"},
	{"pay/dev-1/status", 3, false, 9, REASON_QOS,
		"classes.terminal.publish[0]"},
	{"pay/dev-1/status", 0, true, 9, REASON_RETAIN,
		"classes.terminal.publish[0]"},
	{"pay/dev-1/status", 0, false, POLICY_BYTES_MAX + 1, REASON_SIZE,
		"classes.terminal.publish[0]"},
	{"pay/dev-1/txn/1", 2, true, 100, REASON_ALLOWED,
		"classes.terminal.publish[1]"},
	{"pay/dev-1/txn/1", 2, true, 101, REASON_SIZE,
		"classes.terminal.publish[1]"},
	/* all matching rules are tried */
	{"pay/dev-1/txn/big", 0, false, 1000, REASON_ALLOWED,
		"classes.terminal.publish[2]"},
	{"pay/dev-1/txn/big", 2, true, 50, REASON_ALLOWED,
		"classes.terminal.publish[1]"},
	{"site/north/from/north", 0, false, 0, REASON_ALLOWED,
		"classes.terminal.publish[3]"},
	{"site/south/from/south", 0, false, 0, REASON_ALLOWED,
		"classes.terminal.publish[3]"},
	{"site/north/from/south", 0, false, 0, REASON_NO_RULE,
		"classes.terminal.publish[3]"},
	{"log", 0, false, 0, REASON_ALLOWED, "classes.terminal.publish[4]"},
	{"log/a/b", 0, false, 0, REASON_ALLOWED, "classes.terminal.publish[4]"},
	/* the nearest rule: below the deepest node reached */
	{"pay/dev-1/stats", 0, false, 0, REASON_NO_RULE,
		"classes.terminal.publish[0]"},
	{"pay/dev-1/txn", 0, false, 0, REASON_NO_RULE,
		"classes.terminal.publish[1]"},
	{"pay/dev-2/status", 0, false, 0, REASON_NO_RULE,
		"classes.terminal.publish[0]"},
	{"else", 0, false, 0, REASON_NO_RULE, "classes.terminal.publish[0]"},
	{"$SYS/x", 0, false, 0, REASON_NO_RULE, "classes.terminal.publish[0]"},
	{"pay/dev-1/txn/+", 0, false, 0, REASON_MALFORMED, ""},
	{"pay/dev-1/txn/\x01", 0, false, 0, REASON_MALFORMED, ""},
	{"log/\xc0\xaf", 0, false, 0, REASON_MALFORMED, ""},
	{"log/#", 0, false, 0, REASON_MALFORMED, ""},
	{"", 0, false, 0, REASON_MALFORMED, ""},
};

static void test_publish(void **state)
{
	struct world w;
	char place[RULE_PLACE_MAX];
	size_t i;

	(void)state;
	world_init(&w);
	w.what.action = ACTION_PUBLISH;
	for (i = 0; i < sizeof(publishes) / sizeof(publishes[0]); i++) {
		struct decision d;

		w.what.topic = str_from(publishes[i].topic);
		w.what.qos = publishes[i].qos;
		w.what.retain = publishes[i].retain;
		w.what.payload_len = publishes[i].bytes;
		d = decide(policy, &w.who, &w.what);
		policy_rule_place(policy, d.rule, place);
		if (d.reason != publishes[i].reason ||
			strcmp(place, publishes[i].place) != 0)
			fail_msg("%s: %s at '%s'", publishes[i].topic,
				reason_name(d.reason), place);
	}
}

static void test_subscribe(void **state)
{
	static const struct {
		const char *filter;
		uint8_t qos;
		enum reason reason;
	} table[] = {
		{"pay/dev-1/cmd/#", 2, REASON_ALLOWED},
		{"pay/dev-1/cmd", 2, REASON_ALLOWED},
		{"pay/dev-1/cmd/+/x", 0, REASON_ALLOWED},
		{"notice/a", 1, REASON_ALLOWED},
		{"notice/a", 2, REASON_QOS},
		{"notice/+/+", 1, REASON_ALLOWED},
		{"sim/8988211000000467343/#", 0, REASON_ALLOWED},
		{"work/#", 0, REASON_ALLOWED},
		{"$share/workers/work/a", 0, REASON_ALLOWED},
		{"$share/spare/work/#", 0, REASON_ALLOWED},
		{"$share/other/work/#", 0, REASON_FILTER_TOO_WIDE},
		{"$share/other/work/a", 0, REASON_NO_RULE},
		{"$share/workers/notice/a", 0, REASON_NO_RULE},
		{"$share/workers/+", 0, REASON_FILTER_TOO_WIDE},
		{"$share/workers", 0, REASON_MALFORMED},
		{"$share/workers/", 0, REASON_MALFORMED},
		{"$share//work/a", 0, REASON_MALFORMED},
		{"$share/work/#", 0, REASON_FILTER_TOO_WIDE},
		/* the union covers "notice/#" but for "notice" itself */
		{"notice/#", 0, REASON_FILTER_TOO_WIDE},
		{"pay/+/cmd/#", 0, REASON_FILTER_TOO_WIDE},
		{"pay/dev-1/#", 0, REASON_FILTER_TOO_WIDE},
		{"#", 0, REASON_FILTER_TOO_WIDE},
		{"+", 0, REASON_FILTER_TOO_WIDE},
		{"pay/dev-2/cmd/#", 0, REASON_NO_RULE},
		{"else/#", 0, REASON_NO_RULE},
		{"sim/8988211000000467344/#", 0, REASON_NO_RULE},
		{"none//#", 0, REASON_NO_RULE},
		{"$SYS/#", 0, REASON_NO_RULE},
		{"a/#/b", 0, REASON_MALFORMED},
		{"a+", 0, REASON_MALFORMED},
		{"", 0, REASON_MALFORMED},
	};
	struct world w;
	size_t i;

	(void)state;
	world_init(&w);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		enum reason got;

		w.what.qos = table[i].qos;
		got = ask(&w, ACTION_SUBSCRIBE, table[i].filter);
		if (got != table[i].reason)
			fail_msg("%s: %s", table[i].filter, reason_name(got));
	}
}

static void test_receive(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.what.qos = 2;
	w.what.retain = true;
	w.what.payload_len = UINT32_MAX;
	CHECK(&w, ACTION_RECEIVE, "pay/dev-1/cmd/go", ALLOWED);
	CHECK(&w, ACTION_RECEIVE, "notice/a", ALLOWED);
	CHECK(&w, ACTION_RECEIVE, "work/1", ALLOWED);
	CHECK(&w, ACTION_RECEIVE, "notice", NO_RULE);
	CHECK(&w, ACTION_RECEIVE, "pay/dev-1/status", NO_RULE);
	CHECK(&w, ACTION_RECEIVE, "$SYS/broker/uptime", NO_RULE);
	CHECK(&w, ACTION_RECEIVE, "notice/#", MALFORMED);
}

static void test_quarantine(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.device.status = DEVICE_QUARANTINED;
	CHECK(&w, ACTION_PUBLISH, "fw/dev-1/state", ALLOWED);
	CHECK(&w, ACTION_SUBSCRIBE, "fw/terminal/#", ALLOWED);
	CHECK(&w, ACTION_RECEIVE, "fw/terminal/image", ALLOWED);
	CHECK(&w, ACTION_PUBLISH, "pay/dev-1/status", QUARANTINED);
	CHECK(&w, ACTION_SUBSCRIBE, "pay/dev-1/cmd/#", QUARANTINED);
	CHECK(&w, ACTION_RECEIVE, "pay/dev-1/cmd/go", QUARANTINED);
	CHECK(&w, ACTION_PUBLISH, "fw/+", MALFORMED);
	w.device.status = DEVICE_ACTIVE;
	CHECK(&w, ACTION_PUBLISH, "fw/dev-1/state", NO_RULE);
}

/* What takes all rights takes them from every action at once. */
static void test_standing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.who.barred = REASON_CERTIFICATE_REVOKED;
	CHECK(&w, ACTION_PUBLISH, "log", CERTIFICATE_REVOKED);
	CHECK(&w, ACTION_SUBSCRIBE, "notice/a", CERTIFICATE_REVOKED);
	CHECK(&w, ACTION_RECEIVE, "notice/a", CERTIFICATE_REVOKED);
	w.who.barred = REASON_UNAVAILABLE;
	CHECK(&w, ACTION_PUBLISH, "log", UNAVAILABLE);
	world_init(&w);
	w.device.status = DEVICE_SUSPENDED;
	CHECK(&w, ACTION_PUBLISH, "log", DEVICE_SUSPENDED);
	w.device.status = DEVICE_RETIRED;
	CHECK(&w, ACTION_PUBLISH, "log", DEVICE_RETIRED);
	w.device.status = DEVICE_ACTIVE;
	w.who.class = NULL;
	CHECK(&w, ACTION_PUBLISH, "log", CLASS_UNKNOWN);
	w.device.status = DEVICE_QUARANTINED;
	CHECK(&w, ACTION_PUBLISH, "fw/dev-1/state", CLASS_UNKNOWN);
	w.who.device = NULL;
	CHECK(&w, ACTION_PUBLISH, "log", UNKNOWN_CERTIFICATE);
	world_init(&w);
	/* a session without a connection has no certificate */
	w.who.certificate = NULL;
	CHECK(&w, ACTION_PUBLISH, "log", ALLOWED);
}

static void test_zeroed(void **state)
{
	const struct subject nobody = {0};
	const struct request nothing = {0};
	struct world w;
	struct decision d;
	unsigned action;

	(void)state;
	world_init(&w);
	for (action = 0; action < 8; action++) {
		struct request what = {.action = (enum action)action,
			.topic = STR_INIT("log")};

		d = decide(policy, &nobody, &what);
		assert_int_equal(d.verdict, VERDICT_REFUSED);
		d = decide(NULL, &w.who, &what);
		assert_int_equal(d.verdict, VERDICT_REFUSED);
		assert_int_equal(d.reason, REASON_UNAVAILABLE);
	}
	d = decide(policy, &w.who, &nothing);
	assert_int_equal(d.verdict, VERDICT_REFUSED);
	w.what.action = (enum action)99;
	w.what.topic = STR("log");
	d = decide(policy, &w.who, &w.what);
	assert_int_equal(d.reason, REASON_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_identity),
		cmocka_unit_test(test_connect_order),
		cmocka_unit_test(test_validity_edges),
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_subscribe),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_standing),
		cmocka_unit_test(test_zeroed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
