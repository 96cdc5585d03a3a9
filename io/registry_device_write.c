/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: the changes. Conflicts are looked for first, inside the
 * transaction, so that the message can say what is taken and by whom.
 */
#include "core/utf8.h"
#include "io/attrs_json.h"
#include "io/registry_private.h"

#include <stdlib.h>
#include <string.h>

/* Per kind: who has it, and its name in messages. */
static const struct {
	enum stmt owner;
	const char *label;
} sims[SIMID_KINDS] = {
	[SIMID_ICCID] = {STMT_OWNER_ICCID, "ICCID"},
	[SIMID_IMSI] = {STMT_OWNER_IMSI, "IMSI"},
	[SIMID_IMEI] = {STMT_OWNER_IMEI, "IMEI"},
	[SIMID_EID] = {STMT_OWNER_EID, "EID"},
};

/* ------------------------------------------------------------------ detail */

const char *reg_mode_of(const struct device *d)
{
	return d->observe ? "observe" : "enforce";
}

/* What the audit says of D. Identifiers are masked: entries stay for ever,
 * and erasing personal data must be possible. */
static cJSON *detail_of(const struct device *d, const char *attrs)
{
	cJSON *j = cJSON_CreateObject();
	bool ok = cJSON_AddStringToObject(j, "class", d->class_name) != NULL &&
		  cJSON_AddStringToObject(j, "mode", reg_mode_of(d)) != NULL &&
		  cJSON_AddRawToObject(j, "attrs", attrs) != NULL;

	for (int k = SIMID_NONE + 1; ok && k < SIMID_KINDS; k++) {
		char masked[SIMID_MAX + 1];

		if (d->sim[k].kind == SIMID_NONE)
			continue;
		(void)simid_mask(&d->sim[k], masked);
		ok = cJSON_AddStringToObject(
			     j, simid_name((enum simid_kind)k), masked) != NULL;
	}
	if (ok)
		return j;
	cJSON_Delete(j);
	return NULL;
}

/* ------------------------------------------------------------------ writes */

struct val reg_sim_val(const struct simid *id)
{
	struct val v = V_TEXT(((struct str){id->digits, id->n}));

	if (id->kind == SIMID_NONE)
		v.kind = VAL_NULL;
	return v;
}

static struct str id_of(const struct device *d)
{
	return (struct str){d->id, strnlen(d->id, sizeof(d->id))};
}

bool reg_check_device(const struct device *d, struct err *e)
{
	struct str class_name = {
		d->class_name, strnlen(d->class_name, sizeof(d->class_name))};

	if (!device_id_valid(id_of(d)))
		return err_set(e, ERR_INPUT,
			"a device id is 1 to %d letters, digits, '.', '_', ':' "
			"or '-', the first a letter or digit",
			DEVICE_ID_MAX);
	if (!class_name_valid(class_name))
		return err_set(e, ERR_INPUT,
			"device '%s': a class name is 1 to %d letters, digits, "
			"'.', '_' or '-', the first a letter or digit",
			d->id, CLASS_NAME_MAX);
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		if (d->sim[k].kind != SIMID_NONE &&
			!reg_sim_valid((enum simid_kind)k, &d->sim[k]))
			return err_set(e, ERR_INPUT,
				"device '%s': the %s is not in canonical form",
				d->id, sims[k].label);
	}
	return true;
}

/* No other device may have an identifier of D, a retired one neither. */
bool reg_check_sims(struct registry *r, const struct device *d, struct err *e)
{
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		char masked[SIMID_MAX + 1];
		char owner[DEVICE_ID_MAX + 1] = "?";
		sqlite3_stmt *row;

		if (d->sim[k].kind == SIMID_NONE)
			continue;
		if (!reg_find(r, sims[k].owner, VALS(reg_sim_val(&d->sim[k])),
			    &row, e))
			return false;
		if (row == NULL)
			continue;
		if (!col_copy(row, 0, owner, sizeof(owner)))
			owner[0] = '?';
		reg_done(row);
		if (strcmp(owner, d->id) == 0)
			continue;
		(void)simid_mask(&d->sim[k], masked);
		return err_set(e, ERR_CONFLICT, "%s %s is device '%s's already",
			sims[k].label, masked, owner);
	}
	return true;
}

