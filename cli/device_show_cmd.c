/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir device show and weir device list.
 */
#include "cli/class_text.h"
#include "cli/device_cmd.h"
#include "cli/live_view.h"
#include "cli/meter_print.h"
#include "cli/meter_view.h"
#include "cli/records.h"
#include "io/values.h"
#include "io/x509.h"

bool device_read_mode(
	const struct cli *c, bool *out, bool *given, struct err *e)
{
	const char *name = args_get(c->args, "mode");

	*given = name != NULL;
	return name == NULL || mode_find(name, out) ||
	       err_set(e, ERR_INPUT, "--mode '%.40s' is not %s or %s", name,
		       mode_text(false), mode_text(true));
}

bool device_look_up(
	struct registry *r, struct str id, struct device *out, struct err *e)
{
	bool found;

	if (!registry_device(r, id, out, &found, e))
		return false;
	if (!found)
		return err_set(e, ERR_NOT_FOUND,
			"device '%.*s' is not registered; see weir device list",
			STR_ARG(id));
	return true;
}

/* --------------------------------------------------------------------- show */

struct credential_rows {
	const struct cli *c;
	cJSON *list; /* JSON; else: */
	struct table *table;
};

static bool show_credential(void *ctx, const struct credential *cr)
{
	struct credential_rows *rows = ctx;
	char until[TIME_TEXT], hex[2 * FINGERPRINT_LEN + 1];

	if (rows->c->json) {
		json_push(rows->list, credential_json(cr));
		return true;
	}
	fingerprint_format(cr->fingerprint, hex);
	time_format(cr->not_after_s, until);
	table_row(rows->table,
		(const char *const[]){
			hex, credential_state(cr, rows->c->now_s), until});
	return true;
}

static bool show(const struct cli *c, struct registry *r,
	const struct device *d, const struct live_view *live, struct err *e)
{
	static const char *const heads[] = {
		"CERTIFICATE (SHA-256)", "STATUS", "NOT AFTER"};
	const struct quarantine *q = live_view_find(live, str_from(d->id));
	struct credential_filter f = {.device_id = d->id};
	struct credential_rows rows = {.c = c};
	struct meter_device seen;
	struct meter_watch w;
	cJSON *o = NULL;
	bool done;

	if (!meter_watch_open(c->meter, &w, e))
		return false;
	(void)meter_device_find(&w, str_from(d->id), &seen);
	if (c->json) {
		o = device_json(d, c->now_s);
		live_json(o, d, q, c->now_s);
		meter_device_json(o, &w, &seen);
		rows.list = json_array(o, "credentials");
	} else {
		rows.table = table_new(heads, 3);
	}
	done = registry_credentials(r, &f, show_credential, &rows, e);
	if (done && c->json) {
		json_print(o);
		o = NULL;
	} else if (done) {
		device_print(c, d);
		live_print(q);
		meter_device_print(&w, &seen);
		(void)putchar('\n');
		table_print(rows.table);
	}
	cJSON_Delete(o);
	table_free(&rows.table);
	meter_watch_close(&w);
	return done;
}

bool run_device_show(struct cli *c, struct err *e)
{
	struct device d = {.id_len = 0};
	struct registry *r = NULL;
	struct live_view live = {.n = 0};
	bool done;

	if (!cli_registry(c, REGISTRY_READ, &r, e))
		return false;
	done = device_look_up(r, cli_word(c, 0), &d, e) &&
	       live_view_read(c, &live, e) && show(c, r, &d, &live, e);
	if (done && !c->json)
		warn_unless_class(r, d.class_name);
	if (done)
		live_view_note(&live);
	live_view_fini(&live);
	device_fini(&d);
	registry_close(&r);
	return done;
}

/* --------------------------------------------------------------------- list */

struct device_rows {
	const struct cli *c;
	enum device_status status; /* effective; DEVICE_NONE: any */
	bool by_mode, observe;     /* by_mode: only those of that mode */
	const struct meter_watch *connected; /* only those who are; NULL: any */
	struct live_view live;
	struct table *table;
};

