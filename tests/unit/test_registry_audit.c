/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit chain: what is written, and that any entry altered, removed,
 * added or moved is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/x509.h"
#include "tests/support/registry_fixture.h"

#define ENTRIES 8

/* registry.init, then one entry of each kind. */
static int setup(void **state)
{
	struct fixture *fx;
	struct credential c = fx_credential("a", 1, 2);
	struct device a = fx_device("a");
	int64_t revision;

	if (fx_setup(state) != 0)
		return -1;
	fx = *state;
	a.sim[SIMID_IMSI] = fx_sim(SIMID_IMSI, "001010123456789");
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	OK(fx, registry_credential_add(fx->w, &c, &fx->e));
	(void)fx_commit(fx);
	fx_begin(fx);
	a.sim[SIMID_IMSI] = fx_sim(SIMID_NONE, NULL);
	OK(fx, registry_device_set(fx->w, &a, &fx->e));
	OK(fx, registry_device_status(fx->w, STR("a"), DEVICE_SUSPENDED,
		       "\"why\"", 7, &fx->e));
	OK(fx, registry_credential_revoke(fx->w, c.fingerprint, true, &fx->e));
	(void)fx_commit(fx);
	fx_begin(fx);
	OK(fx, registry_policy_put(
		       fx->w, STR("{}"), "policy.apply", &revision, &fx->e));
	OK(fx, registry_meta_set(fx->w, "pen", "1", &fx->e));
	(void)fx_commit(fx);
	return 0;
}

struct entries {
	int64_t n, first, stop;
	char text[2048];
};

static bool add_entry(void *ctx, const struct audit_row *a)
{
	struct entries *t = ctx;
	size_t len = strlen(t->text);

	if (t->n++ == 0)
		t->first = a->seq;
	assert_int_equal(a->t_s, FX_NOW);
	assert_true(str_eq(a->actor, STR(FX_ACTOR)));
	(void)snprintf(t->text + len, sizeof(t->text) - len, "%.*s|%.*s|%.*s\n",
		STR_ARG(a->action), STR_ARG(a->device_id), STR_ARG(a->detail));
	return t->n != t->stop;
}

static void test_entries(void **state)
{
	struct fixture *fx = *state;
	struct entries t = {0};

	OK(fx, registry_audit(fx->w, 1, add_entry, &t, &fx->e));
	assert_string_equal(t.text,
		"device.add|a|{\"class\":\"meter\",\"mode\":\"enforce\","
		"\"attrs\":{},"
		"\"imsi\":\"001010*******89\",\"revision\":2}\n"
		"cert.add|a|{\"fingerprint\":\"0101010101010101010101010101"
		"010101010101010101010101010101010101\",\"serial\":\"0A01\","
		"\"revision\":2}\n"
		"device.set|a|{\"class\":\"meter\",\"mode\":\"enforce\","
		"\"attrs\":{},"
		"\"revision\":3}\n"
		"device.suspend|a|{\"reason\":\"\\\"why\\\"\",\"until_s\":7,"
		"\"revision\":3}\n"
		"cert.revoke|a|{\"fingerprint\":\"01010101010101010101010101"
		"01010101010101010101010101010101010101\","
		"\"serial\":\"0A01\",\"compromised\":true,\"revision\":3}\n"
		"policy.apply||{\"hash\":\"44136fa355b3678a1146ad16f7e8649e94fb"
		"4fc21fe77e8310c060f61caaff8a\",\"revision\":4}\n"
		"meta.set||{\"key\":\"pen\",\"value\":\"1\",\"revision\":4}\n");
	memset(&t, 0, sizeof(t));
	t.stop = 2;
	OK(fx, registry_audit(fx->w, 5, add_entry, &t, &fx->e));
	assert_int_equal(t.first, 6);
	assert_int_equal(t.n, 2);
}

static bool first_hash(void *ctx, const struct audit_row *a)
{
	fingerprint_format(a->hash, ctx);
	return false;
}

/* Computed by another program from the definition in io/registry.h. */
static void test_hash(void **state)
{
	struct fixture *fx = *state;
	char hex[FINGERPRINT_HEX] = "";

	OK(fx, registry_audit(fx->w, 0, first_hash, hex, &fx->e));
	assert_string_equal(hex, "90e6c10fadc1ff3eaf2c64afa6cd10e0ee48f945c6e02"
				 "3914ad6eb7561ec328f");
}

static void verify(
	struct fixture *fx, int64_t want_bad, int64_t want_n, const char *name)
{
	uint8_t head[32];
	int64_t bad = -1, n = -1;

	OK(fx, registry_audit_verify(fx->w, &bad, &n, head, &fx->e));
	if (bad != want_bad || n != want_n)
		fail_msg("%s: bad %lld of %lld", name, (long long)bad,
			(long long)n);
}

static void test_sound(void **state)
{
	struct fixture *fx = *state;
	uint8_t head[32];
	int64_t bad, n;

	verify(fx, 0, ENTRIES, "sound");
	fx_begin(fx);
	REFUSED(fx, registry_audit_verify(fx->w, &bad, &n, head, &fx->e),
		ERR_ENVIRONMENT, "under way");
	registry_rollback(fx->w);
	verify(fx, 0, ENTRIES, "after a rollback");
}

#define SWAP(column)                                                           \
	"UPDATE audit SET " column " = (SELECT " column " FROM audit AS o "    \
	"WHERE o.seq = 11 - audit.seq) WHERE seq IN (5, 6)"

