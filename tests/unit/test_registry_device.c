/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices in the registry: a life from add to retire, what is refused and in
 * which words, and rows that the registry never wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/registry_fixture.h"

#define ICCID "8988211000000467343"
#define IMSI  "001010123456789"
#define IMEI  "354178036859789"
#define EID   "89044045116727494800000004479366"

static struct device full(const char *id)
{
	struct device d = fx_device(id);

	d.sim[SIMID_ICCID] = fx_sim(SIMID_ICCID, ICCID);
	d.sim[SIMID_IMSI] = fx_sim(SIMID_IMSI, IMSI);
	d.sim[SIMID_IMEI] = fx_sim(SIMID_IMEI, IMEI);
	d.sim[SIMID_EID] = fx_sim(SIMID_EID, EID);
	return d;
}

static bool get(struct fixture *fx, const char *id, struct device *d)
{
	bool found = false;

	OK(fx, registry_device(fx->w, str_from(id), d, &found, &fx->e));
	return found;
}

struct changes {
	int n;
	int64_t seq[8];
	char id[8][DEVICE_ID_MAX + 1];
};

static bool add_change(void *ctx, int64_t seq, struct str id)
{
	struct changes *c = ctx;

	c->seq[c->n] = seq;
	(void)snprintf(c->id[c->n], sizeof(c->id[0]), "%.*s", STR_ARG(id));
	return ++c->n < 8;
}

static void test_add(void **state)
{
	struct fixture *fx = *state;
	struct attr attrs[] = {{STR("site"), STR("leeds")},
		{STR("group"), STR("b")}, {STR("group"), STR("a")}};
	struct device d = full("m:1"), got;

	d.attrs = attrs;
	d.n_attrs = 3;
	assert_false(d.observe);
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &d, &fx->e));
	assert_int_equal(fx_commit(fx), 0);
	assert_true(get(fx, "m:1", &got));
	assert_string_equal(got.id, "m:1");
	assert_int_equal(got.id_len, 3);
	assert_string_equal(got.class_name, "meter");
	assert_int_equal(got.status, DEVICE_ACTIVE);
	assert_false(got.observe);
	assert_string_equal(got.status_reason, "");
	assert_int_equal(got.created_s, FX_NOW);
	assert_int_equal(got.updated_s, FX_NOW);
	assert_int_equal(got.revision, 2);
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		assert_int_equal(got.sim[k].kind, k);
		assert_string_equal(got.sim[k].digits, d.sim[k].digits);
	}
	assert_int_equal(got.n_attrs, 3);
	assert_true(str_eq(got.attrs[0].value, STR("b")));
	assert_true(str_eq(got.attrs[1].value, STR("a")));
	assert_true(str_eq(got.attrs[2].name, STR("site")));
	device_fini(&got);
	assert_null(got.attrs);
	assert_false(get(fx, "m:2", &got));
	assert_false(get(fx, "", &got));
	assert_false(get(fx, "M:1", &got)); /* ids know case */
}

