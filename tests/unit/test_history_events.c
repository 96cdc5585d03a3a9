/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events and gaps in the history: what is told is read back, by any filter, and
 * the oldest go.
 */
#include "tests/support/history_fixture.h"

#define DAY      INT64_C(86400)
#define EVENTS_S (35 * DAY)
#define T0       (20000 * DAY)

static const struct history_limits limits = {
	2 * DAY, 35 * DAY, 731 * DAY, EVENTS_S, UINT64_C(16) << 30};

static void tell_event(
	struct history_fixture *f, const struct event *v, const char *class)
{
	struct event_copy c = {.e = *v, .text_len = v->text.n};

	OK(f, history_begin(f->w, &f->e));
	OK(f, history_tell_event(f->w, &c, class, &f->e));
	OK(f, history_commit(f->w, &f->e));
}

static void some_events(struct history_fixture *f)
{
	struct event v = {.t_ms = T0 * 1000,
		.type = EVENT_CONNECT,
		.address = {[10] = 0xff, [11] = 0xff, [12] = 10},
		.device = STR("a"),
		.text = STR("a")};

	tell_event(f, &v, "meter");
	v.type = EVENT_REFUSAL;
	v.action = ACTION_PUBLISH;
	v.reason = REASON_NO_RULE;
	v.qos = 1;
	v.value = UINT64_MAX;
	v.t_ms += 1000;
	v.text = STR("any \0\xff bytes");
	tell_event(f, &v, "meter");
	/* hostile: no id, no class, no type, no action, no reason there is */
	v.type = EVENT_OBSERVED;
	v.action = v.reason = 255;
	v.device = STR("no/id");
	v.t_ms += 1000;
	tell_event(f, &v, "no class\n");
	OK(f, history_begin(f->w, &f->e));
	OK(f, history_tell_lost(f->w, T0 * 1000 + 3000, 7, &f->e));
	OK(f, history_commit(f->w, &f->e));
}

static size_t ask_events(struct history_fixture *f,
	const struct history_event_ask *ask, unsigned work,
	struct history_event *out, size_t cap)
{
	enum history_got got = HISTORY_LATER;
	struct history_events *v;
	size_t n = 0;

	OK(f, history_events_open(f->r, ask, &v, &f->e));
	while (got != HISTORY_END) {
		unsigned left = work;
		struct history_event x;

		got = history_events_next(v, &left, &x, &f->e);
		if (got == HISTORY_FAILED)
			fail_msg("%s", f->e.msg);
		if (got != HISTORY_ONE)
			continue;
		assert_true(n < cap);
		out[n++] = x;
	}
	history_events_close(&v);
	return n;
}

static void events_are_kept(void **state)
{
	struct history_fixture *f = *state;
	struct history_event_ask all = {.after = 0};
	struct history_event x[8];

	some_events(f);
	assert_int_equal(ask_events(f, &all, 1, x, 8), 4);
	assert_int_equal(x[0].cursor, 1);
	assert_string_equal(x[0].type, "connect");
	assert_string_equal(x[0].device, "a");
	assert_string_equal(x[0].class, "meter");
	assert_string_equal(x[0].action, "");
	assert_string_equal(x[0].reason, "");
	assert_int_equal(x[0].address[12], 10);
	assert_string_equal(x[1].type, "refusal");
	assert_string_equal(x[1].action, "publish");
	assert_string_equal(x[1].reason, "no_rule");
	assert_int_equal(x[1].qos, 1);
	assert_true(x[1].value == UINT64_MAX);
	assert_int_equal(x[1].text_len, 12);
	assert_memory_equal(x[1].text, "any \0\xff bytes", 12);
	assert_string_equal(x[2].device, "");
	assert_string_equal(x[2].class, "");
	assert_int_equal(x[3].cursor, 4);
	assert_string_equal(x[3].type, "lost");
	assert_int_equal(x[3].value, 7);
}

