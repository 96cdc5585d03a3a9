/* SPDX-License-Identifier: Apache-2.0 */
#include "io/registry_import.h"

#include "io/attrs_json.h"
#include "io/registry_private.h"
#include "io/x509.h"

#include <stdlib.h>
#include <string.h>

static struct str id_of(const struct fleet_entry *x)
{
	return (struct str){x->device.id, x->device.id_len};
}

/* -------------------------------------------------------------- transaction */

bool registry_bulk_begin(struct registry *r, struct err *e)
{
	char sql[48];

	if (!reg_may_write(r, e))
		return false;
	(void)snprintf(sql, sizeof(sql), "PRAGMA cache_size = -%d",
		BULK_CACHE_MB * 1024);
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return reg_fail(r, e);
	r->bulk = true;
	r->bulk_wrote = false;
	return true;
}

static cJSON *bulk_detail(const struct bulk_audit *a)
{
	cJSON *j = cJSON_CreateObject();
	char hex[FINGERPRINT_HEX];
	bool ok = cJSON_AddNumberToObject(j, "devices", (double)a->devices) !=
			  NULL &&
		  cJSON_AddNumberToObject(
			  j, "credentials", (double)a->credentials) != NULL;

	if (ok && a->digest != NULL) {
		fingerprint_format(a->digest, hex);
		ok = cJSON_AddStringToObject(j, "file_sha256", hex) != NULL;
	}
	if (ok)
		return j;
	cJSON_Delete(j);
	return NULL;
}

bool registry_bulk_end(
	struct registry *r, const struct bulk_audit *a, struct err *e)
{
	bool wrote = r->bulk_wrote;

	if (!reg_may_write(r, e))
		return false;
	r->bulk = false;
	return !wrote || reg_wrote(r, reg_audit(r, a->action, NO_DEVICE,
					      bulk_detail(a), e));
}

/* ------------------------------------------------------------------ devices */

/* Where rights grow from left to right, from the end. */
static int strictness(enum device_status s)
{
	switch (s) {
	case DEVICE_ACTIVE:
		return 0;
	case DEVICE_QUARANTINED:
		return 1;
	case DEVICE_SUSPENDED:
		return 2;
	case DEVICE_RETIRED:
	case DEVICE_NONE:
		break;
	}
	return 3;
}

/* *inserted: X was new, and is in. Nothing else is asked first: of a fleet that
 * is new that would be most of the work. */
static bool insert(struct registry *r, const struct fleet_entry *x,
	bool *inserted, struct err *e)
{
	const struct device *d = &x->device;
	enum device_status status = d->status != DEVICE_NONE
					    ? (enum device_status)d->status
					    : DEVICE_ACTIVE;
	char *attrs;
	bool done;

	*inserted = false;
	if (!reg_check_device(d, NULL))
		return true;
	if (!attrs_json_format(d->attrs, d->n_attrs, &attrs, e))
		return false;
	done = reg_run(r, STMT_DEVICE_IMPORT,
		VALS(V_TEXT(id_of(x)), V_TEXT(str_from(d->class_name)),
			reg_sim_val(&d->sim[SIMID_ICCID]),
			reg_sim_val(&d->sim[SIMID_IMSI]),
			reg_sim_val(&d->sim[SIMID_IMEI]),
			reg_sim_val(&d->sim[SIMID_EID]),
			V_TEXT(str_from(attrs)), V_INT(r->now_s),
			V_INT(r->revision), V_TEXT(str_from(reg_mode_of(d))),
			V_TEXT(str_from(device_status_name(status))),
			V_TEXT(str_from(d->status_reason)),
			V_INT(d->status_until_s)),
		e);
	free(attrs);
	*inserted = done && sqlite3_changes(r->db) == 1;
	if (*inserted || !done) {
		r->wrote = true;
		r->bulk_wrote = true;
	}
	return done;
}

/* Two statements that agree found none that is in the way of a third. */
static bool contradicts(struct registry *r, const char *id, struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT,
		"%s contradicts itself (device '%s'); nothing was changed; see "
		"weir audit verify",
		r->path, id);
}

/* Why X, which is not there, could not be inserted. Returns false. */
static bool refuse_new(
	struct registry *r, const struct fleet_entry *x, struct err *e)
{
	const struct device *d = &x->device;

