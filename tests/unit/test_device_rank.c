/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ranking of devices, and the medians of a class, held to their
 * definitions: sort all and take the first that are asked for; page by page
 * the same as at once; whatever the filters, however short the turns.
 */
#include "feed/class_median.h"
#include "feed/device_rank.h"
#include "tests/support/rng.h"
#include "tests/support/watch_fixture.h"

#include <time.h>

#define DEVICES 300u

/* What is known of each, to define the order by. */
struct model {
	char id[DEVICE_ID_MAX + 1];
	const char *class_name;
	enum device_status status; /* DEVICE_NONE: not registered */
	bool over;                 /* its suspension is */
	bool connected;
	uint64_t count;
};

struct fleet {
	struct rig *r;
	struct feed f;
	char registry[160];
	struct model m[DEVICES];
};

static const char *const CLASSES[] = {"pump", "till"};

static void add_registered(
	struct registry *w, const struct model *m, struct err *e)
{
	struct device d = {0};

	if (m->status == DEVICE_NONE)
		return;
	(void)snprintf(d.id, sizeof(d.id), "%s", m->id);
	d.id_len = (uint8_t)strlen(d.id);
	(void)snprintf(d.class_name, sizeof(d.class_name), "%s", m->class_name);
	assert_true(registry_device_add(w, &d, e));
	if (m->status != DEVICE_ACTIVE || m->over)
		assert_true(registry_device_status(w, str_from(m->id),
			m->over ? DEVICE_SUSPENDED : m->status, "x",
			m->over ? 1000 : 0, e));
}

static void fill(struct fleet *x)
{
	struct registry *w = NULL;
	struct rng g = {5};
	struct err e;
	int64_t change;

	assert_true(registry_create(x->registry, "test", 1000, &e));
	assert_true(registry_open(x->registry, REGISTRY_WRITE, &w, &e));
	assert_true(registry_begin(w, "test", 1000, &e));
	for (unsigned i = 0; i < DEVICES; i++) {
		struct model *m = &x->m[i];
		struct meter_slot *s;

		(void)snprintf(m->id, sizeof(m->id), "%c%u",
			"abc"[rng_below(&g, 3)], i);
		m->class_name = CLASSES[rng_below(&g, 2)];
		m->status = (enum device_status)rng_below(&g, 5);
		m->over = m->status == DEVICE_ACTIVE && rng_below(&g, 4) == 0;
		m->connected = rng_below(&g, 2) == 0;
		/* Many that are alike. */
		m->count = rng_below(&g, 20);
		add_registered(w, m, &e);
		s = rig_add(x->r, m->id, m->class_name);
		s->connections = m->connected ? 1 : 0;
		rig_count(x->r, s, COUNTER_WILLS, m->count);
		rig_count(x->r, s, COUNTER_REFUSED_CONNECTS, m->count / 2);
		rig_count(x->r, s, COUNTER_REFUSED_SUBSCRIBES,
			m->count - m->count / 2);
	}
	assert_true(registry_commit(w, &change, &e));
	registry_close(&w);
}

static int setup(void **state)
{
	struct fleet *x = calloc(1, sizeof(*x));
	void *rig = NULL;
	struct err e;

	assert_non_null(x);
	assert_int_equal(rig_setup(&rig), 0);
	x->r = rig;
	(void)snprintf(x->registry, sizeof(x->registry), "%s/" REGISTRY_FILE,
		x->r->dir.path);
	rig_begin(x->r);
	segment_header(&x->r->s)->pid = getpid();
	segment_header(&x->r->s)->heartbeat_s = (int64_t)time(NULL);
	fill(x);
	(void)rig_look(x->r, 1);
	assert_int_equal(x->r->w->meter.state, BROKER_RUNNING);
	x->f.watch = x->r->w;
	assert_true(roster_open(x->r->dir.path, &x->f.roster, &e));
	assert_true(held_open(x->r->dir.path, &x->f.held, &e));
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	static const char *const suffix[] = {"", "-wal", "-shm"};
	struct fleet *x = *state;
	void *rig = x->r;
	char name[176];

	roster_close(&x->f.roster);
	held_close(&x->f.held);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(
			name, sizeof(name), "%s%s", x->registry, suffix[i]);
		(void)unlink(name);
	}
	(void)rig_teardown(&rig);
	free(x);
	return 0;
}