static const struct {
	const char *sql;
	int64_t bad, n;
} tampering[] = {
	/* altered */
	{"UPDATE audit SET t_s = t_s + 1 WHERE seq = 4", 4, ENTRIES},
	{"UPDATE audit SET actor = 'x' WHERE seq = 1", 1, ENTRIES},
	{"UPDATE audit SET action = 'device.release' WHERE seq = 5", 5,
		ENTRIES},
	{"UPDATE audit SET device_id = 'b' WHERE seq = 2", 2, ENTRIES},
	{"UPDATE audit SET device_id = NULL WHERE seq = 2", 2, ENTRIES},
	{"UPDATE audit SET device_id = '' WHERE seq = 7", 7, ENTRIES},
	{"UPDATE audit SET detail = '{}' WHERE seq = 8", 8, ENTRIES},
	{"UPDATE audit SET actor = 'testerm', action = 'eta.set' "
	 "WHERE seq = 8",
		8, ENTRIES},
	{"UPDATE audit SET prev = zeroblob(32) WHERE seq = 3", 3, ENTRIES},
	{"UPDATE audit SET hash = zeroblob(32) WHERE seq = 3", 3, ENTRIES},
	{"UPDATE audit SET hash = x'' WHERE seq = 3", 3, ENTRIES},
	{"UPDATE audit SET detail = detail || char(0) WHERE seq = 3", 3,
		ENTRIES},
	{"UPDATE audit SET actor = hex(zeroblob(1000)) WHERE seq = 3", 3,
		ENTRIES},
	/* removed */
	{"DELETE FROM audit WHERE seq = 1", 1, ENTRIES - 1},
	{"DELETE FROM audit WHERE seq = 4", 4, ENTRIES - 1},
	{"DELETE FROM audit WHERE seq = 8", 8, ENTRIES - 1},
	{"DELETE FROM audit WHERE seq > 3", 4, 3},
	{"DELETE FROM audit", 1, 0},
	{"DELETE FROM audit WHERE seq = 4;"
	 "UPDATE audit SET seq = -seq WHERE seq > 4;"
	 "UPDATE audit SET seq = -seq - 1 WHERE seq < 0",
		4, ENTRIES - 1},
	/* moved: whole entries, keeping seq 1..8 */
	{"UPDATE audit SET seq = -seq WHERE seq IN (5, 6);"
	 "UPDATE audit SET seq = 11 + seq WHERE seq < 0",
		5, ENTRIES},
	{SWAP("detail"), 5, ENTRIES},
	{SWAP("hash"), 5, ENTRIES},
	/* added */
	{"INSERT INTO audit SELECT 9, t_s, actor, action, device_id, "
	 "detail, hash, hash FROM audit WHERE seq = 8",
		9, ENTRIES + 1},
	{"INSERT INTO audit SELECT 0, t_s, actor, action, device_id, "
	 "detail, prev, hash FROM audit WHERE seq = 1",
		1, ENTRIES + 1},
	/* the head */
	{"DELETE FROM meta WHERE key = 'audit_head'", 9, ENTRIES},
	{"UPDATE meta SET value = '8:00' WHERE key = 'audit_head'", 9, ENTRIES},
	{"UPDATE meta SET value = '8:' || hex(zeroblob(32)) "
	 "WHERE key = 'audit_head'",
		8, ENTRIES},
	{"UPDATE meta SET value = '7:' || (SELECT lower(hex(hash)) "
	 "FROM audit WHERE seq = 7) WHERE key = 'audit_head'",
		8, ENTRIES},
};

static void test_tampering(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tampering) / sizeof(tampering[0]); i++) {
		void *one = NULL;

		assert_int_equal(setup(&one), 0);
		fx_sql(one, tampering[i].sql);
		verify(one, tampering[i].bad, tampering[i].n, tampering[i].sql);
		assert_int_equal(fx_teardown(&one), 0);
	}
}

/* A later change must not make a cut-off tail look sound. */
static void test_cut_then_written(void **state)
{
	struct fixture *fx = *state;

	fx_sql(fx, "DELETE FROM audit WHERE seq > 6");
	fx_add(fx, "b");
	verify(fx, 7, 7, "cut, then written");
}

/* An entry put behind the head stops writers rather than being built upon. */
static void test_added_then_written(void **state)
{
	struct fixture *fx = *state;
	struct device b = fx_device("b");

	fx_sql(fx, "INSERT INTO audit SELECT 9, t_s, actor, action, device_id, "
		   "detail, hash, hash FROM audit WHERE seq = 8");
	fx_begin(fx);
	REFUSED(fx, registry_device_add(fx->w, &b, &fx->e), ERR_ENVIRONMENT,
		"audit.seq");
	registry_rollback(fx->w);
	fx_sql(fx, "DELETE FROM audit WHERE seq = 9");
	fx_sql(fx, "UPDATE meta SET value = 'x' WHERE key = 'audit_head'");
	REFUSED(fx, registry_begin(fx->w, FX_ACTOR, FX_NOW, &fx->e),
		ERR_ENVIRONMENT, "audit_head");
}

static void test_hostile_entry(void **state)
{
	struct fixture *fx = *state;
	struct entries t = {0};

	fx_sql(fx, "UPDATE audit SET actor = hex(zeroblob(99)) WHERE seq = 1");
	REFUSED(fx, registry_audit(fx->w, 0, add_entry, &t, &fx->e),
		ERR_ENVIRONMENT, "an audit entry");
	assert_int_equal(t.n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_entries),
		TEST(test_hash),
		TEST(test_sound),
		cmocka_unit_test(test_tampering),
		TEST(test_cut_then_written),
		TEST(test_added_then_written),
		TEST(test_hostile_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
