/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the history's file lives through: failures at each step of SQLite's, a
 * death at each step, weeks, too little room, damage, and two at once.
 */
#include "tests/support/history_fixture.h"

#include "io/history_writer_private.h"

#include <fcntl.h>
#include <sys/wait.h>

#define DAY INT64_C(86400)

#define MINUTES_S (2 * DAY)
#define HOURS_S   (35 * DAY)
#define DAYS_S    (731 * DAY)
#define EVENTS_S  (35 * DAY)
#define ROOM      (UINT64_C(16) << 30)

#define T0 (20000 * DAY)

static const struct history_limits limits = {
	MINUTES_S, HOURS_S, DAYS_S, EVENTS_S, ROOM};

/* Device ID, which belongs to class "meter", is seen with N bytes in all. */
static bool tell_bytes(struct history_writer *w, const char *id, int64_t t_s,
	uint64_t n, struct err *e)
{
	struct history_look look = {.segment = 9};

	look.counter[COUNTER_WIRE_BYTES_IN] = n;
	look.counter[COUNTER_MESSAGES_IN] = n / 100;
	if (!history_device_number(w, str_from(id), &look.no, e) ||
		!history_class_number(w, STR("meter"), &look.class, e) ||
		!history_tell_device(w, t_s, &look, e))
		return false;
	look.no = look.class;
	look.class = 0;
	return history_tell_class(w, t_s, &look, e);
}

static void told(
	struct history_fixture *f, const char *id, int64_t t_s, uint64_t n)
{
	HF_OK(f, history_begin(f->w, &f->e));
	HF_OK(f, tell_bytes(f->w, id, t_s, n, &f->e));
	HF_OK(f, history_place_set(f->w,
			 &(struct history_place){9, 1, t_s + 60, t_s + 60},
			 &f->e));
	HF_OK(f, history_commit(f->w, &f->e));
}

/* All that was ever told of device ID, or of class "meter". */
static uint64_t sum_of(struct history_fixture *f, const char *id)
{
	struct history_ask ask = {.what = HISTORY_DEVICE,
		.name = str_from(id),
		.to_s = INT64_C(1) << 40};
	struct history_row row[2];

	if (id == NULL) {
		ask.what = HISTORY_CLASS;
		ask.name = STR("meter");
	}
	return hf_ask(f, &ask, 1000, row, 2) == 0
		       ? 0
		       : row[0].counter[COUNTER_WIRE_BYTES_IN];
}

/* -------------------------------------------------------------------- events */

static void tell_event(
	struct history_fixture *f, const struct event *v, const char *class)
{
	struct event_copy c = {.e = *v, .text_len = v->text.n};

	HF_OK(f, history_begin(f->w, &f->e));
	HF_OK(f, history_tell_event(f->w, &c, class, &f->e));
	HF_OK(f, history_commit(f->w, &f->e));
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
	HF_OK(f, history_begin(f->w, &f->e));
	HF_OK(f, history_tell_lost(f->w, T0 * 1000 + 3000, 7, &f->e));
	HF_OK(f, history_commit(f->w, &f->e));
}

static size_t ask_events(struct history_fixture *f,
	const struct history_event_ask *ask, unsigned work,
	struct history_event *out, size_t cap)
{
	enum history_got got = HISTORY_LATER;
	struct history_events *v;
	size_t n = 0;

	HF_OK(f, history_events_open(f->r, ask, &v, &f->e));
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

	HF_OK(f, history_begin(f->w, &f->e));
	for (unsigned i = 0; i < 5000; i++) {
		v.e.t_ms = (T0 + i) * 1000;
		HF_OK(f, history_tell_event(f->w, &v, "", &f->e));
	}
	HF_OK(f, history_commit(f->w, &f->e));
	assert_int_equal(hf_tidy(f, &limits, T0 + EVENTS_S), 0);
	assert_int_equal(ask_events(f, &all, 7, x, 8192), 5000);
	(void)hf_tidy(f, &limits, T0 + EVENTS_S + 2500);
	HF_OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(head.first_event, 2001);
	assert_int_equal(head.last_event, 5000);
	assert_int_equal(ask_events(f, &all, 100, x, 8192), 3000);
	/* a feed that starts again goes on after the last */
	(void)hf_tidy(f, &limits, T0 + 2 * EVENTS_S);
	history_writer_close(&f->w);
	hf_open_writer(f);
	tell_event(f, &v.e, "");
	HF_OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(head.last_event, 5001);
}

/* ---------------------------------------------------------------------- gaps */

