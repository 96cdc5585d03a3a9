/* SPDX-License-Identifier: Apache-2.0 */
#include "io/fleet_file.h"

#include "core/csv.h"
#include "core/utf8.h"
#include "io/attrs_json.h"
#include "io/fleet_private.h"
#include "io/json_scan.h"
#include "io/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { BOTH, KEPT, CSR, PAST };

static const struct {
	const char *name;
	enum kind kind;
} columns[FLEET_COLUMNS] = {
#define X(NAME, name, kind) [FLEET_##NAME] = {(name), kind},
	FLEET_COLUMN_LIST(X)
#undef X
};

const char *fleet_column_name(enum fleet_column c)
{
	return columns[c].name;
}

bool fleet_no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

bool fleet_named(struct err *e, const char *name)
{
	char msg[ERR_MSG_MAX];

	(void)snprintf(msg, sizeof(msg), "%s", e->msg);
	return err_set(
		e, e->code, "%s%s%s", name, msg[0] == '[' ? "" : ": ", msg);
}

void fleet_entry_fini(struct fleet_entry *x)
{
	device_fini(&x->device);
	free(x->credentials);
	free(x->csr);
	memset(x, 0, sizeof(*x));
}

/* ----------------------------------------------------------------- columns */

bool fleet_column_find(const struct fleet_file *f, struct str name,
	enum fleet_column *out, struct err *e)
{
	/* Only what is safe on a terminal is repeated. */
	struct str shown = name.n <= 64 && utf8_valid(name) ? name : STR("?");
	enum kind other = f->use == FLEET_BULK ? KEPT : CSR;

	for (int c = 0; c < FLEET_COLUMNS; c++) {
		if (!str_eq(name, str_from(columns[c].name)))
			continue;
		if (columns[c].kind == other)
			return err_set(e, ERR_INPUT,
				"'%.*s' is not for this command, but for %s",
				STR_ARG(shown),
				other == CSR ? "weir cert bulk"
					     : "weir device import");
		*out = (enum fleet_column)c;
		return true;
	}
	return err_set(e, ERR_INPUT,
		"'%.*s' is no column or key that weir knows; an attribute's "
		"column is attr.NAME",
		STR_ARG(shown));
}

/* ------------------------------------------------------------------ values */

static bool set_id(struct device *d, struct str v, struct err *e)
{
	if (!device_id_valid(v))
		return err_set(e, ERR_INPUT,
			"is no device id: a letter or digit, then up to 63 of "
			"letters, digits, '.', '_', ':' and '-'");
	memcpy(d->id, v.p, v.n);
	d->id[v.n] = '\0';
	d->id_len = (uint8_t)v.n;
	return true;
}

static bool set_class(struct device *d, struct str v, struct err *e)
{
	if (v.n == 0)
		return true;
	if (!class_name_valid(v))
		return err_set(e, ERR_INPUT,
			"is no class name: a letter or digit, then up to 63 of "
			"letters, digits, '.', '_' and '-'");
	memcpy(d->class_name, v.p, v.n);
	d->class_name[v.n] = '\0';
	return true;
}

static bool set_mode(struct fleet_entry *x, struct str v, struct err *e)
{
	if (v.n == 0)
		x->given &= ~FLEET_BIT(FLEET_MODE);
	else if (str_eq(v, STR("observe")))
		x->device.observe = true;
	else if (!str_eq(v, STR("enforce")))
		return err_set(e, ERR_INPUT, "is not enforce or observe");
	return true;
}

static bool set_sim(const struct fleet_file *f, struct device *d,
	enum simid_kind kind, struct str v, struct err *e)
{
	return v.n == 0 ||
	       simid_parse(kind, v, f->sim_options, &d->sim[kind], e);
}

static bool set_status(struct device *d, struct str v, struct err *e)
{
	if (v.n == 0)
		return true;
	d->status = (uint8_t)device_status_find(v);
	return d->status != DEVICE_NONE ||
	       err_set(e, ERR_INPUT,
		       "is not active, suspended, quarantined or retired");
}

static bool set_reason(struct device *d, struct str v, struct err *e)
{
	if (v.n > STATUS_REASON_MAX || !utf8_valid(v))
		return err_set(e, ERR_INPUT,
			"is not up to %d bytes of UTF-8 without control "
			"characters",
			STATUS_REASON_MAX);
	if (v.n != 0)
		memcpy(d->status_reason, v.p, v.n);
	d->status_reason[v.n] = '\0';
	return true;
}

