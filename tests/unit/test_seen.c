/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of observations: what is written is read back, within its bounds,
 * over a restart; what is not sound is not read.
 */
#include "core/seen_write.h"
#include "core/topic.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000)

static void *mem;
static struct seen_writer w;

static int setup(void **state)
{
	(void)state;
	mem = calloc(1, SEEN_SIZE);
	if (mem == NULL)
		return -1;
	seen_format(mem, NOW);
	return seen_writer_init(&w, mem) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	seen_writer_fini(&w);
	free(mem);
	return 0;
}

static struct seen_header *header(void)
{
	return mem;
}

static void record(uint32_t device, const char *topic, uint8_t qos, bool retain)
{
	struct request what = {.action = ACTION_PUBLISH,
		.qos = qos,
		.retain = retain,
		.payload_len = (uint32_t)(10 * qos + 1),
		.topic = str_from(topic),
		.now_s = NOW + qos};

	seen_record(&w, device, &what, REASON_NO_RULE);
}

/* The request of ID and TOPIC; its count is 0 when there is none. */
static struct seen find(const char *id, const char *topic)
{
	struct seen s;

	for (uint32_t i = 0; i < seen_requests(mem); i++)
		if (seen_request_load(mem, i, &s) &&
			strcmp(s.device, id) == 0 &&
			strcmp(s.topic, topic) == 0)
			return s;
	return (struct seen){.count = 0};
}

static size_t count_sound(uint64_t *messages)
{
	size_t n = 0;
	struct seen s;

	*messages = 0;
	for (uint32_t i = 0; i < seen_requests(mem); i++)
		if (seen_request_load(mem, i, &s)) {
			n++;
			*messages += s.count;
		}
	return n;
}

static void test_round_trip(void **state)
{
	uint32_t a = seen_device(&w, STR("a-1")), b = seen_device(&w, STR("b"));
	struct request what = {.action = ACTION_SUBSCRIBE,
		.qos = 1,
		.topic = STR("x/+/#"),
		.now_s = NOW};
	struct seen s;

	(void)state;
	assert_int_not_equal(a, b);
	assert_int_equal(seen_device(&w, STR("a-1")), a);
	record(a, "t/1", 0, false);
	record(a, "t/1", 2, true);
	record(a, "t/1", 1, false);
	record(b, "t/1", 0, false);
	seen_record(&w, a, &what, REASON_FILTER_TOO_WIDE);
	s = find("a-1", "t/1");
	assert_int_equal(s.count, 3);
	assert_int_equal(s.qos, 2);
	assert_true(s.retain);
	assert_int_equal(s.largest, 21);
	assert_int_equal(s.first_s, NOW);
	assert_int_equal(s.last_s, NOW + 1);
	assert_int_equal(s.action, ACTION_PUBLISH);
	assert_int_equal(s.reason, REASON_NO_RULE);
	assert_false(s.folded);
	assert_int_equal(find("b", "t/1").count, 1);
	assert_false(find("b", "t/1").retain);
	s = find("a-1", "x/+/#");
	assert_int_equal(s.action, ACTION_SUBSCRIBE);
	assert_int_equal(s.reason, REASON_FILTER_TOO_WIDE);
	/* Another reason is another request. */
	seen_record(&w, a, &what, REASON_NO_RULE);
	assert_int_equal(seen_requests(mem), 4);
}