static void gaps_are_kept(void **state)
{
	struct history_fixture *f = *state;
	struct history_gap g[4];
	size_t n;

	HF_OK(f, history_begin(f->w, &f->e));
	for (int64_t i = 1; i <= 5; i++)
		HF_OK(f,
			history_tell_gap(f->w,
				&(struct history_gap){i * 1000, i * 1000 + 500},
				&f->e));
	HF_OK(f, history_commit(f->w, &f->e));
	HF_OK(f, history_gaps(f->r, (struct history_gap){0, INT64_MAX}, g, 4,
			 &n, &f->e));
	assert_int_equal(n, 4);
	assert_int_equal(g[0].from_s, 2000);
	assert_int_equal(g[3].to_s, 5500);
	HF_OK(f, history_gaps(f->r, (struct history_gap){2500, 4001}, g, 4, &n,
			 &f->e));
	assert_int_equal(n, 2);
	assert_int_equal(g[0].from_s, 3000);
	assert_int_equal(g[1].from_s, 4000);
	HF_OK(f, history_gaps(f->r, (struct history_gap){5500, INT64_MAX}, g, 4,
			 &n, &f->e));
	assert_int_equal(n, 0);
}

/* ----------------------------------------------------------------- retention */

/* Seven weeks, an hour at a time: minutes, hours and days go when they are old,
 * and all that was ever counted is still there. */
static void weeks_go_by(void **state)
{
	struct history_fixture *f = *state;
	struct history_head head;
	uint64_t a = 0, b = 0;
	int64_t end = T0 + 49 * DAY;

	for (int64_t t = T0; t < end; t += 300) {
		told(f, "a", t, a += 100);
		if (t % 3600 == 0) {
			told(f, "b", t, b += 1000);
			(void)hf_tidy(f, &limits, t + 60);
		}
	}
	(void)hf_tidy(f, &limits, end);
	assert_int_equal(sum_of(f, "a"), a);
	assert_int_equal(sum_of(f, "b"), b);
	HF_OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(head.first_s, T0);
	assert_int_equal(head.reach.purged_s[HISTORY_MINUTE],
		history_floor(HISTORY_HOUR, end - MINUTES_S));
	assert_int_equal(head.reach.purged_s[HISTORY_HOUR],
		history_floor(HISTORY_DAY, end - HOURS_S));
	assert_int_equal(head.reach.purged_s[HISTORY_DAY], 0);
	/* three years on there is nothing left of them */
	told(f, "a", end + INT64_C(1095) * DAY, a + 7);
	(void)hf_tidy(f, &limits, end + INT64_C(1095) * DAY + 60);
	assert_int_equal(sum_of(f, "a"), 7);
	assert_int_equal(sum_of(f, "b"), 0);
}

/* A clock that is set back, even before all that is kept, loses nothing. */
static void clocks_are_set(void **state)
{
	struct history_fixture *f = *state;
	static const int64_t times[] = {0, 3600, -3600, 10 * DAY, -1 * DAY,
		30 * DAY, 29 * DAY, -600 * DAY, 31 * DAY, 60, 100 * DAY, 0,
		-20000 * DAY, 1600 * DAY};
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		told(f, "a", T0 + times[i], n += 1000);
		if (i < 11) {
			(void)hf_tidy(f, &limits, T0 + times[i] + 60);
			assert_int_equal(sum_of(f, "a"), n);
		}
	}
	/* days that are too old are gone; what came after that is not */
	(void)hf_tidy(f, &limits, T0 + 1600 * DAY + 60);
	n = sum_of(f, "a");
	told(f, "a", 60, 99000);
	assert_int_equal(sum_of(f, "a"), n + 99000 - 14000);
}

static void room_is_kept(void **state)
{
	struct history_fixture *f = *state;
	struct history_limits small = limits;
	struct history_head head;
	unsigned dropped = 0;
	uint64_t n = 0, most = 0;
	char id[32];

	small.max_bytes = 524288;
	small.minute_s = small.hour_s = 365 * DAY;
	for (int64_t t = T0; t < T0 + 21600; t += 60) {
		HF_OK(f, history_begin(f->w, &f->e));
		n += 100;
		for (unsigned d = 0; d < 100; d++) {
			(void)snprintf(id, sizeof(id), "device-%u", d);
			HF_OK(f, tell_bytes(f->w, id, t, n, &f->e));
		}
		HF_OK(f, history_place_set(f->w,
				 &(struct history_place){9, 1, t + 60, t + 60},
				 &f->e));
		HF_OK(f, history_commit(f->w, &f->e));
		dropped += hf_tidy(f, &small, t + 60);
		if (t % 300 == 0)
			HF_OK(f, history_writer_sync(f->w, &f->e));
		if (history_writer_bytes(f->w) > most)
			most = history_writer_bytes(f->w);
	}
	assert_true(dropped > 0);
	/* an hour's minutes that no hour is made of yet are never dropped */
	assert_true(most < 3 * small.max_bytes);
	assert_int_equal(sum_of(f, "device-7"), n);
	HF_OK(f, history_head(f->r, &head, &f->e));
	assert_true(head.reach.purged_s[HISTORY_MINUTE] > T0);
	assert_true(head.reach.purged_s[HISTORY_HOUR] == 0);
	/* no room at all: what cannot go stays, and nothing breaks */
	small.max_bytes = 1;
	(void)hf_tidy(f, &small, T0 + 21600);
	assert_int_equal(sum_of(f, "device-7"), n);
}

