/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of metrics: its numbers are the meter's, its sums are whole, each line
 * is one that Prometheus takes, whatever names the meter has, and it is
 * bounded, whatever the fleet.
 */
#include "feed/metrics_text.h"
#include "tests/support/prom_oracle.h"
#include "tests/support/watch_fixture.h"

static struct config_metrics config = {.top = WATCH_FIXTURE_TOP};
static struct text page;

static struct str body(void)
{
	return (struct str){page.p, page.n};
}

/* The page of a scrape, in pieces of LEAST bytes, which is a good one. */
static void write_page(const struct scrape *s, size_t least)
{
	struct metrics_place at = {0};
	struct str where;
	const char *why;

	text_clear(&page);
	while (metrics_text(s, &at, least, &page))
		;
	assert_false(page.failed);
	why = prom_problem(body(), &where);
	if (why != NULL)
		fail_msg("%s: %.*s", why, (int)where.n, where.p);
}

static void scrape(struct rig *r)
{
	struct scrape *s;
	struct err e;

	assert_true(scrape_take(r->w, &config, r->now_s, &s, &e));
	write_page(s, SIZE_MAX / 2);
	scrape_free(&s);
	assert_null(s);
}

static void assert_series(const char *series, uint64_t want)
{
	uint64_t n = 0;

	if (!prom_value(body(), series, &n))
		fail_msg("not there: %s", series);
	if (n != want)
		fail_msg("%s is %llu, not %llu", series, (unsigned long long)n,
			(unsigned long long)want);
}

static void assert_no_series(const char *series)
{
	uint64_t n;

	if (prom_value(body(), series, &n))
		fail_msg("there: %s", series);
}

static bool says(const char *text)
{
	return strstr(page.p, text) != NULL;
}

/* ------------------------------------------------------------------- numbers */

static void test_no_meter(void **state)
{
	struct rig *r = *state;

	(void)rig_look(r, 1);
	scrape(r);
	assert_series("weir_meter_up", 0);
	assert_series("weir_broker_up", 0);
	assert_series("weir_build_info{version=\"" WEIR_VERSION "\"}", 1);
	/* Nothing is said of what is not known: no zeros. */
	assert_false(says("weir_messages_total"));
	assert_false(says("weir_connections"));
	assert_false(says("weir_last_minute"));
	assert_false(says("weir_feed_history"));
}

static void test_header(void **state)
{
	struct rig *r = *state;
	struct meter_header *h;

	rig_begin(r);
	h = segment_header(&r->s);
	h->heartbeat_s = r->now_s - 7;
	h->started_s = 1799999000;
	h->policy_revision = 12;
	h->highest_revision = 34;
	h->applied_change = -5;
	h->connected = 3;
	h->closed = 4;
	h->unmetered = 5;
	h->strangers = 6;
	h->stranger_wire_bytes_in = 70;
	h->stranger_wire_bytes_out = 80;
	h->events = UINT64_MAX;
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_meter_up", 1);
	assert_series("weir_broker_up", 1);
	assert_series("weir_broker_heartbeat_age_seconds", 7);
	assert_series("weir_broker_start_timestamp_seconds", 1799999000);
	assert_series("weir_policy_revision", 12);
	assert_series("weir_registry_revision_seen", 34);
	assert_true(says("\nweir_applied_change -5\n"));
	assert_series("weir_load_error", 0);
	assert_series("weir_connections", 3);
	assert_series("weir_metered_devices", 0);
	assert_series("weir_closed_connections_total", 4);
	assert_series("weir_unmetered_connects_total", 5);
	assert_series("weir_stranger_connections_total", 6);
	assert_series("weir_stranger_wire_bytes_total{direction=\"in\"}", 70);
	assert_series("weir_stranger_wire_bytes_total{direction=\"out\"}", 80);
	assert_series("weir_events_total", UINT64_MAX);
	/* Clocks may differ, and a heartbeat may be no time at all. */
	h->heartbeat_s = r->now_s + 5;
	h->load_error_s = 1;
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_broker_heartbeat_age_seconds", 0);
	assert_series("weir_load_error", 1);
	h->heartbeat_s = INT64_MIN;
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_broker_heartbeat_age_seconds", (uint64_t)r->now_s);
	/* A broker that is gone has no connections, whatever it last said. */
	segment_close(&r->s);
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_broker_up", 0);
	assert_series("weir_connections", 0);
	assert_series("weir_policy_revision", 12);
}

