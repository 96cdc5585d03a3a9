/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/config.h"
#include "tests/support/guard.h"

#include <stdio.h>

static struct guard guard;

static const char WHOLE[] =
	"{\"comment\":\"all "
	"keys\",\"state\":\"/srv/weir\",\"meter\":\"/run/m\","
	"\"listen\":\"[::1]:0\",\"hosts\":[\"feed.example\",\"10.0.0.5\","
	"\"[fd00::1]\"],\"loopback_needs_token\":true,"
	"\"tls\":{\"cert\":\"/c\",\"key\":\"/k\",\"client_ca\":\"/a\","
	"\"client_rights\":\"act\"},"
	"\"history\":{\"minute_s\":60,\"hour_s\":61,\"day_s\":62,"
	"\"event_s\":63,\"max_bytes\":1048576},"
	"\"metrics\":{\"top\":0,\"devices\":[\"till-7\",\"till-8\"]},"
	"\"findings\":{\"factor\":20,\"traffic\":0,\"refusals\":7},"
	"\"limits\":{\"connections\":9,\"address_connections\":8,"
	"\"loopback_connections\":7}}";

static bool parse(const char *text, struct feed_config *c, struct errs *errs)
{
	*errs = (struct errs){0};
	return config_parse(guard_put(&guard, str_from(text)), c, errs);
}

static void test_whole(void **state)
{
	struct feed_config c;
	struct errs errs;
	struct err e;

	(void)state;
	config_default(&c);
	if (!parse(WHOLE, &c, &errs))
		fail_msg("%s: %s", errs.e[0].place, errs.e[0].msg);
	assert_string_equal(c.state, "/srv/weir");
	assert_string_equal(c.meter, "/run/m");
	assert_true(config_complete(&c, &e));
	assert_string_equal(c.meter, "/run/m");
	assert_string_equal(c.listen.host, "::1");
	assert_true(c.listen.ipv6 && c.listen.loopback && c.listen.port == 0);
	assert_int_equal(c.n_hosts, 3);
	assert_string_equal(c.host[2], "[fd00::1]");
	assert_true(c.loopback_needs_token);
	assert_string_equal(c.tls.cert, "/c");
	assert_string_equal(c.tls.key, "/k");
	assert_string_equal(c.tls.client_ca, "/a");
	assert_int_equal(c.tls.client_rights, RIGHT_ACT);
	assert_int_equal(c.history.minute_s, 60);
	assert_int_equal(c.history.hour_s, 61);
	assert_int_equal(c.history.day_s, 62);
	assert_int_equal(c.history.event_s, 63);
	assert_int_equal(c.history.max_bytes, 1048576);
	assert_int_equal(c.metrics.top, 0);
	assert_int_equal(c.metrics.n_devices, 2);
	assert_string_equal(c.metrics.device[1], "till-8");
	assert_int_equal(c.findings.factor, 20);
	assert_int_equal(c.findings.floor[FINDING_TRAFFIC], 0);
	assert_int_equal(c.findings.floor[FINDING_REFUSALS], 7);
	assert_int_equal(c.findings.floor[FINDING_TAKEOVERS], 6);
	assert_int_equal(c.limits.connections, 9);
	assert_int_equal(c.limits.address_connections, 8);
	assert_int_equal(c.limits.loopback_connections, 7);
	assert_true(config_check(&c, &e));
}

/* What is not said stays; the defaults make sense. */
static void test_default(void **state)
{
	struct feed_config c, before;
	struct errs errs;
	struct err e;

	(void)state;
	config_default(&c);
	assert_true(config_check(&c, &e));
	before = c;
	assert_true(config_complete(&before, &e));
	assert_string_equal(before.meter, "/var/lib/weir/meter/meter.seg");
	memset(before.state, 'a', sizeof(before.state) - 1);
	before.state[sizeof(before.state) - 1] = '\0';
	before.meter[0] = '\0';
	assert_false(config_complete(&before, &e));
	assert_string_equal(e.place, "state");
	before = c;
	assert_true(parse("{}", &c, &errs));
	assert_memory_equal(&c, &before, sizeof(c));
	assert_true(parse("{\"history\":{\"day_s\":99999}}", &c, &errs));
	before.history.day_s = 99999;
	assert_memory_equal(&c, &before, sizeof(c));
}

