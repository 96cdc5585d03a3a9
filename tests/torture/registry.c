/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry while memory runs out. Whatever failed: afterwards it opens,
 * its audit holds, and a change is in it whole if the commit said so, or not
 * at all.
 */
#include "io/registry_token.h"
#include "tests/support/check.h"
#include "tests/torture/alloc.h"
#include "tests/torture/torture.h"

#include <fcntl.h>
#include <unistd.h>

#define NOW   INT64_C(1700000000)
#define ACTOR "torture"

static struct {
	char path[96], model[96];
	bool have_model;
	bool committed; /* what run was told */
} fx;

static void ok(bool done, const struct err *e)
{
	if (!done)
		check_failed(__FILE__, __LINE__, "with sound memory", e->msg);
}

static void path_set(void)
{
	(void)snprintf(fx.path, sizeof(fx.path), "%s/r.db", torture_dir());
	(void)snprintf(fx.model, sizeof(fx.model), "%s/model", torture_dir());
}

static void files_remove(const char *path)
{
	static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
	char name[112];

	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
		(void)unlink(name);
	}
}

static void model_remove(void)
{
	files_remove(fx.model);
	(void)rmdir(torture_dir());
}

static struct device device(const char *id, const char *iccid)
{
	struct device d = {.class_name = "meter"};

	d.id_len = (uint8_t)snprintf(d.id, sizeof(d.id), "%s", id);
	if (iccid == NULL)
		return d;
	CHECK(simid_parse(
		SIMID_ICCID, str_from(iccid), 0, &d.sim[SIMID_ICCID], NULL));
	return d;
}

static struct credential credential(const char *id, uint8_t fill)
{
	struct credential c = {.not_before_s = NOW, .not_after_s = NOW + 99};

	memset(c.fingerprint, fill, sizeof(c.fingerprint));
	memset(c.spki, fill, sizeof(c.spki));
	(void)snprintf(c.device_id, sizeof(c.device_id), "%s", id);
	(void)snprintf(c.serial, sizeof(c.serial), "0A");
	(void)snprintf(c.issuer, sizeof(c.issuer), "CN=Test");
	return c;
}

/* ------------------------------------------------------------- its contents */

#define ICCID_1 "8988211000000530082"

static struct token token(const char *name)
{
	struct token t = {.right = TOKEN_ACT};

	(void)snprintf(t.name, sizeof(t.name), "%s", name);
	return t;
}

/* dev-1 with a site and one good credential; dev-2 suspended, its key
 * compromised; a token, whose hash is that key. */
static void model_make(void)
{
	struct attr site = {STR("site"), STR("leeds")};
	struct device one = device("dev-1", ICCID_1);
	struct device two = device("dev-2", NULL);
	struct credential c1 = credential("dev-1", 1);
	struct credential c2 = credential("dev-2", 2);
	struct token ops = token("ops");
	struct registry *r = NULL;
	struct err e = {0};
	int64_t seq;

	one.attrs = &site;
	one.n_attrs = 1;
	ok(registry_create(fx.model, ACTOR, NOW, &e), &e);
	ok(registry_open(fx.model, REGISTRY_WRITE, &r, &e), &e);
	ok(registry_begin(r, ACTOR, NOW, &e), &e);
	ok(registry_device_add(r, &one, &e), &e);
	ok(registry_device_add(r, &two, &e), &e);
	ok(registry_credential_add(r, &c1, &e), &e);
	ok(registry_credential_add(r, &c2, &e), &e);
	ok(registry_credential_revoke(r, c2.fingerprint, true, &e), &e);
	ok(registry_device_status(
		   r, STR("dev-2"), DEVICE_SUSPENDED, "lost", 0, &e),
		&e);
	ok(registry_token_add(r, &ops, c2.spki, &e), &e);
	ok(registry_commit(r, &seq, &e), &e);
	registry_close(&r);
	(void)atexit(model_remove);
}