static void test_set_by_others(void **state)
{
	struct scrape s = {.n_classes = 0};

	(void)state;
	scrape_set(&s, SCRAPE_HISTORY_LAG, 3);
	scrape_set(&s, SCRAPE_SCRAPE_US, 1234567);
	scrape_set(&s, SCRAPE_MINUTE_MS, 60001);
	scrape_pair(&s, SCRAPE_EXPIRING_7D, 2);
	scrape_pair(&s, SCRAPE_EXPIRING_30D, 9);
	write_page(&s, 1);
	assert_series("weir_feed_history_lag_seconds", 3);
	assert_true(says("\nweir_feed_scrape_seconds 1.234567\n"));
	assert_true(says("\nweir_last_minute_seconds 60.001\n"));
	assert_series("weir_credentials_expiring{within=\"7d\"}", 2);
	assert_series("weir_credentials_expiring{within=\"30d\"}", 9);
	assert_false(says("weir_feed_clients"));
}

/* ------------------------------------------------------------------- classes */

/* Each counter of the table is told, once, under its family and labels. */
static void test_class_counters(void **state)
{
	struct rig *r = *state;
	struct meter_slot *a;
	uint64_t sum = 0;

	rig_begin(r);
	a = rig_add(r, "a", "pump");
	for (unsigned i = 0; i < COUNTERS; i++)
		rig_count(r, a, (enum counter)i, 1000 + i);
	meter_class_mut(r->s.mem, 0)->counter[COUNTER_MESSAGES_IN] = 7;
	(void)rig_look(r, 0);
	scrape(r);
	for (unsigned i = 0; i < COUNTERS; i++) {
		char series[160];
		const char *labels = counter_labels((enum counter)i);

		if (counter_family((enum counter)i)[0] == '\0')
			continue;
		(void)snprintf(series, sizeof(series), "%s{class=\"pump\"%s%s}",
			counter_family((enum counter)i),
			labels[0] != '\0' ? "," : "", labels);
		assert_series(series, 1000 + i);
	}
	assert_series("weir_refused_requests_total{class=\"pump\",action="
		      "\"publish\"}",
		1000 + COUNTER_REFUSED_PUBLISHES);
	assert_series("weir_refused_requests_total{class=\"pump\",action="
		      "\"subscribe\"}",
		1000 + COUNTER_REFUSED_SUBSCRIBES);
	assert_series("weir_refused_requests_total{class=\"pump\",action="
		      "\"receive\"}",
		1000 + COUNTER_REFUSED_DELIVERIES);
	assert_series("weir_refused_requests_total{class=\"pump\",action="
		      "\"connect\"}",
		1000 + COUNTER_REFUSED_CONNECTS);
	assert_series("weir_messages_total{class=\"\",direction=\"in\"}", 7);
	/* All of them, and none twice. */
	for (unsigned i = 0; i < COUNTERS; i++)
		sum += 1000 + i;
	for (unsigned i = 0; i < COUNTERS; i++) {
		const char *f = counter_family((enum counter)i);
		bool first = f[0] != '\0';

		for (unsigned k = 0; k < i; k++)
			first &=
				strcmp(counter_family((enum counter)k), f) != 0;
		sum -= first ? prom_sum(body(), f, "class=\"pump\"") : 0;
	}
	sum -= prom_sum(
		body(), "weir_refused_requests_total", "class=\"pump\"");
	assert_int_equal(sum, 0);
}

static void test_refusals(void **state)
{
	struct rig *r = *state;
	struct meter_class *c;

	rig_begin(r);
	(void)rig_add(r, "a", "pump");
	c = meter_class_mut(r->s.mem, 1);
	c->refused[ACTION_PUBLISH - 1][REASON_NO_RULE] = 5;
	c->refused[ACTION_CONNECT - 1][REASON_UNAVAILABLE] = 1;
	/* No reason, so nothing to be told by. */
	c->refused[ACTION_CONNECT - 1][METER_ALL_REASONS - 1] = 9;
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_refusals_total{class=\"pump\",action=\"publish\","
		      "reason=\"no_rule\"}",
		5);
	assert_series("weir_refusals_total{class=\"pump\",action=\"connect\","
		      "reason=\"unavailable\"}",
		1);
	assert_int_equal(prom_sum(body(), "weir_refusals_total", ""), 6);
}

static void test_connected(void **state)
{
	struct rig *r = *state;

	rig_begin(r);
	rig_add(r, "a", "pump")->connections = 2;
	rig_add(r, "b", "pump")->connections = 1;
	(void)rig_add(r, "c", "till");
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_connected_devices{class=\"pump\"}", 2);
	assert_series("weir_connected_devices{class=\"till\"}", 0);
	assert_series("weir_connected_devices{class=\"\"}", 0);
}

