/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of usage, in any order and at any time, rolled, dropped and
 * asked for: against a table of every minute, which is the definition.
 */
#include "tests/support/history_fixture.h"
#include "tests/support/rng.h"

#define MINUTES  INT64_C(5760) /* four days */
#define DEVICES  7
#define CLASSES  3
#define APART    31 /* numbers between two devices */
#define COUNTED  3  /* counters that are used */
#define ROWS_MAX 8192

static const struct history_limits forever = {INT64_C(1) << 40,
	INT64_C(1) << 40, INT64_C(1) << 40, INT64_C(1) << 40,
	UINT64_C(1) << 40};

static const unsigned used[COUNTED] = {
	COUNTER_MESSAGES_IN, COUNTER_WIRE_BYTES_IN, COUNTER_REFUSED_PUBLISHES};

static const char *const class_names[CLASSES] = {"", "meter", "pump"};

/* The truth: what was counted in which minute. The class of a device's minute
 * is the last one that was told in it. */
struct model {
	uint64_t device[MINUTES][DEVICES][COUNTED];
	uint64_t class[MINUTES][CLASSES][COUNTED];
	unsigned class_of[MINUTES][DEVICES];
	uint64_t now[DEVICES][COUNTED], class_now[CLASSES][COUNTED];
	int64_t no[DEVICES], class_no[CLASSES];
	uint64_t segment;
	int64_t told_s;
};

static void name_of(unsigned d, char out[static 16])
{
	(void)snprintf(out, 16, "dev-%u", d);
}

static void number_all(struct history_fixture *f, struct model *m)
{
	char id[16];

	OK(f, history_begin(f->w, &f->e));
	/* far apart, as hours are made of some numbers at a time */
	for (unsigned d = 0; d < DEVICES; d++) {
		int64_t ignored;

		for (unsigned i = 0; i < APART; i++) {
			(void)snprintf(id, sizeof(id), "none-%u-%u", d, i);
			OK(f, history_device_number(
				      f->w, str_from(id), &ignored, &f->e));
		}
		name_of(d, id);
		OK(f, history_device_number(
			      f->w, str_from(id), &m->no[d], &f->e));
	}
	for (unsigned c = 0; c < CLASSES; c++)
		OK(f, history_class_number(f->w, str_from(class_names[c]),
			      &m->class_no[c], &f->e));
	OK(f, history_commit(f->w, &f->e));
}

static void look_at(
	const uint64_t now[static COUNTED], struct history_look *out)
{
	memset(out->counter, 0, sizeof(out->counter));
	for (unsigned i = 0; i < COUNTED; i++)
		out->counter[used[i]] = now[i];
}

/* Device D counts something in minute T, as class C. */
static void count(struct history_fixture *f, struct model *m, struct rng *r,
	const unsigned t_d_c[static 3])
{
	unsigned t = t_d_c[0], d = t_d_c[1], c = t_d_c[2];
	struct history_look look = {m->no[d], m->class_no[c], m->segment, {0}};
	struct history_look of_class = {m->class_no[c], 0, m->segment, {0}};

	for (unsigned i = 0; i < COUNTED; i++) {
		uint64_t more = rng_next(r) >> (30 + rng_below(r, 34));

		m->now[d][i] += more;
		m->class_now[c][i] += more;
		m->device[t][d][i] += more;
		m->class[t][c][i] += more;
	}
	m->class_of[t][d] = c;
	look_at(m->now[d], &look);
	look_at(m->class_now[c], &of_class);
	OK(f, history_tell_device(f->w, t * INT64_C(60), &look, &f->e));
	OK(f, history_tell_class(f->w, t * INT64_C(60), &of_class, &f->e));
}

static void set_told(struct history_fixture *f, struct model *m, int64_t told_s)
{
	m->told_s = told_s;
	OK(f, history_place_set(f->w,
		      &(struct history_place){m->segment, 0, told_s, told_s},
		      &f->e));
}

/* Minutes one after the other, some of them late or early; now and then the
 * segment is another one, the file is opened anew, or some is tidied. */