	if (d->class_name[0] == '\0')
		return err_set(e, ERR_INPUT,
			"device '%s' is new, and the line gives it no class",
			d->id);
	return reg_check_device(d, e) && reg_check_sims(r, d, e) &&
	       contradicts(r, d->id, e);
}

/* True when X says something of attribute NAME. */
static bool says(const struct fleet_entry *x, struct str name)
{
	if (x->attr_names == NULL)
		return true;
	for (size_t i = 0; i < x->n_attr_names; i++) {
		if (str_eq(x->attr_names[i], name))
			return true;
	}
	return false;
}

/* *D's attributes: X's, and those of OLD that X says nothing of. Given, where
 * *D's own is set: device_fini. */
static bool merge_attrs(const struct device *old, const struct fleet_entry *x,
	struct device *d, struct err *e)
{
	struct attr all[2 * DEVICE_ATTRS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < old->n_attrs; i++) {
		if (!says(x, old->attrs[i].name))
			all[n++] = old->attrs[i];
	}
	for (size_t i = 0; i < x->device.n_attrs; i++)
		all[n++] = x->device.attrs[i];
	return attrs_make(all, n, &d->attrs, &d->n_attrs, &d->attr_text, e);
}

/* OLD as X wants it, but for the attributes, which stay OLD's (lent). */
static struct device merge(
	const struct device *old, const struct fleet_entry *x)
{
	static const enum fleet_column sim[SIMID_KINDS] = {
		[SIMID_ICCID] = FLEET_ICCID,
		[SIMID_IMSI] = FLEET_IMSI,
		[SIMID_IMEI] = FLEET_IMEI,
		[SIMID_EID] = FLEET_EID,
	};
	struct device d = *old;

	if (x->device.class_name[0] != '\0')
		memcpy(d.class_name, x->device.class_name,
			sizeof(d.class_name));
	if ((x->given & FLEET_BIT(FLEET_MODE)) != 0)
		d.observe = x->device.observe;
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		if ((x->given & FLEET_BIT(sim[k])) != 0)
			d.sim[k] = x->device.sim[k];
	}
	return d;
}

/* D is what X makes of OLD. */
static bool write_merged(struct registry *r, const struct device *old,
	const struct device *d, enum import_rule rule,
	struct import_outcome *out, struct err *e)
{
	bool same = false;

	if (!reg_device_same(old, d, &same, e))
		return false;
	if (same)
		return true;
	if (rule == IMPORT_MATCH)
		return err_set(e, ERR_CONFLICT,
			"device '%s' is registered otherwise than the line "
			"says; weir device import --upsert changes it",
			d->id);
	out->changed = true;
	r->bulk_wrote = true;
	return reg_check_device(d, e) && reg_check_sims(r, d, e) &&
	       reg_device_update(r, d, e);
}

static bool update_status(struct registry *r, const struct device *old,
	const struct fleet_entry *x, struct import_outcome *out, struct err *e)
{
	const struct device *d = &x->device;
	int before = strictness(device_effective(old, r->now_s)), after;

	if (d->status == DEVICE_NONE)
		return true;
	after = strictness(device_effective(d, r->now_s));
	out->status_kept = after < before;
	if (after <= before)
		return true;
	out->changed = true;
	r->bulk_wrote = true;
	return reg_run(r, STMT_DEVICE_STATUS,
		       VALS(V_TEXT(id_of(x)),
			       V_TEXT(str_from(device_status_name(
				       (enum device_status)d->status))),
			       V_TEXT(str_from(d->status_reason)),
			       V_INT(d->status_until_s), V_INT(r->now_s),
			       V_INT(r->revision)),
		       e) &&
	       reg_change(r, id_of(x), e);
}

static bool update(struct registry *r, const struct device *old,
	const struct fleet_entry *x, enum import_rule rule,
	struct import_outcome *out, struct err *e)
{
	struct device d = merge(old, x), own = {.id_len = 0};
	bool done;

	/* Its identifiers may have been erased: a file brings nothing back. */
	if (old->status == DEVICE_RETIRED) {
		out->status_kept = x->device.status != DEVICE_NONE &&
				   x->device.status != DEVICE_RETIRED;
		return true;
	}
	if ((x->given & FLEET_BIT(FLEET_ATTRS)) != 0) {
		if (!merge_attrs(old, x, &own, e))
			return false;
		d.attrs = own.attrs;
		d.n_attrs = own.n_attrs;
	}
	done = write_merged(r, old, &d, rule, out, e) &&
	       update_status(r, old, x, out, e);
	device_fini(&own);
	return done;
}

