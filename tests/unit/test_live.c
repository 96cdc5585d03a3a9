/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.db as weir-feed writes it and as the plugin and commands read it.
 */
#include "tests/support/live_fixture.h"

#define DAY INT64_C(86400)

static bool is_in(struct fixture *fx, const char *id, struct quarantine *q)
{
	struct live *l = NULL;
	bool found = false;

	OK(fx, live_open(fx->path, LIVE_FOLLOW, &l, &fx->e));
	assert_non_null(l);
	OK(fx, live_find(l, str_from(id), q, &found, &fx->e));
	live_close(&l);
	return found;
}

static void test_absent(void **state)
{
	struct fixture *fx = *state;

	fx->l = (struct live *)(void *)fx;
	OK(fx, live_open(fx->path, LIVE_FOLLOW, &fx->l, &fx->e));
	assert_null(fx->l);
	OK(fx, live_open(fx->path, LIVE_READ, &fx->l, &fx->e));
	assert_null(fx->l);
	/* A reader makes nothing. */
	assert_int_equal(tempdir_walk(&fx->dir, 0), 0);
}

static void test_made(void **state)
{
	struct fixture *fx = *state;

	OK(fx, live_open(fx->path, LIVE_WRITE, &fx->l, &fx->e));
	live_close(&fx->l);
	/* What readers need who may not make it, and nothing else. */
	assert_int_equal(tempdir_walk(&fx->dir, 0), 3);
	assert_int_equal(tempdir_mode(&fx->dir, "live.db"), 0640);
	assert_int_equal(tempdir_mode(&fx->dir, "live.db-wal"), 0640);
	assert_int_equal(tempdir_mode(&fx->dir, "live.db-shm"), 0640);
	OK(fx, live_open(fx->path, LIVE_FOLLOW, &fx->l, &fx->e));
	assert_non_null(fx->l);
}

/* What a file before this one left beside it is not taken for its own. */
static void test_made_anew(void **state)
{
	struct fixture *fx = *state;
	struct quarantine q = fx_of("b", 0);

	(void)fx_put(fx, "a", 0);
	OK(fx, live_open(fx->path, LIVE_WRITE, &fx->l, &fx->e));
	OK(fx, live_quarantine(fx->l, &q, &q.change, &fx->e));
	/* As if killed before the checkpoint, and then removed. */
	assert_int_equal(unlink(fx->path), 0);
	tempdir_write(&fx->dir, "live.db.new", "left over", 9);
	assert_int_equal(fx_put(fx, "c", 0), 1);
	assert_true(is_in(fx, "c", &q));
	assert_false(is_in(fx, "a", &q));
	assert_false(is_in(fx, "b", &q));
}

static void test_quarantine(void **state)
{
	struct fixture *fx = *state;
	struct quarantine q = {.since_s = 0};

	assert_int_equal(fx_put(fx, "meter-1", FX_NOW + 60), 1);
	assert_true(is_in(fx, "meter-1", &q));
	assert_string_equal(q.device_id, "meter-1");
	assert_string_equal(q.reason, "sends too much");
	assert_string_equal(q.actor, FX_ACTOR);
	assert_int_equal(q.since_s, FX_NOW);
	assert_int_equal(q.until_s, FX_NOW + 60);
	assert_int_equal(q.change, 1);
	assert_true(quarantine_holds(&q, FX_NOW + 59));
	assert_false(quarantine_holds(&q, FX_NOW + 60));
	q.until_s = 0;
	assert_true(quarantine_holds(&q, INT64_MAX));
	assert_false(is_in(fx, "meter-", &q));
	assert_false(is_in(fx, "meter-11", &q));
}

static void test_idempotent(void **state)
{
	struct fixture *fx = *state;
	struct quarantine q;

	assert_int_equal(fx_put(fx, "a", 0), 1);
	assert_int_equal(fx_put(fx, "a", 0), 1);
	/* Said anew: since when is kept. */
	assert_int_equal(fx_put(fx, "a", FX_NOW + DAY), 2);
	assert_true(is_in(fx, "a", &q));
	assert_int_equal(q.until_s, FX_NOW + DAY);
	assert_int_equal(q.change, 2);
	assert_int_equal(fx_release(fx, "a", FX_NOW), 3);
	assert_int_equal(fx_release(fx, "a", FX_NOW), 0);
	assert_int_equal(fx_release(fx, "b", FX_NOW), 0);
	assert_false(is_in(fx, "a", &q));
	assert_int_equal(fx_put(fx, "a", 0), 4);
}