static bool set_until(struct device *d, struct str v, struct err *e)
{
	int64_t t = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.n > 12 || v.p[i] < '0' || v.p[i] > '9')
			return err_set(
				e, ERR_INPUT, "is not a time in Unix seconds");
		t = t * 10 + (v.p[i] - '0');
	}
	d->status_until_s = t;
	return true;
}

static bool set_csr(struct fleet_entry *x, struct str v, struct err *e)
{
	if (v.n == 0)
		return true;
	if (memchr(v.p, '\0', v.n) != NULL)
		return err_set(e, ERR_INPUT, "holds a NUL byte: no PEM text");
	x->csr = strndup(v.p, v.n);
	return x->csr != NULL || fleet_no_memory(e);
}

bool fleet_set(const struct fleet_file *f, struct fleet_entry *x,
	enum fleet_column column, struct str value, struct err *e)
{
	struct device *d = &x->device;

	switch ((int)column) {
	case FLEET_ID:
		return set_id(d, value, e);
	case FLEET_CLASS:
		return set_class(d, value, e);
	case FLEET_MODE:
		return set_mode(x, value, e);
	case FLEET_ICCID:
		return set_sim(f, d, SIMID_ICCID, value, e);
	case FLEET_IMSI:
		return set_sim(f, d, SIMID_IMSI, value, e);
	case FLEET_IMEI:
		return set_sim(f, d, SIMID_IMEI, value, e);
	case FLEET_EID:
		return set_sim(f, d, SIMID_EID, value, e);
	case FLEET_STATUS:
		return set_status(d, value, e);
	case FLEET_STATUS_REASON:
		return set_reason(d, value, e);
	case FLEET_STATUS_UNTIL:
		return set_until(d, value, e);
	case FLEET_CSR:
		return set_csr(x, value, e);
	default:
		return true;
	}
}

/* --------------------------------------------------------------------- CSV */

static bool add_attr_column(
	struct fleet_file *f, struct str name, struct err *e)
{
	if (!attr_name_valid(name))
		return err_set(e, ERR_INPUT,
			"behind 'attr.' no attribute's name: a letter, then up "
			"to 31 of letters, digits, '_' and '-'");
	f->attr[f->n_columns] = name;
	for (size_t i = 0; i < f->n_attr_names; i++) {
		if (str_eq(f->attr_names[i], name))
			return true;
	}
	f->attr_names[f->n_attr_names++] = name;
	return true;
}

static bool add_column(struct fleet_file *f, struct str name, struct err *e)
{
	enum fleet_column c = FLEET_ATTRS;

	if (name.n > 5 && memcmp(name.p, "attr.", 5) == 0) {
		name.p += 5;
		name.n -= 5;
		if (!add_attr_column(f, name, e))
			return false;
	} else if (str_eq(name, STR("attrs"))) {
		return err_set(e, ERR_INPUT,
			"in CSV an attribute's column is attr.NAME, not attrs");
	} else if (!fleet_column_find(f, name, &c, e)) {
		return false;
	} else if ((f->given & FLEET_BIT(c)) != 0) {
		return err_set(e, ERR_INPUT, "the column '%s' is there twice",
			fleet_column_name(c));
	}
	f->given |= FLEET_BIT(c);
	f->column[f->n_columns++] = c;
	return true;
}

static bool read_header(struct fleet_file *f, struct err *e)
{
	struct str fields[FLEET_COLUMNS_MAX];
	struct record r;
	bool end;
	size_t n;

	if (!record_next(f->in, &r, &end, e))
		return false;
	if (end)
		return true; /* an empty file has no devices */
	f->header = malloc(r.n);
	if (f->header == NULL)
		return fleet_no_memory(e);
	memcpy(f->header, r.p, r.n);
	if (!csv_split(f->header, r.n, fields, FLEET_COLUMNS_MAX, &n, e))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!add_column(f, fields[i], e))
			return false;
	}
	return (f->given & FLEET_BIT(FLEET_ID)) != 0 ||
	       err_set(e, ERR_INPUT,
		       "the first line names no column 'id'; is it a line of "
		       "column names?");
}

static bool csv_credentials(struct fleet_entry *x, struct str v, struct err *e)
{
	cJSON *list;
	bool done;

	if (v.n == 0)
		return true;
	if (!json_scan(v, RECORD_MAX, e))
		return false;
	list = cJSON_ParseWithLength(v.p, v.n);
	if (list == NULL)
		return fleet_no_memory(e);
	done = fleet_credentials(x, list, e);
	cJSON_Delete(list);
	return done;
}

