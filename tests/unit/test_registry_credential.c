/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials in the registry: registered, revoked, barred, refused; and rows
 * that the registry never wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/registry_fixture.h"

static int setup(void **state)
{
	struct fixture *fx;

	if (fx_setup(state) != 0)
		return -1;
	fx = *state;
	fx_add(fx, "a"); /* revision 2 */
	fx_add(fx, "b"); /* revision 3 */
	return 0;
}

static void add(struct fixture *fx, const char *id, uint8_t fp, uint8_t key)
{
	struct credential c = fx_credential(id, fp, key);

	fx_begin(fx);
	OK(fx, registry_credential_add(fx->w, &c, &fx->e));
	assert_int_equal(fx_commit(fx), 0); /* no right shrank */
}

static int64_t revoke(struct fixture *fx, uint8_t fp, bool compromised)
{
	uint8_t fingerprint[FINGERPRINT_LEN];

	memset(fingerprint, fp, sizeof(fingerprint));
	fx_begin(fx);
	OK(fx, registry_credential_revoke(
		       fx->w, fingerprint, compromised, &fx->e));
	return fx_commit(fx);
}

static bool get(struct fixture *fx, uint8_t fp, struct credential *c)
{
	uint8_t fingerprint[FINGERPRINT_LEN];
	bool found = false;

	memset(fingerprint, fp, sizeof(fingerprint));
	OK(fx, registry_credential(fx->w, fingerprint, c, &found, &fx->e));
	return found;
}

static bool barred(struct fixture *fx, uint8_t key)
{
	uint8_t spki[FINGERPRINT_LEN];
	bool is = false;

	memset(spki, key, sizeof(spki));
	OK(fx, registry_key_barred(fx->w, spki, &is, &fx->e));
	return is;
}

static void test_add(void **state)
{
	struct fixture *fx = *state;
	struct credential want = fx_credential("a", 1, 101), got;

	add(fx, "a", 1, 101);
	assert_true(get(fx, 1, &got));
	assert_memory_equal(got.fingerprint, want.fingerprint, FINGERPRINT_LEN);
	assert_memory_equal(got.spki, want.spki, FINGERPRINT_LEN);
	assert_string_equal(got.device_id, "a");
	assert_string_equal(got.serial, want.serial);
	assert_string_equal(got.issuer, want.issuer);
	assert_int_equal(got.not_before_s, want.not_before_s);
	assert_int_equal(got.not_after_s, want.not_after_s);
	assert_int_equal(got.status, CREDENTIAL_ACTIVE);
	assert_int_equal(got.revoked_s, 0);
	assert_string_equal(got.reason, "");
	assert_int_equal(got.revision, 4);
	assert_false(get(fx, 2, &got));
	assert_false(barred(fx, 101));
}

static void test_revoke(void **state)
{
	struct fixture *fx = *state;
	struct credential got;

	add(fx, "a", 1, 101);
	add(fx, "a", 2, 101); /* the same key, renewed */
	assert_int_equal(revoke(fx, 1, false), 1);
	assert_true(get(fx, 1, &got));
	assert_int_equal(got.status, CREDENTIAL_REVOKED);
	assert_int_equal(got.revoked_s, FX_NOW);
	assert_string_equal(got.reason, "revoked");
	assert_int_equal(got.revision, 6);
	assert_true(get(fx, 2, &got));
	assert_int_equal(got.status, CREDENTIAL_ACTIVE);
	assert_false(barred(fx, 101));
	add(fx, "a", 3, 101); /* the key may go on */
}

