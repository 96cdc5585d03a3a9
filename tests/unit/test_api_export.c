/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports of the history that are cut anywhere and resumed: nothing is lost and
 * nothing comes twice, against what is read from the history at once.
 */
#include "tests/support/api_fixture.h"

#define LINES 2000

/* The lines of an export, the last one apart. */
struct lines {
	size_t n;
	char *text; /* what line[] points into */
	char *line[LINES];
	bool ended;
	int64_t told; /* what the last one says of the others */
	char last_cursor[128];
};

static void take_line(struct lines *l, char *line)
{
	cJSON *o = cJSON_Parse(line);

	assert_non_null(o);
	assert_false(l->ended);
	l->ended = cJSON_HasObjectItem(o, "end");
	if (l->ended)
		l->told = number_of(o, "lines");
	else
		l->line[l->n++] = line;
	assert_true(l->n < LINES);
	if (text_of(o, "cursor") != NULL)
		(void)snprintf(l->last_cursor, sizeof(l->last_cursor), "%s",
			text_of(o, "cursor"));
	cJSON_Delete(o);
}

static void export_at(struct world *x, const char *target, struct lines *out)
{
	unsigned status;

	memset(out, 0, sizeof(*out));
	out->text = get(x, target, &status);
	assert_int_equal(status, 200);
	for (char *p = out->text, *end; *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		assert_non_null(end);
		*end = '\0';
		take_line(out, p);
	}
	assert_true(out->ended);
	assert_int_equal(out->told, out->n);
}

/* -------------------------------------------------------------------- exports */

/* Resumed behind any of its lines: the rest of them, none lost, none twice. */
static void check_resumed(
	struct world *x, const char *base, const struct lines *whole, size_t by)
{
	static struct lines rest;
	char target[512];

	for (size_t i = 0; i < whole->n; i += by) {
		cJSON *o = cJSON_Parse(whole->line[i]);

		(void)snprintf(target, sizeof(target), "%s%ccursor=%s", base,
			strchr(base, '?') != NULL ? '&' : '?',
			text_of(o, "cursor"));
		cJSON_Delete(o);
		export_at(x, target, &rest);
		assert_int_equal(rest.n, whole->n - i - 1);
		for (size_t k = 0; k < rest.n; k++)
			assert_string_equal(
				rest.line[k], whole->line[i + 1 + k]);
		assert_string_equal(rest.last_cursor, whole->last_cursor);
		free(rest.text);
	}
}

static void test_export_usage(void **state)
{
	static const struct history_ask each = {.what = HISTORY_EACH,
		.to_s = API_BEGIN_S * 2,
		.by = HISTORY_MINUTE};
	static struct history_row row[LINES];
	static struct lines all;
	struct world *x = *state;
	size_t n = hf_ask(&x->h, &each, 10, row, LINES);

	export_at(x, "/api/v1/export/usage", &all);
	assert_true(n > API_MINUTES * API_DEVICES / 2);
	assert_int_equal(all.n, n);
	for (size_t i = 0; i < n; i++) {
		cJSON *o = cJSON_Parse(all.line[i]);

		assert_string_equal(text_of(o, "device"), row[i].device);
		assert_int_equal(number_of(o, "from_s"), row[i].from_s);
		assert_int_equal(number_of(o, "to_s"), row[i].from_s + 60);
		assert_int_equal(number_of(o, "messages_in"),
			row[i].counter[COUNTER_MESSAGES_IN]);
		assert_int_equal(number_of(o, "wire_bytes_in"),
			row[i].counter[COUNTER_WIRE_BYTES_IN]);
		assert_false(cJSON_HasObjectItem(o, "wills"));
		cJSON_Delete(o);
	}
	check_resumed(x, "/api/v1/export/usage", &all, 13);
	free(all.text);
}

