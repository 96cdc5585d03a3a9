/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backup and restore while memory runs out. Whatever failed: the registry is
 * the one it was or the one it was to become, and nothing else is left.
 */
#include "io/registry_backup.h"
#include "tests/support/check.h"
#include "tests/torture/alloc.h"
#include "tests/torture/torture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOW   INT64_C(1700000000)
#define ACTOR "torture"

static struct {
	char path[96], copy[112];
	bool done; /* what run was told */
} fx;

static void ok(bool done, const struct err *e)
{
	if (!done)
		check_failed(__FILE__, __LINE__, "with sound memory", e->msg);
}

static void registry_remove(void)
{
	static const char *const suffix[] = {"", "-wal", "-shm"};
	char name[112];

	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", fx.path, suffix[i]);
		(void)unlink(name);
	}
	(void)unlink(fx.copy);
}

/* A registry of one device. */
static void read_before(void)
{
	struct device d = {.id = "dev-1", .class_name = "meter", .id_len = 5};
	struct registry *r = NULL;
	struct err e = {0};
	int64_t seq;

	(void)snprintf(fx.path, sizeof(fx.path), "%s/r.db", torture_dir());
	(void)snprintf(fx.copy, sizeof(fx.copy), "%s/copy", torture_dir());
	fx.done = false;
	ok(registry_create(fx.path, ACTOR, NOW, &e), &e);
	ok(registry_open(fx.path, REGISTRY_WRITE, &r, &e), &e);
	ok(registry_begin(r, ACTOR, NOW, &e), &e);
	ok(registry_device_add(r, &d, &e), &e);
	ok(registry_commit(r, &seq, &e), &e);
	registry_close(&r);
}

/* Opens what is there, which must be sound. */
static struct registry *sound(void)
{
	uint8_t head[FINGERPRINT_LEN];
	struct registry *r = NULL;
	struct err e = {0};
	int64_t bad = -1, n = 0;

	ok(registry_open(fx.path, REGISTRY_WRITE, &r, &e), &e);
	ok(registry_audit_verify(r, &bad, &n, head, &e), &e);
	CHECK(bad == 0 && n >= 2);
	return r;
}

/* torture_done; and what is sound must not be called damaged. */
static bool honest(bool done, struct err *e)
{
	CHECK(done || strstr(e->msg, "damaged") == NULL);
	return torture_done(done, e);
}

static void backup_run(void)
{
	struct registry_copy copy;
	struct registry *r = NULL;
	struct err e = {0};

	if (!honest(registry_open(fx.path, REGISTRY_READ, &r, &e), &e))
		return;
	fx.done = honest(registry_backup(r, fx.copy, &copy, &e), &e);
	CHECK(fx.done == (access(fx.copy, F_OK) == 0));
	if (fx.done)
		CHECK(copy.bad_seq == 0 && copy.heads.revision == 2);
	registry_close(&r);
}

static void backup_after(void)
{
	struct registry *r = sound();

	registry_close(&r);
	registry_remove();
}

const struct scenario REGISTRY_BACKUP = {
	"registry_backup", read_before, backup_run, backup_after};

static void restore_before(void)
{
	struct registry_copy copy;
	struct registry *r = NULL;
	struct err e = {0};

	read_before();
	ok(registry_open(fx.path, REGISTRY_READ, &r, &e), &e);
	ok(registry_backup(r, fx.copy, &copy, &e), &e);
	registry_close(&r);
}

static void restore_run(void)
{
	static const struct registry_seen seen = {9, 9};
	struct restore_result result = {.marked = false};
	struct restore *x = NULL;
	struct err e = {0};

	if (!honest(restore_prepare(fx.path, fx.copy, &x, &e), &e)) {
		CHECK(x == NULL);
		return;
	}
	CHECK(restore_copy(x)->heads.revision == 2);
	fx.done = honest(restore_commit(x, &seen, ACTOR, NOW, &result, &e), &e);
	/* It lags behind what was seen, whatever could be read. */
	CHECK(result.marked == fx.done);
	restore_free(&x);
}

/* The path holds the one or the other, and no folder is left beside it. */
static void restore_after(void)
{
	struct registry *r = sound();
	struct registry_heads heads;
	struct err e = {0};
	char name[128];

	ok(registry_heads(r, &heads, &e), &e);
	CHECK(heads.restored == fx.done);
	registry_close(&r);
	(void)snprintf(name, sizeof(name), "%s" RESTORE_KEPT, fx.path);
	CHECK((unlink(name) == 0) >= fx.done);
	registry_remove();
}

const struct scenario REGISTRY_RESTORE = {
	"registry_restore", restore_before, restore_run, restore_after};