static bool note_change(void *ctx, const struct live_change *c)
{
	char *out = ctx;
	size_t n = strlen(out);

	(void)snprintf(out + n, 256 - n, "%d:%.*s%s ", (int)c->change,
		STR_ARG(c->device_id), c->quarantined ? "+" : "-");
	return c->change != 4;
}

static bool note_action(void *ctx, const struct live_action *a)
{
	char *out = ctx;
	size_t n = strlen(out);

	(void)snprintf(out + n, 256 - n, "%d:%s%s/%s ", (int)a->change,
		a->quarantine ? "+" : "-", a->device_id, a->reason);
	return true;
}

static void test_changes(void **state)
{
	struct fixture *fx = *state;
	struct live_heads h = {-1, -1};
	char out[256] = "";

	(void)fx_put(fx, "b", 0);
	(void)fx_put(fx, "a", 0);
	(void)fx_release(fx, "b", FX_NOW);
	(void)fx_put(fx, "c", 0);
	(void)fx_put(fx, "d", 0);
	OK(fx, live_open(fx->path, LIVE_FOLLOW, &fx->l, &fx->e));
	OK(fx, live_heads(fx->l, &h, &fx->e));
	assert_int_equal(h.oldest, 1);
	assert_int_equal(h.newest, 5);
	/* What they are by now; until EACH has enough. */
	OK(fx, live_changes(fx->l, 0, 9, note_change, out, &fx->e));
	assert_string_equal(out, "1:b- 2:a+ 3:b- 4:c+ ");
	out[0] = '\0';
	OK(fx, live_changes(fx->l, 1, 2, note_change, out, &fx->e));
	assert_string_equal(out, "2:a+ 3:b- ");
	out[0] = '\0';
	OK(fx, live_changes(fx->l, 5, 9, note_change, out, &fx->e));
	assert_string_equal(out, "");
	OK(fx, live_actions(fx->l, 0, 2, note_action, out, &fx->e));
	assert_string_equal(out, "5:+d/sends too much 4:+c/sends too much ");
	out[0] = '\0';
	OK(fx, live_actions(fx->l, 4, 1, note_action, out, &fx->e));
	assert_string_equal(out, "3:-b/ ");
}

static bool note_id(void *ctx, const struct quarantine *q)
{
	char *out = ctx;
	size_t n = strlen(out);

	(void)snprintf(out + n, 256 - n, "%s ", q->device_id);
	return true;
}

static void test_list(void **state)
{
	struct fixture *fx = *state;
	char out[256] = "";

	(void)fx_put(fx, "b", 0);
	(void)fx_put(fx, "a", 0);
	(void)fx_put(fx, "c", FX_NOW + 1);
	OK(fx, live_open(fx->path, LIVE_READ, &fx->l, &fx->e));
	OK(fx, live_quarantines(fx->l, "", 2, note_id, out, &fx->e));
	assert_string_equal(out, "a b ");
	out[0] = '\0';
	OK(fx, live_quarantines(fx->l, "a", 9, note_id, out, &fx->e));
	assert_string_equal(out, "b c ");
}

static void test_empty_heads(void **state)
{
	struct fixture *fx = *state;
	struct live_heads h = {-1, -1};

	OK(fx, live_open(fx->path, LIVE_WRITE, &fx->l, &fx->e));
	OK(fx, live_heads(fx->l, &h, &fx->e));
	assert_int_equal(h.newest, 0);
	assert_int_equal(h.oldest, 0);
}

static void refuse(struct fixture *fx, struct quarantine q, const char *text)
{
	int64_t change = -1;

	REFUSED(fx, live_quarantine(fx->l, &q, &change, &fx->e), ERR_INPUT,
		text);
	assert_int_equal(change, -1);
}