/* A fresh copy of the model. */
static void copy_before(void)
{
	char buf[65536];
	int in, out;
	ssize_t n;

	path_set();
	if (!fx.have_model)
		model_make();
	fx.have_model = true;
	fx.committed = false;
	in = open(fx.model, O_RDONLY | O_CLOEXEC);
	out = open(fx.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		CHECK(write(out, buf, (size_t)n) == n);
	CHECK(n == 0 && close(in) == 0 && close(out) == 0);
}

/* The same for readers, who need the -wal and -shm of a writer. */
static void read_before(void)
{
	struct registry *r = NULL;
	struct err e = {0};

	copy_before();
	ok(registry_open(fx.path, REGISTRY_WRITE, &r, &e), &e);
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
	CHECK(bad == 0 && n >= 1);
	return r;
}

static void sound_after(void)
{
	struct registry *r = sound();

	registry_close(&r);
	files_remove(fx.path);
}

/* ------------------------------------------------------------------- create */

static void create_before(void)
{
	path_set();
	fx.committed = false;
}

static void create_run(void)
{
	struct err e = {0};

	fx.committed =
		torture_done(registry_create(fx.path, ACTOR, NOW, &e), &e);
}

/* What was begun can be finished. */
static void create_after(void)
{
	struct err e = {0};
	struct registry *r;

	if (!fx.committed)
		ok(registry_create(fx.path, ACTOR, NOW, &e), &e);
	r = sound();
	registry_close(&r);
	files_remove(fx.path);
}

const struct scenario REGISTRY_CREATE = {
	"registry_create", create_before, create_run, create_after};

/* ------------------------------------------------------------------- change */

#define POLICY_2 "{\"version\": 1, \"classes\": {\"meter\": {}}}"

static bool change_all(struct registry *r, struct err *e)
{
	struct attr site = {STR("site"), STR("york")};
	struct device three = device("dev-3", NULL);
	struct device one = device("dev-1", ICCID_1);
	struct credential c = credential("dev-3", 3);
	struct token grafana = token("grafana");
	int64_t revision = 0;

	one.attrs = &site;
	one.n_attrs = 1;
	return torture_done(registry_device_add(r, &three, e), e) &&
	       torture_done(registry_device_set(r, &one, e), e) &&
	       torture_done(registry_credential_add(r, &c, e), e) &&
	       torture_done(
		       registry_credential_revoke(r, c.fingerprint, false, e),
		       e) &&
	       torture_done(registry_device_status(r, STR("dev-1"),
				    DEVICE_QUARANTINED, "odd", NOW + 9, e),
		       e) &&
	       torture_done(registry_policy_put(r, STR(POLICY_2),
				    "policy.apply", &revision, e),
		       e) &&
	       torture_done(registry_token_add(r, &grafana, c.spki, e), e) &&
	       torture_done(registry_token_revoke(r, STR("ops"), e), e) &&
	       torture_done(registry_meta_set(r, "k", "v", e), e);
}

static void change_run(void)
{
	struct registry *r = NULL;
	struct err e = {0};
	int64_t seq = -1;
	bool all;

	if (!torture_done(registry_open(fx.path, REGISTRY_WRITE, &r, &e), &e)) {
		CHECK(r == NULL);
		return;
	}
	if (torture_done(registry_begin(r, ACTOR, NOW, &e), &e)) {
		all = change_all(r, &e);
		fx.committed = torture_done(registry_commit(r, &seq, &e), &e);
		/* A step that failed takes the whole change with it. */
		CHECK(all || !fx.committed);
		CHECK(fx.committed ? seq > 0 : seq == -1);
	}
	registry_close(&r);
	CHECK(r == NULL);
}

static void change_after(void)
{
	struct credential key = credential("dev-3", 3);
	struct registry *r = sound();
	struct device d;
	struct token t;
	struct err e = {0};
	struct registry_heads heads;
	bool found = false;

	ok(registry_device(r, STR("dev-3"), &d, &found, &e), &e);
	CHECK(found == fx.committed);
	if (found)
		device_fini(&d);
	ok(registry_device(r, STR("dev-1"), &d, &found, &e), &e);
	CHECK(found);
	CHECK(d.status == (fx.committed ? DEVICE_QUARANTINED : DEVICE_ACTIVE));
	CHECK(str_eq(
		d.attrs[0].value, fx.committed ? STR("york") : STR("leeds")));
	device_fini(&d);
	ok(registry_token_find(r, key.spki, 0, &t, &found, &e), &e);
	CHECK(found == fx.committed);
	ok(registry_heads(r, &heads, &e), &e);
	CHECK((heads.policy_revision > 1) == fx.committed);
	registry_close(&r);
	files_remove(fx.path);
}

const struct scenario REGISTRY_CHANGE = {
	"registry_change", copy_before, change_run, change_after};

/* ------------------------------------------------------------------ look up */

/* torture_done; and a registry that is sound must not be called damaged: the
 * remedy is another. */
static bool honest(bool done, struct err *e)
{
	CHECK(done || strstr(e->msg, "damaged") == NULL);
	return torture_done(done, e);
}

static void look_up_device(struct registry *r, struct err *e)
{
	struct device d;
	bool found = false;

	memset(&d, 0x5A, sizeof(d));
	if (honest(registry_device(r, STR("dev-1"), &d, &found, e), e)) {
		CHECK(found && strcmp(d.id, "dev-1") == 0 && d.n_attrs == 1);
		CHECK(str_eq(d.attrs[0].value, STR("leeds")));
		CHECK(strcmp(d.sim[SIMID_ICCID].digits, ICCID_1) == 0);
		device_fini(&d);
	}
	found = false;
	if (honest(registry_device(r, STR("dev-9"), &d, &found, e), e))
		CHECK(!found);
}

static void look_up_credential(struct registry *r, struct err *e)
{
	struct credential want = credential("dev-2", 2), got;
	bool found = false, barred = false;

	if (honest(registry_credential(r, want.fingerprint, &got, &found, e),
		    e))
		CHECK(found && got.status == CREDENTIAL_REVOKED);
	/* A bar that is not seen would let a stolen key in. */
	if (honest(registry_key_barred(r, want.spki, &barred, e), e))
		CHECK(barred);
}

static bool count_device(void *ctx, const struct device *d)
{
	CHECK(strncmp(d->id, "dev-", 4) == 0);
	++*(int *)ctx;
	return true;
}

static bool count_credential(void *ctx, const struct credential *c)
{
	CHECK(strncmp(c->device_id, "dev-", 4) == 0);
	++*(int *)ctx;
	return true;
}

static bool count_change(void *ctx, int64_t seq, struct str id)
{
	CHECK(seq > 0 && id.n == 5);
	++*(int *)ctx;
	return true;
}

static void look_up_lists(struct registry *r, struct err *e)
{
	const struct device_filter every = {"meter", DEVICE_NONE};
	const struct credential_filter any = {0};
	struct registry_counts counts;
	int n = 0;

	if (honest(registry_devices(r, &every, count_device, &n, e), e))
		CHECK(n == 2);
	n = 0;
	if (honest(registry_credentials(r, &any, count_credential, &n, e), e))
		CHECK(n == 2);
	n = 0;
	if (honest(registry_changes(r, 0, 10, count_change, &n, e), e))
		CHECK(n == 2);
	if (honest(registry_counts(r, &counts, e), e))
		CHECK(counts.devices[DEVICE_SUSPENDED] == 1 &&
			counts.credentials_revoked == 1);
}

static bool count_policy(void *ctx, const struct policy_row *p)
{
	CHECK(p->revision == 1 && p->text == NULL);
	++*(int *)ctx;
	return true;
}

static void look_up_policy(struct registry *r, struct err *e)
{
	struct registry_heads heads;
	struct policy_row p;
	bool found = false;
	char value[64];
	int n = 0;

	if (honest(registry_policy(r, 0, &p, &found, e), e)) {
		CHECK(found && p.revision == 1 && strlen(p.text) == p.text_len);
		policy_row_fini(&p);
	}
	if (honest(registry_policies(r, count_policy, &n, e), e))
		CHECK(n == 1);
	if (honest(registry_heads(r, &heads, e), e))
		CHECK(heads.revision == 2 && heads.policy_revision == 1);
	if (honest(registry_meta(r, "schema", value, sizeof(value), e), e))
		CHECK(strcmp(value, "1") == 0);
}

static bool count_found(void *ctx, const struct found *f)
{
	CHECK(strncmp(f->device->id, "dev-", 4) == 0);
	++*(int *)ctx;
	return true;
}

static void look_up_found(struct registry *r, struct err *e)
{
	int n = 0;

	if (honest(registry_find(r, STR(ICCID_1), count_found, &n, e), e))
		CHECK(n == 1);
	n = 0;
	if (honest(registry_find(r, STR("0A"), count_found, &n, e), e))
		CHECK(n == 2);
}

static bool count_token(void *ctx, const struct token *t)
{
	CHECK(strcmp(t->name, "ops") == 0 && t->right == TOKEN_ACT);
	++*(int *)ctx;
	return true;
}

static void look_up_tokens(struct registry *r, struct err *e)
{
	struct credential is = credential("dev-2", 2);
	bool found = false, any = false;
	struct token t;
	int n = 0;

	if (honest(registry_token_find(r, is.spki, 2, &t, &found, e), e))
		CHECK(found && token_state(&t, NOW) == TOKEN_VALID);
	memset(is.spki, 9, sizeof(is.spki));
	found = false;
	if (honest(registry_token_find(r, is.spki, 2, &t, &found, e), e))
		CHECK(!found);
	if (honest(registry_token_any(r, NOW, 2, &any, e), e))
		CHECK(any);
	if (honest(registry_tokens(r, count_token, &n, e), e))
		CHECK(n == 1);
}

static void look_up_run(void)
{
	struct registry *r = NULL;
	struct err e = {0};

	if (!honest(registry_open(fx.path, REGISTRY_READ, &r, &e), &e))
		return;
	if (honest(registry_snapshot(r, &e), &e))
		look_up_device(r, &e);
	look_up_credential(r, &e);
	registry_snapshot_end(r);
	look_up_lists(r, &e);
	look_up_found(r, &e);
	look_up_policy(r, &e);
	look_up_tokens(r, &e);
	registry_close(&r);
}

const struct scenario REGISTRY_LOOK_UP = {
	"registry_look_up", read_before, look_up_run, sound_after};

/* -------------------------------------------------------------------- audit */

static bool count_entry(void *ctx, const struct audit_row *a)
{
	CHECK(str_eq(a->actor, STR(ACTOR)) && a->action.n != 0);
	++*(int *)ctx;
	return true;
}

static void audit_run(void)
{
	uint8_t head[FINGERPRINT_LEN];
	struct registry *r = NULL;
	struct err e = {0};
	int64_t bad = -1, entries = 0;
	int n = 0;

	if (!honest(registry_open(fx.path, REGISTRY_READ, &r, &e), &e))
		return;
	if (honest(registry_audit(r, 0, count_entry, &n, &e), &e))
		CHECK(n == 8);
	/* "Altered" is a grave word: not for want of memory. */
	if (honest(registry_audit_verify(r, &bad, &entries, head, &e), &e))
		CHECK(bad == 0 && entries == 8);
	registry_close(&r);
}

const struct scenario REGISTRY_AUDIT = {
	"registry_audit", read_before, audit_run, sound_after};
