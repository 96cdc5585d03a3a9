/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: look-ups, which trust no row.
 */
#include "core/utf8.h"
#include "io/attrs_json.h"
#include "io/registry_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where each kind is in DEVICE_COLUMNS. */
static const int sim_column[SIMID_KINDS] = {
	[SIMID_ICCID] = 5,
	[SIMID_IMSI] = 6,
	[SIMID_IMEI] = 7,
	[SIMID_EID] = 8,
};

void device_fini(struct device *d)
{
	free(d->attrs);
	free(d->attr_text);
	memset(d, 0, sizeof(*d));
}

/* -------------------------------------------------------------------- read */

bool reg_sim_valid(enum simid_kind kind, const struct simid *id)
{
	struct simid parsed;
	struct str digits = {id->digits, strnlen(id->digits, SIMID_MAX + 1)};

	return id->kind == kind &&
	       simid_parse(
		       kind, digits, SIMID_ANY_CHECK_DIGIT, &parsed, NULL) &&
	       parsed.n == id->n && digits.n == id->n &&
	       memcmp(parsed.digits, id->digits, id->n) == 0;
}

static bool read_sims(sqlite3_stmt *st, struct device *d)
{
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		enum simid_kind kind = (enum simid_kind)k;
		struct simid *id = &d->sim[k];
		struct str digits;

		if (sqlite3_column_type(st, sim_column[k]) == SQLITE_NULL)
			continue;
		if (!col_text(st, sim_column[k], SIMID_MAX, &digits))
			return false;
		memcpy(id->digits, digits.p, digits.n);
		id->n = (uint8_t)digits.n;
		id->kind = (uint8_t)kind;
		if (!reg_sim_valid(kind, id))
			return false;
	}
	return true;
}

static bool read_attrs(sqlite3_stmt *st, struct device *d, struct err *e)
{
	struct str text;

	return col_text(st, 9, ATTRS_JSON_MAX, &text) &&
	       attrs_json_parse(text, &d->attrs, &d->n_attrs, &d->attr_text, e);
}

static bool read_id(sqlite3_stmt *st, struct device *d)
{
	if (!col_copy(st, 0, d->id, sizeof(d->id)))
		return false;
	d->id_len = (uint8_t)strlen(d->id);
	return device_id_valid(str_from(d->id));
}

static bool read_status(sqlite3_stmt *st, struct device *d)
{
	struct str name;

	if (!col_text(st, 2, 32, &name))
		return false;
	d->status = (uint8_t)device_status_find(name);
	return d->status != DEVICE_NONE &&
	       col_copy(st, 3, d->status_reason, sizeof(d->status_reason)) &&
	       utf8_valid(str_from(d->status_reason)) &&
	       col_int(st, 4, &d->status_until_s);
}

/* Whatever is neither must not pass for one of them. */
static bool read_mode(sqlite3_stmt *st, struct device *d)
{
	struct str name;

	if (!col_text(st, 13, 16, &name))
		return false;
	d->observe = str_eq(name, STR("observe"));
	return d->observe || str_eq(name, STR("enforce"));
}

static bool read_class(sqlite3_stmt *st, struct device *d)
{
	return col_copy(st, 1, d->class_name, sizeof(d->class_name)) &&
	       class_name_valid(str_from(d->class_name));
}

/* *out is given on success. */
static bool read_device(
	struct registry *r, sqlite3_stmt *st, struct device *out, struct err *e)
{
	struct device d = {0};
	char what[DEVICE_ID_MAX + 16] = "a device";
	struct err why = {.code = ERR_NONE};
	const char *bad = NULL;

	if (!read_id(st, &d))
		return reg_damaged(r, e, what, "id");
	(void)snprintf(what, sizeof(what), "device '%s'", d.id);
	if (!read_class(st, &d))
		bad = "class";
	else if (!read_status(st, &d))
		bad = "status";
	else if (!read_sims(st, &d))
		bad = "iccid, imsi, imei or eid";
	else if (!col_int(st, 10, &d.created_s) ||
		 !col_int(st, 11, &d.updated_s) ||
		 !col_int(st, 12, &d.revision))
		bad = "created_s, updated_s or revision";
	else if (!read_mode(st, &d))
		bad = "mode";
	else if (!read_attrs(st, &d, &why))
		bad = "attrs";
	if (why.code == ERR_ENVIRONMENT)
		return reg_no_memory(e);
	if (bad != NULL)
		return reg_damaged(r, e, what, bad);
	*out = d;
	return true;
}

bool registry_device(struct registry *r, struct str id, struct device *out,
	bool *found, struct err *e)
{
	sqlite3_stmt *row;
	bool ok;

	if (!reg_find(r, STMT_DEVICE, VALS(V_TEXT(id)), &row, e))
		return false;
	if (row == NULL) {
		*found = false;
		return true;
	}
	ok = read_device(r, row, out, e);
	reg_done(row);
	if (ok)
		*found = true;
	return ok;
}

bool registry_devices(struct registry *r, const struct device_filter *f,
	bool (*each)(void *ctx, const struct device *d), void *ctx,
	struct err *e)
{
#define DEVICES "SELECT " DEVICE_COLUMNS " FROM device "
	static const char *const sql[2][2] = {
		{DEVICES "ORDER BY id",
			DEVICES "WHERE status = ?2 ORDER BY id"},
		{DEVICES "WHERE class = ?1 ORDER BY id",
			DEVICES "WHERE class = ?1 AND status = ?2 ORDER BY id"},
	};
#undef DEVICES
	bool by_class = f->class_name != NULL;
	bool by_status = f->status != DEVICE_NONE;
	const struct val v[] = {V_TEXT(str_from(f->class_name)),
		V_TEXT(str_from(device_status_name(f->status)))};
	size_t n = by_status ? 2 : (by_class ? 1 : 0);
	sqlite3_stmt *st;
	bool row, ok;

	if (!reg_prepare(r, sql[by_class][by_status], v, n, &st, e))
		return false;
	while ((ok = reg_step(r, st, &row, e)) && row) {
		struct device d = {0};
		bool more;

		ok = read_device(r, st, &d, e);
		if (!ok)
			break;
		more = each(ctx, &d);
		device_fini(&d);
		if (!more)
			break;
	}
	(void)sqlite3_finalize(st);
	return ok;
}