/* -------------------------------------------------------------- definition */

static bool wanted(
	const struct rank_ask *a, const struct model *m, const struct watch *w)
{
	if (a->class_name[0] != '\0' &&
		(m->status == DEVICE_NONE ||
			strcmp(a->class_name, m->class_name) != 0))
		return false;
	if (a->status != DEVICE_NONE && a->status != m->status)
		return false;
	if (a->by_connected && a->connected != m->connected)
		return false;
	if (a->meter_class != METER_NONE &&
		a->meter_class !=
			meter_class_find(&w->meter, str_from(m->class_name)))
		return false;
	return strncmp(m->id, a->prefix, strlen(a->prefix)) == 0;
}

/* Bubbles, so that nothing is shared with what is tested. */
static size_t definition(const struct fleet *x, const struct rank_ask *a,
	uint32_t out[static DEVICES])
{
	size_t n = 0;

	for (uint32_t i = 0; i < DEVICES; i++) {
		size_t at = n;

		if (!wanted(a, &x->m[i], x->r->w))
			continue;
		while (at > 0 &&
			(a->least ? x->m[i].count < x->m[out[at - 1]].count
				  : x->m[i].count > x->m[out[at - 1]].count))
			at--;
		memmove(&out[at + 1], &out[at], (n - at) * sizeof(*out));
		out[at] = i;
		n++;
	}
	return n;
}

/* Ranks, in turns that are over at once when SHORTEST. */
static struct device_rank *rank_all(
	struct fleet *x, const struct rank_ask *a, bool shortest)
{
	struct device_rank *got = NULL;
	enum rank_step step;
	struct err e;

	assert_true(device_rank_new(a, &got, &e));
	do {
		struct turn t = turn_begin();

		if (shortest)
			t.end_ns = 0;
		step = device_rank_step(got, &x->f, t, &e);
		assert_true(step != RANK_FAILED);
	} while (step == RANK_MORE);
	return got;
}

static void check_page(const struct fleet *x, const struct device_rank *got,
	const uint32_t *want, size_t n)
{
	assert_int_equal(got->n, n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(got->entry[i].id, x->m[want[i]].id);
		assert_int_equal(
			got->entry[i].place.value, x->m[want[i]].count);
		assert_int_equal(got->entry[i].place.slot, want[i]);
	}
}

/* Page by page, each behind the last of the one before. */
static void check(struct fleet *x, struct rank_ask a, size_t page)
{
	uint32_t want[DEVICES + 1];
	size_t n = definition(x, &a, want), done = 0;

	for (;;) {
		struct device_rank *got;
		size_t left = n - done < page ? n - done : page;

		a.n = page;
		got = rank_all(x, &a, done % 2 == 0);
		check_page(x, got, want + done, left);
		done += left;
		if (left != 0)
			a.place = got->entry[left - 1].place;
		a.behind = true;
		device_rank_free(&got);
		if (left < page)
			return;
	}
}

static void test_definition(void **state)
{
	static const char *const prefixes[] = {"", "a", "b1", "none"};
	struct fleet *x = *state;

	for (unsigned i = 0; i < 4 * 5 * 3 * 3 * 2; i++) {
		struct rank_ask a = {
			.sort = i % 2 == 0 ? COUNTER_WILLS : METER_REFUSED,
			.least = i % 2 != 0,
			.status = (enum device_status)(i / 2 % 5),
			.meter_class = METER_NONE,
			.by_connected = i / 30 % 3 != 0,
			.connected = i / 30 % 3 == 1,
		};

		if (i / 10 % 3 != 0)
			(void)snprintf(a.class_name, sizeof(a.class_name), "%s",
				CLASSES[i / 10 % 3 - 1]);
		(void)snprintf(
			a.prefix, sizeof(a.prefix), "%s", prefixes[i / 90 % 4]);
		check(x, a, 1000);
		check(x, a, 17);
		if (a.status == DEVICE_SUSPENDED)
			check(x, a, 1);
	}
}

static void test_of_a_class_of_the_meter(void **state)
{
	struct fleet *x = *state;
	struct rank_ask a = {.sort = COUNTER_WILLS};

	a.meter_class = meter_class_find(&x->r->w->meter, STR("till"));
	assert_true(a.meter_class != METER_NONE);
	check(x, a, 10);
	a.meter_class = 77;
	check(x, a, 10);
}

