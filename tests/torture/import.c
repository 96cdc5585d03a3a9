/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An import while memory runs out: all of the file, or none of it.
 */
#include "io/registry_import.h"
#include "tests/support/check.h"
#include "tests/torture/alloc.h"
#include "tests/torture/torture.h"

#include <fcntl.h>
#include <unistd.h>

#define NOW   INT64_C(1700000000)
#define ACTOR "torture"

static struct {
	char path[96];
	bool committed; /* what run was told */
} fx;

static void ok(bool done, const struct err *e)
{
	if (!done)
		check_failed(__FILE__, __LINE__, "with sound memory", e->msg);
}

static void files_remove(void)
{
	static const char *const suffix[] = {"", "-wal", "-shm", ".jsonl"};
	char name[112];

	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", fx.path, suffix[i]);
		(void)unlink(name);
	}
}

/* A registry with dev-1. */
static void registry_make(void)
{
	struct device one = {.id = "dev-1", .id_len = 5, .class_name = "meter"};
	struct registry *r = NULL;
	struct err e = {0};
	int64_t seq;

	(void)snprintf(fx.path, sizeof(fx.path), "%s/i.db", torture_dir());
	fx.committed = false;
	ok(registry_create(fx.path, ACTOR, NOW, &e), &e);
	ok(registry_open(fx.path, REGISTRY_WRITE, &r, &e), &e);
	ok(registry_begin(r, ACTOR, NOW, &e), &e);
	ok(registry_device_add(r, &one, &e), &e);
	ok(registry_commit(r, &seq, &e), &e);
	registry_close(&r);
}

#define LINES                                                                  \
	"{\"id\":\"dev-1\",\"class\":\"valve\",\"attrs\":{\"site\":\"york\"}," \
	"\"status\":\"suspended\"}\n"                                          \
	"{\"id\":\"dev-9\",\"class\":\"meter\",\"credentials\":[{"             \
	"\"fingerprint\":\"" HEX64 "\",\"spki\":\"" HEX64 "\","                \
	"\"serial\":\"0A\",\"issuer\":\"CN=x\",\"not_before_s\":1,"            \
	"\"not_after_s\":2}]}\n"
#define HEX16 "0909090909090909"
#define HEX64 HEX16 HEX16 HEX16 HEX16

static void import_before(void)
{
	char name[112];
	int fd;

	registry_make();
	(void)snprintf(name, sizeof(name), "%s.jsonl", fx.path);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(write(fd, LINES, sizeof(LINES) - 1) ==
		(ssize_t)(sizeof(LINES) - 1));
	CHECK(close(fd) == 0);
}

/* How many lines were taken. */
static int import_lines(struct registry *r, struct fleet_file *f, struct err *e)
{
	struct fleet_entry x;
	struct import_outcome o;
	bool end = false, done = true;
	int n = 0;

	while (done && torture_done(fleet_next(f, &x, &end, e), e) && !end) {
		done = torture_done(
			registry_import_try(r, &x, IMPORT_UPSERT, &o, e), e);
		n += done;
		fleet_entry_fini(&x);
	}
	return end ? n : -1;
}

static void import_run(void)
{
	const struct bulk_audit a = {.action = "device.import", .devices = 2};
	struct fleet_file *f = NULL;
	struct registry *r = NULL;
	struct err e = {0};
	char name[112];
	int64_t seq;

	(void)snprintf(name, sizeof(name), "%s.jsonl", fx.path);
	if (torture_done(fleet_open(name, FLEET_IMPORT, false, &f, &e), &e) &&
		torture_done(
			registry_open(fx.path, REGISTRY_WRITE, &r, &e), &e) &&
		torture_done(registry_begin(r, ACTOR, NOW, &e), &e) &&
		torture_done(registry_bulk_begin(r, &e), &e) &&
		import_lines(r, f, &e) == 2 &&
		torture_done(registry_bulk_end(r, &a, &e), &e))
		fx.committed = torture_done(registry_commit(r, &seq, &e), &e);
	fleet_close(&f);
	registry_close(&r);
	CHECK(f == NULL && r == NULL);
}

static void import_after(void)
{
	uint8_t head[FINGERPRINT_LEN];
	struct registry *r = NULL;
	struct device d;
	struct err e = {0};
	int64_t bad = -1, n = 0;
	bool found = false;

	ok(registry_open(fx.path, REGISTRY_WRITE, &r, &e), &e);
	ok(registry_audit_verify(r, &bad, &n, head, &e), &e);
	CHECK(bad == 0);
	ok(registry_device(r, STR("dev-9"), &d, &found, &e), &e);
	CHECK(found == fx.committed);
	if (found)
		device_fini(&d);
	ok(registry_device(r, STR("dev-1"), &d, &found, &e), &e);
	CHECK(d.status == (fx.committed ? DEVICE_SUSPENDED : DEVICE_ACTIVE));
	device_fini(&d);
	registry_close(&r);
	files_remove();
}

const struct scenario REGISTRY_IMPORT = {
	"registry_import", import_before, import_run, import_after};