static void test_supersede(void **state)
{
	struct fixture *fx = *state;
	uint8_t fingerprint[FINGERPRINT_LEN];
	struct credential got;

	add(fx, "a", 1, 101);
	add(fx, "a", 2, 101); /* the same key, renewed */
	memset(fingerprint, 1, sizeof(fingerprint));
	fx_begin(fx);
	OK(fx, registry_credential_supersede(fx->w, fingerprint, &fx->e));
	assert_int_equal(fx_commit(fx), 1);
	assert_true(get(fx, 1, &got));
	assert_int_equal(got.status, CREDENTIAL_REVOKED);
	assert_int_equal(got.revoked_s, FX_NOW);
	assert_string_equal(got.reason, "superseded");
	assert_false(barred(fx, 101));
	assert_true(get(fx, 2, &got));
	assert_int_equal(got.status, CREDENTIAL_ACTIVE);
	fx_begin(fx);
	REFUSED(fx, registry_credential_supersede(fx->w, fingerprint, &fx->e),
		ERR_CONFLICT, "revoked already");
	registry_rollback(fx->w);
	memset(fingerprint, 9, sizeof(fingerprint));
	fx_begin(fx);
	REFUSED(fx, registry_credential_supersede(fx->w, fingerprint, &fx->e),
		ERR_NOT_FOUND, "not registered");
	registry_rollback(fx->w);
	/* Its key can still turn out to be compromised. */
	assert_int_equal(revoke(fx, 1, true), 2);
	assert_true(barred(fx, 101));
}

/* A compromised key takes along every certificate it sits in. */
static void test_compromised(void **state)
{
	struct fixture *fx = *state;
	struct credential got, again = fx_credential("a", 9, 101);

	add(fx, "a", 1, 101);
	add(fx, "a", 2, 101);
	add(fx, "a", 3, 103);
	add(fx, "b", 4, 104);
	assert_int_equal(revoke(fx, 1, false), 1);
	assert_int_equal(revoke(fx, 1, true), 2); /* worse than before */
	for (uint8_t fp = 1; fp <= 2; fp++) {
		assert_true(get(fx, fp, &got));
		assert_int_equal(got.status, CREDENTIAL_REVOKED);
		assert_string_equal(got.reason, "key_compromise");
		assert_int_equal(got.revoked_s, FX_NOW);
	}
	assert_true(barred(fx, 101));
	assert_true(get(fx, 3, &got));
	assert_int_equal(got.status, CREDENTIAL_ACTIVE);
	assert_false(barred(fx, 103));
	assert_false(barred(fx, 104));
	fx_begin(fx);
	REFUSED(fx, registry_credential_add(fx->w, &again, &fx->e),
		ERR_CONFLICT, "revoked as compromised");
	registry_rollback(fx->w);
}

static void test_add_refused(void **state)
{
	struct fixture *fx = *state;
	static const struct {
		const char *id;
		uint8_t fp, key;
		enum err_code code;
		const char *text;
	} table[] = {
		{"a", 1, 101, ERR_CONFLICT,
			"registered already, to device 'a' (active)"},
		{"b", 1, 101, ERR_CONFLICT, "already, to device 'a'"},
		{"b", 2, 102, ERR_CONFLICT, "already, to device 'a' (revoked)"},
		{"b", 9, 101, ERR_CONFLICT, "key is device 'a's"},
		{"b", 9, 102, ERR_CONFLICT, "key is device 'a's"},
		{"nobody", 9, 109, ERR_NOT_FOUND, "no device 'nobody'"},
		{"old", 9, 109, ERR_NOT_FOUND, "'old' is retired"},
		{"a/b", 9, 109, ERR_INPUT, "device id"},
	};
	struct credential c, got;

	add(fx, "a", 1, 101);
	add(fx, "a", 2, 102);
	(void)revoke(fx, 2, false);
	fx_add(fx, "old");
	fx_begin(fx);
	OK(fx, registry_device_status(
		       fx->w, STR("old"), DEVICE_RETIRED, "", 0, &fx->e));
	(void)fx_commit(fx);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		c = fx_credential(table[i].id, table[i].fp, table[i].key);
		fx_begin(fx);
		REFUSED(fx, registry_credential_add(fx->w, &c, &fx->e),
			table[i].code, table[i].text);
		registry_rollback(fx->w);
	}
	c = fx_credential("a", 9, 109);
	memset(c.issuer, 'x', sizeof(c.issuer)); /* no NUL */
	fx_begin(fx);
	REFUSED(fx, registry_credential_add(fx->w, &c, &fx->e), ERR_INPUT,
		"issuer");
	registry_rollback(fx->w);
	c = fx_credential("a", 9, 109);
	memcpy(c.serial, "\x1b[2J", 5);
	fx_begin(fx);
	REFUSED(fx, registry_credential_add(fx->w, &c, &fx->e), ERR_INPUT,
		"serial");
	registry_rollback(fx->w);
	assert_false(get(fx, 9, &got));
}