/* More classes than a page names: the rest is told as one, and all adds up. */
static void test_many_classes(void **state)
{
	struct rig *r = *state;
	uint64_t sum = 0;

	rig_begin(r);
	for (unsigned i = 1; i < METER_CLASSES; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "class-%u", i);
		assert_int_equal(meter_class_add(r->s.mem, str_from(name)), i);
		meter_class_mut(r->s.mem, i)->counter[COUNTER_WILLS] = i;
		sum += i;
	}
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_wills_total{class=\"class-255\"}", 255);
	assert_no_series("weir_wills_total{class=\"class-256\"}");
	assert_series(
		"weir_wills_total{class=\"_other\"}", sum - 255 * 256 / 2);
	assert_int_equal(prom_sum(body(), "weir_wills_total", ""), sum);
}

/* Names that no class has are the broker's lie, and are counted as others;
 * one that comes twice is told once. */
static void test_hostile_classes(void **state)
{
	static const char *const names[] = {"pump",
		"a\"} 1\nweir_wills_total{class=\"b", "a\\", "\xFF\xFE",
		"_other", "pump", "", "a b", "\n"};
	struct rig *r = *state;
	uint64_t sum = 0;

	rig_begin(r);
	for (uint32_t i = 0; i < 9; i++) {
		struct meter_class *c = meter_class_mut(r->s.mem, i + 1);

		memcpy(c->name, names[i], strlen(names[i]));
		c->name_len = (uint32_t)strlen(names[i]);
		c->counter[COUNTER_WILLS] = 1U << i;
		sum += 1U << i;
	}
	meter_class_mut(r->s.mem, 9)->name_len = UINT32_MAX;
	segment_header(&r->s)->n_classes = 10;
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_wills_total{class=\"pump\"}", 1 + 32);
	assert_series("weir_wills_total{class=\"_other\"}", sum - 33);
	assert_int_equal(prom_sum(body(), "weir_wills_total", ""), sum);
}

/* ------------------------------------------------------------------- devices */

static void test_devices(void **state)
{
	struct rig *r = *state;
	struct meter_slot *a;

	config.n_devices = 4;
	(void)snprintf(config.device[0], DEVICE_ID_MAX, "meter-7");
	(void)snprintf(config.device[1], DEVICE_ID_MAX, "not-yet");
	(void)snprintf(config.device[2], DEVICE_ID_MAX, "meter-7");
	(void)snprintf(config.device[3], DEVICE_ID_MAX, "no \"id");
	rig_begin(r);
	(void)rig_add(r, "other", "pump");
	a = rig_add(r, "meter-7", "pump");
	a->connections = 1;
	rig_count(r, a, COUNTER_WIRE_BYTES_OUT, 11);
	rig_count(r, a, COUNTER_REFUSED_CONNECTS, 2);
	a->reason[meter_reason_index(REASON_RATE)] = 2;
	(void)rig_look(r, 0);
	scrape(r);
	assert_series("weir_device_wire_bytes_total{device=\"meter-7\","
		      "direction=\"out\"}",
		11);
	assert_series("weir_device_refused_requests_total{device=\"meter-7\","
		      "action=\"connect\"}",
		2);
	assert_series("weir_device_refusals_total{device=\"meter-7\",reason="
		      "\"rate\"}",
		2);
	assert_series("weir_device_connections{device=\"meter-7\"}", 1);
	/* Zeros, so that its first connect is growth. */
	assert_series("weir_device_connects_total{device=\"not-yet\"}", 0);
	assert_false(says("no \"id"));
	assert_false(says("\"other\""));
	config.n_devices = 0;
}

/* --------------------------------------------------------------- last minute */

static void minute_with(struct rig *r, const char *const *id, unsigned n)
{
	rig_begin(r);
	for (unsigned i = 0; i < n; i++)
		(void)rig_add(r, id[i], i % 2 == 0 ? "pump" : "till");
	(void)rig_look(r, 0);
	for (unsigned i = 0; i < n; i++) {
		struct meter_slot *s = meter_slot_mut(r->s.mem, i);

		rig_count(r, s, COUNTER_WIRE_BYTES_IN, UINT64_C(100) * (n - i));
		rig_count(r, s, COUNTER_MESSAGES_IN, i + 1);
		rig_count(r, s, COUNTER_REFUSED_PUBLISHES, 1);
		rig_count(r, s, COUNTER_REFUSED_CONNECTS, 1);
	}
	(void)rig_look(r, 60);
}