static const struct {
	const char *text, *place, *says;
} invalid[] = {
	{"", "", ""},
	{"[]", "", "must be an object"},
	{"{}x", "", ""},
	{"{\"a\":1,\"a\":2}", "a", ""},
	{"{\"listn\":\"x\"}", "listn", "did you mean \"listen\"?"},
	{"{\"tls\":{\"certs\":\"x\",\"key\":\"y\"}}", "tls", "\"cert\" is"},
	{"{\"tls\":{\"cert\":\"x\"}}", "tls", "\"key\" is missing"},
	{"{\"tls\":{\"cert\":\"\",\"key\":\"y\"}}", "tls.cert", "1 to 4095"},
	{"{\"tls\":{\"cert\":5,\"key\":\"y\"}}", "tls.cert", "a string"},
	{"{\"tls\":{\"cert\":\"x\",\"key\":\"y\",\"client_rights\":\"all\"}}",
		"tls.client_rights", "\"read\" or \"act\""},
	{"{\"tls\":true}", "tls", "an object"},
	{"{\"state\":\"a\\nb\"}", "state", "path of a directory"},
	{"{\"listen\":9782}", "listen", "a string"},
	{"{\"listen\":\"localhost:9782\"}", "listen", "ADDRESS:PORT"},
	{"{\"hosts\":\"x\"}", "hosts", "an array"},
	{"{\"hosts\":[\"x:1\"]}", "hosts[0]", "without a port"},
	{"{\"hosts\":[\"a\",\"\"]}", "hosts[1]", "host name"},
	{"{\"hosts\":[\"a/b\"]}", "hosts[0]", "host name"},
	{"{\"hosts\":[\"[1.2.3.4]\"]}", "hosts[0]", "host name"},
	{"{\"hosts\":[5]}", "hosts[0]", "a string"},
	{"{\"hosts\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
	 "\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]}",
		"hosts", "at most 16"},
	{"{\"history\":{\"minute_s\":59}}", "history.minute_s", "from 60"},
	{"{\"history\":{\"minute_s\":\"48h\"}}", "history.minute_s",
		"a whole number"},
	{"{\"history\":{\"max_bytes\":1048575}}", "history.max_bytes",
		"from 1048576"},
	{"{\"history\":{\"hour_s\":-1}}", "history.hour_s", "from 60"},
	{"{\"metrics\":{\"top\":1001}}", "metrics.top", "to 1000"},
	{"{\"findings\":{\"factor\":1}}", "findings.factor", "from 2"},
	{"{\"findings\":{\"connects\":-1}}", "findings.connects", "0"},
	{"{\"findings\":{\"noise\":1}}", "findings.noise", "unknown"},
	{"{\"metrics\":{\"devices\":[\"a b\"]}}", "metrics.devices[0]",
		"a device id"},
	{"{\"metrics\":{\"devices\":[\"a\",\"b\",\"a\"]}}",
		"metrics.devices[2]", "twice"},
	{"{\"limits\":{\"connections\":0}}", "limits.connections", "from 1"},
	{"{\"limits\":{\"connections\":60001}}", "limits.connections",
		"to 60000"},
	{"{\"limits\":{\"x\":1}}", "limits.x", "limits has: connections"},
};

static void test_invalid(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		struct feed_config c, before;
		struct errs errs;

		config_default(&c);
		before = c;
		if (parse(invalid[i].text, &c, &errs))
			fail_msg("%s was accepted", invalid[i].text);
		assert_true(errs.n >= 1);
		assert_int_equal(errs.e[0].code, ERR_INPUT);
		if (strcmp(errs.e[0].place, invalid[i].place) != 0 ||
			strstr(errs.e[0].msg, invalid[i].says) == NULL)
			fail_msg("%s: %s: %s", invalid[i].text, errs.e[0].place,
				errs.e[0].msg);
		assert_memory_equal(&c, &before, sizeof(c));
	}
}

