/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event as JSON, whatever bytes the meter has of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/reason.h"
#include "core/request.h"
#include "feed/event_json.h"
#include "tests/support/json_oracle.h"
#include "tests/support/rng.h"

static const char *written(
	const struct event_copy *x, struct str class, struct text *t)
{
	text_clear(t);
	event_json(t, NULL, x, class);
	assert_false(t->failed);
	assert_true(json_oracle((struct str){t->p, t->n}));
	return t->p;
}

static void test_refusal(void **state)
{
	struct event_copy x = {
		.e = {.t_ms = 1764099999123,
			.type = EVENT_REFUSAL,
			.action = ACTION_PUBLISH,
			.reason = REASON_NO_RULE,
			.qos = 1,
			.value = 3,
			.address = {[10] = 255, [11] = 255, 10, 20, 0, 7},
			.device = STR("pump-0001"),
			.text = STR("plant/x")},
		.text_len = 7};
	struct text t = {0};

	(void)state;
	assert_string_equal(written(&x, STR("pump"), &t),
		"{\"t_s\":1764099999,\"t_ms\":1764099999123,"
		"\"type\":\"refusal\",\"device\":\"pump-0001\","
		"\"class\":\"pump\",\"address\":\"10.20.0.7\","
		"\"action\":\"publish\",\"reason\":\"no_rule\",\"qos\":1,"
		"\"value\":3,\"text\":\"plant/x\",\"text_bytes\":7}");
	text_free(&t);
}

static void test_of_nobody(void **state)
{
	struct event_copy x = {.e = {.type = EVENT_CONNECT, .value = 9}};
	struct text t = {0};

	(void)state;
	assert_string_equal(written(&x, STR(""), &t),
		"{\"t_s\":0,\"t_ms\":0,\"type\":\"connect\",\"device\":null,"
		"\"class\":null,\"address\":null,\"action\":null,"
		"\"reason\":null,\"qos\":null,\"value\":null,\"text\":\"\","
		"\"text_bytes\":0}");
	text_free(&t);
}

/* The nearest cases to the ones above that must not look like them. */
static void test_hostile(void **state)
{
	struct event_copy x = {.e = {.t_ms = INT64_MIN,
				       .type = EVENT_OBSERVED,
				       .action = 255,
				       .reason = 255,
				       .qos = 255,
				       .value = UINT64_MAX,
				       .device = {"a\"\\\0\n\xFF", 6},
				       .text = {"\x1b[31m\xE2\x82", 7}},
		.text_len = SIZE_MAX};
	struct text t = {0};

	(void)state;
	assert_string_equal(written(&x, (struct str){"\xC0\x80", 2}, &t),
		"{\"t_s\":0,\"t_ms\":0,\"type\":\"observed\","
		"\"device\":\"a\\\"\\\\\xEF\xBF\xBD\\n\xEF\xBF\xBD\","
		"\"class\":\"\xEF\xBF\xBD\xEF\xBF\xBD\",\"address\":null,"
		"\"action\":\"none\",\"reason\":\"unavailable\",\"qos\":255,"
		"\"value\":9007199254740991,\"text\":\"\\u001b[31m\","
		"\"text_bytes\":9007199254740991}");
	x.e.t_ms = INT64_MAX;
	assert_non_null(strstr(written(&x, STR(""), &t),
		"\"t_s\":9007199254740,\"t_ms\":9007199254740991,"));
	text_free(&t);
}

/* The longest there can be is a message of the tail, with room to spare. */
static void test_longest(void **state)
{
	struct event_copy x = {.e = {.type = EVENT_REFUSAL}};
	char class[CLASS_NAME_MAX];
	struct text t = {0};

	(void)state;
	memset(x.device, 1, DEVICE_ID_MAX);
	memset(x.text, 1, EVENT_TEXT);
	memset(class, 1, sizeof(class));
	x.e.device = (struct str){x.device, DEVICE_ID_MAX};
	x.e.text = (struct str){x.text, EVENT_TEXT};
	(void)written(&x, (struct str){class, sizeof(class)}, &t);
	assert_in_range(t.n, 6 * (64 + 64 + 128), 2048);
	text_free(&t);
}

static void test_any_bytes(void **state)
{
	struct rng r = {20};
	struct text t = {0};

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct event_copy x;
		char class[CLASS_NAME_MAX];

		for (size_t k = 0; k < sizeof(x); k++)
			((unsigned char *)&x)[k] = (unsigned char)rng_next(&r);
		for (size_t k = 0; k < sizeof(class); k++)
			class[k] = (char)rng_next(&r);
		x.e.type = (enum event_type)rng_below(&r, EVENT_TYPES);
		x.e.device = (struct str){
			x.device, rng_below(&r, DEVICE_ID_MAX + 1)};
		x.e.text = (struct str){x.text, rng_below(&r, EVENT_TEXT + 1)};
		(void)written(&x,
			(struct str){class, rng_below(&r, CLASS_NAME_MAX + 1)},
			&t);
	}
	text_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_of_nobody),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