static void test_add_refused(void **state)
{
	struct fixture *fx = *state;
	static const struct {
		const char *id, *class_name;
		enum simid_kind kind;
		enum err_code code;
		const char *digits, *text;
	} table[] = {
		{"a", "meter", SIMID_NONE, ERR_CONFLICT, NULL,
			"device 'a' exists already"},
		{"old", "meter", SIMID_NONE, ERR_CONFLICT, NULL,
			"device 'old' is retired, and an id is never used "
			"again"},
		{"b", "meter", SIMID_ICCID, ERR_CONFLICT, ICCID,
			"ICCID 898821***********43 is device 'a's already"},
		{"b", "meter", SIMID_IMSI, ERR_CONFLICT, IMSI,
			"is device 'a's already"},
		{"b", "meter", SIMID_IMEI, ERR_CONFLICT, IMEI,
			"is device 'a's already"},
		{"b", "meter", SIMID_EID, ERR_CONFLICT, EID,
			"is device 'a's already"},
		{"b", "meter", SIMID_IMSI, ERR_CONFLICT, "001010999999999",
			"is device 'old's already"},
		{"", "meter", SIMID_NONE, ERR_INPUT, NULL, "device id"},
		{"a/b", "meter", SIMID_NONE, ERR_INPUT, NULL, "device id"},
		{"b", "", SIMID_NONE, ERR_INPUT, NULL, "class name"},
		{"b", "a b", SIMID_NONE, ERR_INPUT, NULL, "class name"},
		{"b", "meter", SIMID_IMSI, ERR_INPUT, "12345",
			"IMSI is not in canonical form"},
		{"b", "meter", SIMID_IMEI, ERR_INPUT, "35417803685978",
			"IMEI is not in canonical form"},
		{"b", "meter", SIMID_IMEI, ERR_INPUT, "354178036859780",
			"IMEI is not in canonical form"},
		{"b", "meter", SIMID_ICCID, ERR_INPUT, "8988211000000467343F",
			"ICCID is not in canonical form"},
	};
	struct device a = full("a"), old = fx_device("old"), got;

	old.sim[SIMID_IMSI] = fx_sim(SIMID_IMSI, "001010999999999");
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	OK(fx, registry_device_add(fx->w, &old, &fx->e));
	OK(fx, registry_device_status(
		       fx->w, STR("old"), DEVICE_RETIRED, NULL, 0, &fx->e));
	(void)fx_commit(fx);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct device d = fx_device(table[i].id);

		memset(d.class_name, 0, sizeof(d.class_name));
		memcpy(d.class_name, table[i].class_name,
			strlen(table[i].class_name));
		d.sim[table[i].kind] = fx_sim(table[i].kind, table[i].digits);
		fx_begin(fx);
		REFUSED(fx, registry_device_add(fx->w, &d, &fx->e),
			table[i].code, table[i].text);
		registry_rollback(fx->w);
	}
	assert_false(get(fx, "b", &got));
}

/* Text that fills its array has no NUL; it must not be read past its end. */
static void test_unterminated(void **state)
{
	struct fixture *fx = *state;
	struct device d = fx_device("a");

	memset(d.id, 'a', sizeof(d.id));
	fx_begin(fx);
	REFUSED(fx, registry_device_add(fx->w, &d, &fx->e), ERR_INPUT,
		"device id");
	registry_rollback(fx->w);
	d = fx_device("a");
	memset(d.class_name, 'a', sizeof(d.class_name));
	fx_begin(fx);
	REFUSED(fx, registry_device_add(fx->w, &d, &fx->e), ERR_INPUT,
		"class name");
	registry_rollback(fx->w);
}

static void test_set(void **state)
{
	struct fixture *fx = *state;
	struct attr attr = {STR("k"), STR("v")};
	struct device a = full("a"), b = fx_device("b"), got;
	struct changes c = {0};

	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	OK(fx, registry_device_add(fx->w, &b, &fx->e));
	(void)fx_commit(fx);
	fx_begin(fx);
	OK(fx, registry_device_set(fx->w, &a, &fx->e));
	assert_int_equal(fx_commit(fx), 0); /* nothing differs */
	assert_true(get(fx, "a", &got));
	assert_int_equal(got.revision, 2);
	device_fini(&got);

	a.sim[SIMID_ICCID] = fx_sim(SIMID_NONE, NULL); /* free for b */
	b.sim[SIMID_ICCID] = fx_sim(SIMID_ICCID, ICCID);
	b.attrs = &attr;
	b.n_attrs = 1;
	fx_begin(fx);
	OK(fx, registry_device_set(fx->w, &a, &fx->e));
	OK(fx, registry_device_set(fx->w, &b, &fx->e));
	assert_int_equal(fx_commit(fx), 2);
	assert_true(get(fx, "a", &got));
	assert_int_equal(got.sim[SIMID_ICCID].kind, SIMID_NONE);
	assert_int_equal(got.sim[SIMID_IMSI].kind, SIMID_IMSI);
	assert_int_equal(got.revision, 3);
	device_fini(&got);
	OK(fx, registry_changes(fx->w, 0, 10, add_change, &c, &fx->e));
	assert_int_equal(c.n, 2);
	assert_string_equal(c.id[0], "a");
	assert_string_equal(c.id[1], "b");

	fx_begin(fx);
	a.sim[SIMID_ICCID] = fx_sim(SIMID_ICCID, ICCID);
	REFUSED(fx, registry_device_set(fx->w, &a, &fx->e), ERR_CONFLICT,
		"is device 'b's already");
	registry_rollback(fx->w);
	fx_begin(fx);
	a = fx_device("nobody");
	REFUSED(fx, registry_device_set(fx->w, &a, &fx->e), ERR_NOT_FOUND,
		"no device 'nobody'");
	registry_rollback(fx->w);
}

