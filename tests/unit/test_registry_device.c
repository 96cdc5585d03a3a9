/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices in the registry: a life from add to retire, what is refused and in
 * which words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/registry_fixture.h"

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
	struct device d = fx_full_device("m:1"), got;

	d.attrs = attrs;
	d.n_attrs = 3;
	assert_false(d.observe);
	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &d, &fx->e));
	assert_int_equal(fx_commit(fx), 0);
	assert_true(fx_get(fx, "m:1", &got));
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
	assert_false(fx_get(fx, "m:2", &got));
	assert_false(fx_get(fx, "", &got));
	assert_false(fx_get(fx, "M:1", &got)); /* ids know case */
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
		{"b", "meter", SIMID_ICCID, ERR_CONFLICT, FX_ICCID,
			"ICCID 898821***********43 is device 'a's already"},
		{"b", "meter", SIMID_IMSI, ERR_CONFLICT, FX_IMSI,
			"is device 'a's already"},
		{"b", "meter", SIMID_IMEI, ERR_CONFLICT, FX_IMEI,
			"is device 'a's already"},
		{"b", "meter", SIMID_EID, ERR_CONFLICT, FX_EID,
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
	struct device a = fx_full_device("a"), old = fx_device("old"), got;

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
	assert_false(fx_get(fx, "b", &got));
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
	struct device a = fx_full_device("a"), b = fx_device("b"), got;
	struct changes c = {0};

	fx_begin(fx);
	OK(fx, registry_device_add(fx->w, &a, &fx->e));
	OK(fx, registry_device_add(fx->w, &b, &fx->e));
	(void)fx_commit(fx);
	fx_begin(fx);
	OK(fx, registry_device_set(fx->w, &a, &fx->e));
	assert_int_equal(fx_commit(fx), 0); /* nothing differs */
	assert_true(fx_get(fx, "a", &got));
	assert_int_equal(got.revision, 2);
	device_fini(&got);

	a.sim[SIMID_ICCID] = fx_sim(SIMID_NONE, NULL); /* free for b */
	b.sim[SIMID_ICCID] = fx_sim(SIMID_ICCID, FX_ICCID);
	b.attrs = &attr;
	b.n_attrs = 1;
	fx_begin(fx);
	OK(fx, registry_device_set(fx->w, &a, &fx->e));
	OK(fx, registry_device_set(fx->w, &b, &fx->e));
	assert_int_equal(fx_commit(fx), 2);
	assert_true(fx_get(fx, "a", &got));
	assert_int_equal(got.sim[SIMID_ICCID].kind, SIMID_NONE);
	assert_int_equal(got.sim[SIMID_IMSI].kind, SIMID_IMSI);
	assert_int_equal(got.revision, 3);
	device_fini(&got);
	OK(fx, registry_changes(fx->w, 0, 10, add_change, &c, &fx->e));
	assert_int_equal(c.n, 2);
	assert_string_equal(c.id[0], "a");
	assert_string_equal(c.id[1], "b");

	fx_begin(fx);
	a.sim[SIMID_ICCID] = fx_sim(SIMID_ICCID, FX_ICCID);
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
		assert_true(fx_get(fx, "a", &got));
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
	assert_true(fx_get(fx, "a", &got));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
