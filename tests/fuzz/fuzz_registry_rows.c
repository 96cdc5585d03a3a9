/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of device, credential or token that the registry did not write: any
 * type and any bytes in each column, through tables without constraints. The
 * first byte modulo 3 chooses the table; then comes a hostile_row. Oracle: a
 * look-up errs, or what it gives keeps every rule of core/.
 */
#include "core/utf8.h"
#include "io/registry_token.h"
#include "tests/support/hostile_row.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	char dir[64], path[80];
	sqlite3 *db;         /* writes what the registry would not */
	sqlite3_stmt *st[3]; /* by table */
	struct registry *r;
} fx;

static const int n_columns[3] = {14, 11, 7};

static void remove_all(void)
{
	static const char *const suffix[] = {"", "-wal", "-shm"};
	char name[96];

	registry_close(&fx.r);
	for (size_t i = 0; i < 3; i++)
		(void)sqlite3_finalize(fx.st[i]);
	(void)sqlite3_close(fx.db);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", fx.path, suffix[i]);
		(void)unlink(name);
	}
	(void)rmdir(fx.dir);
}

static void prepare(int table, const char *sql)
{
	CHECK(sqlite3_prepare_v2(fx.db, sql, -1, &fx.st[table], NULL) ==
		SQLITE_OK);
}

