/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics as the server asks for it: whole or in pieces, a few at a time;
 * and certificates that end soon, counted in steps.
 */
#include "feed/feed.h"
#include "feed/metrics_text.h"
#include "feed/route.h"
#include "tests/support/prom_oracle.h"
#include "tests/support/watch_fixture.h"

#include <fcntl.h>

struct fixture {
	struct rig *r;
	struct feed f;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct err e;
	void *rig;

	assert_non_null(x);
	assert_int_equal(rig_setup(&rig), 0);
	x->r = rig;
	x->f.watch = x->r->w;
	assert_true(roster_open(x->r->dir.path, &x->f.roster, &e));
	/* Without a folder for it: it says so, and goes on. */
	assert_true(recorder_open(
		x->r->dir.path, &x->f.config.history, &x->f.recorder, &e));
	assert_true(detector_open(&x->f.config.findings, &x->f.detector, &e));
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {
		REGISTRY_FILE, REGISTRY_FILE "-wal", REGISTRY_FILE "-shm"};
	struct fixture *x = *state;
	void *rig = x->r;

	detector_close(&x->f.detector);
	recorder_close(&x->f.recorder);
	roster_close(&x->f.roster);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)unlink(tempdir_at(&x->r->dir, files[i]));
	free(x);
	return rig_teardown(&rig);
}

static void ask(struct fixture *x, const char *target, struct answer *a)
{
	struct ask q;
	struct err e;

	memset(a, 0, sizeof(*a));
	assert_true(ask_parse(str_from(target), &q, &e));
	q.method = ASK_GET;
	q.right = RIGHT_READ;
	route_answer(&x->f, &q, a);
}

/* All of the answer, as the server sends it. */
static struct text whole(struct answer *a)
{
	struct text t = {0};
	enum answer_more more = a->more != NULL ? ANSWER_MORE : ANSWER_END;

	text_add(&t, (struct str){a->body.p, a->body.n});
	while (more == ANSWER_MORE) {
		text_clear(&a->body);
		more = a->more(a);
		assert_int_not_equal(more, ANSWER_BROKEN);
		assert_true(a->body.n < (size_t)2 * ANSWER_STEP_BYTES);
		text_add(&t, (struct str){a->body.p, a->body.n});
	}
	return t;
}

static uint64_t value(const struct text *t, const char *series)
{
	uint64_t n = 0;

	if (!prom_value((struct str){t->p, t->n}, series, &n))
		fail_msg("not there: %s", series);
	return n;
}

static void test_whole(void **state)
{
	struct fixture *x = *state;
	struct answer a;
	struct text t;
	struct str where;

	rig_begin(x->r);
	(void)rig_add(x->r, "a", "pump");
	(void)rig_look(x->r, 0);
	ask(x, "/metrics", &a);
	assert_true(a.status == 0 || a.status == 200);
	assert_string_equal(a.content_type, METRICS_TYPE);
	/* Small: its length can be told. */
	assert_null(a.more);
	t = whole(&a);
	assert_null(prom_problem((struct str){t.p, t.n}, &where));
	assert_int_equal(value(&t, "weir_metered_devices"), 1);
	assert_int_equal(value(&t, "weir_feed_history_error"), 1);
	assert_true(value(&t, "process_resident_memory_bytes") > 1 << 20);
	text_free(&t);
	answer_free(&a);
	assert_int_equal(x->f.metrics.open, 0);
	/* What that one took is told by the next. */
	ask(x, "/metrics", &a);
	assert_non_null(strstr(a.body.p, "\nweir_feed_scrape_seconds 0.0"));
	answer_free(&a);
}

/* The page is of one time, though the meter goes on, and is then another. */
static void test_pieces(void **state)
{
	struct fixture *x = *state;
	char aside[512];
	struct answer a;
	struct text t;
	struct str where;

	rig_begin(x->r);
	for (unsigned i = 1; i < 300; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "class-%u", i);
		(void)meter_class_add(x->r->s.mem, str_from(name));
	}
	(void)rig_look(x->r, 0);
	ask(x, "/metrics", &a);
	assert_non_null(a.more);
	assert_int_equal(x->f.metrics.open, 1);
	segment_close(&x->r->s);
	(void)snprintf(aside, sizeof(aside), "%s",
		tempdir_at(&x->r->dir, "meter/old"));
	assert_int_equal(rename(x->r->path, aside), 0);
	(void)rig_look(x->r, 1);
	t = whole(&a);
	assert_null(prom_problem((struct str){t.p, t.n}, &where));
	assert_int_equal(
		value(&t, "weir_connected_devices{class=\"_other\"}"), 0);
	text_free(&t);
	answer_free(&a);
	assert_int_equal(x->f.metrics.open, 0);
}