/* The device that a write is about. *old is given. */
static bool find_old(
	struct registry *r, struct str id, struct device *old, struct err *e)
{
	bool found = false;

	if (!registry_device(r, id, old, &found, e))
		return false;
	if (found)
		return true;
	return err_set(e, ERR_NOT_FOUND,
		"there is no device '%.*s'; see weir device list",
		device_id_valid(id) ? (int)id.n : 1,
		device_id_valid(id) ? id.p : "?");
}

/* Runs ST, which adds D's row or sets it. */
static bool write_row(struct registry *r, enum stmt st, const struct device *d,
	const char *attrs, struct err *e)
{
	return reg_run(r, st,
		VALS(V_TEXT(id_of(d)), V_TEXT(str_from(d->class_name)),
			reg_sim_val(&d->sim[SIMID_ICCID]),
			reg_sim_val(&d->sim[SIMID_IMSI]),
			reg_sim_val(&d->sim[SIMID_IMEI]),
			reg_sim_val(&d->sim[SIMID_EID]),
			V_TEXT(str_from(attrs)), V_INT(r->now_s),
			V_INT(r->revision), V_TEXT(str_from(reg_mode_of(d)))),
		e);
}

static bool insert(struct registry *r, const struct device *d,
	const char *attrs, struct err *e)
{
	return write_row(r, STMT_DEVICE_ADD, d, attrs, e) &&
	       reg_audit(r, "device.add", id_of(d), detail_of(d, attrs), e);
}

static bool device_add(
	struct registry *r, const struct device *d, struct err *e)
{
	struct device old = {0};
	bool found = false, ok;
	char *attrs;

	if (!reg_may_write(r, e) || !reg_check_device(d, e) ||
		!registry_device(r, id_of(d), &old, &found, e))
		return false;
	if (found) {
		ok = old.status == DEVICE_RETIRED;
		device_fini(&old);
		return err_set(e, ERR_CONFLICT, "device '%s' %s", d->id,
			ok ? "is retired, and an id is never used again"
			   : "exists already; change it with weir device set");
	}
	if (!reg_check_sims(r, d, e) ||
		!attrs_json_format(d->attrs, d->n_attrs, &attrs, e))
		return false;
	ok = insert(r, d, attrs, e);
	free(attrs);
	return ok;
}

bool registry_device_add(
	struct registry *r, const struct device *d, struct err *e)
{
	return reg_wrote(r, device_add(r, d, e));
}

static bool same(const struct device *old, const struct device *d,
	const char *old_attrs, const char *attrs)
{
	if (strcmp(old->class_name, d->class_name) != 0 ||
		strcmp(old_attrs, attrs) != 0 || old->observe != d->observe)
		return false;
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		if (old->sim[k].kind != d->sim[k].kind ||
			strcmp(old->sim[k].digits, d->sim[k].digits) != 0)
			return false;
	}
	return true;
}

bool reg_device_same(const struct device *old, const struct device *d,
	bool *out, struct err *e)
{
	char *old_attrs = NULL, *attrs = NULL;
	bool ok = attrs_json_format(d->attrs, d->n_attrs, &attrs, e) &&
		  attrs_json_format(old->attrs, old->n_attrs, &old_attrs, e);

	if (ok)
		*out = same(old, d, old_attrs, attrs);
	free(old_attrs);
	free(attrs);
	return ok;
}

static bool update(struct registry *r, const struct device *d,
	const char *attrs, struct err *e)
{
	return write_row(r, STMT_DEVICE_SET, d, attrs, e) &&
	       reg_change(r, id_of(d), e) &&
	       reg_audit(r, "device.set", id_of(d), detail_of(d, attrs), e);
}

bool reg_device_update(
	struct registry *r, const struct device *d, struct err *e)
{
	char *attrs = NULL;
	bool ok = attrs_json_format(d->attrs, d->n_attrs, &attrs, e) &&
		  update(r, d, attrs, e);

	free(attrs);
	return ok;
}

static bool device_set(
	struct registry *r, const struct device *d, struct err *e)
{
	struct device old = {0};
	bool same_rights = false;
	bool ok = reg_may_write(r, e) && reg_check_device(d, e) &&
		  find_old(r, id_of(d), &old, e) && reg_check_sims(r, d, e) &&
		  reg_device_same(&old, d, &same_rights, e) &&
		  (same_rights || reg_device_update(r, d, e));