static const struct {
	struct history_event_ask ask;
	const char *cursors;
} filters[] = {
	{{.after = 0}, "1234"},
	{{.after = 2}, "34"},
	{{.after = 4}, ""},
	{{.after = INT64_MAX}, ""},
	{{.newest_first = true}, "4321"},
	{{.newest_first = true, .after = 3}, "21"},
	{{.newest_first = true, .after = 1}, ""},
	{{.device = STR_INIT("a")}, "12"},
	{{.device = STR_INIT("a"), .newest_first = true}, "21"},
	{{.device = STR_INIT("a"), .after = 1}, "2"},
	{{.device = STR_INIT("b")}, ""},
	{{.device = STR_INIT("a' OR 1 --")}, ""},
	{{.class = STR_INIT("meter")}, "12"},
	{{.class = STR_INIT("mete")}, ""},
	{{.type = STR_INIT("lost")}, "4"},
	{{.type = STR_INIT("refusal"), .device = STR_INIT("a")}, "2"},
	{{.type = STR_INIT("connect"), .reason = STR_INIT("no_rule")}, ""},
	{{.reason = STR_INIT("no_rule")}, "2"},
	{{.from_s = T0 + 1, .to_s = T0 + 3}, "23"},
	{{.from_s = T0 + 4, .to_s = INT64_MAX}, ""},
};

static void check_filter(struct history_fixture *f, size_t i, unsigned work)
{
	struct history_event x[8];
	char got[9] = "";
	size_t n = ask_events(f, &filters[i].ask, work, x, 8);

	for (size_t k = 0; k < n; k++)
		got[k] = (char)('0' + x[k].cursor);
	if (strcmp(got, filters[i].cursors) != 0)
		fail_msg("row %zu, work %u: %s", i, work, got);
}

static void events_by_filter(void **state)
{
	struct history_fixture *f = *state;

	some_events(f);
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		for (unsigned work = 1; work < 6; work++)
			check_filter(f, i, work);
	}
}

/* The oldest go, but never so that a cursor comes twice. */
static void old_events_go(void **state)
{
	struct history_fixture *f = *state;
	struct history_event_ask all = {.after = 0};
	static struct history_event x[8192];
	struct event_copy v = {.e = {.type = EVENT_CONNECT}};
	struct history_head head;

	OK(f, history_begin(f->w, &f->e));
	for (unsigned i = 0; i < 5000; i++) {
		v.e.t_ms = (T0 + i) * 1000;
		OK(f, history_tell_event(f->w, &v, "", &f->e));
	}
	OK(f, history_commit(f->w, &f->e));
	assert_int_equal(hf_tidy(f, &limits, T0 + EVENTS_S), 0);
	assert_int_equal(ask_events(f, &all, 7, x, 8192), 5000);
	(void)hf_tidy(f, &limits, T0 + EVENTS_S + 2500);
	OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(head.first_event, 2001);
	assert_int_equal(head.last_event, 5000);
	assert_int_equal(ask_events(f, &all, 100, x, 8192), 3000);
	/* a feed that starts again goes on after the last */
	(void)hf_tidy(f, &limits, T0 + 2 * EVENTS_S);
	history_writer_close(&f->w);
	hf_open_writer(f);
	tell_event(f, &v.e, "");
	OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(head.last_event, 5001);
}

/* ---------------------------------------------------------------------- gaps */

static void gaps_are_kept(void **state)
{
	struct history_fixture *f = *state;
	struct history_gap g[4];
	size_t n;

	OK(f, history_begin(f->w, &f->e));
	for (int64_t i = 1; i <= 5; i++)
		OK(f, history_tell_gap(f->w,
			      &(struct history_gap){i * 1000, i * 1000 + 500},
			      &f->e));
	OK(f, history_commit(f->w, &f->e));
	OK(f, history_gaps(f->r, (struct history_gap){0, INT64_MAX}, g, 4, &n,
		      &f->e));
	assert_int_equal(n, 4);
	assert_int_equal(g[0].from_s, 2000);
	assert_int_equal(g[3].to_s, 5500);
	OK(f, history_gaps(
		      f->r, (struct history_gap){2500, 4001}, g, 4, &n, &f->e));
	assert_int_equal(n, 2);
	assert_int_equal(g[0].from_s, 3000);
	assert_int_equal(g[1].from_s, 4000);
	OK(f, history_gaps(f->r, (struct history_gap){5500, INT64_MAX}, g, 4,
		      &n, &f->e));
	assert_int_equal(n, 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, hf_setup, hf_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_are_kept),
		TEST(events_by_filter),
		TEST(old_events_go),
		TEST(gaps_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