/* What needs the id, or the credentials, to be there. */
static bool csv_late(const struct fleet_file *f, struct fleet_entry *x,
	const struct str *fields, struct err *e)
{
	for (size_t i = 0; i < f->n_columns; i++) {
		if (f->column[i] == FLEET_CREDENTIALS &&
			!csv_credentials(x, fields[i], e))
			return fleet_named(e, "credentials");
	}
	for (size_t i = 0; i < f->n_columns; i++) {
		if (f->column[i] == FLEET_CERTIFICATE &&
			!fleet_certificate(x, fields[i], e))
			return fleet_named(e, "certificate");
	}
	return true;
}

static bool csv_fields(const struct fleet_file *f, struct fleet_entry *x,
	const struct str *fields, struct err *e)
{
	struct device *d = &x->device;
	struct attr attrs[FLEET_COLUMNS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < f->n_columns; i++) {
		enum fleet_column c = f->column[i];

		if (c == FLEET_ATTRS && fields[i].n != 0)
			attrs[n++] = (struct attr){f->attr[i], fields[i]};
		else if (!fleet_set(f, x, c, fields[i], e))
			return fleet_named(e, fleet_column_name(c));
	}
	return attrs_make(attrs, n, &d->attrs, &d->n_attrs, &d->attr_text, e) &&
	       csv_late(f, x, fields, e);
}

static bool csv_read(const struct fleet_file *f, const struct record *r,
	struct fleet_entry *x, struct err *e)
{
	struct str fields[FLEET_COLUMNS_MAX];
	size_t n;

	if (!csv_split(r->p, r->n, fields, FLEET_COLUMNS_MAX, &n, e))
		return false;
	if (n != f->n_columns)
		return err_set(e, ERR_INPUT,
			"%zu fields, but the first line names %zu columns", n,
			f->n_columns);
	x->given = f->given;
	x->attr_names = f->attr_names;
	x->n_attr_names = f->n_attr_names;
	return csv_fields(f, x, fields, e);
}

/* -------------------------------------------------------------------- file */

bool fleet_at(const struct fleet_file *f, uint32_t line, struct err *e)
{
	if (e->code == ERR_ENVIRONMENT)
		return false;
	e->line = line;
	return err_at(e, "%.180s",
		strcmp(f->path, "-") == 0 ? "standard input" : f->path);
}

static bool open_file(struct fleet_file *f, const char *path, struct err *e)
{
	return record_open(path, &f->in, e) &&
	       (record_is_json(f->in) || read_header(f, e) ||
		       fleet_at(f, 1, e));
}

bool fleet_open(const char *path, enum fleet_use use, bool any_check_digit,
	struct fleet_file **out, struct err *e)
{
	struct fleet_file *f = calloc(1, sizeof(*f));
	struct err why = {.code = ERR_NONE};

	if (f != NULL)
		f->path = strdup(path);
	if (f == NULL || f->path == NULL) {
		free(f);
		return fleet_no_memory(e);
	}
	f->use = use;
	f->sim_options = any_check_digit ? SIMID_ANY_CHECK_DIGIT : 0;
	if (open_file(f, path, &why)) {
		*out = f;
		return true;
	}
	fleet_close(&f);
	if (e != NULL)
		*e = why;
	return false;
}

void fleet_close(struct fleet_file **f)
{
	struct fleet_file *x = *f;

	if (x == NULL)
		return;
	*f = NULL;
	record_close(&x->in);
	free(x->header);
	free(x->path);
	free(x);
}

static bool read_entry(struct fleet_file *f, const struct record *r,
	struct fleet_entry *x, struct err *e)
{
	return record_is_json(f->in)
		       ? fleet_json_read(f, (struct str){r->p, r->n}, x, e)
		       : csv_read(f, r, x, e);
}

bool fleet_next(
	struct fleet_file *f, struct fleet_entry *out, bool *end, struct err *e)
{
	struct fleet_entry x = {0};
	struct record r = {.line = 0};
	struct err why = {.code = ERR_NONE};

	if (record_next(f->in, &r, end, &why)) {
		if (*end)
			return true;
		x.line = r.line;
		if (read_entry(f, &r, &x, &why)) {
			*out = x;
			return true;
		}
		fleet_entry_fini(&x);
	} else {
		r.line = why.line;
	}
	(void)fleet_at(f, r.line, &why);
	if (e != NULL)
		*e = why;
	return false;
}

void fleet_position(const struct fleet_file *f, uint64_t *at, uint64_t *size)
{
	record_position(f->in, at, size);
}

bool fleet_digest(struct fleet_file *f, uint8_t out[static 32], struct err *e)
{
	return record_digest(f->in, out, e);
}