	device_fini(&old);
	return ok;
}

bool registry_device_set(
	struct registry *r, const struct device *d, struct err *e)
{
	return reg_wrote(r, device_set(r, d, e));
}

/* ------------------------------------------------------------------ status */

static const char *const status_action[] = {
	[DEVICE_ACTIVE] = "device.release",
	[DEVICE_SUSPENDED] = "device.suspend",
	[DEVICE_QUARANTINED] = "device.quarantine",
	[DEVICE_RETIRED] = "device.retire",
};

static cJSON *status_detail(const char *reason, int64_t until_s)
{
	cJSON *j = cJSON_CreateObject();

	if (cJSON_AddStringToObject(j, "reason", reason) != NULL &&
		cJSON_AddNumberToObject(j, "until_s", (double)until_s) != NULL)
		return j;
	cJSON_Delete(j);
	return NULL;
}

static bool device_status(struct registry *r, struct str id,
	enum device_status status, const char *reason, int64_t until_s,
	struct err *e)
{
	struct device old = {0};
	uint8_t before;

	if (!find_old(r, id, &old, e))
		return false;
	before = old.status;
	device_fini(&old);
	if (before == DEVICE_RETIRED)
		return err_set(e, ERR_CONFLICT,
			"device '%.*s' is retired, which is for ever",
			STR_ARG(id));
	return reg_run(r, STMT_DEVICE_STATUS,
		       VALS(V_TEXT(id),
			       V_TEXT(str_from(device_status_name(status))),
			       V_TEXT(str_from(reason)), V_INT(until_s),
			       V_INT(r->now_s), V_INT(r->revision)),
		       e) &&
	       reg_change(r, id, e) &&
	       reg_audit(r, status_action[status], id,
		       status_detail(reason, until_s), e);
}

/* Checked before anything is read. */
static bool check_status(enum device_status status, const char *reason,
	int64_t until_s, struct err *e)
{
	struct str why = str_from(reason);

	if (status <= DEVICE_NONE || status > DEVICE_RETIRED || until_s < 0)
		return err_set(e, ERR_INPUT,
			"no such status, or one that ends before 1970");
	if (why.n > STATUS_REASON_MAX || !utf8_valid(why))
		return err_set(e, ERR_INPUT,
			"a reason is at most %d bytes of UTF-8 without control "
			"characters",
			STATUS_REASON_MAX);
	return true;
}

bool registry_device_status(struct registry *r, struct str id,
	enum device_status status, const char *reason, int64_t until_s,
	struct err *e)
{
	const char *why = reason != NULL ? reason : "";

	return reg_wrote(r,
		reg_may_write(r, e) && check_status(status, why, until_s, e) &&
			device_status(r, id, status, why, until_s, e));
}

/* ------------------------------------------------------------------- remove */

/* The row without what is about a person. */
static bool erase(struct registry *r, struct str id, struct err *e)
{
	struct device old = {0}, bare;
	bool ok;

	if (!find_old(r, id, &old, e))
		return false;
	bare = old;
	memset(bare.sim, 0, sizeof(bare.sim));
	bare.attrs = NULL;
	bare.n_attrs = 0;
	ok = device_set(r, &bare, e);
	device_fini(&old);
	return ok;
}

static bool device_remove(struct registry *r, struct str id, struct err *e)
{
	struct device old = {0};
	bool retired, reason;

	if (!reg_may_write(r, e) || !find_old(r, id, &old, e))
		return false;
	retired = old.status == DEVICE_RETIRED;
	reason = old.status_reason[0] != '\0';
	device_fini(&old);
	/* A retired device's status is for ever, but not why. */
	if (retired && reason &&
		!reg_run(r, STMT_DEVICE_STATUS,
			VALS(V_TEXT(id), V_TEXT(STR("retired")),
				V_TEXT(STR("")), V_INT(0), V_INT(r->now_s),
				V_INT(r->revision)),
			e))
		return false;
	if (retired && reason &&
		!reg_audit(r, "device.retire", id, status_detail("", 0), e))
		return false;
	return (retired || device_status(r, id, DEVICE_RETIRED, "", 0, e)) &&
	       erase(r, id, e);
}

bool registry_device_remove(struct registry *r, struct str id, struct err *e)
{
	return reg_wrote(r, device_remove(r, id, e));
}
