/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct refusal publish = {
	.action = ACTION_PUBLISH,
	.reason = REASON_NO_RULE,
	.device = "pump-1",
	.class_name = "pump",
	.client_id = "pump-1",
	.address = "192.0.2.7",
	.place = "classes.pump.publish[0]",
	.has_message = true,
	.qos = 1,
	.bytes = 12,
	.topic = {"pump-2/state", 12},
};

static void test_line(void **state)
{
	char out[REFUSAL_LINE];
	size_t n = refusal_format(&publish, 3, out);

	(void)state;
	assert_string_equal(out,
		"weir: refused publish device=pump-1 class=pump "
		"client_id=pump-1 address=192.0.2.7 reason=no_rule "
		"rule=classes.pump.publish[0] qos=1 retain=0 bytes=12 "
		"suppressed=3 topic=pump-2/state");
	assert_int_equal(n, strlen(out));
}

static void test_nothing_known(void **state)
{
	struct refusal r = {.action = ACTION_CONNECT,
		.reason = REASON_UNKNOWN_CERTIFICATE,
		.client_id = "",
		.note = "certificate=00ff"};
	char out[REFUSAL_LINE];

	(void)state;
	(void)refusal_format(&r, 0, out);
	assert_string_equal(out,
		"weir: refused connect device=- class=- client_id=- address=- "
		"reason=unknown_certificate rule=- certificate=00ff");
}

static void test_observed(void **state)
{
	struct refusal r = publish;
	char out[REFUSAL_LINE];

	(void)state;
	r.observed = true;
	(void)refusal_format(&r, 0, out);
	assert_ptr_equal(
		strstr(out, "weir: observed publish device=pump-1"), out);
}

/* No byte of a client's choosing can end a value or the line. */
static void test_escape(void **state)
{
	struct refusal r = publish;
	char out[REFUSAL_LINE];

	(void)state;
	r.client_id = "a b\nweir: refused";
	r.topic = STR("x\\ \x7f\xc3\xa9\t=");
	(void)refusal_format(&r, 0, out);
	assert_non_null(strstr(
		out, " client_id=a\\x20b\\x0Aweir:\\x20refused address="));
	assert_non_null(strstr(out, " topic=x\\x5C\\x20\\x7F\\xC3\\xA9\\x09="));
	for (const char *p = out; *p != '\0'; p++)
		assert_true(*p >= ' ' && *p < 0x7F);
}

static void test_cut(void **state)
{
	static char text[70000];
	struct refusal r = publish;
	char out[REFUSAL_LINE];

	(void)state;
	memset(text, 't', sizeof text - 1);
	r.topic = (struct str){text, 128};
	(void)refusal_format(&r, 0, out);
	assert_int_equal(strlen(strstr(out, "topic=")), 6 + 128);
	r.topic.n = 129;
	(void)refusal_format(&r, 0, out);
	assert_int_equal(strlen(strstr(out, "topic=")), 6 + 128);
	assert_string_equal(out + strlen(out) - 4, "t...");
	/* The worst of everything still fits one line of the broker's log. */
	memset(text, '\n', sizeof text - 1);
	r = (struct refusal){.action = ACTION_SUBSCRIBE,
		.reason = REASON_FILTER_TOO_WIDE,
		.observed = true,
		.device = text,
		.class_name = text,
		.client_id = text,
		.address = text,
		.place = text,
		.has_message = true,
		.qos = 2,
		.retain = true,
		.bytes = UINT32_MAX,
		.topic = {text, sizeof text - 1}};
	assert_true(refusal_format(&r, UINT32_MAX, out) < REFUSAL_LINE);
	assert_string_equal(out + strlen(out) - 7, "\\x0A...");
}

static struct refusal_log log_;

static int setup(void **state)
{
	(void)state;
	memset(&log_, 0, sizeof log_);
	log_.rate = REFUSAL_LINES;
	return 0;
}

static void test_per_kind(void **state)
{
	struct refusal other = publish, reason = publish;
	uint64_t now = 1000000;
	uint32_t lost = 99;

	(void)state;
	other.device = "pump-2";
	reason.reason = REASON_QOS;
	for (unsigned i = 0; i < REFUSAL_LINES.burst; i++) {
		assert_true(refusal_admit(&log_, &publish, now, &lost));
		assert_int_equal(lost, 0);
	}
	for (int i = 0; i < 7; i++)
		assert_false(refusal_admit(&log_, &publish, now, &lost));
	assert_true(refusal_admit(&log_, &other, now, &lost));
	assert_true(refusal_admit(&log_, &reason, now, &lost));
	assert_int_equal(lost, 0);
	now += REFUSAL_LINES.every_ms - 1;
	assert_false(refusal_admit(&log_, &publish, now, &lost));
	now += 1;
	assert_true(refusal_admit(&log_, &publish, now, &lost));
	assert_int_equal(lost, 8);
	assert_false(refusal_admit(&log_, &publish, now, &lost));
	now += 100 * (uint64_t)REFUSAL_LINES.every_ms;
	for (unsigned i = 0; i < REFUSAL_LINES.burst; i++)
		assert_true(refusal_admit(&log_, &publish, now, &lost));
	assert_false(refusal_admit(&log_, &publish, now, &lost));
}

static void test_in_total(void **state)
{
	struct refusal r = publish;
	unsigned written = 0;
	uint32_t lost;
	char id[32];

	(void)state;
	r.device = NULL;
	for (unsigned i = 0; i < 3 * REFUSAL_LINES.total_per_s; i++) {
		(void)snprintf(id, sizeof id, "10.0.%u.%u", i / 200, i % 200);
		r.address = id;
		written += refusal_admit(&log_, &r, 5000, &lost);
	}
	assert_int_equal(written, REFUSAL_LINES.total_per_s);
	assert_true(refusal_admit(&log_, &r, 6000, &lost));
	assert_int_equal(lost, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_observed),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_cut),
		cmocka_unit_test_setup(test_per_kind, setup),
		cmocka_unit_test_setup(test_in_total, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