static void live(struct history_fixture *f, struct model *m, struct rng *r,
	const struct history_limits *limits)
{
	enum history_tidied done;
	char note[HISTORY_NOTE];

	for (unsigned t = 0; t < MINUTES; t++) {
		OK(f, history_begin(f->w, &f->e));
		for (unsigned n = rng_below(r, 4); n != 0; n--) {
			unsigned at =
				rng_below(r, 50) != 0 ? t : rng_below(r, t + 1);

			count(f, m, r,
				(const unsigned[]){at, rng_below(r, DEVICES),
					rng_below(r, CLASSES)});
		}
		set_told(f, m, (t + 1) * INT64_C(60));
		OK(f, history_commit(f->w, &f->e));
		if (rng_below(r, 3) == 0)
			OK(f, history_tidy(f->w, limits, t * INT64_C(60), &done,
				      note, &f->e));
		if (rng_below(r, 900) == 0) {
			m->segment++;
			memset(m->now, 0, sizeof(m->now));
			memset(m->class_now, 0, sizeof(m->class_now));
		}
		if (rng_below(r, 900) != 0)
			continue;
		history_writer_close(&f->w);
		hf_open_writer(f);
	}
}

/* ------------------------------------------------------------------- answers */

static void add(uint64_t sum[static COUNTERS], const uint64_t n[static COUNTED])
{
	for (unsigned i = 0; i < COUNTED; i++)
		sum[used[i]] += n[i];
}

static bool nothing(const uint64_t n[static COUNTERS])
{
	uint64_t any = 0;

	for (unsigned i = 0; i < COUNTERS; i++)
		any |= n[i];
	return any == 0;
}

/* The sum over [from, to) of a device, or of a class. */
static void truth(const struct model *m, bool device, unsigned i,
	const int64_t from_to[static 2], uint64_t out[static COUNTERS])
{
	memset(out, 0, COUNTERS * sizeof(out[0]));
	for (int64_t t = from_to[0] / 60; t < (from_to[1] + 59) / 60; t++) {
		if (t >= MINUTES)
			break;
		add(out, device ? m->device[t][i] : m->class[t][i]);
	}
}

static void check_row(const struct model *m, bool device, unsigned i,
	const struct history_row *row)
{
	uint64_t want[COUNTERS];
	char id[16];

	assert_true(i < (device ? DEVICES : CLASSES));
	name_of(i, id);
	truth(m, device, i, (const int64_t[]){row->from_s, row->to_s}, want);
	assert_memory_equal(row->counter, want, sizeof(want));
	assert_string_equal(row->device, device ? id : "");
	if (!device && i < CLASSES)
		assert_string_equal(row->class, class_names[i]);
}

/* The random time asked for, and whose. */
struct question {
	struct history_ask ask;
	unsigned who;
	unsigned work;
	char id[16];
};

static struct question random_question(struct rng *r)
{
	struct question q = {.who = rng_below(r, CLASSES)};
	int64_t end = (MINUTES * 60);
	bool device = rng_below(r, 2) == 0;

	q.ask.what = device ? HISTORY_DEVICE : HISTORY_CLASS;
	q.ask.from_s = rng_below(r, (unsigned)end);
	q.ask.to_s =
		q.ask.from_s + 1 + rng_below(r, (unsigned)(end - q.ask.from_s));
	q.ask.by = (enum history_level)rng_below(r, HISTORY_LEVELS);
	q.work = 1 + rng_below(r, 300);
	return q;
}

static void name_it(struct question *q)
{
	name_of(q->who, q->id);
	q->ask.name = str_from(
		q->ask.what == HISTORY_DEVICE ? q->id : class_names[q->who]);
}

static struct history_row rows[ROWS_MAX];

/* One sum over the time, of which the row says how far it was widened. */
static void ask_total(
	struct history_fixture *f, const struct model *m, struct rng *r)
{
	struct question q = random_question(r);
	uint64_t want[COUNTERS];
	bool device = q.ask.what == HISTORY_DEVICE;
	size_t n;

	name_it(&q);
	truth(m, device, q.who, (const int64_t[]){q.ask.from_s, q.ask.to_s},
		want);
	n = hf_ask(f, &q.ask, q.work, rows, ROWS_MAX);
	assert_true(n == 1 || (n == 0 && nothing(want)));
	if (n == 1)
		check_row(m, device, q.who, rows);
}

/* Buckets in order, none overlapping, that come to the sum of all. */
static void ask_series(
	struct history_fixture *f, const struct model *m, struct rng *r)
{
	struct question q = random_question(r);
	uint64_t want[COUNTERS], sum[COUNTERS] = {0};
	bool device = q.ask.what == HISTORY_DEVICE;
	size_t n;