/* -------------------------------------------------------------------- faults */

/* A minute of three devices, then an hour made of all there is, and so on:
 * whatever there is to do. FAIL_AT counts SQLite's steps down. */
static int fail_at(void *left)
{
	int *n = left;

	return (*n)-- == 0;
}

static bool a_minute(
	struct history_writer *w, int64_t t_s, uint64_t n, struct err *e)
{
	struct event_copy v = {.e = {.type = EVENT_CONNECT, .t_ms = t_s}};

	if (!history_begin(w, e))
		return false;
	if (tell_bytes(w, "a", t_s, n, e) && tell_bytes(w, "b", t_s, n, e) &&
		history_tell_event(w, &v, "meter", e) &&
		history_tell_gap(w, &(struct history_gap){t_s - 9, t_s}, e) &&
		history_place_set(w,
			&(struct history_place){9, n, t_s + 60, t_s + 60}, e))
		return history_commit(w, e);
	history_rollback(w);
	return false;
}

/* Whatever happened, what is told is what was taken: the next look makes the
 * sum right, and a ring's place is the events' number. */
static void check_sound(struct history_fixture *f, uint64_t seen)
{
	struct history_place place;
	struct history_head head;
	uint64_t a = sum_of(f, "a");

	HF_OK(f, history_place(f->w, &place, &f->e));
	HF_OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(a, seen);
	assert_int_equal(sum_of(f, "b"), a);
	assert_int_equal(sum_of(f, NULL), a);
	assert_int_equal(place.ring, a);
	assert_int_equal(head.last_event * 100, a);
}

static bool happened(struct history_fixture *f, uint64_t n)
{
	struct history_place place;

	HF_OK(f, history_place(f->w, &place, &f->e));
	return place.ring == n;
}

static const struct history_limits short_limits = {
	3600, DAY, 9999 * DAY, 9999 * DAY, ROOM};

static void failures_leave_it_whole(void **state)
{
	struct history_fixture *f = *state;
	unsigned failed = 0, worked = 0;
	uint64_t n = 0;
	int64_t t = T0;

	for (int steps = 0; worked < 40; steps += 3) {
		enum history_tidied done = HISTORY_MADE;
		char note[HISTORY_NOTE];
		int left = steps % 400;
		bool ok;

		n += 100;
		sqlite3_progress_handler(f->w->d.db, 1, fail_at, &left);
		ok = a_minute(f->w, t, n, &f->e);
		left = steps % 400;
		while (done != HISTORY_TIDY && history_tidy(f->w, &short_limits,
						       t, &done, note, &f->e))
			;
		sqlite3_progress_handler(f->w->d.db, 0, NULL, NULL);
		failed += !ok;
		worked += ok;
		/* a commit that failed may have happened: who knows asks */
		if (!happened(f, n))
			HF_OK(f, a_minute(f->w, t, n, &f->e));
		check_sound(f, n);
		t += 600;
	}
	assert_true(failed > 60);
	(void)hf_tidy(f, &short_limits, t);
	check_sound(f, n);
}

/* The same with a process that is killed there. */
static int die_at(void *left)
{
	int *n = left;

	if ((*n)-- == 0)
		_exit(7);
	return 0;
}

static void live_and_die(
	struct history_fixture *f, int64_t t, uint64_t n, int steps)
{
	enum history_tidied done = HISTORY_MADE;
	char note[HISTORY_NOTE];
	bool ok = history_writer_open(
		f->state.path, &f->w, f->note, sizeof(f->note), &f->e);

	if (!ok)
		_exit(1);
	sqlite3_progress_handler(f->w->d.db, 1, die_at, &steps);
	ok = a_minute(f->w, t, n, &f->e);
	while (ok && done != HISTORY_TIDY)
		ok = history_tidy(f->w, &short_limits, t, &done, note, &f->e);
	ok = ok && history_writer_sync(f->w, &f->e);
	_exit(ok ? 0 : 1);
}