static void test_input(void **state)
{
	struct fixture *fx = *state;
	struct quarantine q;
	int64_t change = -1;
	char long_actor[LIVE_ACTOR_MAX + 2];

	OK(fx, live_open(fx->path, LIVE_WRITE, &fx->l, &fx->e));
	refuse(fx, fx_of("", 0), "device id");
	refuse(fx, fx_of("a/b", 0), "device id");
	refuse(fx, fx_of("a", FX_NOW), "before it begins");
	refuse(fx, fx_of("a", -1), "before it begins");
	q = fx_of("a", 0);
	q.reason[0] = '\x80';
	refuse(fx, q, "reason");
	q.reason[0] = '\n';
	refuse(fx, q, "reason");
	q = fx_of("a", 0);
	q.actor[0] = '\0';
	refuse(fx, q, "who does it");
	q.actor[0] = '\x7f';
	refuse(fx, q, "who does it");
	memset(long_actor, 'a', sizeof(long_actor) - 1);
	long_actor[sizeof(long_actor) - 1] = '\0';
	REFUSED(fx,
		live_release(fx->l, STR("a"), long_actor, 1, &change, &fx->e),
		ERR_INPUT, "device id");
	REFUSED(fx, live_release(fx->l, STR("$a"), "b", 1, &change, &fx->e),
		ERR_INPUT, "device id");
	assert_int_equal(change, -1);
	q = fx_of("a", 0);
	memset(q.reason, 'r', STATUS_REASON_MAX);
	q.reason[STATUS_REASON_MAX] = '\0';
	OK(fx, live_quarantine(fx->l, &q, &change, &fx->e));
	assert_int_equal(change, 1);
}

/* Fills it up to N quarantines that end at UNTIL_S. */
static void fill(struct fixture *fx, unsigned n, int64_t until_s)
{
	char sql[512];

	(void)snprintf(sql, sizeof(sql),
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM "
		"n WHERE i < %u) INSERT INTO quarantine SELECT "
		"'f-' || i, 1, %lld, '', 'x', 1 FROM n",
		n, (long long)until_s);
	fx_sql(fx, sql);
}

static void test_most(void **state)
{
	struct fixture *fx = *state;
	struct quarantine q = fx_of("one-more", 0);
	int64_t change = -1;

	(void)fx_put(fx, "a", 0);
	fill(fx, LIVE_QUARANTINES_MAX - 1, 0);
	OK(fx, live_open(fx->path, LIVE_WRITE, &fx->l, &fx->e));
	REFUSED(fx, live_quarantine(fx->l, &q, &change, &fx->e), ERR_CONFLICT,
		"weir quarantine");
	assert_int_equal(change, -1);
	/* One that is there can be said anew, and makes room when released. */
	assert_int_equal(fx_put(fx, "a", FX_NOW + 5), 2);
	assert_int_equal(fx_release(fx, "a", FX_NOW), 3);
	OK(fx, live_quarantine(fx->l, &q, &change, &fx->e));
	assert_int_equal(change, 4);
}

static void test_ended_makes_room(void **state)
{
	struct fixture *fx = *state;
	struct quarantine q;

	(void)fx_put(fx, "a", 0);
	fill(fx, LIVE_QUARANTINES_MAX - 1, FX_NOW);
	assert_int_equal(fx_put(fx, "b", 0), 2);
	assert_true(is_in(fx, "a", &q));
	assert_true(is_in(fx, "b", &q));
}

static void test_old_actions_go(void **state)
{
	struct fixture *fx = *state;
	struct live_heads h;

	(void)fx_put(fx, "a", 0);
	fx_sql(fx, "INSERT INTO action VALUES "
		   "(70000, 1, 'x', 'release', 'b', '', 0)");
	assert_int_equal(fx_put(fx, "c", 0), 70001);
	OK(fx, live_open(fx->path, LIVE_READ, &fx->l, &fx->e));
	OK(fx, live_heads(fx->l, &h, &fx->e));
	assert_int_equal(h.oldest, 70000);
	assert_int_equal(h.newest, 70001);
}

static void test_other_schema(void **state)
{
	struct fixture *fx = *state;

	(void)fx_put(fx, "a", 0);
	fx_sql(fx, "PRAGMA user_version = 2");
	for (int mode = LIVE_READ; mode <= LIVE_WRITE; mode++)
		REFUSED(fx,
			live_open(
				fx->path, (enum live_mode)mode, &fx->l, &fx->e),
			ERR_ENVIRONMENT, "has schema 2");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_absent),
		TEST(test_made),
		TEST(test_made_anew),
		TEST(test_quarantine),
		TEST(test_idempotent),
		TEST(test_changes),
		TEST(test_list),
		TEST(test_empty_heads),
		TEST(test_input),
		TEST(test_most),
		TEST(test_ended_makes_room),
		TEST(test_old_actions_go),
		TEST(test_other_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