	name_it(&q);
	q.ask.series = true;
	n = hf_ask(f, &q.ask, q.work, rows, ROWS_MAX);
	for (size_t i = 0; i < n; i++) {
		int64_t step = history_step_s(q.ask.by);

		check_row(m, device, q.who, &rows[i]);
		history_add(sum, rows[i].counter);
		assert_false(nothing(rows[i].counter));
		assert_true(i == 0 || rows[i].from_s >= rows[i - 1].to_s);
		assert_true(rows[i].to_s > rows[i].from_s);
		/* within one bucket, unless that is no longer there */
		if (rows[i].to_s - rows[i].from_s <= step)
			assert_int_equal(
				history_floor(q.ask.by, rows[i].from_s),
				history_floor(q.ask.by, rows[i].to_s - 1));
	}
	if (n == 0)
		return;
	truth(m, device, q.who,
		(const int64_t[]){rows[0].from_s < q.ask.from_s ? rows[0].from_s
								: q.ask.from_s,
			rows[n - 1].to_s > q.ask.to_s ? rows[n - 1].to_s
						      : q.ask.to_s},
		want);
	assert_memory_equal(sum, want, sizeof(sum));
}

/* All devices by a counter, or by all refusals. */
static void ask_top(
	struct history_fixture *f, const struct model *m, struct rng *r)
{
	struct question q = random_question(r);
	unsigned sort = rng_below(r, 2) != 0 ? COUNTER_WIRE_BYTES_IN : COUNTERS;
	unsigned by = sort == COUNTERS ? 2 : 1;
	uint64_t last = UINT64_MAX;
	size_t n;

	q.ask.what = HISTORY_TOP;
	q.ask.sort = sort;
	q.ask.top = 1 + rng_below(r, DEVICES);
	n = hf_ask(f, &q.ask, q.work, rows, ROWS_MAX);
	assert_true(n <= q.ask.top);
	for (size_t i = 0; i < n; i++) {
		uint64_t value = rows[i].counter[used[by]];

		check_row(
			m, true, (unsigned)(rows[i].device[4] - '0'), &rows[i]);
		assert_true(value <= last && value != 0);
		last = value;
	}
	/* none that is not told has more */
	for (unsigned d = 0; n != 0 && d < DEVICES; d++) {
		uint64_t want[COUNTERS] = {0};
		bool told = false;

		for (size_t i = 0; i < n; i++)
			told = told || rows[i].device[4] - '0' == (int)d;
		truth(m, true, d,
			(const int64_t[]){rows[0].from_s, rows[0].to_s}, want);
		assert_true(told || want[used[by]] == 0 ||
			    (n == q.ask.top && want[used[by]] <= last));
	}
}

/* Every class, the nameless too. */
static void ask_classes(
	struct history_fixture *f, const struct model *m, struct rng *r)
{
	struct question q = random_question(r);
	size_t n;

	q.ask.what = HISTORY_CLASSES;
	n = hf_ask(f, &q.ask, q.work, rows, ROWS_MAX);
	assert_true(n <= CLASSES);
	for (size_t i = 0; i < n; i++) {
		unsigned c = 0;

		while (c < CLASSES &&
			strcmp(rows[i].class, class_names[c]) != 0)
			c++;
		assert_true(c < CLASSES);
		check_row(m, false, c, &rows[i]);
	}
}

static void ask_all(struct history_fixture *f, const struct model *m,
	struct rng *r, unsigned n)
{
	while (n-- != 0) {
		ask_total(f, m, r);
		ask_series(f, m, r);
		ask_top(f, m, r);
		ask_classes(f, m, r);
	}
}

static void usage_is_what_was_counted(void **state)
{
	struct history_fixture *f = *state;
	struct model *m = calloc(1, sizeof(*m));
	struct rng r = {20261125};

	assert_non_null(m);
	m->segment = 77;
	number_all(f, m);
	live(f, m, &r, &forever);
	ask_all(f, m, &r, 60);
	(void)hf_tidy(f, &forever, m->told_s);
	ask_all(f, m, &r, 60);
	free(m);
}

/* What is too old for minutes is there by the hour, and then by the day: the
 * answers say so, and stay right. */
static void usage_outlives_its_minutes(void **state)
{
	static const struct history_limits short_ = {INT64_C(21600),
		INT64_C(108000), INT64_C(1) << 40, INT64_C(1) << 40,
		UINT64_C(1) << 40};
	struct history_fixture *f = *state;
	struct model *m = calloc(1, sizeof(*m));
	struct history_head head;
	struct rng r = {42};

	assert_non_null(m);
	m->segment = 1;
	number_all(f, m);
	live(f, m, &r, &short_);
	ask_all(f, m, &r, 60);
	(void)hf_tidy(f, &short_, m->told_s);
	ask_all(f, m, &r, 60);
	OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(head.told_s, MINUTES * 60);
	assert_int_equal(
		head.reach.purged_s[HISTORY_MINUTE], MINUTES * 60 - 21600);
	assert_int_equal(head.reach.purged_s[HISTORY_HOUR], 172800);
	assert_int_equal(head.reach.rolled_s[HISTORY_HOUR], MINUTES * 60);
	assert_int_equal(head.reach.rolled_s[HISTORY_DAY], MINUTES * 60);
	assert_int_equal(head.first_s, 0);
	free(m);
}