static void test_lost(void **state)
{
	uint32_t a = seen_device(&w, STR("a"));
	char topic[SEEN_TOPIC + 2];

	(void)state;
	memset(topic, 'x', sizeof topic);
	topic[SEEN_TOPIC + 1] = '\0';
	record(a, topic, 0, false);
	assert_int_equal(header()->lost_messages, 1);
	topic[SEEN_TOPIC] = '\0';
	record(a, topic, 0, false);
	assert_int_equal(header()->lost_messages, 1);
	assert_int_equal(find("a", topic).count, 1);
	record(SEEN_NONE, "t", 0, false);
	assert_int_equal(header()->lost_messages, 2);
	assert_int_equal(seen_device(&w, STR("")), SEEN_NONE);
	/* No two of 64 share all levels but one: there is nothing to fold. */
	for (unsigned i = 0; i < 2 * SEEN_PER_DEVICE; i++) {
		(void)snprintf(topic, sizeof topic, "%u/%u", i, i + 1000);
		record(a, topic, 0, false);
	}
	assert_true(count_sound(&(uint64_t){0}) == SEEN_PER_DEVICE);
	assert_int_equal(header()->lost_messages, 2 + SEEN_PER_DEVICE + 1);
}

static void test_devices_full(void **state)
{
	char id[16];

	(void)state;
	for (unsigned i = 0; i < SEEN_DEVICES; i++) {
		(void)snprintf(id, sizeof id, "d%u", i);
		assert_int_equal(seen_device(&w, str_from(id)), i);
	}
	assert_int_equal(seen_device(&w, STR("one-more")), SEEN_NONE);
	assert_int_equal(seen_device(&w, STR("d7")), 7);
}

static void test_folding(void **state)
{
	uint32_t a = seen_device(&w, STR("a"));
	char topic[64];
	uint64_t messages;
	struct seen s;

	(void)state;
	record(a, "a/state", 0, false);
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(topic, sizeof topic, "/a/txn/%u/x", i);
		record(a, topic, i == 7 ? 2 : 0, i == 8);
	}
	s = find("a", "/a/txn/+/x");
	assert_int_equal(s.count, 1000);
	assert_true(s.folded);
	assert_int_equal(s.qos, 2);
	assert_true(s.retain);
	assert_int_equal(find("a", "a/state").count, 1);
	assert_int_equal(count_sound(&messages), 2);
	assert_int_equal(messages, 1001);
	assert_int_equal(header()->lost_messages, 0);
	/* Another device's, and another kind's, are not in it. */
	record(seen_device(&w, STR("b")), "/a/txn/1/x", 0, false);
	assert_int_equal(find("b", "/a/txn/1/x").count, 1);
}

/* `$` at the beginning and `#` keep their meaning. */
static void test_not_folded(void **state)
{
	uint32_t a = seen_device(&w, STR("a"));
	struct request what = {.action = ACTION_SUBSCRIBE, .now_s = NOW};
	char topic[64];
	struct seen s;

	(void)state;
	for (unsigned i = 0; i < SEEN_PER_DEVICE; i++) {
		(void)snprintf(topic, sizeof topic, "$%u", i);
		record(a, topic, 0, false);
	}
	record(a, "$more", 0, false);
	record(a, "plain", 0, false);
	what.topic = STR("#");
	seen_record(&w, a, &what, REASON_NO_RULE);
	for (uint32_t i = 0; i < seen_requests(mem); i++)
		if (seen_request_load(mem, i, &s))
			assert_false(s.folded);
	assert_int_equal(header()->lost_messages, 3);
}

/* A group is a name: only the filter behind it has levels. */
static void test_folding_shared(void **state)
{
	uint32_t a = seen_device(&w, STR("a"));
	struct request what = {.action = ACTION_SUBSCRIBE, .now_s = NOW};
	char topic[64];
	uint64_t messages;
	size_t n;

	(void)state;
	for (unsigned i = 0; i <= 2 * SEEN_PER_DEVICE; i++) {
		(void)snprintf(topic, sizeof topic, "$share/g%u/t", i);
		what.topic = str_from(topic);
		seen_record(&w, a, &what, REASON_NO_RULE);
	}
	n = count_sound(&messages);
	assert_int_equal(n, SEEN_PER_DEVICE);
	assert_int_equal(messages, SEEN_PER_DEVICE);
	assert_int_equal(header()->lost_messages, SEEN_PER_DEVICE + 1);
	assert_int_equal(header()->folded, 0);
	for (unsigned i = 0; i < 3 * SEEN_PER_DEVICE; i++) {
		(void)snprintf(topic, sizeof topic, "$share/g0/y/%u", i);
		what.topic = str_from(topic);
		seen_record(
			&w, seen_device(&w, STR("b")), &what, REASON_NO_RULE);
	}
	assert_int_equal(find("b", "$share/g0/y/+").count, 3 * SEEN_PER_DEVICE);
}