static void test_revoke_refused(void **state)
{
	struct fixture *fx = *state;
	static const struct {
		uint8_t fp;
		bool compromised;
		enum err_code code;
		const char *text;
	} table[] = {
		{9, false, ERR_NOT_FOUND, "not registered"},
		{9, true, ERR_NOT_FOUND, "not registered"},
		{1, false, ERR_CONFLICT, "revoked already"},
		{2, false, ERR_CONFLICT, "as compromised"},
		{2, true, ERR_CONFLICT, "as compromised"},
	};

	add(fx, "a", 1, 101);
	add(fx, "a", 2, 102);
	(void)revoke(fx, 1, false);
	(void)revoke(fx, 2, true);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint8_t fp[FINGERPRINT_LEN];

		memset(fp, table[i].fp, sizeof(fp));
		fx_begin(fx);
		REFUSED(fx,
			registry_credential_revoke(
				fx->w, fp, table[i].compromised, &fx->e),
			table[i].code, table[i].text);
		registry_rollback(fx->w);
	}
}

struct listed {
	int n, stop;
	char text[32]; /* first byte of each fingerprint */
};

static bool add_listed(void *ctx, const struct credential *c)
{
	struct listed *l = ctx;
	size_t len = strlen(l->text);

	(void)snprintf(
		l->text + len, sizeof(l->text) - len, "%d ", c->fingerprint[0]);
	return ++l->n != l->stop;
}

static void test_list(void **state)
{
	struct fixture *fx = *state;
	static const struct {
		struct credential_filter filter;
		int stop;
		const char *fps;
	} table[] = {
		{{NULL, 0}, 0, "1 2 5 3 4 "}, /* by device */
		{{NULL, 0}, 3, "1 2 5 "},
		{{"a", 0}, 0, "1 2 5 "},
		{{"b", 0}, 0, "3 4 "},
		{{"nobody", 0}, 0, ""},
		/* not after FX_NOW + 86400 + fingerprint; 2 is revoked */
		{{NULL, FX_NOW + 86400 + 4}, 0, "1 3 "},
		{{"a", FX_NOW + 86400 + 5}, 0, "1 "},
		{{"a", FX_NOW + 86400 + 6}, 0, "1 5 "},
		{{NULL, FX_NOW}, 0, ""},
	};
	struct registry_counts counts;

	add(fx, "b", 3, 103);
	add(fx, "b", 4, 104);
	add(fx, "a", 2, 102);
	add(fx, "a", 1, 101);
	add(fx, "a", 5, 105);
	(void)revoke(fx, 2, false);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct listed l = {.stop = table[i].stop};

		OK(fx, registry_credentials(fx->w, &table[i].filter, add_listed,
			       &l, &fx->e));
		assert_string_equal(l.text, table[i].fps);
	}
	OK(fx, registry_counts(fx->w, &counts, &fx->e));
	assert_int_equal(counts.credentials_active, 4);
	assert_int_equal(counts.credentials_revoked, 1);
}

#define DAY_S INT64_C(86400)

/* Now, before FX_NOW + one day, and what is counted then. */
struct expiry_case {
	int64_t before_s, expired, in_7d, in_30d;
};

/* The walk counts the same in steps of any size, and ends. */
static void check_expiry(
	struct fixture *fx, const struct expiry_case *c, int limit)
{
	struct registry_expiry x = {.now_s = FX_NOW + DAY_S - c->before_s};
	bool more = true;
	int steps = 0;

	while (more) {
		OK(fx, registry_expiry(fx->w, &x, limit, &more, &fx->e));
		assert_true(++steps <= 6);
	}
	assert_int_equal(x.active, 4);
	assert_int_equal(x.expired, c->expired);
	assert_int_equal(x.in_7d, c->in_7d);
	assert_int_equal(x.in_30d, c->in_30d);
}