/* Another meter in the middle of it: begun anew, and right. */
static void test_another_meter(void **state)
{
	struct fleet *x = *state;
	struct rank_ask a = {
		.sort = COUNTER_WILLS, .n = 5, .meter_class = METER_NONE};
	struct device_rank *got = NULL;
	struct turn over = {0};
	struct err e;

	assert_true(device_rank_new(&a, &got, &e));
	assert_int_equal(device_rank_step(got, &x->f, over, &e), RANK_MORE);
	segment_close(&x->r->s);
	assert_int_equal(
		rename(x->r->path, tempdir_at(&x->r->dir, "meter/old")), 0);
	rig_begin(x->r);
	rig_count(x->r, rig_add(x->r, "new", "pump"), COUNTER_WILLS, 1);
	assert_int_equal(rig_look(x->r, 1), WATCH_FILE);
	assert_int_equal(device_rank_step(got, &x->f, over, &e), RANK_DONE);
	assert_int_equal(got->n, 1);
	assert_string_equal(got->entry[0].id, "new");
	device_rank_free(&got);
}

static void test_no_meter_no_registry(void **state)
{
	struct fleet *x = *state;
	struct rank_ask a = {
		.sort = COUNTER_WILLS, .n = 5, .meter_class = METER_NONE};
	struct device_rank *got = NULL;
	struct turn t = turn_begin();
	struct err e;

	a.status = DEVICE_ACTIVE;
	assert_int_equal(unlink(x->registry), 0);
	roster_look(x->f.roster);
	assert_true(device_rank_new(&a, &got, &e));
	assert_int_equal(device_rank_step(got, &x->f, t, &e), RANK_FAILED);
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	device_rank_free(&got);
	a.status = DEVICE_NONE;
	assert_int_equal(unlink(x->r->path), 0);
	(void)rig_look(x->r, 1);
	assert_true(device_rank_new(&a, &got, &e));
	assert_int_equal(device_rank_step(got, &x->f, t, &e), RANK_DONE);
	assert_int_equal(got->n, 0);
	device_rank_free(&got);
}

/* ---------------------------------------------------------------- medians */

static uint64_t median_definition(const struct fleet *x, const char *class)
{
	uint32_t order[DEVICES + 1];
	struct rank_ask a = {.least = true};
	size_t n;

	a.meter_class = meter_class_find(&x->r->w->meter, str_from(class));
	n = definition(x, &a, order);
	return (x->m[order[(n - 1) / 2]].count + x->m[order[n / 2]].count) / 2;
}

static void test_medians(void **state)
{
	struct fleet *x = *state;
	uint64_t out[COUNTERS];

	for (size_t i = 0; i < 2; i++) {
		struct class_median m;
		struct turn over = {0};
		unsigned turns = 1;

		class_median_init(&m, &x->f,
			meter_class_find(
				&x->r->w->meter, str_from(CLASSES[i])));
		while (class_median_step(&m, &x->f, over))
			turns++;
		assert_true(turns > MEDIAN_PASSES);
		class_median_get(&m, out);
		assert_int_equal(
			out[COUNTER_WILLS], median_definition(x, CLASSES[i]));
		assert_int_equal(out[COUNTER_CONNECTS], 0);
	}
}

static void test_medians_of_nothing(void **state)
{
	struct fleet *x = *state;
	struct class_median m;
	uint64_t out[COUNTERS];
	struct turn over = {0};

	class_median_init(&m, &x->f, METER_NONE);
	assert_false(class_median_step(&m, &x->f, turn_begin()));
	class_median_get(&m, out);
	assert_int_equal(out[COUNTER_WILLS], 0);
	/* Another meter in between: nothing is told of a mixture. */
	class_median_init(&m, &x->f, 1);
	assert_true(class_median_step(&m, &x->f, over));
	x->r->w->epoch++;
	assert_false(class_median_step(&m, &x->f, over));
	class_median_get(&m, out);
	assert_int_equal(out[COUNTER_WILLS], 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_definition),
		TEST(test_of_a_class_of_the_meter),
		TEST(test_another_meter),
		TEST(test_no_meter_no_registry),
		TEST(test_medians),
		TEST(test_medians_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
