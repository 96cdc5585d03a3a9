/* SPDX-License-Identifier: Apache-2.0 */
/* Imports take rights away and give none back; one entry in the audit. */
#include "io/registry_import.h"
#include "tests/support/registry_fixture.h"

struct said {
	struct fleet_entry x;
	struct credential c;
};

/* A line that says of ID no more than that it is of class meter. */
static struct said line(const char *id)
{
	struct said s = {.x = {.line = 2}};

	s.x.device = fx_device(id);
	s.x.given = FLEET_BIT(FLEET_ID) | FLEET_BIT(FLEET_CLASS);
	return s;
}

static void with(struct said *s, uint8_t fp, uint8_t key)
{
	s->c = fx_credential(s->x.device.id, fp, key);
	s->c.status = CREDENTIAL_ACTIVE;
	s->x.credentials = &s->c;
	s->x.n_credentials = 1;
}

static void revoked(struct said *s, const char *reason)
{
	s->c.status = CREDENTIAL_REVOKED;
	s->c.revoked_s = FX_NOW - 5;
	(void)snprintf(s->c.reason, sizeof(s->c.reason), "%s", reason);
}

static void bulk(struct fixture *fx)
{
	fx_begin(fx);
	OK(fx, registry_bulk_begin(fx->w, &fx->e));
}

static int64_t end(struct fixture *fx)
{
	const struct bulk_audit a = {.action = "device.import", .devices = 1};

	OK(fx, registry_bulk_end(fx->w, &a, &fx->e));
	return fx_commit(fx);
}

/* One line in a change of its own; the change seq, 0: no right shrank. */
static int64_t import(struct fixture *fx, const struct said *s,
	enum import_rule rule, struct import_outcome *o)
{
	bulk(fx);
	OK(fx, registry_import(fx->w, &s->x, rule, o, &fx->e));
	return end(fx);
}

static void refuse(struct fixture *fx, const struct said *s,
	enum import_rule rule, enum err_code code, const char *text)
{
	struct import_outcome o;
	int64_t seq;

	bulk(fx);
	REFUSED(fx, registry_import(fx->w, &s->x, rule, &o, &fx->e), code,
		text);
	/* What failed in part is not committed, whoever asks. */
	REFUSED(fx, registry_commit(fx->w, &seq, &fx->e), ERR_CONFLICT, "");
}

static struct device get(struct fixture *fx, const char *id)
{
	struct device d;
	bool found = false;

	OK(fx, registry_device(fx->w, str_from(id), &d, &found, &fx->e));
	assert_true(found);
	return d;
}

static enum device_status status(struct fixture *fx, const char *id)
{
	struct device d = get(fx, id);
	enum device_status s = (enum device_status)d.status;

	device_fini(&d);
	return s;
}

static enum credential_status credential(struct fixture *fx, uint8_t fp)
{
	struct credential want = fx_credential("x", fp, 0), c;
	bool found = false;

	OK(fx, registry_credential(
		       fx->w, want.fingerprint, &c, &found, &fx->e));
	return found ? (enum credential_status)c.status : CREDENTIAL_NONE;
}

static bool count(void *ctx, const struct audit_row *a)
{
	int *n = ctx;

	*n += str_eq(a->action, STR("device.import"));
	return true;
}

static void new_ones(void **state)
{
	struct fixture *fx = *state;
	struct said a = line("a"), b = line("b");
	struct import_outcome o;
	uint8_t head[32];
	int64_t bad, n;
	int entries = 0;

	with(&a, 1, 1);
	with(&b, 2, 2);
	b.x.device.status = DEVICE_RETIRED;
	bulk(fx);
	OK(fx, registry_import(fx->w, &a.x, IMPORT_NEW, &o, &fx->e));
	assert_true(o.added && o.certs_added == 1);
	OK(fx, registry_import(fx->w, &b.x, IMPORT_NEW, &o, &fx->e));
	assert_int_equal(end(fx), 0);
	assert_int_equal(status(fx, "a"), DEVICE_ACTIVE);
	assert_int_equal(status(fx, "b"), DEVICE_RETIRED);
	OK(fx, registry_audit(fx->w, 0, count, &entries, &fx->e));
	assert_int_equal(entries, 1);
	OK(fx, registry_audit_verify(fx->w, &bad, &n, head, &fx->e));
	assert_int_equal(bad, 0);
	refuse(fx, &a, IMPORT_NEW, ERR_CONFLICT, "exists already");
	refuse(fx, &b, IMPORT_NEW, ERR_CONFLICT, "never used again");
	a.x.device.class_name[0] = '\0';
	(void)snprintf(a.x.device.id, sizeof(a.x.device.id), "c");
	refuse(fx, &a, IMPORT_UPSERT, ERR_INPUT, "no class");
}