static void test_expiry(void **state)
{
	static const struct expiry_case table[] = {
		{-1, 0, 4, 4},
		{-3, 1, 3, 3},
		{-4, 2, 2, 2},
		{-6, 4, 0, 0},
		{7 * DAY_S, 0, 0, 4},
		{7 * DAY_S - 4, 0, 2, 4},
		{30 * DAY_S - 2, 0, 0, 1},
		{31 * DAY_S, 0, 0, 0},
	};
	struct fixture *fx = *state;

	for (uint8_t i = 1; i <= 5; i++)
		add(fx, i < 3 ? "a" : "b", i, (uint8_t)(100 + i));
	(void)revoke(fx, 2, false);
	/* Not after FX_NOW + one day + fingerprint: 1, 3, 4 and 5. */
	for (int limit = 1; limit < 8; limit++) {
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			check_expiry(fx, &table[i], limit);
	}
}

static void test_expiry_of_none(void **state)
{
	struct fixture *fx = *state;
	struct registry_expiry x = {.now_s = FX_NOW};
	bool more = true;

	OK(fx, registry_expiry(fx->w, &x, 10, &more, &fx->e));
	assert_false(more);
	assert_int_equal(x.active, 0);
	assert_int_equal(x.at, 0);
	fx_sql(fx, "ALTER TABLE credential RENAME TO gone");
	REFUSED(fx, registry_expiry(fx->w, &x, 10, &more, &fx->e),
		ERR_ENVIRONMENT, "no such table");
}

/* What no registry writes, one column at a time. */
static const char *const hostile[] = {
	"spki = NULL",
	"spki = x'00'",
	"spki = zeroblob(33)",
	"spki = '12345678901234567890123456789012'",
	"device_id = NULL",
	"device_id = ''",
	"device_id = 'a/b'",
	"device_id = hex(zeroblob(33))",
	"device_id = 'a' || char(0)",
	"serial = 1",
	"serial = hex(zeroblob(33))",
	"serial = char(27)",
	"issuer = NULL",
	"issuer = hex(zeroblob(128))",
	"issuer = CAST(x'ff' AS TEXT)",
	"not_before_s = ''",
	"not_after_s = '9999999999'",
	"not_after_s = 1e300",
	"status = ''",
	"status = 'ACTIVE'",
	"status = 1",
	"revoked_s = NULL",
	"reason = NULL",
	"reason = hex(zeroblob(16))",
	"reason = char(27) || '[2J'",
	"revision = 'x'",
};

static void test_hostile_rows(void **state)
{
	struct fixture *fx = *state;
	struct credential_filter any = {NULL, 0};
	struct credential c;
	struct listed l = {0};
	uint8_t fp[FINGERPRINT_LEN];
	char sql[256];
	bool found;

	memset(fp, 1, sizeof(fp));
	add(fx, "a", 1, 101);
	fx_sql(fx, "CREATE TABLE sound AS SELECT * FROM credential;"
		   "DROP TABLE credential; CREATE TABLE credential "
		   "(fingerprint, device_id, serial, issuer, not_before_s,"
		   " not_after_s, status, revoked_s, reason, spki, revision)");
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		(void)snprintf(sql, sizeof(sql),
			"DELETE FROM credential; INSERT INTO credential "
			"SELECT * FROM sound; UPDATE credential SET %s",
			hostile[i]);
		fx_sql(fx, sql);
		memset(&fx->e, 0, sizeof(fx->e));
		if (registry_credential(fx->w, fp, &c, &found, &fx->e) ||
			fx->e.code != ERR_ENVIRONMENT ||
			strstr(fx->e.msg, "credential 0101") == NULL)
			fail_msg("%s: %s", hostile[i], fx->e.msg);
		REFUSED(fx,
			registry_credentials(
				fx->w, &any, add_listed, &l, &fx->e),
			ERR_ENVIRONMENT, "credential 0101");
	}
	fx_sql(fx, "UPDATE credential SET fingerprint = 'x'");
	REFUSED(fx, registry_credentials(fx->w, &any, add_listed, &l, &fx->e),
		ERR_ENVIRONMENT, "a credential: column fingerprint");
	assert_int_equal(l.n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_add),
		TEST(test_revoke),
		TEST(test_supersede),
		TEST(test_compromised),
		TEST(test_add_refused),
		TEST(test_revoke_refused),
		TEST(test_list),
		TEST(test_expiry),
		TEST(test_expiry_of_none),
		TEST(test_hostile_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