static bool list_device(void *ctx, const struct device *d)
{
	struct device_rows *rows = ctx;
	const struct quarantine *q =
		live_view_find(&rows->live, str_from(d->id));
	enum device_status status = live_status(d, q, rows->c->now_s);
	char masked[SIMID_KINDS][SIMID_MAX + 1];
	const char *ids[SIMID_KINDS];
	struct meter_device seen;

	if (rows->connected != NULL &&
		(!meter_device_find(rows->connected, str_from(d->id), &seen) ||
			seen.connections == 0))
		return true;
	if (rows->status != DEVICE_NONE && rows->status != status)
		return true;
	if (rows->by_mode && rows->observe != d->observe)
		return true;
	if (rows->c->json) {
		cJSON *o = device_json(d, rows->c->now_s);

		live_json(o, d, q, rows->c->now_s);
		json_print(o);
		return output_ok();
	}
	for (unsigned k = SIMID_NONE; k < SIMID_KINDS; k++)
		ids[k] = simid_text(&d->sim[k], rows->c->show_ids, masked[k]);
	table_row(rows->table,
		(const char *const[]){d->id, d->class_name,
			device_status_name(status),
			d->observe ? mode_text(true) : NULL, ids[SIMID_ICCID],
			ids[SIMID_IMSI], ids[SIMID_IMEI], ids[SIMID_EID]});
	return true;
}

static bool print_list(
	const struct cli *c, struct device_rows *rows, struct err *e)
{
	static const char *const heads[] = {"DEVICE", "CLASS", "STATUS", "MODE",
		"ICCID", "IMSI", "IMEI", "EID"};
	struct device_filter f = {.class_name = args_get(c->args, "class")};
	struct registry *r = NULL;
	bool done;

	/* A suspended device may be active again, its time being over, and an
	 * active one in quarantine by weir-feed. */
	if (rows->status != DEVICE_ACTIVE && rows->status != DEVICE_QUARANTINED)
		f.status = rows->status;
	if (!live_view_read(c, &rows->live, e))
		return false;
	live_view_note(&rows->live);
	if (!cli_registry(c, REGISTRY_READ, &r, e)) {
		live_view_fini(&rows->live);
		return false;
	}
	rows->table = table_new(heads, 8);
	done = registry_devices(r, &f, list_device, rows, e);
	if (done && !c->json)
		table_print(rows->table);
	table_free(&rows->table);
	live_view_fini(&rows->live);
	registry_close(&r);
	return done;
}

bool run_device_list(struct cli *c, struct err *e)
{
	struct device_rows rows = {.c = c};
	const char *status = args_get(c->args, "status");
	struct meter_watch w;
	bool done;

	if (status != NULL) {
		rows.status = device_status_find(str_from(status));
		if (rows.status == DEVICE_NONE)
			return err_set(e, ERR_INPUT,
				"--status '%.40s' is not active, suspended, "
				"quarantined or retired",
				status);
	}
	if (!device_read_mode(c, &rows.observe, &rows.by_mode, e))
		return false;
	if (!args_has(c->args, "connected"))
		return print_list(c, &rows, e);
	if (!meter_watch_open(c->meter, &w, e))
		return false;
	rows.connected = &w;
	done = meter_watch_need(c, &w, e) && print_list(c, &rows, e);
	if (done)
		meter_watch_note(&w);
	meter_watch_close(&w);
	return done;
}

const struct opt DEVICE_LIST_OPTIONS[] = {
	{"class", '\0', OPT_VALUE, "C", "only devices of this class"},
	{"status", '\0', OPT_VALUE, "S",
		"only active, suspended, quarantined or retired ones"},
	{"mode", '\0', OPT_VALUE, "M",
		"only those that enforce, or that observe"},
	{"connected", '\0', OPT_FLAG, NULL, "only those connected now"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};
