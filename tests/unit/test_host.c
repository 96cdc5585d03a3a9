/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/host.h"
#include "tests/support/guard.h"

static struct guard guard;

static const struct {
	const char *host;
	bool served;
} hosts[] = {
	{"localhost", true},
	{"LocalHost:9782", true},
	{"127.0.0.1", true},
	{"127.0.0.1:9782", true},
	{"[::1]", true},
	{"[::1]:1", true},
	{"localhost:", true},
	{"feed.example", true},
	{"FEED.example:443", true},
	{"10.0.0.5:9782", true},
	{"", false},
	{":9782", false},
	{"evil.example", false},
	{"localhost.evil.example", false},
	{"evil.example:9782", false},
	{"localhost.", false},
	{"localhost:x", false},
	{"localhost:123456", false},
	{"localhost:1:2", false},
	{"localhost@evil", false},
	{" localhost", false},
	{"127.0.0.1.evil.example", false},
	{"127.0.0.2", false},
	{"[::1", false},
	{"::1", false},
	{"[::2]", false},
	{"[localhost]", false},
	{"[::1]x", false},
	{"feed.example,localhost", false},
};

static void test_served(void **state)
{
	struct feed_config c = {.n_hosts = 1};

	(void)state;
	memcpy(c.host[0], "feed.example", 13);
	memcpy(c.listen.host, "10.0.0.5", 9);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		if (host_served(
			    &c, guard_put(&guard, str_from(hosts[i].host))) !=
			hosts[i].served)
			fail_msg("%s", hosts[i].host);
	}
	memcpy(c.listen.host, "fd00::1", 8);
	c.listen.ipv6 = true;
	assert_true(host_served(&c, STR("[fd00::1]:9782")));
	assert_false(host_served(&c, STR("fd00")));
	assert_false(host_served(&c, STR("10.0.0.5")));
	assert_true(host_served(&c, STR("localhost")));
}

static const struct {
	const char *host, *origin;
	bool tls, same;
} origins[] = {
	{"localhost:1", "http://localhost:1", false, true},
	{"LOCALHOST:1", "HTTP://localhost:1", false, true},
	{"feed.example", "https://feed.example", true, true},
	{"localhost:1", "https://localhost:1", false, false},
	{"localhost:1", "http://localhost:1", true, false},
	{"localhost:1", "http://localhost:2", false, false},
	{"localhost:1", "http://localhost", false, false},
	{"localhost:1", "http://localhost:1/", false, false},
	{"localhost:1", "http://evil.example", false, false},
	{"localhost:1", "null", false, false},
	{"localhost:1", "", false, false},
	{"localhost:1", "localhost:1", false, false},
};

static void test_origin(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
		struct str origin =
			guard_put(&guard, str_from(origins[i].origin));

		if (host_is_origin(str_from(origins[i].host), origin,
			    origins[i].tls) != origins[i].same)
			fail_msg("%s, %s", origins[i].host, origins[i].origin);
	}
	/* Without a Host nothing is the same site. */
	assert_false(host_is_origin(
		(struct str){NULL, 0}, STR("http://localhost"), false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_served),
		cmocka_unit_test(test_origin),
	};
	int failed;

	guard_init(&guard, 4096);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	guard_fini(&guard);
	return failed;
}
