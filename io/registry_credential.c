/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: which certificates speak for which device.
 */
#include "core/utf8.h"
#include "io/registry_private.h"
#include "io/x509.h"

#include <stdio.h>
#include <string.h>

static const char *const status_names[] = {
	[CREDENTIAL_ACTIVE] = "active",
	[CREDENTIAL_REVOKED] = "revoked",
};

/* -------------------------------------------------------------------- read */

static bool read_status(sqlite3_stmt *st, struct credential *c)
{
	struct str name;

	if (!col_text(st, 7, 16, &name))
		return false;
	for (int s = CREDENTIAL_ACTIVE; s <= CREDENTIAL_REVOKED; s++) {
		if (str_eq(name, str_from(status_names[s])))
			c->status = (uint8_t)s;
	}
	return c->status != CREDENTIAL_NONE && col_int(st, 8, &c->revoked_s) &&
	       col_copy(st, 9, c->reason, sizeof(c->reason)) &&
	       utf8_valid(str_from(c->reason));
}

static bool read_names(sqlite3_stmt *st, struct credential *c)
{
	return col_copy(st, 2, c->device_id, sizeof(c->device_id)) &&
	       device_id_valid(str_from(c->device_id)) &&
	       col_copy(st, 3, c->serial, sizeof(c->serial)) &&
	       utf8_valid(str_from(c->serial)) &&
	       col_copy(st, 4, c->issuer, sizeof(c->issuer)) &&
	       utf8_valid(str_from(c->issuer));
}

static bool read_credential(struct registry *r, sqlite3_stmt *st,
	struct credential *out, struct err *e)
{
	struct credential c = {0};
	char hex[FINGERPRINT_HEX], what[FINGERPRINT_HEX + 16];
	const char *bad = NULL;

	if (!col_blob(st, 0, c.fingerprint)) {
		(void)reg_damaged(r, e, "a credential", "fingerprint");
		return false;
	}
	if (!col_blob(st, 1, c.spki))
		bad = "spki";
	else if (!read_names(st, &c))
		bad = "device_id, serial or issuer";
	else if (!read_status(st, &c))
		bad = "status, revoked_s or reason";
	else if (!col_int(st, 5, &c.not_before_s) ||
		 !col_int(st, 6, &c.not_after_s) ||
		 !col_int(st, 10, &c.revision))
		bad = "not_before_s, not_after_s or revision";
	if (bad != NULL) {
		fingerprint_format(c.fingerprint, hex);
		(void)snprintf(what, sizeof(what), "credential %s", hex);
		(void)reg_damaged(r, e, what, bad);
		return false;
	}
	*out = c;
	return true;
}

bool registry_credential(struct registry *r,
	const uint8_t fingerprint[static FINGERPRINT_LEN],
	struct credential *out, bool *found, struct err *e)
{
	sqlite3_stmt *row;
	bool ok;

	if (!reg_find(r, STMT_CREDENTIAL, VALS(V_BLOB(fingerprint)), &row, e))
		return false;
	if (row == NULL) {
		*found = false;
		return true;
	}
	ok = read_credential(r, row, out, e);
	reg_done(row);
	if (ok)
		*found = true;
	return ok;
}

bool registry_key_barred(struct registry *r,
	const uint8_t spki[static FINGERPRINT_LEN], bool *barred, struct err *e)
{
	sqlite3_stmt *row;

	if (!reg_find(r, STMT_KEY_BARRED, VALS(V_BLOB(spki)), &row, e))
		return false;
	*barred = row != NULL;
	reg_done(row);
	return true;
}

bool registry_credentials(struct registry *r, const struct credential_filter *f,
	bool (*each)(void *ctx, const struct credential *c), void *ctx,
	struct err *e)
{
#define EXPIRING "(?1 = 0 OR (status = 'active' AND not_after_s < ?1)) "
#define ORDER    "ORDER BY device_id, not_before_s, fingerprint"
	const char *sql =
		f->device_id != NULL
			? "SELECT " CREDENTIAL_COLUMNS " FROM credential "
			  "WHERE device_id = ?2 AND " EXPIRING ORDER
			: "SELECT " CREDENTIAL_COLUMNS " FROM credential "
			  "WHERE " EXPIRING ORDER;
#undef EXPIRING
#undef ORDER
	const struct val v[] = {
		V_INT(f->expires_before_s), V_TEXT(str_from(f->device_id))};
	sqlite3_stmt *st;
	bool row, ok;

	if (!reg_prepare(r, sql, v, f->device_id != NULL ? 2 : 1, &st, e))
		return false;
	while ((ok = reg_step(r, st, &row, e)) && row) {
		struct credential c;

		ok = read_credential(r, st, &c, e);
		if (!ok || !each(ctx, &c))
			break;
	}
	(void)sqlite3_finalize(st);
	return ok;
}

static bool count_devices(
	struct registry *r, struct registry_counts *out, struct err *e)
{
	sqlite3_stmt *st;
	bool row, ok;