/* Either way the device's connections are to be judged anew. */
static void test_mode(void **state)
{
	struct fixture *fx = *state;
	struct device a = fx_device("a"), got;
	struct changes c = {0};

	a.observe = true;
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	assert_int_equal(fx_commit(fx), 0);
	for (int64_t seq = 0; seq < 3; seq++) {
		assert_true(get(fx, "a", &got));
		assert_int_equal(got.observe, a.observe);
		assert_int_equal(got.revision, 2 + seq);
		device_fini(&got);
		fx_begin(fx);
		OK(fx, registry_device_set(fx->w, &a, &fx->e));
		assert_int_equal(fx_commit(fx), 0); /* nothing differs */
		a.observe = !a.observe;
		fx_begin(fx);
		OK(fx, registry_device_set(fx->w, &a, &fx->e));
		assert_int_equal(fx_commit(fx), seq + 1);
	}
	OK(fx, registry_changes(fx->w, 0, 8, add_change, &c, &fx->e));
	assert_int_equal(c.n, 3);
}

static void set_status(
	struct fixture *fx, enum device_status s, const char *reason)
{
	fx_begin(fx);
	OK(fx, registry_device_status(
		       fx->w, STR("a"), s, reason, FX_NOW - 5, &fx->e));
	assert_true(fx_commit(fx) > 0);
}

static void test_status(void **state)
{
	struct fixture *fx = *state;
	struct changes c = {0};
	struct device got;

	fx_add(fx, "a");
	set_status(fx, DEVICE_SUSPENDED, "lost \"van\"");
	set_status(fx, DEVICE_QUARANTINED, NULL);
	assert_true(get(fx, "a", &got));
	assert_int_equal(got.status, DEVICE_QUARANTINED);
	assert_int_equal(got.status_until_s, FX_NOW - 5); /* as it was given */
	assert_string_equal(got.status_reason, "");
	assert_int_equal(got.revision, 4);
	device_fini(&got);
	set_status(fx, DEVICE_ACTIVE, "found");
	set_status(fx, DEVICE_RETIRED, "scrapped");
	for (int s = DEVICE_ACTIVE; s <= DEVICE_RETIRED; s++) {
		fx_begin(fx);
		REFUSED(fx,
			registry_device_status(fx->w, STR("a"),
				(enum device_status)s, "", 0, &fx->e),
			ERR_CONFLICT, "retired, which is for ever");
		registry_rollback(fx->w);
	}
	OK(fx, registry_changes(fx->w, 1, 2, add_change, &c, &fx->e));
	assert_int_equal(c.n, 2);
	assert_int_equal(c.seq[0], 2);
	assert_int_equal(c.seq[1], 3);
}

static void test_status_refused(void **state)
{
	struct fixture *fx = *state;
	char reason[STATUS_REASON_MAX + 2];
	static const struct {
		const char *id;
		int status, until_s;
		const char *reason;
		enum err_code code;
	} table[] = {
		{"b", DEVICE_SUSPENDED, 0, "", ERR_NOT_FOUND},
		{"a/b", DEVICE_SUSPENDED, 0, "", ERR_NOT_FOUND},
		{"a", DEVICE_NONE, 0, "", ERR_INPUT},
		{"a", DEVICE_RETIRED + 1, 0, "", ERR_INPUT},
		{"a", DEVICE_SUSPENDED, -1, "", ERR_INPUT},
		{"a", DEVICE_SUSPENDED, 0, "a\x1b[2J", ERR_INPUT},
		{"a", DEVICE_SUSPENDED, 0, "\xff", ERR_INPUT},
		{"a", DEVICE_SUSPENDED, 0, NULL, ERR_INPUT}, /* too long */
	};

	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	fx_add(fx, "a");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *why =
			table[i].reason != NULL ? table[i].reason : reason;

		fx_begin(fx);
		REFUSED(fx,
			registry_device_status(fx->w, str_from(table[i].id),
				(enum device_status)table[i].status, why,
				table[i].until_s, &fx->e),
			table[i].code, "");
		registry_rollback(fx->w);
	}
}