static void test_few_at_a_time(void **state)
{
	struct fixture *x = *state;
	struct answer a[METRICS_PAGES + 1];

	for (unsigned i = 0; i < METRICS_PAGES; i++) {
		ask(x, "/metrics", &a[i]);
		assert_true(a[i].status == 0 || a[i].status == 200);
	}
	ask(x, "/metrics", &a[METRICS_PAGES]);
	assert_int_equal(a[METRICS_PAGES].status, 503);
	assert_int_equal(a[METRICS_PAGES].retry_after_s, 1);
	answer_free(&a[METRICS_PAGES]);
	/* One goes away unread. */
	answer_free(&a[0]);
	ask(x, "/metrics", &a[0]);
	assert_true(a[0].status == 0 || a[0].status == 200);
	for (unsigned i = 0; i < METRICS_PAGES; i++)
		answer_free(&a[i]);
	assert_int_equal(x->f.metrics.open, 0);
}

static void test_refused(void **state)
{
	struct fixture *x = *state;
	struct answer a;

	ask(x, "/metrics?class=pump", &a);
	assert_int_equal(a.status, 400);
	assert_non_null(strstr(a.body.p, "class"));
	answer_free(&a);
	ask(x, "/metrics/x", &a);
	assert_int_equal(a.status, 404);
	answer_free(&a);
	assert_int_equal(x->f.metrics.open, 0);
}

/* -------------------------------------------------------------- certificates */

static void add_certificates(struct fixture *x, unsigned n, int64_t now_s)
{
	struct registry *w = NULL;
	struct device d = {.id = "a", .id_len = 1, .class_name = "pump"};
	int64_t change;
	struct err e;

	assert_true(registry_create(
		tempdir_at(&x->r->dir, REGISTRY_FILE), "test", now_s, &e));
	assert_true(registry_open(
		tempdir_at(&x->r->dir, REGISTRY_FILE), REGISTRY_WRITE, &w, &e));
	assert_true(registry_begin(w, "test", now_s, &e));
	assert_true(registry_device_add(w, &d, &e));
	for (unsigned i = 0; i < n; i++) {
		struct credential c = {.device_id = "a",
			.serial = "0A",
			.issuer = "CN=x",
			.not_before_s = 1,
			.not_after_s = now_s + 86400 * (int64_t)i};

		memcpy(c.fingerprint, &i, sizeof(i));
		memcpy(c.spki, &i, sizeof(i));
		c.fingerprint[31] = c.spki[31] = 1;
		assert_true(registry_credential_add(w, &c, &e));
	}
	assert_true(registry_commit(w, &change, &e));
	registry_close(&w);
}

static unsigned walk(struct fixture *x, int64_t now_s, int64_t now_ms)
{
	unsigned steps = 0;

	roster_look(x->f.roster);
	credentials_second(&x->f.credentials, now_s, now_ms);
	while (credentials_step(&x->f.credentials, x->f.roster))
		assert_true(++steps < 100);
	return steps;
}

static void test_certificates(void **state)
{
	struct fixture *x = *state;
	struct answer a;
	const int64_t now_s = 1800000000;

	/* There is none yet: it says so, and nothing else. */
	(void)walk(x, now_s, 1000);
	ask(x, "/metrics", &a);
	assert_int_equal(value(&a.body, "weir_registry_up"), 0);
	assert_null(strstr(a.body.p, "weir_credentials"));
	answer_free(&a);
	add_certificates(x, 4500, now_s);
	/* Not before its time. */
	(void)walk(x, now_s, 10999);
	assert_false(x->f.credentials.known);
	assert_true(walk(x, now_s, 11000) >= 2);
	ask(x, "/metrics", &a);
	assert_int_equal(value(&a.body, "weir_registry_up"), 1);
	assert_int_equal(value(&a.body, "weir_credentials_active"), 4500);
	assert_int_equal(value(&a.body, "weir_credentials_expired"), 0);
	assert_int_equal(
		value(&a.body, "weir_credentials_expiring{within=\"7d\"}"), 7);
	assert_int_equal(
		value(&a.body, "weir_credentials_expiring{within=\"30d\"}"),
		30);
	answer_free(&a);
	/* It is taken away: what was known stays, and that it is old is told. */
	assert_int_equal(unlink(tempdir_at(&x->r->dir, REGISTRY_FILE)), 0);
	(void)walk(x, now_s, 11000 + 60000);
	ask(x, "/metrics", &a);
	assert_int_equal(value(&a.body, "weir_registry_up"), 0);
	assert_int_equal(value(&a.body, "weir_credentials_active"), 4500);
	answer_free(&a);
}

static void test_findings(void **state)
{
	struct fixture *x = *state;
	struct answer a;

	/* Nothing was looked at yet. */
	ask(x, "/metrics", &a);
	assert_null(strstr(a.body.p, "weir_findings"));
	answer_free(&a);
	x->f.detector->looked_s = 1800000000;
	x->f.detector->open_of[FINDING_REFUSALS] = 3;
	ask(x, "/metrics", &a);
	assert_int_equal(value(&a.body, "weir_findings{kind=\"refusals\"}"), 3);
	assert_int_equal(value(&a.body, "weir_findings{kind=\"traffic\"}"), 0);
	answer_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_whole),
		T(test_pieces),
		T(test_few_at_a_time),
		T(test_refused),
		T(test_certificates),
		T(test_findings),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