	if (!reg_prepare(r,
		    "SELECT status, count(*) FROM device GROUP BY status",
		    NO_VALS, &st, e))
		return false;
	while ((ok = reg_step(r, st, &row, e)) && row) {
		enum device_status s = DEVICE_NONE;
		struct str name;
		int64_t n = 0;

		if (col_text(st, 0, 32, &name) && col_int(st, 1, &n))
			s = device_status_find(name);
		if (s == DEVICE_NONE) {
			ok = reg_damaged(r, e, "a device", "status");
			break;
		}
		out->devices[s] = n;
	}
	(void)sqlite3_finalize(st);
	return ok;
}

static bool count_credentials(
	struct registry *r, struct registry_counts *out, struct err *e)
{
	sqlite3_stmt *st;
	int64_t all;
	bool row, ok;

	/* Not GROUP BY: that would sort them. */
	if (!reg_prepare(r,
		    "SELECT count(*) FILTER (WHERE status = 'active'), "
		    "count(*) FILTER (WHERE status = 'revoked'), count(*) "
		    "FROM credential",
		    NO_VALS, &st, e))
		return false;
	ok = reg_step(r, st, &row, e) &&
	     ((row && col_int(st, 0, &out->credentials_active) &&
		      col_int(st, 1, &out->credentials_revoked) &&
		      col_int(st, 2, &all) &&
		      all == out->credentials_active +
				      out->credentials_revoked) ||
		     reg_damaged(r, e, "a credential", "status"));
	(void)sqlite3_finalize(st);
	return ok;
}

bool registry_counts(
	struct registry *r, struct registry_counts *out, struct err *e)
{
	struct registry_counts c = {0};

	if (!count_devices(r, &c, e) || !count_credentials(r, &c, e))
		return false;
	*out = c;
	return true;
}

#define DAY_S INT64_C(86400)

bool registry_expiry(struct registry *r, struct registry_expiry *x, int limit,
	bool *more, struct err *e)
{
	int64_t n = 0, at = 0, sum[4] = {0};
	sqlite3_stmt *row;
	bool ok;

	if (!reg_find(r, STMT_EXPIRY,
		    VALS(V_INT(x->at), V_INT(limit), V_INT(x->now_s),
			    V_INT(x->now_s + 7 * DAY_S),
			    V_INT(x->now_s + 30 * DAY_S)),
		    &row, e))
		return false;
	ok = row != NULL && col_int(row, 0, &n);
	/* Of no rows there is neither a last one nor a sum. */
	ok = ok && (n == 0 || col_int(row, 1, &at));
	for (int i = 0; ok && n != 0 && i < 4; i++)
		ok = col_int(row, 2 + i, &sum[i]);
	reg_done(row);
	if (!ok)
		return reg_damaged(r, e, "a credential", "not_after_s");
	*more = n == limit;
	x->at = n != 0 ? at : x->at;
	x->active += sum[0];
	x->expired += sum[1];
	x->in_7d += sum[2];
	x->in_30d += sum[3];
	return true;
}

/* ------------------------------------------------------------------ writes */

static struct str device_of(const struct credential *c)
{
	return (struct str){
		c->device_id, strnlen(c->device_id, sizeof(c->device_id))};
}

static cJSON *detail_of(const struct credential *c)
{
	cJSON *j = cJSON_CreateObject();
	char hex[FINGERPRINT_HEX];

	fingerprint_format(c->fingerprint, hex);
	if (cJSON_AddStringToObject(j, "fingerprint", hex) != NULL &&
		cJSON_AddStringToObject(j, "serial", c->serial) != NULL)
		return j;
	cJSON_Delete(j);
	return NULL;
}

bool reg_check_credential(const struct credential *c, struct err *e)
{
	struct str serial = {c->serial, strnlen(c->serial, sizeof(c->serial))};
	struct str issuer = {c->issuer, strnlen(c->issuer, sizeof(c->issuer))};

	if (device_id_valid(device_of(c)) && serial.n != 0 &&
		serial.n < sizeof(c->serial) && utf8_valid(serial) &&
		issuer.n < sizeof(c->issuer) && utf8_valid(issuer))
		return true;
	return err_set(e, ERR_INPUT,
		"a credential needs a device id, a serial number, and an "
		"issuer that is UTF-8 without control characters");
}

/* The device is there and not retired. */
static bool check_device(struct registry *r, struct str id, struct err *e)
{
	struct device d = {0};
	bool found = false, retired;

	if (!registry_device(r, id, &d, &found, e))
		return false;
	retired = found && d.status == DEVICE_RETIRED;
	device_fini(&d);
	if (found && !retired)
		return true;
	return err_set(e, ERR_NOT_FOUND,
		retired ? "device '%.*s' is retired, and takes no certificate"
			: "there is no device '%.*s'; see weir device add",
		STR_ARG(id));
}

static bool check_fingerprint(
	struct registry *r, const struct credential *c, struct err *e)
{
	struct credential old;
	bool found = false;

	if (!registry_credential(r, c->fingerprint, &old, &found, e))
		return false;
	return !found || err_set(e, ERR_CONFLICT,
				 "this certificate is registered already, to "
				 "device '%s' (%s)",
				 old.device_id, status_names[old.status]);
}