struct ids {
	int n, stop;
	char text[64];
};

static bool add_id(void *ctx, const struct device *d)
{
	struct ids *ids = ctx;
	size_t len = strlen(ids->text);

	(void)snprintf(ids->text + len, sizeof(ids->text) - len, "%s ", d->id);
	return ++ids->n != ids->stop;
}

static void test_list(void **state)
{
	struct fixture *fx = *state;
	static const struct {
		struct device_filter filter;
		int stop;
		const char *ids;
	} table[] = {
		{{NULL, DEVICE_NONE}, 0, "a b c d "},
		{{NULL, DEVICE_NONE}, 2, "a b "},
		{{"meter", DEVICE_NONE}, 0, "a c d "},
		{{"lock", DEVICE_NONE}, 0, "b "},
		{{"none", DEVICE_NONE}, 0, ""},
		{{NULL, DEVICE_SUSPENDED}, 0, "b d "},
		{{"meter", DEVICE_SUSPENDED}, 0, "d "},
		{{"meter", DEVICE_RETIRED}, 0, ""},
	};
	struct device b = fx_device("b");
	struct registry_counts counts;

	fx_add(fx, "d");
	fx_add(fx, "c");
	fx_add(fx, "a");
	memcpy(b.class_name, "lock\0", 6);
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &b, &fx->e));
	OK(fx, registry_device_status(
		       fx->w, STR("b"), DEVICE_SUSPENDED, "", 0, &fx->e));
	OK(fx, registry_device_status(
		       fx->w, STR("d"), DEVICE_SUSPENDED, "", 0, &fx->e));
	(void)fx_commit(fx);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct ids ids = {.stop = table[i].stop};

		OK(fx, registry_devices(
			       fx->w, &table[i].filter, add_id, &ids, &fx->e));
		assert_string_equal(ids.text, table[i].ids);
	}
	OK(fx, registry_counts(fx->w, &counts, &fx->e));
	assert_int_equal(counts.devices[DEVICE_ACTIVE], 2);
	assert_int_equal(counts.devices[DEVICE_SUSPENDED], 2);
	assert_int_equal(counts.devices[DEVICE_RETIRED], 0);
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
	struct device a = full("a"), got;
	struct ids ids = {0};
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
		REFUSED(fx, registry_devices(fx->w, &any, add_id, &ids, &fx->e),
			ERR_ENVIRONMENT, "device 'a': column");
	}
	fx_sql(fx, "DELETE FROM device; INSERT INTO device SELECT * FROM sound;"
		   "UPDATE device SET id = x'61'");
	REFUSED(fx, registry_devices(fx->w, &any, add_id, &ids, &fx->e),
		ERR_ENVIRONMENT, "a device: column id");
	assert_int_equal(ids.n, 0);
	fx_sql(fx,
		"DELETE FROM device; INSERT INTO device SELECT * FROM sound");
	assert_true(get(fx, "a", &got)); /* the row itself is sound */
	device_fini(&got);
}

static void test_hostile_change(void **state)
{
	struct fixture *fx = *state;
	struct changes c = {0};

	fx_sql(fx, "INSERT INTO change VALUES (1, 'a/b')");
	REFUSED(fx, registry_changes(fx->w, 0, 9, add_change, &c, &fx->e),
		ERR_ENVIRONMENT, "a change");
	fx_sql(fx, "UPDATE change SET device_id = hex(zeroblob(40))");
	REFUSED(fx, registry_changes(fx->w, 0, 9, add_change, &c, &fx->e),
		ERR_ENVIRONMENT, "a change");
	assert_int_equal(c.n, 0);
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
	set_status(fx, DEVICE_SUSPENDED, "");
	assert_true(get(fx, "a", &got));
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
		TEST(test_add),
		TEST(test_add_refused),
		TEST(test_unterminated),
		TEST(test_set),
		TEST(test_mode),
		TEST(test_status),
		TEST(test_status_refused),
		TEST(test_list),
		TEST(test_hostile_rows),
		TEST(test_hostile_change),
		TEST(test_hostile_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