/* -------------------------------------------------------------- credentials */

static bool compromised(const struct credential *c)
{
	return c->status == CREDENTIAL_REVOKED &&
	       strcmp(c->reason, KEY_COMPROMISE) == 0;
}

/* Revokes C, which is registered, as the file has it. */
static bool revoke(
	struct registry *r, const struct credential *c, struct err *e)
{
	struct str id = str_from(c->device_id);
	int64_t t = c->revoked_s != 0 ? c->revoked_s : r->now_s;
	bool done;

	r->bulk_wrote = true;
	done = compromised(c) ? reg_run(r, STMT_KEY_REVOKE,
					VALS(V_BLOB(c->spki), V_TEXT(id),
						V_INT(t), V_INT(r->revision)),
					e)
			      : reg_run(r, STMT_CREDENTIAL_REVOKE,
					VALS(V_BLOB(c->fingerprint), V_INT(t),
						V_INT(r->revision),
						V_TEXT(str_from(c->reason))),
					e);
	return done && reg_change(r, id, e);
}

static bool update_credential(struct registry *r, const struct credential *old,
	const struct credential *c, struct import_outcome *out, struct err *e)
{
	if (strcmp(old->device_id, c->device_id) != 0)
		return err_set(e, ERR_CONFLICT,
			"certificate %02x%02x%02x%02x… of device '%s' is "
			"device '%s's already",
			c->fingerprint[0], c->fingerprint[1], c->fingerprint[2],
			c->fingerprint[3], c->device_id, old->device_id);
	if (memcmp(old->spki, c->spki, FINGERPRINT_LEN) != 0)
		return err_set(e, ERR_CONFLICT,
			"certificate %02x%02x%02x%02x… of device '%s' is "
			"registered with another key than the line says (spki)",
			c->fingerprint[0], c->fingerprint[1], c->fingerprint[2],
			c->fingerprint[3], c->device_id);
	if (old->status == CREDENTIAL_REVOKED) {
		out->certs_kept += c->status == CREDENTIAL_ACTIVE;
		return !compromised(c) || compromised(old) || revoke(r, c, e);
	}
	if (c->status != CREDENTIAL_REVOKED)
		return true;
	out->certs_revoked++;
	return revoke(r, c, e);
}

/* *inserted: it was not there. NEW: nor was the device, and no connection of it
 * is there to be judged. */
static bool insert_credential(struct registry *r, const struct credential *c,
	bool new, bool *inserted, struct import_outcome *out, struct err *e)
{
	bool active = c->status == CREDENTIAL_ACTIVE;
	int64_t t = active || c->revoked_s != 0 ? c->revoked_s : r->now_s;

	if (!reg_run(r, STMT_CREDENTIAL_IMPORT,
		    VALS(V_BLOB(c->fingerprint), V_BLOB(c->spki),
			    V_TEXT(str_from(c->device_id)),
			    V_TEXT(str_from(c->serial)),
			    V_TEXT(str_from(c->issuer)), V_INT(c->not_before_s),
			    V_INT(c->not_after_s),
			    V_TEXT(active ? STR("active") : STR("revoked")),
			    V_INT(t), V_TEXT(str_from(c->reason)),
			    V_INT(r->revision)),
		    e))
		return false;
	*inserted = sqlite3_changes(r->db) == 1;
	if (!*inserted)
		return true;
	out->certs_added++;
	r->wrote = true;
	r->bulk_wrote = true;
	/* Other certificates of a key that turns out to be compromised. */
	return new || !compromised(c) || revoke(r, c, e);
}

/* C is not there, but its key is, or it is none to be registered. */
static bool add_credential(struct registry *r, const struct credential *c,
	bool new, struct import_outcome *out, struct err *e)
{
	bool active = c->status == CREDENTIAL_ACTIVE, inserted = false;

	if (!reg_check_credential(c, e) || !reg_check_key_owner(r, c, e) ||
		(active && !reg_check_key_barred(r, c, e)))
		return false;
	return insert_credential(r, c, new, &inserted, out, e) &&
	       (inserted || contradicts(r, c->device_id, e));
}

