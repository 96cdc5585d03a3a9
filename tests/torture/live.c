/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.db while memory runs out. An action is in it whole if its writer was
 * told so, or not at all; a reader that was told something was told the truth,
 * and a sound file is never called damaged.
 */
#include "io/live.h"
#include "tests/support/check.h"
#include "tests/torture/alloc.h"
#include "tests/torture/torture.h"

#include <unistd.h>

#define NOW   INT64_C(1700000000)
#define ACTOR "token ops"

static struct {
	char path[96];
	int64_t quarantined, released; /* the changes that run was told */
} fx;

static void ok(bool done, const struct err *e)
{
	if (!done)
		check_failed(__FILE__, __LINE__, "with sound memory", e->msg);
}

/* torture_done; whoever hears of damage removes the file. */
static bool honest(bool done, struct err *e)
{
	CHECK(done || strstr(e->msg, "damaged") == NULL);
	return torture_done(done, e);
}

static struct quarantine of(const char *id)
{
	struct quarantine q = {.since_s = NOW, .until_s = NOW + 60};

	(void)snprintf(q.device_id, sizeof(q.device_id), "%s", id);
	(void)snprintf(q.reason, sizeof(q.reason), "odd");
	(void)snprintf(q.actor, sizeof(q.actor), ACTOR);
	return q;
}

static void files_remove(void)
{
	static const char *const suffix[] = {"", "-wal", "-shm", ".new",
		".new-wal", ".new-shm", ".new-journal"};
	char name[112];

	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", fx.path, suffix[i]);
		(void)unlink(name);
	}
}

/* Puts ID in quarantine, with sound memory. */
static void put(const char *id)
{
	struct quarantine q = of(id);
	struct live *l = NULL;
	struct err e = {0};
	int64_t change;

	ok(live_open(fx.path, LIVE_WRITE, &l, &e), &e);
	ok(live_quarantine(l, &q, &change, &e), &e);
	live_close(&l);
}

static void nothing_before(void)
{
	(void)snprintf(fx.path, sizeof(fx.path), "%s/live.db", torture_dir());
	fx.quarantined = fx.released = -1;
}

static void some_before(void)
{
	nothing_before();
	put("dev-1");
	put("dev-2");
}

/* --------------------------------------------------------------------- write */

static void write_run(void)
{
	struct quarantine q = of("dev-3");
	struct live *l = NULL;
	struct err e = {0};

	if (!honest(live_open(fx.path, LIVE_WRITE, &l, &e), &e)) {
		CHECK(l == NULL);
		return;
	}
	if (!honest(live_quarantine(l, &q, &fx.quarantined, &e), &e))
		CHECK(fx.quarantined == -1);
	if (!honest(live_release(l, STR("dev-1"), ACTOR, NOW, &fx.released, &e),
		    &e))
		CHECK(fx.released == -1);
	live_close(&l);
	CHECK(l == NULL);
}

static bool is_in(struct live *l, const char *id)
{
	struct quarantine q;
	struct err e = {0};
	bool found = false;

	ok(live_find(l, str_from(id), &q, &found, &e), &e);
	return found;
}

/* Of the file that was there, or that was begun, a writer makes it whole. */
static void write_after(void)
{
	struct live *l = NULL;
	struct err e = {0};

	ok(live_open(fx.path, LIVE_WRITE, &l, &e), &e);
	CHECK(is_in(l, "dev-3") == (fx.quarantined > 0));
	if (fx.released > 0)
		CHECK(!is_in(l, "dev-1"));
	live_close(&l);
	files_remove();
}

static void change_after(void)
{
	struct live *l = NULL;
	struct err e = {0};

	/* It is there, so a reader can read it, whatever became of the writer. */
	ok(live_open(fx.path, LIVE_FOLLOW, &l, &e), &e);
	CHECK(is_in(l, "dev-1") == (fx.released == -1));
	CHECK(is_in(l, "dev-2"));
	live_close(&l);
	write_after();
}

const struct scenario LIVE_CREATE = {
	"live_create", nothing_before, write_run, write_after};
const struct scenario LIVE_CHANGE = {
	"live_change", some_before, write_run, change_after};

/* ---------------------------------------------------------------------- read */

static bool count_quarantine(void *ctx, const struct quarantine *q)
{
	CHECK(strcmp(q->reason, "odd") == 0);
	++*(int *)ctx;
	return true;
}

static bool count_change(void *ctx, const struct live_change *c)
{
	CHECK(c->quarantined && c->until_s == NOW + 60);
	++*(int *)ctx;
	return true;
}

static bool count_action(void *ctx, const struct live_action *a)
{
	CHECK(a->quarantine && strcmp(a->actor, ACTOR) == 0);
	++*(int *)ctx;
	return true;
}

static void read_all(struct live *l, struct err *e)
{
	struct live_heads h;
	struct quarantine q;
	bool found = false;
	int n = 0;

	if (honest(live_heads(l, &h, e), e))
		CHECK(h.oldest == 1 && h.newest == 2);
	/* One that is not seen would be let go. */
	if (honest(live_find(l, STR("dev-1"), &q, &found, e), e))
		CHECK(found && q.change == 1);
	if (honest(live_quarantines(l, "", 9, count_quarantine, &n, e), e))
		CHECK(n == 2);
	n = 0;
	if (honest(live_changes(l, 0, 9, count_change, &n, e), e))
		CHECK(n == 2);
	n = 0;
	if (honest(live_actions(l, 0, 9, count_action, &n, e), e))
		CHECK(n == 2);
}

static void read_run(void)
{
	struct live *l = NULL;
	struct err e = {0};

	if (!honest(live_open(fx.path, LIVE_FOLLOW, &l, &e), &e)) {
		CHECK(l == NULL);
		return;
	}
	/* There is a file: "none" would let everybody go. */
	CHECK(l != NULL);
	read_all(l, &e);
	live_close(&l);
}

const struct scenario LIVE_READ_ALL = {
	"live_read", some_before, read_run, files_remove};