static void an_upsert_leaves_what_is_not_said(void **state)
{
	struct attr old[] = {{STR("a"), STR("1")}, {STR("b"), STR("2")}};
	struct attr new[] = {{STR("b"), STR("3")}};
	const struct str names[] = {STR("b"), STR("c")};
	struct fixture *fx = *state;
	struct said s = line("a");
	struct import_outcome o;
	struct device d;

	s.x.device.sim[SIMID_IMSI] = fx_sim(SIMID_IMSI, "001010123456789");
	s.x.device.attrs = old;
	s.x.device.n_attrs = 2;
	(void)import(fx, &s, IMPORT_NEW, &o);
	assert_int_equal(import(fx, &s, IMPORT_UPSERT, &o), 0);
	assert_false(o.changed);
	s = line("a");
	s.x.given |= FLEET_BIT(FLEET_ATTRS);
	s.x.device.attrs = new;
	s.x.device.n_attrs = 1;
	s.x.attr_names = names;
	s.x.n_attr_names = 2;
	refuse(fx, &s, IMPORT_MATCH, ERR_CONFLICT,
		"otherwise than the line says");
	assert_true(import(fx, &s, IMPORT_UPSERT, &o) > 0);
	assert_true(o.changed && !o.added);
	d = get(fx, "a");
	assert_int_equal(d.n_attrs, 2);
	assert_true(str_eq(d.attrs[0].value, STR("1")));
	assert_true(str_eq(d.attrs[1].value, STR("3")));
	assert_int_equal(d.sim[SIMID_IMSI].kind, SIMID_IMSI);
	device_fini(&d);
	/* Said, and none: it goes. */
	s.x.given |= FLEET_BIT(FLEET_IMSI);
	s.x.attr_names = NULL;
	assert_true(import(fx, &s, IMPORT_UPSERT, &o) > 0);
	d = get(fx, "a");
	assert_int_equal(d.n_attrs, 1);
	assert_int_equal(d.sim[SIMID_IMSI].kind, SIMID_NONE);
	device_fini(&d);
}

/* By row what the registry has, by column what the file says. */
static void the_stricter_status_counts(void **state)
{
	static const enum device_status by_strictness[] = {DEVICE_ACTIVE,
		DEVICE_QUARANTINED, DEVICE_SUSPENDED, DEVICE_RETIRED};
	struct fixture *fx = *state;
	struct import_outcome o;
	char id[8];

	for (size_t had = 0; had < 4; had++) {
		for (size_t says = 0; says < 4; says++) {
			struct said s;
			int64_t seq;

			(void)snprintf(id, sizeof(id), "d%zu%zu", had, says);
			s = line(id);
			s.x.device.status = (uint8_t)by_strictness[had];
			(void)import(fx, &s, IMPORT_NEW, &o);
			s.x.device.status = (uint8_t)by_strictness[says];
			seq = import(fx, &s, IMPORT_UPSERT, &o);
			assert_int_equal(seq > 0, says > had);
			assert_int_equal(o.status_kept, says < had);
			assert_int_equal(status(fx, id),
				by_strictness[says > had ? says : had]);
		}
	}
}

/* A suspension that is over keeps nothing, and says nothing. */
static void a_status_that_is_over(void **state)
{
	struct fixture *fx = *state;
	struct said s = line("a");
	struct import_outcome o;

	s.x.device.status = DEVICE_SUSPENDED;
	s.x.device.status_until_s = FX_NOW - 1;
	(void)import(fx, &s, IMPORT_NEW, &o);
	assert_int_equal(import(fx, &s, IMPORT_UPSERT, &o), 0);
	s.x.device.status = DEVICE_ACTIVE;
	(void)import(fx, &s, IMPORT_UPSERT, &o);
	assert_false(o.status_kept);
}

static void what_is_revoked_stays_so(void **state)
{
	struct fixture *fx = *state;
	struct said s = line("a"), t;
	struct import_outcome o;

	with(&s, 1, 1);
	(void)import(fx, &s, IMPORT_NEW, &o);
	t = s;
	t.x.credentials = &t.c;
	revoked(&t, "revoked");
	assert_true(import(fx, &t, IMPORT_UPSERT, &o) > 0);
	assert_int_equal(o.certs_revoked, 1);
	assert_int_equal(import(fx, &s, IMPORT_UPSERT, &o), 0);
	assert_int_equal(o.certs_kept, 1);
	assert_int_equal(credential(fx, 1), CREDENTIAL_REVOKED);
}