/* *known: some certificate of C's key is registered, barred ones too. */
static bool key_known(struct registry *r, const struct credential *c,
	bool *known, struct err *e)
{
	sqlite3_stmt *row;

	if (!reg_find(r, STMT_KEY_KNOWN, VALS(V_BLOB(c->spki)), &row, e))
		return false;
	*known = row != NULL;
	reg_done(row);
	return true;
}

static bool import_credential(struct registry *r, const struct credential *c,
	bool new, struct import_outcome *out, struct err *e)
{
	struct credential old;
	bool found = false, known = true, inserted = false;

	if (reg_check_credential(c, NULL) && !key_known(r, c, &known, e))
		return false;
	/* A key that is new is nobody's, and not barred. */
	if (!known && !insert_credential(r, c, new, &inserted, out, e))
		return false;
	if (inserted)
		return true;
	if (!registry_credential(r, c->fingerprint, &old, &found, e))
		return false;
	return found ? update_credential(r, &old, c, out, e)
		     : add_credential(r, c, new, out, e);
}

/* RETIRED: the device was, before this line. */
static bool import_credentials(struct registry *r, const struct fleet_entry *x,
	bool new, bool retired, struct import_outcome *out, struct err *e)
{
	for (size_t i = 0; i < x->n_credentials; i++) {
		unsigned before = out->certs_added;

		if (!import_credential(r, &x->credentials[i], new, out, e))
			return false;
		if (retired && out->certs_added != before)
			return err_set(e, ERR_CONFLICT,
				"device '%s' is retired, and takes no "
				"certificate",
				x->device.id);
	}
	return true;
}

/* -------------------------------------------------------------------- lines */

/* X's device is there, as OLD, or has something that another has. */
static bool import_old(struct registry *r, const struct fleet_entry *x,
	enum import_rule rule, struct import_outcome *out, struct err *e)
{
	struct device old = {.id_len = 0};
	bool found = false, retired, done;

	if (!registry_device(r, id_of(x), &old, &found, e))
		return false;
	if (!found)
		return refuse_new(r, x, e);
	retired = old.status == DEVICE_RETIRED;
	if (rule == IMPORT_NEW)
		done = err_set(e, ERR_CONFLICT,
			retired ? "device '%s' is retired, and an id is never "
				  "used again"
				: "device '%s' exists already; --upsert "
				  "changes it",
			x->device.id);
	else
		done = update(r, &old, x, rule, out, e);
	device_fini(&old);
	return done && import_credentials(r, x, false, retired, out, e);
}

static bool import(struct registry *r, const struct fleet_entry *x,
	enum import_rule rule, struct import_outcome *out, struct err *e)
{
	if (!insert(r, x, &out->added, e))
		return false;
	return out->added ? import_credentials(r, x, true, false, out, e)
			  : import_old(r, x, rule, out, e);
}

static bool may_import(struct registry *r, struct err *e)
{
	return (r->in_tx && r->bulk) ||
	       err_set(e, ERR_ENVIRONMENT, "%s: no bulk change is under way",
		       r->path);
}

bool registry_import(struct registry *r, const struct fleet_entry *x,
	enum import_rule rule, struct import_outcome *out, struct err *e)
{
	struct import_outcome done = {.added = false};

	if (!may_import(r, e))
		return false;
	if (!reg_wrote(r, import(r, x, rule, &done, e)))
		return false;
	*out = done;
	return true;
}

bool registry_import_try(struct registry *r, const struct fleet_entry *x,
	enum import_rule rule, struct import_outcome *out, struct err *e)
{
	struct import_outcome done = {.added = false};
	bool wrote = r->wrote, bulk_wrote = r->bulk_wrote;
	int64_t change = r->change_seq;
	struct err ignored;

	if (!may_import(r, e) || !reg_may_write(r, e) ||
		!reg_wrote(r, reg_run(r, STMT_SAVEPOINT, NO_VALS, e)))
		return false;
	if (import(r, x, rule, &done, e)) {
		*out = done;
		return reg_wrote(r, reg_run(r, STMT_RELEASE, NO_VALS, e));
	}
	if (!reg_run(r, STMT_ROLLBACK_TO, NO_VALS, &ignored) ||
		!reg_run(r, STMT_RELEASE, NO_VALS, &ignored))
		r->failed = true;
	r->wrote = wrote;
	r->bulk_wrote = bulk_wrote;
	r->change_seq = change;
	return false;
}
