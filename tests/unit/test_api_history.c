/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the history tells over HTTP: pages of events, series and sums, against
 * what is read from it at once; and what is refused.
 */
#include "feed/past.h"
#include "tests/support/api_fixture.h"

/* --------------------------------------------------------------------- events */

/* Page by page: what is on pages of LIMIT, in ORDER, as the value of each. */
static size_t page_all(struct world *x, const char *order, int limit,
	int64_t out[static 2 * API_EVENTS])
{
	char target[512], cursor[128] = "";
	size_t n = 0;

	for (;;) {
		cJSON *o, *page, *v;
		int on_page = 0;

		(void)snprintf(target, sizeof(target),
			"/api/v1/events?order=%s&limit=%d%s%s", order, limit,
			cursor[0] != '\0' ? "&cursor=" : "", cursor);
		o = get_json(x, target, 200);
		page = cJSON_GetObjectItem(o, "events");
		cJSON_ArrayForEach (v, page) {
			out[n++] = cJSON_HasObjectItem(v, "lost")
					   ? -number_of(v, "lost")
					   : number_of(v, "t_ms") -
						     API_BEGIN_S * 1000;
			on_page++;
		}
		assert_true(on_page <= limit);
		cursor[0] = '\0';
		if (text_of(o, "next") != NULL)
			(void)snprintf(cursor, sizeof(cursor), "%s",
				text_of(o, "next"));
		cJSON_Delete(o);
		if (cursor[0] == '\0')
			return n;
	}
}

static void test_events_in_pages(void **state)
{
	static const int limits[] = {1, 7, 51, 153, 154, 1000};
	static int64_t up[2 * API_EVENTS], down[2 * API_EVENTS];
	struct world *x = *state;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		size_t n = page_all(x, "asc", limits[i], up);

		assert_int_equal(n, API_EVENTS + 3);
		assert_int_equal(page_all(x, "desc", limits[i], down), n);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(up[k], down[n - 1 - k]);
		assert_int_equal(up[0], 0);
		assert_int_equal(up[50], -56);
		assert_int_equal(up[n - 2], API_EVENTS - 1);
	}
}

/* --------------------------------------------------------------------- series */

static int64_t sum_of(const cJSON *o, const char *key)
{
	const cJSON *rows = cJSON_GetObjectItem(o, "rows"), *row;
	int64_t sum = 0;

	cJSON_ArrayForEach (row, rows)
		sum += number_of(row, key);
	return sum;
}

static void check_series(struct world *x, const char *base, int64_t total)
{
	static const char *const by[] = {
		"", "&by=minute", "&by=hour", "&by=day"};
	char target[256];

	for (size_t i = 0; i < 4; i++) {
		cJSON *o;

		(void)snprintf(target, sizeof(target), "%s?since=%d%s", base, 1,
			by[i]);
		o = get_json(x, target, 200);
		assert_int_equal(sum_of(o, "messages_in"), total);
		assert_int_equal(number_of(o, "told_s"), API_TOLD_S);
		assert_int_equal(
			cJSON_GetArraySize(cJSON_GetObjectItem(o, "gaps")), 1);
		if (i == 0)
			assert_true(cJSON_IsNull(cJSON_GetObjectItem(o, "by")));
		else
			assert_string_equal(text_of(o, "by"), by[i] + 4);
		cJSON_Delete(o);
	}
}

/* A device has counted in all what its last look shows. */
static void test_series(void **state)
{
	struct world *x = *state;
	static struct history_row row[1];
	struct history_ask ask = {.to_s = API_BEGIN_S * 2};

	ask.what = HISTORY_DEVICE;
	ask.name = STR("dev-5");
	assert_int_equal(hf_ask(&x->h, &ask, 100, row, 1), 1);
	check_series(x, "/api/v1/devices/dev-5/usage",
		(int64_t)row[0].counter[COUNTER_MESSAGES_IN]);
	ask.what = HISTORY_CLASS;
	ask.name = STR("till");
	assert_int_equal(hf_ask(&x->h, &ask, 100, row, 1), 1);
	check_series(x, "/api/v1/classes/till/usage",
		(int64_t)row[0].counter[COUNTER_MESSAGES_IN]);
}

