/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of device and change, and a schema, that the registry never wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/registry_fixture.h"

static bool no_device(void *ctx, const struct device *d)
{
	(void)ctx;
	fail_msg("told of %s", d->id);
	return false;
}

static bool no_change(void *ctx, int64_t seq, struct str id)
{
	(void)ctx;
	(void)id;
	fail_msg("told of change %lld", (long long)seq);
	return false;
}

/* What no registry writes, one column at a time. */
static const char *const hostile[] = {
	"class = NULL",
	"class = 7",
	"class = ''",
	"class = 'a/b'",
	"class = CAST(x'6d00' AS TEXT)",
	"class = hex(zeroblob(33))",
	"class = x'6d'",
	"status = 'Active'",
	"status = NULL",
	"status = 1",
	"status = 'none'",
	"status_reason = NULL",
	"status_reason = x'00'",
	"status_reason = char(27) || '[2J'",
	"status_reason = hex(zeroblob(101))",
	"status_until_s = 'soon'",
	"status_until_s = 1.5",
	"iccid = 1234567890123456789",
	"iccid = ''",
	"iccid = '898821100000046734+'",
	"iccid = hex(zeroblob(20000))",
	"imsi = '12345'",
	"imei = '354178036859780'",
	"imei = '354178036859789' || char(0)",
	"eid = '89044045116727494800000004479367'",
	"attrs = NULL",
	"attrs = ''",
	"attrs = '[]'",
	"attrs = '{}{}'",
	"attrs = '{\"a\":\"b/c\"}'",
	"attrs = '{\"a\":\"\\u0000\"}'",
	"attrs = '{\"a\":1}'",
	"attrs = '{\"a\":\"' || hex(zeroblob(100000)) || '\"}'",
	"attrs = CAST('{}' AS BLOB)",
	"created_s = NULL",
	"updated_s = 'x'",
	"revision = x''",
	"mode = NULL",
	"mode = ''",
	"mode = 1",
	"mode = 'Observe'",
	"mode = 'observed'",
	"mode = 'enforce' || char(0)",
	"mode = CAST('observe' AS BLOB)",
	"mode = hex(zeroblob(100000))",
};

/*
 * Rows of another hand: the table without its types and checks, one column
 * of an otherwise sound row set to what no registry writes.
 */
static void test_hostile_rows(void **state)
{
	struct fixture *fx = *state;
	struct device_filter any = {NULL, DEVICE_NONE};
	struct device a = fx_full_device("a"), got;
	char sql[512];
	bool found;

	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	(void)fx_commit(fx);
	fx_sql(fx, "CREATE TABLE t AS SELECT * FROM device;"
		   "DROP TABLE device; CREATE TABLE sound AS SELECT * FROM t;"
		   "CREATE TABLE device (id, class, status, status_reason,"
		   " status_until_s, iccid, imsi, eid, imei, attrs, created_s,"
		   " updated_s, revision, mode)");
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		(void)snprintf(sql, sizeof(sql),
			"DELETE FROM device; INSERT INTO device SELECT * FROM "
			"sound; UPDATE device SET %s",
			hostile[i]);
		fx_sql(fx, sql);
		memset(&fx->e, 0, sizeof(fx->e));
		if (registry_device(fx->w, STR("a"), &got, &found, &fx->e) ||
			fx->e.code != ERR_ENVIRONMENT ||
			strstr(fx->e.msg, "device 'a': column") == NULL)
			fail_msg("%s: %s", hostile[i], fx->e.msg);
		REFUSED(fx,
			registry_devices(fx->w, &any, no_device, NULL, &fx->e),
			ERR_ENVIRONMENT, "device 'a': column");
	}
	fx_sql(fx, "DELETE FROM device; INSERT INTO device SELECT * FROM sound;"
		   "UPDATE device SET id = x'61'");
	REFUSED(fx, registry_devices(fx->w, &any, no_device, NULL, &fx->e),
		ERR_ENVIRONMENT, "a device: column id");
	fx_sql(fx,
		"DELETE FROM device; INSERT INTO device SELECT * FROM sound");
	assert_true(fx_get(fx, "a", &got)); /* the row itself is sound */
	device_fini(&got);
}

static void test_hostile_change(void **state)
{
	struct fixture *fx = *state;

	fx_sql(fx, "INSERT INTO change VALUES (1, 'a/b')");
	REFUSED(fx, registry_changes(fx->w, 0, 9, no_change, NULL, &fx->e),
		ERR_ENVIRONMENT, "a change");
	fx_sql(fx, "UPDATE change SET device_id = hex(zeroblob(40))");
	REFUSED(fx, registry_changes(fx->w, 0, 9, no_change, NULL, &fx->e),
		ERR_ENVIRONMENT, "a change");
}

/* Nothing that a file brings along is run: no trigger, no view. */
static void test_hostile_schema(void **state)
{
	struct fixture *fx = *state;
	struct device got;
	bool found;

	fx_add(fx, "a");
	fx_sql(fx, "CREATE TRIGGER t AFTER UPDATE ON device BEGIN "
		   "UPDATE device SET status = 'active'; END");
	fx_begin(fx);
	OK(fx, registry_device_status(
		       fx->w, STR("a"), DEVICE_SUSPENDED, "", 0, &fx->e));
	(void)fx_commit(fx);
	assert_true(fx_get(fx, "a", &got));
	assert_int_equal(got.status, DEVICE_SUSPENDED);
	device_fini(&got);
	fx_sql(fx, "ALTER TABLE device RENAME TO other;"
		   "CREATE VIEW device AS SELECT * FROM other");
	REFUSED(fx, registry_device(fx->w, STR("a"), &got, &found, &fx->e),
		ERR_ENVIRONMENT, "device");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hostile_rows),
		TEST(test_hostile_change),
		TEST(test_hostile_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