static void deaths_leave_it_whole(void **state)
{
	struct history_fixture *f = *state;
	unsigned died = 0, lived = 0;
	uint64_t n = 0;
	int64_t t = T0;

	for (int steps = 0; lived < 4; steps += 151) {
		int status;
		pid_t child;

		history_close(&f->r);
		history_writer_close(&f->w);
		n += 100;
		(void)fflush(NULL);
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
			live_and_die(f, t, n, steps % 3000);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_true(
			WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7);
		died += WEXITSTATUS(status) == 7;
		lived += WEXITSTATUS(status) == 0;
		hf_open_writer(f);
		hf_open_reader(f);
		if (!happened(f, n))
			HF_OK(f, a_minute(f->w, t, n, &f->e));
		check_sound(f, n);
		t += 600;
	}
	assert_true(died > 8);
}

/* ------------------------------------------------------------ what it meets */

static void damage_is_set_aside(void **state)
{
	struct history_fixture *f = *state;
	char page[8192];

	memset(page, 0xA5, sizeof(page));
	told(f, "a", T0, 100);
	history_close(&f->r);
	history_writer_close(&f->w);
	tempdir_write(
		&f->usage, "usage.db", "this is no database at all......", 32);
	hf_open_writer(f);
	assert_non_null(strstr(f->note, "set aside as"));
	assert_true(tempdir_mode(&f->usage, "usage.db.damaged") != -1);
	hf_open_reader(f);
	/* nothing of it is known any more: all is told again */
	assert_int_equal(sum_of(f, "a"), 0);
	told(f, "a", T0, 150);
	assert_int_equal(sum_of(f, "a"), 150);
	/* once more: a disk that breaks files */
	history_close(&f->r);
	history_writer_close(&f->w);
	tempdir_write(&f->usage, "usage.db", page, sizeof(page));
	tempdir_write(&f->usage, "usage.db-wal", "", 0);
	HF_REFUSED(f,
		history_writer_open(
			f->state.path, &f->w, f->note, sizeof(f->note), &f->e),
		ERR_ENVIRONMENT, "check the disk");
	assert_null(f->w);
}

/* Found while it writes: the same, at its owner's word. */
static void damage_within(void **state)
{
	struct history_fixture *f = *state;

	told(f, "a", T0, 100);
	assert_int_equal(
		sqlite3_exec(f->w->d.db, "UPDATE taken SET row = x'ffff'", NULL,
			NULL, NULL),
		SQLITE_OK);
	HF_OK(f, history_begin(f->w, &f->e));
	HF_REFUSED(f, tell_bytes(f->w, "a", T0 + 60, 200, &f->e),
		ERR_ENVIRONMENT, "is damaged");
	history_rollback(f->w);
	assert_true(history_writer_damaged(f->w));
	/* who reads it keeps what it has, until it is done */
	assert_int_equal(sum_of(f, "a"), 100);
	history_writer_close(&f->w);
	HF_OK(f, history_writer_renew(f->state.path, &f->w, f->note,
			 sizeof(f->note), &f->e));
	assert_false(history_writer_damaged(f->w));
	assert_non_null(strstr(f->note, "set aside"));
	history_close(&f->r);
	hf_open_reader(f);
	told(f, "a", T0, 200);
	assert_int_equal(sum_of(f, "a"), 200);
}