static void a_compromised_key_stays_barred(void **state)
{
	struct fixture *fx = *state;
	struct said s = line("a"), other;
	struct import_outcome o;
	bool barred = false;

	with(&s, 1, 7);
	(void)import(fx, &s, IMPORT_NEW, &o);
	/* Known by another certificate of the same key alone. */
	with(&s, 2, 7);
	revoked(&s, "key_compromise");
	assert_true(import(fx, &s, IMPORT_UPSERT, &o) > 0);
	OK(fx, registry_key_barred(fx->w, s.c.spki, &barred, &fx->e));
	assert_true(barred);
	assert_int_equal(credential(fx, 1), CREDENTIAL_REVOKED);
	with(&s, 3, 7);
	refuse(fx, &s, IMPORT_UPSERT, ERR_CONFLICT, "compromised");
	other = line("b");
	with(&other, 4, 7);
	refuse(fx, &other, IMPORT_NEW, ERR_CONFLICT, "device 'a's");
	with(&other, 1, 7);
	refuse(fx, &other, IMPORT_NEW, ERR_CONFLICT, "device 'a's already");
	with(&s, 1, 8);
	refuse(fx, &s, IMPORT_UPSERT, ERR_CONFLICT, "another key");
}

static void a_retired_device_takes_no_certificate(void **state)
{
	struct fixture *fx = *state;
	struct said s = line("a");
	struct import_outcome o;

	s.x.device.status = DEVICE_RETIRED;
	(void)import(fx, &s, IMPORT_NEW, &o);
	with(&s, 1, 1);
	refuse(fx, &s, IMPORT_UPSERT, ERR_CONFLICT, "retired");
	assert_int_equal(credential(fx, 1), CREDENTIAL_NONE);
}

/* A line that fails leaves the others. */
static void tries_are_whole_or_nothing(void **state)
{
	struct fixture *fx = *state;
	struct said a = line("a"), b = line("b"), c = line("c");
	struct import_outcome o;
	struct device d;
	bool found = true;

	with(&a, 1, 1);
	with(&b, 2, 1); /* a's key */
	with(&c, 3, 3);
	bulk(fx);
	OK(fx, registry_import_try(fx->w, &a.x, IMPORT_MATCH, &o, &fx->e));
	REFUSED(fx, registry_import_try(fx->w, &b.x, IMPORT_MATCH, &o, &fx->e),
		ERR_CONFLICT, "device 'a's");
	OK(fx, registry_import_try(fx->w, &c.x, IMPORT_MATCH, &o, &fx->e));
	(void)end(fx);
	OK(fx, registry_device(fx->w, STR("b"), &d, &found, &fx->e));
	assert_false(found);
	assert_int_equal(credential(fx, 3), CREDENTIAL_ACTIVE);
	assert_int_equal(credential(fx, 2), CREDENTIAL_NONE);
}

static void only_in_a_bulk_change(void **state)
{
	struct fixture *fx = *state;
	struct said s = line("a");
	struct import_outcome o;
	const struct bulk_audit a = {.action = "device.import"};
	struct registry_heads before, after;

	REFUSED(fx, registry_bulk_begin(fx->w, &fx->e), ERR_ENVIRONMENT, "");
	REFUSED(fx, registry_import(fx->w, &s.x, IMPORT_NEW, &o, &fx->e),
		ERR_ENVIRONMENT, "no bulk change");
	REFUSED(fx, registry_bulk_end(fx->w, &a, &fx->e), ERR_ENVIRONMENT, "");
	OK(fx, registry_heads(fx->w, &before, &fx->e));
	bulk(fx);
	(void)end(fx);
	OK(fx, registry_heads(fx->w, &after, &fx->e));
	assert_int_equal(before.revision, after.revision);
	fx_begin(fx);
	REFUSED(fx, registry_import_try(fx->w, &s.x, IMPORT_NEW, &o, &fx->e),
		ERR_ENVIRONMENT, "no bulk change");
	registry_rollback(fx->w);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		TEST(new_ones),
		TEST(an_upsert_leaves_what_is_not_said),
		TEST(the_stricter_status_counts),
		TEST(a_status_that_is_over),
		TEST(what_is_revoked_stays_so),
		TEST(a_compromised_key_stays_barred),
		TEST(a_retired_device_takes_no_certificate),
		TEST(tries_are_whole_or_nothing),
		TEST(only_in_a_bulk_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
