/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir device export: devices with their certificates, as device import reads
 * them.
 */
#include "cli/device_file_cmd.h"

#include "cli/class_text.h"
#include "cli/device_pick.h"
#include "cli/output.h"
#include "cli/records.h"
#include "core/csv.h"
#include "io/fleet_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* An attribute's columns: as many as a device has values of it. */
struct attr_column {
	char name[ATTR_NAME_MAX + 1];
	size_t n;
};

struct export
{
	const struct cli *c;
	struct registry *r;
	struct device_pick pick;
	struct attr_column *columns; /* sorted by name */
	size_t n_columns, n_fields;
	struct err *e;
	bool failed;
};

/* In CSV: the columns before the attributes', and behind them. */
#define FIRST                                                                  \
	"id,class,mode,status,status_reason,status_until_s,iccid,imsi,imei,"   \
	"eid"
#define FIRST_FIELDS 10
#define LAST         "credentials"

/* ------------------------------------------------------------------ columns */

/* The column of NAME, made where it is missing; NULL: there are too many. */
static struct attr_column *column_of(struct export *x, struct str name)
{
	size_t i = 0;

	while (i < x->n_columns &&
		str_cmp(str_from(x->columns[i].name), name) < 0)
		i++;
	if (i < x->n_columns && str_eq(str_from(x->columns[i].name), name))
		return &x->columns[i];
	if (x->n_columns == FLEET_COLUMNS_MAX)
		return NULL;
	memmove(&x->columns[i + 1], &x->columns[i],
		(x->n_columns - i) * sizeof(*x->columns));
	x->n_columns++;
	x->columns[i] = (struct attr_column){.n = 0};
	memcpy(x->columns[i].name, name.p, name.n);
	return &x->columns[i];
}

/* How many attributes of D from I on have I's name. */
static size_t values_at(const struct device *d, size_t i)
{
	size_t n = 1;

	while (i + n < d->n_attrs &&
		str_eq(d->attrs[i + n].name, d->attrs[i].name))
		n++;
	return n;
}

static bool note_columns(void *ctx, const struct device *d)
{
	struct export *x = ctx;

	if (!device_picked(&x->pick, d, x->c->now_s))
		return true;
	for (size_t i = 0; i < d->n_attrs; i += values_at(d, i)) {
		struct attr_column *col = column_of(x, d->attrs[i].name);
		size_t n = values_at(d, i);

		if (col != NULL && n > col->n) {
			x->n_fields += n - col->n;
			col->n = n;
		}
		if (col == NULL || x->n_fields > FLEET_COLUMNS_MAX) {
			x->failed = true;
			return err_set(x->e, ERR_INPUT,
				"the devices have too many attributes for "
				"%d columns; export with --json",
				FLEET_COLUMNS_MAX);
		}
	}
	return true;
}

/* ---------------------------------------------------------------------- CSV */

/* TEXT as a field, behind a comma unless it is the first. */
static void put(struct str text, bool first)
{
	char small[CSV_FIELD_MAX(1024)];
	char *out =
		text.n <= 1024 ? small : need_memory(CSV_FIELD_MAX(text.n), 1);
	size_t n = csv_field(text, out);

	if (!first)
		(void)putchar(',');
	(void)fwrite(out, 1, n, stdout);
	if (out != small)
		free(out);
}

static void put_attrs(const struct export *x, const struct device *d)
{
	size_t at = 0;

	for (size_t i = 0; i < x->n_columns; i++) {
		struct str name = str_from(x->columns[i].name);

		for (size_t k = 0; k < x->columns[i].n; k++) {
			struct str value = {NULL, 0};

			if (at < d->n_attrs && str_eq(d->attrs[at].name, name))
				value = d->attrs[at++].value;
			put(value, false);
		}
	}
}

static void put_device(const struct device *d)
{
	char until[24] = "";

	if (d->status_until_s != 0)
		(void)snprintf(
			until, sizeof(until), "%" PRId64, d->status_until_s);
	put(str_from(d->id), true);
	put(str_from(d->class_name), false);
	put(str_from(mode_text(d->observe)), false);
	put(str_from(device_status_name((enum device_status)d->status)), false);
	put(str_from(d->status_reason), false);
	put(str_from(until), false);
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++)
		put((struct str){d->sim[k].digits, d->sim[k].n}, false);
}

static void put_row(
	const struct export *x, const struct device *d, cJSON *credentials)
{
	char *text = credentials->child != NULL
			     ? cJSON_PrintUnformatted(credentials)
			     : need_copy("");

	put_device(d);
	put_attrs(x, d);
	if (text == NULL)
		text = need_memory(0, 0); /* ends: out of memory */
	put(str_from(text), false);
	cJSON_free(text);
	(void)putchar('\n');
}

static void put_header(const struct export *x)
{
	(void)fputs(FIRST, stdout);
	for (size_t i = 0; i < x->n_columns; i++) {
		for (size_t k = 0; k < x->columns[i].n; k++)
			(void)printf(",attr.%s", x->columns[i].name);
	}
	(void)fputs("," LAST "\n", stdout);
}

/* --------------------------------------------------------------------- rows */

static bool add_credential(void *ctx, const struct credential *cr)
{
	json_push(ctx, credential_json(cr));
	return true;
}

static bool export_device(void *ctx, const struct device *d)
{
	struct export *x = ctx;
	struct credential_filter f = {.device_id = d->id};
	cJSON *o, *list;

	if (!device_picked(&x->pick, d, x->c->now_s))
		return true;
	o = device_json(d, x->c->now_s);
	list = json_array(o, "credentials");
	if (!registry_credentials(x->r, &f, add_credential, list, x->e)) {
		x->failed = true;
		cJSON_Delete(o);
		return false;
	}
	if (x->c->json) {
		json_print(o);
	} else {
		put_row(x, d, list);
		cJSON_Delete(o);
	}
	return output_ok();
}

static bool export_all(struct export *x, struct err *e)
{
	const struct device_filter *f = &x->pick.filter;

	if (!x->c->json) {
		x->n_fields = FIRST_FIELDS + 1;
		if (!registry_devices(x->r, f, note_columns, x, e) || x->failed)
			return false;
		put_header(x);
	}
	return registry_devices(x->r, f, export_device, x, e) && !x->failed;
}

bool run_device_export(struct cli *c, struct err *e)
{
	struct export x = {.c = c, .e = e};
	bool done;

	if (!device_pick_read(c, &x.pick, e) ||
		!cli_registry(c, REGISTRY_READ, &x.r, e))
		return false;
	x.columns = need_memory(FLEET_COLUMNS_MAX + 1, sizeof(*x.columns));
	/* One state throughout, whatever is changed meanwhile. */
	done = registry_snapshot(x.r, e) && export_all(&x, e);
	registry_snapshot_end(x.r);
	registry_close(&x.r);
	free(x.columns);
	return done;
}

const struct opt DEVICE_EXPORT_OPTIONS[] = {
	DEVICE_PICK_OPTIONS,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};