static void rewrite(struct history_fixture *f, const char *sql)
{
	assert_int_equal(
		sqlite3_exec(f->w->d.db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void other_files_are_refused(void **state)
{
	struct history_fixture *f = *state;
	static const struct {
		const char *sql, *why;
	} rows[] = {
		{"PRAGMA user_version = 2", "has schema 2"},
		{"PRAGMA user_version = 1; PRAGMA application_id = 5",
			"something else"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct history_writer *w = NULL;
		struct history *r = NULL;

		rewrite(f, rows[i].sql);
		HF_REFUSED(f,
			history_writer_open(f->state.path, &w, f->note,
				sizeof(f->note), &f->e),
			ERR_ENVIRONMENT, rows[i].why);
		HF_REFUSED(f, history_open(f->state.path, &r, &f->e),
			ERR_ENVIRONMENT, rows[i].why);
		assert_true(w == NULL && r == NULL);
		assert_string_equal(f->note, "");
	}
}

static void readers_find_damage(void **state)
{
	struct history_fixture *f = *state;
	struct history_ask ask = {
		.what = HISTORY_DEVICE, .name = STR("a"), .to_s = T0 + DAY};
	static const char *const sql[] = {
		"UPDATE minute SET row = x'00ff'",
		"UPDATE minute SET row = 'text'",
		"UPDATE minute SET row = x'0180'",
		"UPDATE minute SET row = x'00', class = 77",
		"UPDATE minute SET class = 'text'",
		"UPDATE device SET no = 99999999",
		"UPDATE mark SET value = 'text'",
	};

	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		struct history_usage *u = NULL;
		struct history_row row;
		unsigned work = 1000;
		bool found;

		told(f, "a", T0, 100);
		rewrite(f, sql[i]);
		found = !history_usage_open(f->r, &ask, &u, &f->e) ||
			history_usage_next(u, &work, &row, &f->e) ==
				HISTORY_FAILED;
		history_usage_close(&u);
		if (!found || strstr(f->e.msg, "damaged") == NULL)
			fail_msg("%s: %s", sql[i], f->e.msg);
		(void)hf_teardown(state);
		(void)hf_setup(state);
		f = *state;
	}
}

/* A program that holds the file's lock is a failure, not a wait. */
static void locked_by_another(void **state)
{
	struct history_fixture *f = *state;
	sqlite3 *other;
	char path[sizeof(f->usage.at)];

	told(f, "a", T0, 100);
	(void)snprintf(
		path, sizeof(path), "%s", tempdir_at(&f->usage, "usage.db"));
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
		SQLITE_OK);
	HF_REFUSED(f, a_minute(f->w, T0 + 60, 200, &f->e), ERR_ENVIRONMENT,
		"locked");
	assert_false(history_writer_damaged(f->w));
	assert_int_equal(sum_of(f, "a"), 100);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	told(f, "a", T0 + 60, 200);
	assert_int_equal(sum_of(f, "a"), 200);
}

static void one_feed_at_a_time(void **state)
{
	struct history_fixture *f = *state;
	int fd = -1, other = -1;
	char pid[48];

	HF_OK(f, history_lock(f->state.path, &fd, &f->e));
	(void)snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	HF_REFUSED(f, history_lock(f->state.path, &other, &f->e), ERR_CONFLICT,
		pid);
	assert_int_equal(other, -1);
	assert_int_equal(close(fd), 0);
	HF_OK(f, history_lock(f->state.path, &other, &f->e));
	assert_int_equal(close(other), 0);
	HF_REFUSED(f, history_lock("/nonexistent", &other, &f->e),
		ERR_ENVIRONMENT, "/nonexistent");
}

static void there_is_none(void **state)
{
	struct history_fixture *f = *state;
	struct history *r = NULL;
	char path[sizeof(f->usage.at)];

	history_close(&f->r);
	history_writer_close(&f->w);
	(void)snprintf(
		path, sizeof(path), "%s", tempdir_at(&f->usage, "usage.db"));
	assert_int_equal(unlink(path), 0);
	HF_REFUSED(f, history_open(f->state.path, &r, &f->e), ERR_NOT_FOUND,
		"weir-feed has not run");
	/* a feed that died before it made the tables */
	tempdir_write(&f->usage, "usage.db", "", 0);
	HF_REFUSED(f, history_open(f->state.path, &r, &f->e), ERR_NOT_FOUND,
		"nothing in");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0640), 0);
	HF_REFUSED(f, history_open(f->state.path, &r, &f->e), ERR_ENVIRONMENT,
		"no regular file");
	HF_REFUSED(f,
		history_writer_open(
			f->state.path, &f->w, f->note, sizeof(f->note), &f->e),
		ERR_ENVIRONMENT, "");
	assert_null(f->w);
}

static void modes(void **state)
{
	struct history_fixture *f = *state;

	assert_int_equal(tempdir_mode(&f->usage, "usage.db"), 0640);
	assert_int_equal(tempdir_mode(&f->usage, "usage.db-wal"), 0640);
	assert_int_equal(tempdir_mode(&f->usage, "usage.db-shm"), 0640);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, hf_setup, hf_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_are_kept),
		TEST(events_by_filter),
		TEST(old_events_go),
		TEST(gaps_are_kept),
		TEST(weeks_go_by),
		TEST(clocks_are_set),
		TEST(room_is_kept),
		TEST(failures_leave_it_whole),
		TEST(deaths_leave_it_whole),
		TEST(damage_is_set_aside),
		TEST(damage_within),
		TEST(other_files_are_refused),
		TEST(readers_find_damage),
		TEST(locked_by_another),
		TEST(one_feed_at_a_time),
		TEST(there_is_none),
		TEST(modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