bool reg_check_key_barred(
	struct registry *r, const struct credential *c, struct err *e)
{
	bool barred = false;

	if (!registry_key_barred(r, c->spki, &barred, e))
		return false;
	return !barred ||
	       err_set(e, ERR_CONFLICT,
		       "this certificate's key was revoked as compromised, "
		       "and is never accepted again; make a new key");
}

bool reg_check_key_owner(
	struct registry *r, const struct credential *c, struct err *e)
{
	char owner[DEVICE_ID_MAX + 1];
	sqlite3_stmt *row;
	bool ok;

	if (!reg_find(r, STMT_KEY_OWNER,
		    VALS(V_BLOB(c->spki), V_TEXT(device_of(c))), &row, e))
		return false;
	if (row == NULL)
		return true;
	ok = col_copy(row, 0, owner, sizeof(owner)) &&
	     device_id_valid(str_from(owner));
	reg_done(row);
	return err_set(e, ERR_CONFLICT,
		"this certificate's key is device '%s's; each device needs a "
		"key of its own",
		ok ? owner : "?");
}

static bool credential_add(
	struct registry *r, const struct credential *c, struct err *e)
{
	return reg_may_write(r, e) && reg_check_credential(c, e) &&
	       check_device(r, device_of(c), e) && check_fingerprint(r, c, e) &&
	       reg_check_key_barred(r, c, e) && reg_check_key_owner(r, c, e) &&
	       reg_run(r, STMT_CREDENTIAL_ADD,
		       VALS(V_BLOB(c->fingerprint), V_BLOB(c->spki),
			       V_TEXT(device_of(c)),
			       V_TEXT(str_from(c->serial)),
			       V_TEXT(str_from(c->issuer)),
			       V_INT(c->not_before_s), V_INT(c->not_after_s),
			       V_INT(r->revision)),
		       e) &&
	       reg_audit(r, "cert.add", device_of(c), detail_of(c), e);
}

bool registry_credential_add(
	struct registry *r, const struct credential *c, struct err *e)
{
	return reg_wrote(r, credential_add(r, c, e));
}

/* Why a certificate ends, as the registry's `reason`. */
#define PLAIN      "revoked"
#define SUPERSEDED "superseded"

static cJSON *revoke_detail(const struct credential *c, const char *reason)
{
	bool compromised = strcmp(reason, KEY_COMPROMISE) == 0;
	cJSON *j = detail_of(c);

	if (cJSON_AddBoolToObject(j, "compromised", compromised) != NULL &&
		(strcmp(reason, SUPERSEDED) != 0 ||
			cJSON_AddBoolToObject(j, reason, true) != NULL))
		return j;
	cJSON_Delete(j);
	return NULL;
}

static bool check_revocable(
	const struct credential *c, bool compromised, struct err *e)
{
	if (c->status != CREDENTIAL_REVOKED)
		return true;
	if (strcmp(c->reason, KEY_COMPROMISE) == 0)
		return err_set(e, ERR_CONFLICT,
			"this certificate of device '%s' is revoked already, "
			"as compromised",
			c->device_id);
	return compromised ||
	       err_set(e, ERR_CONFLICT,
		       "this certificate of device '%s' is revoked already; "
		       "--compromised would bar its key as well",
		       c->device_id);
}

static bool credential_revoke(struct registry *r,
	const uint8_t fingerprint[static FINGERPRINT_LEN], const char *reason,
	struct err *e)
{
	bool compromised = strcmp(reason, KEY_COMPROMISE) == 0;
	struct credential c;
	bool found = false, ok;

	if (!reg_may_write(r, e) ||
		!registry_credential(r, fingerprint, &c, &found, e))
		return false;
	if (!found)
		return err_set(e, ERR_NOT_FOUND,
			"this certificate is not registered; see weir cert "
			"list");
	if (!check_revocable(&c, compromised, e))
		return false;
	ok = compromised ? reg_run(r, STMT_KEY_REVOKE,
				   VALS(V_BLOB(c.spki), V_TEXT(device_of(&c)),
					   V_INT(r->now_s), V_INT(r->revision)),
				   e)
			 : reg_run(r, STMT_CREDENTIAL_REVOKE,
				   VALS(V_BLOB(fingerprint), V_INT(r->now_s),
					   V_INT(r->revision),
					   V_TEXT(str_from(reason))),
				   e);
	return ok && reg_change(r, device_of(&c), e) &&
	       reg_audit(r, "cert.revoke", device_of(&c),
		       revoke_detail(&c, reason), e);
}

bool registry_credential_revoke(struct registry *r,
	const uint8_t fingerprint[static FINGERPRINT_LEN], bool compromised,
	struct err *e)
{
	return reg_wrote(r, credential_revoke(r, fingerprint,
				    compromised ? KEY_COMPROMISE : PLAIN, e));
}

bool registry_credential_supersede(struct registry *r,
	const uint8_t fingerprint[static FINGERPRINT_LEN], struct err *e)
{
	return reg_wrote(r, credential_revoke(r, fingerprint, SUPERSEDED, e));
}
