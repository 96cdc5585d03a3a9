/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history while memory runs out: a minute is told whole or not at all, what
 * is read is right or an error, and no file is taken for a damaged one.
 */
#include "io/history_writer.h"
#include "tests/support/check.h"
#include "tests/torture/alloc.h"
#include "tests/torture/torture.h"

#include <sys/stat.h>
#include <unistd.h>

#define NOW INT64_C(1700000000)

static struct {
	char usage[96];
	bool committed; /* what run was told */
} fx;

static void ok(bool done, const struct err *e)
{
	if (!done)
		check_failed(__FILE__, __LINE__, "with sound memory", e->msg);
}

static void remove_all(void)
{
	static const char *const names[] = {
		"usage.db", "usage.db-wal", "usage.db-shm"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", fx.usage, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(fx.usage);
}

/* Device a of class meter is seen with N bytes; then an event. */
static bool tell(struct history_writer *w, uint64_t n, struct err *e)
{
	struct event_copy v = {
		.e = {.type = EVENT_CONNECT, .t_ms = NOW, .device = STR("a")}};
	struct history_look look = {.segment = 1};

	look.counter[COUNTER_WIRE_BYTES_IN] = n;
	return history_device_number(w, STR("a"), &look.no, e) &&
	       history_class_number(w, STR("meter"), &look.class, e) &&
	       history_tell_device(w, NOW, &look, e) &&
	       history_tell_event(w, &v, "meter", e) &&
	       history_tell_gap(w, &(struct history_gap){NOW, NOW + 9}, e) &&
	       history_place_set(
		       w, &(struct history_place){1, n, NOW, NOW + 7200}, e);
}

static bool tell_minute(struct history_writer *w, uint64_t n, struct err *e)
{
	if (!history_begin(w, e))
		return false;
	if (tell(w, n, e))
		return history_commit(w, e);
	history_rollback(w);
	return false;
}

static void before(void)
{
	struct history_writer *w = NULL;
	char note[512];
	struct err e = {0};

	(void)snprintf(fx.usage, sizeof(fx.usage), "%s/usage", torture_dir());
	(void)mkdir(fx.usage, 0700);
	fx.committed = false;
	ok(history_writer_open(torture_dir(), &w, note, sizeof(note), &e), &e);
	ok(tell_minute(w, 100, &e), &e);
	history_writer_close(&w);
}

static uint64_t sum(struct history *h, bool *right, struct err *e)
{
	struct history_ask ask = {.what = HISTORY_TOP,
		.to_s = NOW + 3600,
		.top = 3,
		.sort = COUNTER_WIRE_BYTES_IN};
	struct history_usage *u = NULL;
	enum history_got got = HISTORY_FAILED;
	struct history_row row = {0};
	unsigned work = 1000;

	if (history_usage_open(h, &ask, &u, e))
		got = history_usage_next(u, &work, &row, e);
	history_usage_close(&u);
	*right = got == HISTORY_ONE;
	return row.counter[COUNTER_WIRE_BYTES_IN];
}

static void read_events(struct history *h)
{
	struct history_event_ask ask = {.device = STR("a")};
	struct history_events *v = NULL;
	struct history_event x;
	struct err e = {0};
	unsigned work = 10;

	if (!torture_done(history_events_open(h, &ask, &v, &e), &e))
		return;
	if (torture_done(
		    history_events_next(v, &work, &x, &e) == HISTORY_ONE, &e))
		CHECK(x.cursor == 1 && strcmp(x.device, "a") == 0);
	history_events_close(&v);
}

static void run(void)
{
	static const struct history_limits keep = {
		60, 60, 1 << 30, 1 << 30, UINT64_C(1) << 40};
	struct history_writer *w = NULL;
	enum history_tidied done = HISTORY_MADE;
	struct history *h = NULL;
	char note[512];
	struct err e = {0};
	bool right = false;
	uint64_t n;

	if (!torture_done(history_writer_open(
				  torture_dir(), &w, note, sizeof(note), &e),
		    &e))
		return;
	CHECK(note[0] == '\0');
	fx.committed = torture_done(tell_minute(w, 250, &e), &e);
	for (int i = 0; i < 4 && done != HISTORY_TIDY; i++) {
		if (!torture_done(
			    history_tidy(w, &keep, NOW + 7200, &done, note, &e),
			    &e))
			break;
	}
	if (torture_done(history_open_beside(torture_dir(), &h, &e), &e)) {
		n = sum(h, &right, &e);
		if (torture_done(right, &e))
			CHECK(n == (fx.committed ? 250u : 100u));
		read_events(h);
	}
	history_close(&h);
	CHECK(!history_writer_damaged(w));
	history_writer_close(&w);
}

static void after(void)
{
	struct history_writer *w = NULL;
	struct history *h = NULL;
	char note[512];
	struct err e = {0};
	bool right = false;

	ok(history_writer_open(torture_dir(), &w, note, sizeof(note), &e), &e);
	CHECK(note[0] == '\0');
	ok(history_open_beside(torture_dir(), &h, &e), &e);
	CHECK(sum(h, &right, &e) == (fx.committed ? 250u : 100u) && right);
	history_close(&h);
	history_writer_close(&w);
	remove_all();
}

const struct scenario HISTORY = {
	.name = "history", .before = before, .run = run, .after = after};