/* -------------------------------------------------------------------- export */

/* A part of an export, of a random size. Returns false at its end. */
static bool export_some(struct history_fixture *f, const struct model *m,
	struct history_ask *ask, unsigned left,
	uint64_t sum[static DEVICES][COUNTERS])
{
	enum history_got got = HISTORY_ONE;
	struct history_usage *u;

	OK(f, history_usage_open(f->r, ask, &u, &f->e));
	while (got == HISTORY_ONE) {
		struct history_row row;

		got = history_usage_next(u, &left, &row, &f->e);
		if (got != HISTORY_ONE)
			break;
		assert_true(row.cursor > ask->after);
		ask->after = row.cursor;
		check_row(m, true, (unsigned)(row.device[4] - '0'), &row);
		assert_int_equal(
			row.to_s - row.from_s, history_step_s(ask->by));
		history_add(sum[row.device[4] - '0'], row.counter);
	}
	assert_true(got == HISTORY_LATER || got == HISTORY_END);
	history_usage_close(&u);
	return got == HISTORY_LATER;
}

/* Every row once, however often the export ends and goes on. */
static void each_is_told_once(void **state)
{
	struct history_fixture *f = *state;
	struct model *m = calloc(1, sizeof(*m));
	struct history_ask ask = {.what = HISTORY_EACH, .to_s = MINUTES * 60};
	struct rng r = {5};
	uint64_t want[COUNTERS];

	assert_non_null(m);
	m->segment = 1;
	number_all(f, m);
	live(f, m, &r, &forever);
	(void)hf_tidy(f, &forever, m->told_s);
	for (unsigned l = 0; l < HISTORY_DAY; l++) {
		uint64_t sum[DEVICES][COUNTERS] = {{0}};

		ask.by = (enum history_level)l;
		ask.after = 0;
		while (export_some(f, m, &ask, 1500 + rng_below(&r, 3000), sum))
			;
		for (unsigned d = 0; d < DEVICES; d++) {
			truth(m, true, d, (const int64_t[]){0, MINUTES * 60},
				want);
			assert_memory_equal(sum[d], want, sizeof(want));
		}
	}
	free(m);
}

/* What may still be added to is not exported. */
static void each_ends_at_what_is_told(void **state)
{
	struct history_fixture *f = *state;
	struct model *m = calloc(1, sizeof(*m));
	struct history_ask ask = {.what = HISTORY_EACH, .to_s = 7200};
	struct rng r = {5};

	assert_non_null(m);
	m->segment = 1;
	number_all(f, m);
	OK(f, history_begin(f->w, &f->e));
	count(f, m, &r, (const unsigned[]){10, 0, 1});
	count(f, m, &r, (const unsigned[]){11, 0, 1});
	set_told(f, m, 660);
	OK(f, history_commit(f->w, &f->e));
	assert_int_equal(hf_ask(f, &ask, 100, rows, ROWS_MAX), 1);
	assert_int_equal(rows[0].from_s, 600);
	ask.by = HISTORY_HOUR;
	assert_int_equal(hf_ask(f, &ask, 100, rows, ROWS_MAX), 0);
	/* but who asks how much it was gets all there is */
	ask.what = HISTORY_TOP;
	ask.top = 1;
	assert_int_equal(hf_ask(f, &ask, 100, rows, ROWS_MAX), 1);
	check_row(m, true, 0, rows);
	assert_int_equal(rows[0].to_s, 720);
	/* of a class: only minutes that were spent in it */
	ask.name = STR("pump");
	assert_int_equal(hf_ask(f, &ask, 100, rows, ROWS_MAX), 0);
	ask.name = STR("meter");
	assert_int_equal(hf_ask(f, &ask, 100, rows, ROWS_MAX), 1);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			usage_is_what_was_counted, hf_setup, hf_teardown),
		cmocka_unit_test_setup_teardown(
			usage_outlives_its_minutes, hf_setup, hf_teardown),
		cmocka_unit_test_setup_teardown(
			each_is_told_once, hf_setup, hf_teardown),
		cmocka_unit_test_setup_teardown(
			each_ends_at_what_is_told, hf_setup, hf_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