static void test_export_usage_filtered(void **state)
{
	static struct lines all;
	struct world *x = *state;
	char target[256];

	(void)snprintf(target, sizeof(target),
		"/api/v1/export/usage?class=pump&since=%" PRId64
		"&until=%" PRId64,
		API_BEGIN_S + 600, API_BEGIN_S + 1200);
	export_at(x, target, &all);
	assert_true(all.n > 20 && all.n <= 100);
	for (size_t i = 0; i < all.n; i++) {
		cJSON *o = cJSON_Parse(all.line[i]);

		assert_string_equal(text_of(o, "class"), "pump");
		assert_true(number_of(o, "from_s") >= API_BEGIN_S + 600);
		assert_true(number_of(o, "to_s") <= API_BEGIN_S + 1200);
		cJSON_Delete(o);
	}
	check_resumed(x, target, &all, 5);
	free(all.text);
}

/* What is told after an export comes with the next one, behind its end. */
static void test_export_goes_on(void **state)
{
	static struct lines first, more;
	struct history_look look = {.segment = 7};
	struct world *x = *state;
	struct history_fixture *h = &x->h;
	char target[256];

	export_at(x, "/api/v1/export/usage", &first);
	OK(h, history_begin(h->w, &h->e));
	OK(h, history_device_number(h->w, STR("new"), &look.no, &h->e));
	OK(h, history_class_number(h->w, STR("pump"), &look.class, &h->e));
	look.counter[COUNTER_WILLS] = 5;
	OK(h, history_tell_device(h->w, API_TOLD_S, &look, &h->e));
	OK(h, history_commit(h->w, &h->e));
	(void)snprintf(target, sizeof(target), "/api/v1/export/usage?cursor=%s",
		first.last_cursor);
	/* Its minute goes on: not yet. */
	export_at(x, target, &more);
	assert_int_equal(more.n, 0);
	assert_string_equal(more.last_cursor, first.last_cursor);
	free(more.text);
	OK(h, history_begin(h->w, &h->e));
	OK(h, history_place_set(h->w,
		      &(struct history_place){
			      7, 0, API_TOLD_S + 60, API_TOLD_S + 60},
		      &h->e));
	OK(h, history_commit(h->w, &h->e));
	export_at(x, target, &more);
	assert_int_equal(more.n, 1);
	assert_non_null(strstr(more.line[0], "\"wills\":5"));
	free(more.text);
	free(first.text);
}

static void test_export_events(void **state)
{
	static struct lines all, some;
	struct world *x = *state;

	export_at(x, "/api/v1/export/events", &all);
	assert_int_equal(all.n, API_EVENTS + API_EVENTS / 50);
	check_resumed(x, "/api/v1/export/events", &all, 7);
	free(all.text);
	export_at(x,
		"/api/v1/export/events?type=refusal&device=dev-1&reason=qos",
		&some);
	for (size_t i = 0; i < some.n; i++) {
		assert_non_null(strstr(some.line[i], "\"type\":\"refusal\""));
		assert_non_null(strstr(some.line[i], "\"device\":\"dev-1\""));
		assert_non_null(strstr(some.line[i], "\"reason\":\"qos\""));
	}
	assert_int_equal(some.n, 13);
	check_resumed(x,
		"/api/v1/export/events?reason=qos&type=refusal&device=dev-1",
		&some, 3);
	free(some.text);
	export_at(x, "/api/v1/export/events?type=lost", &some);
	assert_int_equal(some.n, 3);
	assert_non_null(strstr(some.line[0], "\"lost\":56"));
	free(some.text);
}

static void test_cursor_of_another_list(void **state)
{
	static struct lines all;
	struct world *x = *state;
	char target[256];

	export_at(x, "/api/v1/export/events", &all);
	(void)snprintf(target, sizeof(target), "/api/v1/export/usage?cursor=%s",
		all.last_cursor);
	cJSON_Delete(get_json(x, target, 400));
	(void)snprintf(target, sizeof(target),
		"/api/v1/export/events?type=lost&cursor=%s", all.last_cursor);
	cJSON_Delete(get_json(x, target, 400));
	(void)snprintf(target, sizeof(target), "/api/v1/events?cursor=%s",
		all.last_cursor);
	cJSON_Delete(get_json(x, target, 400));
	free(all.text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_export_usage),
		TEST(test_export_usage_filtered),
		TEST(test_export_goes_on),
		TEST(test_export_events),
		TEST(test_cursor_of_another_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