static void test_minute(void **state)
{
	static const char *const id[] = {"a", "b", "c", "d", "e"};
	struct rig *r = *state;

	minute_with(r, id, 5);
	scrape(r);
	assert_series("weir_last_minute_start_timestamp_seconds",
		(uint64_t)r->now_s - 60);
	assert_true(says("\nweir_last_minute_seconds 60.000\n"));
	assert_series("weir_last_minute_active_devices", 5);
	assert_series("weir_last_minute_wire_bytes{device=\"a\",class=\"pump\","
		      "direction=\"in\"}",
		500);
	assert_series("weir_last_minute_messages{device=\"c\",class=\"pump\","
		      "direction=\"in\"}",
		3);
	assert_series("weir_last_minute_messages{device=\"_other\",class=\"\","
		      "direction=\"in\"}",
		4 + 5);
	assert_series("weir_last_minute_refused_requests{device=\"b\",class="
		      "\"till\"}",
		2);
	/* The sum is that of the classes, whose counters began at zero. */
	for (unsigned i = 0; i < 2; i++) {
		static const char *const pair[2][2] = {
			{"weir_last_minute_wire_bytes",
				"weir_wire_bytes_total"},
			{"weir_last_minute_messages", "weir_messages_total"}};

		assert_int_equal(prom_sum(body(), pair[i][0], ""),
			prom_sum(body(), pair[i][1], ""));
	}
	assert_int_equal(
		prom_sum(body(), "weir_last_minute_refused_requests", ""),
		prom_sum(body(), "weir_refused_requests_total", ""));
}

static void test_hostile_minute(void **state)
{
	static const char *const id[] = {
		"a\"} 1\nweir_up 1", "dup", "dup", "x"};
	struct rig *r = *state;

	minute_with(r, id, 4);
	scrape(r);
	assert_series("weir_last_minute_wire_bytes{device=\"dup\",class="
		      "\"till\",direction=\"in\"}",
		300);
	assert_int_equal(prom_sum(body(), "weir_last_minute_wire_bytes", ""),
		400 + 300 + 200 + 100);
	assert_series("weir_last_minute_wire_bytes{device=\"_other\",class="
		      "\"\",direction=\"in\"}",
		400 + 200 + 100);
}

/* -------------------------------------------------------------------- pieces */

/* Pieces, however small, are the page; and a piece is not much longer than what
 * was asked for. */
static void test_pieces(void **state)
{
	static const char *const id[] = {"a", "b", "c", "d"};
	struct rig *r = *state;
	struct metrics_place at = {0};
	struct text piece = {0};
	struct scrape *s;
	struct err e;
	size_t n = 0;
	bool more;

	minute_with(r, id, 4);
	assert_true(scrape_take(r->w, &config, r->now_s, &s, &e));
	write_page(s, SIZE_MAX / 2);
	do {
		text_clear(&piece);
		more = metrics_text(s, &at, 1, &piece);
		assert_true(n + piece.n <= page.n);
		assert_memory_equal(page.p + n, piece.p, piece.n);
		/* all single numbers come at once */
		assert_true(piece.n <= 1024 || n == 0);
		n += piece.n;
	} while (more);
	assert_int_equal(n, page.n);
	text_free(&piece);
	scrape_free(&s);
}

/* As large as a hostile meter can make it. */
static void test_largest(void **state)
{
	struct rig *r = *state;
	struct scrape *s;
	struct err e;

	rig_begin(r);
	for (unsigned i = 1; i < METER_CLASSES; i++) {
		struct meter_class *c = meter_class_mut(r->s.mem, i);
		char name[CLASS_NAME_MAX + 1];

		(void)snprintf(name, sizeof(name), "%064u", i);
		(void)meter_class_add(r->s.mem, str_from(name));
		memset(c->counter, 0xFF, sizeof(c->counter));
		memset(c->refused, 0xFF, sizeof(c->refused));
	}
	(void)rig_look(r, 0);
	assert_true(scrape_take(r->w, &config, r->now_s, &s, &e));
	write_page(s, SIZE_MAX / 2);
	scrape_free(&s);
	assert_in_range(page.n, (size_t)3 << 20, (size_t)5 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(test_no_meter),
		T(test_header),
		cmocka_unit_test(test_set_by_others),
		T(test_class_counters),
		T(test_refusals),
		T(test_connected),
		T(test_many_classes),
		T(test_hostile_classes),
		T(test_devices),
		T(test_minute),
		T(test_hostile_minute),
		T(test_pieces),
		T(test_largest),
#undef T
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	text_free(&page);
	return failed;
}
