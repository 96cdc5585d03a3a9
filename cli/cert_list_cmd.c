/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cert list: all certificates, those that end soon, or those not in use.
 */
#include "cli/cert_cmd.h"
#include "cli/output.h"
#include "cli/records.h"
#include "io/values.h"

#include <string.h>

struct listing {
	const struct cli *c;
	struct table *table;
	bool unused; /* only those that the device did not connect by */
	struct segment meter;
	struct err *e;
	bool failed;
};

/* Whether CR is to be listed. */
static bool listed(struct listing *l, const struct credential *cr)
{
	struct meter_connect last = {.t_s = 0};

	if (!l->unused)
		return true;
	if (cr->status != CREDENTIAL_ACTIVE)
		return false;
	if (!cert_last_connect(&l->meter, cr->device_id, &last, l->e)) {
		l->failed = true;
		return false;
	}
	return last.t_s == 0 ||
	       memcmp(last.credential, cr->fingerprint, FINGERPRINT_LEN) != 0;
}

static bool add_credential(void *ctx, const struct credential *cr)
{
	struct listing *l = ctx;
	char hex[FINGERPRINT_HEX], to[TIME_TEXT];
	cJSON *o;

	if (!listed(l, cr))
		return !l->failed;
	if (l->c->json) {
		o = credential_json(cr);
		json_str(o, "state", credential_state(cr, l->c->now_s));
		json_print(o);
		return output_ok();
	}
	fingerprint_format(cr->fingerprint, hex);
	time_format(cr->not_after_s, to);
	table_row(l->table, (const char *const[]){cr->device_id,
				    credential_state(cr, l->c->now_s), to,
				    cr->serial, hex});
	return true;
}

bool run_cert_list(struct cli *c, struct err *e)
{
	static const char *const heads[] = {
		"DEVICE", "STATE", "EXPIRES", "SERIAL", "FINGERPRINT"};
	const char *within = args_get(c->args, "expires-within");
	struct credential_filter f = {.device_id = cli_word(c, 0).p};
	struct listing l = {
		.c = c, .unused = args_has(c->args, "unused"), .e = e};
	struct registry *r = NULL;
	int64_t s;
	bool ok;

	if (within != NULL) {
		if (!duration_parse(str_from(within), &s, e))
			return false;
		f.expires_before_s = c->now_s + s;
	}
	l.table = table_new(heads, 5);
	ok = cli_registry(c, REGISTRY_READ, &r, e) &&
	     (!l.unused || cert_meter_open(c, &l.meter, e)) &&
	     (f.device_id == NULL ||
		     cert_need_device(r, str_from(f.device_id), e)) &&
	     registry_credentials(r, &f, add_credential, &l, e) && !l.failed;
	if (ok)
		table_print(l.table);
	table_free(&l.table);
	segment_close(&l.meter);
	registry_close(&r);
	return ok;
}