static void test_top(void **state)
{
	static struct history_row row[10];
	struct history_ask ask = {.what = HISTORY_TOP,
		.to_s = API_BEGIN_S * 2,
		.top = 5,
		.sort = COUNTER_MESSAGES_IN,
		.name = STR("pump")};
	struct world *x = *state;
	const cJSON *got;
	size_t n = hf_ask(&x->h, &ask, 100, row, 10), i = 0;
	cJSON *o = get_json(x,
		"/api/v1/usage/top?since=1&limit=5&sort=messages_in&class=pump",
		200);

	assert_int_equal(n, 5);
	cJSON_ArrayForEach (got, cJSON_GetObjectItem(o, "rows")) {
		assert_string_equal(text_of(got, "device"), row[i].device);
		assert_int_equal(number_of(got, "messages_in"),
			row[i].counter[COUNTER_MESSAGES_IN]);
		i++;
	}
	assert_int_equal(i, 5);
	cJSON_Delete(o);
}

/* -------------------------------------------------------------------- failures */

static void test_refused(void **state)
{
	static const struct {
		unsigned status;
		const char *target, *place;
	} table[] = {
		{400, "/api/v1/export/usage?cursor=x", "cursor"},
		{400, "/api/v1/export/usage?by=week", "by"},
		{400, "/api/v1/export/usage?since=2&until=1", "until"},
		{400, "/api/v1/export/usage?device=a", "device"},
		{400, "/api/v1/export/events?by=day", "by"},
		{400, "/api/v1/export/events?reason=none", "reason"},
		{400, "/api/v1/export/events?type=message", "type"},
		{400, "/api/v1/events?limit=0", "limit"},
		{400, "/api/v1/events?limit=1001", "limit"},
		{400, "/api/v1/events?order=newest", "order"},
		{400, "/api/v1/events?cursor=", "cursor"},
		{400, "/api/v1/events?device=a%20b", "device"},
		{400, "/api/v1/events?since=x", "since"},
		{400, "/api/v1/events?until=0", "until"},
		{400, "/api/v1/devices/dev-1/usage?by=week", "by"},
		{400, "/api/v1/devices/dev-1/usage?since=5&until=5", "until"},
		{400, "/api/v1/devices/dev-1/usage?cursor=x", "cursor"},
		{404, "/api/v1/classes/nobody/usage", NULL},
		{400, "/api/v1/usage/top?since=1h&limit=1001", "limit"},
		{400, "/api/v1/usage/top?since=1h&sort=id", "sort"},
		{400, "/api/v1/usage/top?sort=id", "sort"},
		{400, "/api/v1/usage/top?class=a%3Ab", "class"},
	};
	struct world *x = *state;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cJSON *o = get_json(x, table[i].target, table[i].status);
		const char *place = text_of(o, "place");

		if (table[i].place == NULL
				? place != NULL
				: place == NULL ||
					  strcmp(place, table[i].place) != 0)
			fail_msg("%s: %s", table[i].target, place);
		cJSON_Delete(o);
	}
}

static const char *const PATHS[] = {"/api/v1/export/usage",
	"/api/v1/export/events", "/api/v1/events",
	"/api/v1/devices/dev-1/usage", "/api/v1/usage/top?since=1h"};

static void test_no_history(void **state)
{
	struct world *x = *state;

	history_close(&x->h.r);
	history_writer_close(&x->h.w);
	(void)unlink(tempdir_at(&x->h.usage, "usage.db"));
	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++)
		cJSON_Delete(get_json(x, PATHS[i], 503));
}

static void test_too_many(void **state)
{
	struct history *open[PAST_MAX] = {NULL};
	struct world *x = *state;
	struct err e;

	for (size_t i = 0; i < PAST_MAX; i++)
		assert_true(past_open(&x->f, &open[i], &e));
	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++)
		cJSON_Delete(get_json(x, PATHS[i], 503));
	past_close(&x->f, &open[0]);
	cJSON_Delete(get_json(x, "/api/v1/events", 200));
	for (size_t i = 0; i < PAST_MAX; i++)
		past_close(&x->f, &open[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_events_in_pages),
		TEST(test_series),
		TEST(test_top),
		TEST(test_refused),
		TEST(test_no_history),
		TEST(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
