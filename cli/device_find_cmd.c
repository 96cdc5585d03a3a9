/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir device find, weir device remove: whose number is this, and whose it
 * shall be no more.
 */
#include "cli/device_cmd.h"
#include "cli/live_view.h"

#include "cli/output.h"
#include "cli/records.h"
#include "cli/wait.h"
#include "io/segment.h"
#include "io/values.h"
#include "io/x509.h"

#include <arpa/inet.h>
#include <string.h>

/* ---------------------------------------------------------------------- find */

struct finding {
	const struct cli *c;
	int64_t connected_s; /* found by its address: when it came from there */
	size_t n;
	struct table *table;
	struct live_view live;
};

static bool add_found(void *ctx, const struct found *f)
{
	struct finding *x = ctx;
	const struct device *d = f->device;
	const struct quarantine *q = live_view_find(&x->live, str_from(d->id));
	char hex[FINGERPRINT_HEX] = "", since[TIME_TEXT] = "";
	cJSON *o;

	x->n++;
	if (x->c->json) {
		o = device_json(d, x->c->now_s);
		live_json(o, d, q, x->c->now_s);
		json_str(o, "found_as", f->as);
		if (f->credential != NULL)
			cJSON_AddItemToObject(o, "credential",
				credential_json(f->credential));
		if (x->connected_s != 0)
			json_time(o, "connected_s", x->connected_s);
		json_print(o);
		return output_ok();
	}
	if (f->credential != NULL)
		fingerprint_format(f->credential->fingerprint, hex);
	if (x->connected_s != 0)
		time_format(x->connected_s, since);
	table_row(x->table,
		(const char *const[]){d->id, d->class_name,
			device_status_name(live_status(d, q, x->c->now_s)),
			f->as, since,
			f->credential != NULL
				? credential_state(f->credential, x->c->now_s)
				: NULL,
			hex});
	return true;
}

/* ------------------------------------------------------------------ by address */

/* TEXT as 16 bytes, IPv4 mapped, as the meter holds an address. */
static bool read_address(const char *text, uint8_t out[static 16])
{
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	return inet_pton(AF_INET, text, out + 12) == 1 ||
	       inet_pton(AF_INET6, text, out) == 1;
}

/* Shows the device of slot S of the meter, whose text is the broker's word:
 * only an id that the registry has goes further. */
static bool show_slot(struct finding *x, struct registry *r,
	const struct meter_slot *s, struct err *e)
{
	char id[DEVICE_ID_MAX + 1];
	struct device d = {.id_len = 0};
	const struct found f = {.as = "address", .device = &d};
	bool found = false;

	(void)meter_slot_id(s, id);
	if (!device_id_valid(str_from(id)))
		return true;
	if (!registry_device(r, str_from(id), &d, &found, e))
		return false;
	if (found)
		(void)add_found(x, &f);
	device_fini(&d);
	return true;
}

/* Everybody whose newest connect came from ADDRESS. */
static bool find_address(struct finding *x, struct registry *r,
	const struct segment *meter, const uint8_t address[static 16],
	struct err *e)
{
	struct meter_map m = segment_map(meter);
	uint32_t n = meter_slots(m);

	for (uint32_t i = 0; i < n && output_ok(); i++) {
		const struct meter_slot *s = meter_slot_at(m, i);
		struct meter_connect last;

		if (!segment_intact(meter))
			return err_set(
				e, ERR_ENVIRONMENT, "the meter was cut short");
		meter_slot_last_connect(s, &last);
		x->connected_s = last.t_s;
		if (last.t_s != 0 && memcmp(last.address, address, 16) == 0 &&
			!show_slot(x, r, s, e))
			return false;
	}
	return true;
}

/* An address is found in the meter; no meter, no address. */
static bool find_in_meter(
	struct finding *x, struct registry *r, const char *value, struct err *e)
{
	struct segment meter = {.fd = -1};
	uint8_t address[16];
	bool done;

	if (!read_address(value, address))
		return true;
	if (!segment_open_read(x->c->meter, &meter, e))
		return e->code == ERR_NOT_FOUND;
	done = find_address(x, r, &meter, address, e);
	segment_close(&meter);
	return done;
}

bool run_device_find(struct cli *c, struct err *e)
{
	static const char *const heads[] = {"DEVICE", "CLASS", "STATUS",
		"FOUND AS", "SINCE", "CERTIFICATE", "FINGERPRINT"};
	struct finding x = {.c = c, .table = table_new(heads, 7)};
	struct registry *r = NULL;
	bool done;

	done = live_view_read(c, &x.live, e) &&
	       cli_registry(c, REGISTRY_READ, &r, e) &&
	       registry_find(r, cli_word(c, 0), add_found, &x, e) &&
	       find_in_meter(&x, r, cli_word(c, 0).p, e);
	if (done && x.n == 0)
		done = err_set(e, ERR_NOT_FOUND,
			"no device has '%.80s' as its id, ICCID, IMSI, IMEI or "
			"EID, as a certificate's fingerprint or serial number, "
			"or as the address of its last connect",
			cli_word(c, 0).p);
	if (done) {
		table_print(x.table);
		live_view_note(&x.live);
	}
	table_free(&x.table);
	live_view_fini(&x.live);
	registry_close(&r);
	return done;
}

/* -------------------------------------------------------------------- remove */

const struct opt DEVICE_REMOVE_OPTIONS[] = {
	YES_OPTION,
	WAIT_OPTION,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

/* What was done, and what came of waiting, unless W is NULL. */
static bool report(const struct cli *c, struct registry *r,
	const struct wait_result *w, struct err *e)
{
	struct device d = {.id_len = 0};
	bool found = false;
	cJSON *o;

	if (!registry_device(r, cli_word(c, 0), &d, &found, e))
		return false;
	if (c->json && found) {
		o = device_json(&d, c->now_s);
		if (w != NULL)
			wait_json(o, w);
		json_print(o);
	} else {
		(void)printf("device %s removed: retired, its identifiers and "
			     "attributes erased\n",
			cli_word(c, 0).p);
		if (w != NULL)
			wait_print(w);
	}
	device_fini(&d);
	return true;
}

/* *range is what it wrote. */
static bool remove_it(const struct cli *c, struct registry *r,
	struct change_range *range, struct err *e)
{
	struct registry_heads heads;

	if (!cli_begin(c, r, e) || !registry_heads(r, &heads, e))
		return false;
	range->after = heads.change_seq;
	return registry_device_remove(r, cli_word(c, 0), e) &&
	       registry_commit(r, &range->last, e);
}

static bool remove_and_wait(const struct cli *c, struct registry *r, bool wait,
	int64_t wait_s, struct err *e)
{
	struct wait_result w = {.end = WAIT_APPLIED};
	struct change_range range = {0, 0};
	bool done;

	done = remove_it(c, r, &range, e);
	wait = wait && range.last != 0;
	done = done && (!wait || wait_changes(c, r, range, wait_s, &w, e)) &&
	       report(c, r, wait ? &w : NULL, e) && wait_finish(&w, e);
	wait_fini(&w);
	return done;
}

bool run_device_remove(struct cli *c, struct err *e)
{
	struct registry *r = NULL;
	int64_t wait_s;
	bool wait, done;

	if (!wait_option(c, &wait, &wait_s, e))
		return false;
	if (!cli_agreed(c, "Retire it and erase its identifiers for good?")) {
		c->answer_no = true;
		print_note("nothing was removed");
		return true;
	}
	if (!cli_registry(c, REGISTRY_WRITE, &r, e))
		return false;
	done = remove_and_wait(c, r, wait, wait_s, e);
	registry_close(&r);
	return done;
}