static void test_restart(void **state)
{
	uint32_t a = seen_device(&w, STR("a"));
	char topic[64];
	uint64_t before, after;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(topic, sizeof topic, "t/%u/%u", i % 3, i);
		record(a, topic, 0, false);
	}
	n = count_sound(&before);
	seen_writer_fini(&w);
	assert_true(seen_writer_init(&w, mem));
	assert_int_equal(seen_device(&w, STR("a")), a);
	assert_int_equal(count_sound(&after), n);
	assert_int_equal(after, before);
	record(a, "t/0/0", 0, false);
	assert_int_equal(count_sound(&after), n);
	assert_int_equal(after, before + 1);
	assert_int_equal(seen_device(&w, STR("b")), a + 1);
}

/* A file that gives one device more than it may have: a message would cost a
 * look at each of them. */
static void test_too_many_of_one(void **state)
{
	uint32_t a = seen_device(&w, STR("a"));
	uint64_t messages;

	(void)state;
	record(a, "t", 0, false);
	for (uint32_t i = 1; i < 3 * SEEN_PER_DEVICE; i++)
		memcpy(seen_request_at(mem, i), seen_request_at(mem, 0),
			sizeof(struct seen_request));
	header()->n_requests = 3 * SEEN_PER_DEVICE;
	seen_writer_fini(&w);
	assert_true(seen_writer_init(&w, mem));
	assert_int_equal(count_sound(&messages), SEEN_PER_DEVICE);
	record(a, "t", 0, false);
	assert_int_equal(count_sound(&messages), SEEN_PER_DEVICE);
	assert_int_equal(messages, SEEN_PER_DEVICE + 1);
	/* What was dropped is free for others. */
	record(seen_device(&w, STR("b")), "t", 0, false);
	assert_int_equal(seen_requests(mem), 3 * SEEN_PER_DEVICE);
	assert_int_equal(find("b", "t").count, 1);
}

static struct credential some_credential(uint8_t k)
{
	struct credential c = {.device_id = "dev",
		.serial = "0AFF",
		.issuer = "CN=Old CA,O=Test",
		.not_before_s = NOW - 1,
		.not_after_s = NOW + 1};

	memset(c.fingerprint, k, sizeof c.fingerprint);
	memset(c.spki, k + 1, sizeof c.spki);
	return c;
}

static void test_certs(void **state)
{
	struct credential c = some_credential(1), d = some_credential(3);
	uint8_t issuer[FINGERPRINT_LEN];
	struct seen_credential s;

	(void)state;
	memset(issuer, 9, sizeof issuer);
	seen_record_cert(&w, &c, NULL, NOW);
	assert_true(seen_cert_load(mem, 0, &s));
	assert_false(s.issuer_known);
	seen_record_cert(&w, &c, issuer, NOW + 5);
	/* It is not forgotten when it cannot be told, as after a resumption. */
	seen_record_cert(&w, &c, NULL, NOW + 6);
	seen_record_cert(&w, &d, NULL, NOW + 7);
	assert_int_equal(seen_certs(mem), 2);
	assert_true(seen_cert_load(mem, 0, &s));
	assert_true(s.issuer_known);
	assert_memory_equal(s.issuer_fingerprint, issuer, sizeof issuer);
	assert_memory_equal(s.credential.fingerprint, c.fingerprint, 32);
	assert_memory_equal(s.credential.spki, c.spki, 32);
	assert_string_equal(s.credential.device_id, "dev");
	assert_string_equal(s.credential.serial, c.serial);
	assert_string_equal(s.credential.issuer, c.issuer);
	assert_int_equal(s.credential.not_before_s, NOW - 1);
	assert_int_equal(s.credential.not_after_s, NOW + 1);
	assert_int_equal(s.connects, 3);
	assert_int_equal(s.first_s, NOW);
	assert_int_equal(s.last_s, NOW + 6);
	seen_writer_fini(&w);
	assert_true(seen_writer_init(&w, mem));
	seen_record_cert(&w, &d, issuer, NOW + 8);
	assert_int_equal(seen_certs(mem), 2);
}

