/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry in a folder of its own, for tests: made before each, removed
 * after. Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_REGISTRY_FIXTURE_H
#define TESTS_SUPPORT_REGISTRY_FIXTURE_H

#include "io/registry.h"
#include "tests/support/expect.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FX_NOW   INT64_C(1700000000)
#define FX_ICCID "8988211000000467343"
#define FX_IMSI  "001010123456789"
#define FX_IMEI  "354178036859789"
#define FX_EID   "89044045116727494800000004479366"
#define FX_ACTOR "tester"

struct fixture {
	char dir[64];
	char path[96];
	struct registry *w; /* a writer */
	struct err e;
};

static inline void fx_dir(struct fixture *fx)
{
	memset(fx, 0, sizeof(*fx));
	(void)snprintf(fx->dir, sizeof(fx->dir), "/tmp/weir-registry-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	(void)snprintf(fx->path, sizeof(fx->path), "%s/registry.db", fx->dir);
}

static inline int fx_setup(void **state)
{
	struct fixture *fx = malloc(sizeof(*fx));

	assert_non_null(fx);
	fx_dir(fx);
	OK(fx, registry_create(fx->path, FX_ACTOR, FX_NOW, &fx->e));
	OK(fx, registry_open(fx->path, REGISTRY_WRITE, &fx->w, &fx->e));
	*state = fx;
	return 0;
}

static inline void fx_remove(const struct fixture *fx)
{
	static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
	char name[112];

	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", fx->path, suffix[i]);
		(void)unlink(name);
	}
	(void)rmdir(fx->path); /* a test makes a folder of that name */
	(void)rmdir(fx->dir);
}

static inline int fx_teardown(void **state)
{
	struct fixture *fx = *state;

	registry_close(&fx->w);
	fx_remove(fx);
	free(fx);
	return 0;
}

static inline void fx_begin(struct fixture *fx)
{
	OK(fx, registry_begin(fx->w, FX_ACTOR, FX_NOW, &fx->e));
}

/* Returns the change seq. */
static inline int64_t fx_commit(struct fixture *fx)
{
	int64_t seq = -1;

	OK(fx, registry_commit(fx->w, &seq, &fx->e));
	return seq;
}

/* SQL behind the registry's back, without its checks. */
static inline void fx_sql(const struct fixture *fx, const char *sql)
{
	int persist = 1;
	char *msg = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
	(void)sqlite3_file_control(
		db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
	if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s: %s", sql, msg);
	(void)sqlite3_close(db);
}

static inline struct simid fx_sim(enum simid_kind kind, const char *digits)
{
	struct simid id = {0};

	if (digits == NULL)
		return id;
	assert_true(strlen(digits) <= SIMID_MAX);
	id.kind = (uint8_t)kind;
	id.n = (uint8_t)strlen(digits);
	memcpy(id.digits, digits, strlen(digits));
	return id;
}

static inline struct device fx_device(const char *id)
{
	struct device d = {0};

	assert_true(strlen(id) < sizeof(d.id));
	memcpy(d.id, id, strlen(id));
	d.id_len = (uint8_t)strlen(id);
	memcpy(d.class_name, "meter", 6);
	return d;
}

/* With an identifier of each kind. */
static inline struct device fx_full_device(const char *id)
{
	struct device d = fx_device(id);

	d.sim[SIMID_ICCID] = fx_sim(SIMID_ICCID, FX_ICCID);
	d.sim[SIMID_IMSI] = fx_sim(SIMID_IMSI, FX_IMSI);
	d.sim[SIMID_IMEI] = fx_sim(SIMID_IMEI, FX_IMEI);
	d.sim[SIMID_EID] = fx_sim(SIMID_EID, FX_EID);
	return d;
}

/* False: there is no device ID. Else device_fini(D) when done. */
static inline bool fx_get(struct fixture *fx, const char *id, struct device *d)
{
	bool found = false;

	OK(fx, registry_device(fx->w, str_from(id), d, &found, &fx->e));
	return found;
}

/* One device in a transaction of its own. */
static inline void fx_add(struct fixture *fx, const char *id)
{
	struct device d = fx_device(id);

	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &d, &fx->e));
	(void)fx_commit(fx);
}

/* A certificate whose fingerprint is all FP and whose key is all KEY. */
static inline struct credential fx_credential(
	const char *id, uint8_t fp, uint8_t key)
{
	struct credential c = {0};

	memset(c.fingerprint, fp, sizeof(c.fingerprint));
	memset(c.spki, key, sizeof(c.spki));
	(void)snprintf(c.device_id, sizeof(c.device_id), "%s", id);
	(void)snprintf(c.serial, sizeof(c.serial), "0A%02X", fp);
	(void)snprintf(c.issuer, sizeof(c.issuer), "CN=Test CA,O=Fleet");
	c.not_before_s = FX_NOW - 300;
	c.not_after_s = FX_NOW + 86400 + fp;
	return c;
}

#endif