/* All that is wrong is said, as far as the list goes. */
static void test_all_errors(void **state)
{
	char text[1024] = "{";
	struct feed_config c;
	struct errs errs;
	size_t n = 1;

	(void)state;
	config_default(&c);
	assert_false(
		parse("{\"state\":1,\"listen\":2,\"hosts\":3}", &c, &errs));
	assert_int_equal(errs.n, 3);
	for (int i = 0; i < 30; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			"%s\"unknown%d\":1", i != 0 ? "," : "", i);
	(void)snprintf(text + n, sizeof(text) - n, "}");
	assert_false(parse(text, &c, &errs));
	assert_int_equal(errs.n, ERRS_MAX);
	assert_true(errs.more);
}

static const struct {
	const char *text, *host;
	uint16_t port;
	bool ipv6, loopback;
} listens[] = {
	{"127.0.0.1:9782", "127.0.0.1", 9782, false, true},
	{"127.9.9.9:0", "127.9.9.9", 0, false, true},
	{"0.0.0.0:65535", "0.0.0.0", 65535, false, false},
	{"10.1.2.3:1", "10.1.2.3", 1, false, false},
	{"[::1]:80", "::1", 80, true, true},
	{"[::]:80", "::", 80, true, false},
	{"[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, true, false},
};

static const char *const bad_listens[] = {"", ":", ":9782", "127.0.0.1",
	"127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
	"127.0.0.1:1 ", "127.1:80", "localhost:80", "::1:80", "[::1]", "[]:80",
	"[::1:80", "[127.0.0.1]:80", "[::1%lo]:80", "*:80", "1.2.3.4:5:6"};

static void test_listen(void **state)
{
	struct config_listen l = {.port = 7};
	char text[CONFIG_ADDRESS_MAX];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_listens) / sizeof(bad_listens[0]);
		i++) {
		if (config_listen_parse(
			    guard_put(&guard, str_from(bad_listens[i])), &l,
			    &e))
			fail_msg("%s was accepted", bad_listens[i]);
		assert_int_equal(e.code, ERR_INPUT);
		assert_int_equal(l.port, 7);
	}
	for (size_t i = 0; i < sizeof(listens) / sizeof(listens[0]); i++) {
		if (!config_listen_parse(
			    guard_put(&guard, str_from(listens[i].text)), &l,
			    &e))
			fail_msg("%s: %s", listens[i].text, e.msg);
		assert_string_equal(l.host, listens[i].host);
		assert_int_equal(l.port, listens[i].port);
		assert_int_equal(l.ipv6, listens[i].ipv6);
		assert_int_equal(l.loopback, listens[i].loopback);
		config_listen_format(&l, text);
		assert_string_equal(text, listens[i].text);
	}
}

static void test_check(void **state)
{
	struct feed_config c;
	struct errs errs;
	struct err e;

	(void)state;
	config_default(&c);
	assert_true(parse("{\"listen\":\"0.0.0.0:1\"}", &c, &errs));
	assert_false(config_check(&c, &e));
	assert_string_equal(e.place, "listen");
	assert_true(
		parse("{\"tls\":{\"cert\":\"a\",\"key\":\"b\"}}", &c, &errs));
	assert_true(config_check(&c, &e));
	assert_true(parse("{\"limits\":{\"connections\":511}}", &c, &errs));
	assert_false(config_check(&c, &e));
	assert_string_equal(e.place, "limits.loopback_connections");
	assert_true(parse("{\"limits\":{\"connections\":63,"
			  "\"loopback_connections\":1}}",
		&c, &errs));
	assert_false(config_check(&c, &e));
	assert_string_equal(e.place, "limits.address_connections");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_all_errors),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_check),
	};
	int failed;

	guard_init(&guard, 4096);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