/* The writer was killed after it had filled an entry, before it counted it. */
static void test_cert_uncounted(void **state)
{
	struct credential c = some_credential(1), d = some_credential(3);
	uint8_t issuer[FINGERPRINT_LEN];
	struct seen_credential s;

	(void)state;
	memset(issuer, 9, sizeof issuer);
	seen_record_cert(&w, &c, issuer, NOW);
	header()->n_certs = 0;
	seen_writer_fini(&w);
	assert_true(seen_writer_init(&w, mem));
	seen_record_cert(&w, &d, NULL, NOW + 1);
	assert_true(seen_cert_load(mem, 0, &s));
	assert_memory_equal(s.credential.fingerprint, d.fingerprint, 32);
	assert_false(s.issuer_known);
	assert_int_equal(s.connects, 1);
	assert_int_equal(s.first_s, NOW + 1);
}

static void test_problem(void **state)
{
	(void)state;
	assert_null(seen_problem(mem, SEEN_SIZE));
	assert_non_null(seen_problem(mem, SEEN_SIZE - 1));
	header()->version = 2;
	assert_non_null(seen_problem(mem, SEEN_SIZE));
	header()->version = SEEN_VERSION;
	header()->size = 1;
	assert_non_null(seen_problem(mem, SEEN_SIZE));
	header()->magic = 0;
	assert_non_null(seen_problem(mem, SEEN_SIZE));
}

/* Whatever the file says, what is read is sound, and a writer that begins on it
 * stays within it. */
static void test_hostile(void **state)
{
	struct rng rng = {42};
	struct seen s;
	struct seen_credential c;
	struct str group, filter;

	(void)state;
	for (int round = 0; round < 40; round++) {
		unsigned char *at = mem;

		for (int k = 0; k < 50; k++)
			record(seen_device(&w, STR("a")), "t/x", 0, false);
		seen_record_cert(&w, &(struct credential){0}, NULL, NOW);
		for (int k = 0; k < 2000; k++) {
			static const uint32_t part[] = {40, SEEN_DEVICES_AT,
				SEEN_REQUESTS_AT, SEEN_CERTS_AT};

			at[part[rng_below(&rng, 4)] + rng_below(&rng, 600)] =
				(unsigned char)rng_below(&rng, 256);
		}
		for (uint32_t i = 0; i < seen_requests(mem); i++)
			if (seen_request_load(mem, i, &s)) {
				assert_true(
					device_id_valid(str_from(s.device)));
				assert_true(s.qos <= 2);
				assert_int_equal(s.topic[s.text.n], '\0');
				assert_true(
					share_split(s.text, &group, &filter));
			}
		for (uint32_t i = 0; i < seen_certs(mem); i++)
			if (seen_cert_load(mem, i, &c))
				assert_true(device_id_valid(
					str_from(c.credential.device_id)));
		seen_writer_fini(&w);
		assert_true(seen_writer_init(&w, mem));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_lost),
		TEST(test_devices_full),
		TEST(test_folding),
		TEST(test_not_folded),
		TEST(test_folding_shared),
		TEST(test_restart),
		TEST(test_too_many_of_one),
		TEST(test_certs),
		TEST(test_cert_uncounted),
		TEST(test_problem),
		TEST(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