/* A registry whose tables take anything. */
static void setup(void)
{
	struct err e = {0};

	(void)snprintf(fx.dir, sizeof(fx.dir), "/tmp/weir-fuzz-XXXXXX");
	CHECK(mkdtemp(fx.dir) != NULL);
	(void)snprintf(fx.path, sizeof(fx.path), "%s/registry.db", fx.dir);
	CHECK(registry_create(fx.path, "fuzz", 1700000000, &e));
	CHECK(sqlite3_open(fx.path, &fx.db) == SQLITE_OK);
	CHECK(sqlite3_exec(fx.db,
		      "PRAGMA synchronous = OFF;"
		      "DROP TABLE device; DROP TABLE credential;"
		      "CREATE TABLE device (id, class, status, status_reason,"
		      " status_until_s, iccid, imsi, imei, eid, attrs,"
		      " created_s, updated_s, revision, mode);"
		      "CREATE TABLE credential (fingerprint, spki, device_id,"
		      " serial, issuer, not_before_s, not_after_s, status,"
		      " revoked_s, reason, revision);"
		      "CREATE TABLE token (hash, name, rights, created_s,"
		      " expires_s, revoked_s, revision)",
		      NULL, NULL, NULL) == SQLITE_OK);
	prepare(0, "INSERT INTO device VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
	prepare(1, "INSERT INTO credential VALUES (?,?,?,?,?,?,?,?,?,?,?)");
	prepare(2, "INSERT INTO token VALUES (?,?,?,?,?,?,?)");
	CHECK(registry_open(fx.path, REGISTRY_READ, &fx.r, &e));
	(void)atexit(remove_all);
}

/* -------------------------------------------------------------- what comes */

static bool text_valid(const char *s, size_t cap)
{
	return strnlen(s, cap) < cap && utf8_valid(str_from(s));
}

static void check_sim(const struct simid *id, int kind)
{
	struct simid again;

	if (id->kind == SIMID_NONE) {
		CHECK(id->n == 0 && id->digits[0] == '\0');
		return;
	}
	CHECK(id->kind == kind);
	CHECK(simid_parse((enum simid_kind)kind,
		(struct str){id->digits, id->n}, SIMID_ANY_CHECK_DIGIT, &again,
		NULL));
	CHECK(strlen(id->digits) == id->n);
}

static bool each_device(void *ctx, const struct device *d)
{
	CHECK(text_valid(d->id, sizeof(d->id)));
	CHECK(strlen(d->id) == d->id_len);
	CHECK(device_id_valid(str_from(d->id)));
	CHECK(class_name_valid(str_from(d->class_name)));
	CHECK(d->status > DEVICE_NONE && d->status <= DEVICE_RETIRED);
	CHECK(text_valid(d->status_reason, sizeof(d->status_reason)));
	for (int k = SIMID_NONE; k < SIMID_KINDS; k++)
		check_sim(&d->sim[k], k);
	CHECK(d->n_attrs <= DEVICE_ATTRS_MAX);
	for (size_t i = 0; i < d->n_attrs; i++) {
		CHECK(attr_name_valid(d->attrs[i].name));
		CHECK(attr_value_valid(d->attrs[i].value));
		CHECK(i == 0 ||
			str_cmp(d->attrs[i - 1].name, d->attrs[i].name) <= 0);
	}
	++*(int *)ctx;
	return true;
}

static bool each_credential(void *ctx, const struct credential *c)
{
	CHECK(device_id_valid(str_from(c->device_id)));
	CHECK(text_valid(c->serial, sizeof(c->serial)));
	CHECK(text_valid(c->issuer, sizeof(c->issuer)));
	CHECK(text_valid(c->reason, sizeof(c->reason)));
	CHECK(c->status == CREDENTIAL_ACTIVE ||
		c->status == CREDENTIAL_REVOKED);
	++*(int *)ctx;
	return true;
}

static bool each_token(void *ctx, const struct token *t)
{
	CHECK(strnlen(t->name, sizeof(t->name)) < sizeof(t->name));
	CHECK(token_name_valid(str_from(t->name)));
	CHECK(t->right == TOKEN_READ || t->right == TOKEN_ACT);
	++*(int *)ctx;
	return true;
}

/* ----------------------------------------------------------------- look-ups */

static void look_up_device(const char *id)
{
	const struct device_filter all = {0};
	struct err e = {0};
	struct device d;
	bool found = false, ok;
	int n = 0;

	ok = registry_devices(fx.r, &all, each_device, &n, &e);
	CHECK(ok ? n == 1 : n == 0 && check_report(&e));
	memset(&d, 0x5A, sizeof(d));
	if (!registry_device(fx.r, str_from(id), &d, &found, &e)) {
		CHECK(check_report(&e) && !ok && !found);
		return;
	}
	CHECK(!found || ok);
	if (!found)
		return;
	CHECK(strcmp(d.id, id) == 0);
	(void)each_device(&n, &d);
	device_fini(&d);
}

static void look_up_credential(const uint8_t fp[static FINGERPRINT_LEN])
{
	const struct credential_filter all = {0};
	struct credential c;
	struct err e = {0};
	bool found = false, ok;
	int n = 0;

	ok = registry_credentials(fx.r, &all, each_credential, &n, &e);
	CHECK(ok ? n == 1 : n == 0 && check_report(&e));
	memset(&c, 0x5A, sizeof(c));
	if (!registry_credential(fx.r, fp, &c, &found, &e)) {
		CHECK(check_report(&e) && !ok && !found);
		return;
	}
	CHECK(!found || ok);
	if (!found)
		return;
	CHECK(memcmp(c.fingerprint, fp, FINGERPRINT_LEN) == 0);
	(void)each_credential(&n, &c);
}

static void look_up_token(const uint8_t hash[static TOKEN_HASH])
{
	struct token t;
	struct err e = {0};
	bool found = false, ok;
	int n = 0;

	ok = registry_tokens(fx.r, each_token, &n, &e);
	CHECK(ok ? n == 1 : n == 0 && check_report(&e));
	memset(&t, 0x5A, sizeof(t));
	if (!registry_token_find(fx.r, hash, 0, &t, &found, &e)) {
		CHECK(check_report(&e) && !ok && !found);
		return;
	}
	CHECK(!found || ok);
	if (found)
		(void)each_token(&n, &t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t fp[FINGERPRINT_LEN];
	char key[256] = "";
	struct str first;
	int table;

	if (size == 0)
		return 0;
	if (fx.db == NULL)
		setup();
	table = data[0] % 3;
	CHECK(hostile_row_insert(fx.st[table], n_columns[table],
		(struct str){(const char *)data + 1, size - 1}, &first));
	memcpy(key, first.p, first.n);
	memcpy(fp, key, sizeof(fp));
	if (table == 0)
		look_up_device(key);
	else if (table == 1)
		look_up_credential(fp);
	else
		look_up_token(fp);
	CHECK(sqlite3_exec(fx.db,
		      "DELETE FROM device; DELETE FROM credential; "
		      "DELETE FROM token",
		      NULL, NULL, NULL) == SQLITE_OK);
	return 0;
}
