/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/records.h"

#include "cli/class_text.h"
#include "io/policy_json.h"
#include "io/values.h"
#include "io/x509.h"

#include <string.h>

/* V as a NUL-terminated text. */
static const char *value_text(struct str v, char out[static ATTR_VALUE_MAX + 1])
{
	size_t n = v.n <= ATTR_VALUE_MAX ? v.n : ATTR_VALUE_MAX;

	if (n != 0)
		memcpy(out, v.p, n);
	out[n] = '\0';
	return out;
}

static void attrs_json(cJSON *o, const struct device *d)
{
	cJSON *attrs = json_object(o, "attrs"), *list = NULL;

	for (size_t i = 0; i < d->n_attrs; i++) {
		char text[ATTR_VALUE_MAX + 1];

		if (i == 0 || !str_eq(d->attrs[i].name, d->attrs[i - 1].name))
			list = json_array(
				attrs, value_text(d->attrs[i].name, text));
		json_push(list, cJSON_CreateString(
					value_text(d->attrs[i].value, text)));
	}
}

cJSON *device_json(const struct device *d, int64_t now_s)
{
	cJSON *o = json_new();

	json_str(o, "id", d->id);
	json_str(o, "class", d->class_name);
	json_str(o, "mode", mode_text(d->observe));
	json_str(
		o, "status", device_status_name((enum device_status)d->status));
	json_str(o, "effective_status",
		device_status_name(device_effective(d, now_s)));
	json_str(o, "status_reason",
		d->status_reason[0] != '\0' ? d->status_reason : NULL);
	json_time(o, "status_until_s", d->status_until_s);
	for (unsigned k = SIMID_NONE + 1; k < SIMID_KINDS; k++)
		json_simid(o, &d->sim[k], (enum simid_kind)k);
	attrs_json(o, d);
	json_int(o, "created_s", d->created_s);
	json_int(o, "updated_s", d->updated_s);
	json_int(o, "revision", d->revision);
	return o;
}

static void print_status(const struct cli *c, const struct device *d)
{
	const char *name = device_status_name((enum device_status)d->status);
	char until[TIME_TEXT];

	if (d->status_until_s == 0) {
		print_field("status", "%s", name);
	} else {
		time_format(d->status_until_s, until);
		print_field("status", "%s until %s%s", name, until,
			device_effective(d, c->now_s) == DEVICE_ACTIVE
				? ", so active again"
				: "");
	}
	if (d->status_reason[0] != '\0')
		print_field("reason", "%s", d->status_reason);
}

void device_print(const struct cli *c, const struct device *d)
{
	char masked[SIMID_MAX + 1], when[TIME_TEXT];

	print_field("device", "%s", d->id);
	print_field("class", "%s", d->class_name);
	if (d->observe)
		print_field("mode", "%s: what the class's rules refuse passes",
			mode_text(true));
	print_status(c, d);
	for (unsigned k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		if (d->sim[k].kind != SIMID_NONE)
			print_field(simid_name((enum simid_kind)k), "%s",
				simid_text(&d->sim[k], c->show_ids, masked));
	}
	for (size_t i = 0; i < d->n_attrs; i++)
		print_field("attribute", "%.*s=%.*s", STR_ARG(d->attrs[i].name),
			STR_ARG(d->attrs[i].value));
	time_format(d->created_s, when);
	print_field("created", "%s", when);
	time_format(d->updated_s, when);
	print_field("updated", "%s", when);
}

cJSON *credential_json(const struct credential *c)
{
	char hex[FINGERPRINT_HEX], spki[FINGERPRINT_HEX];
	cJSON *o = json_new();

	fingerprint_format(c->fingerprint, hex);
	fingerprint_format(c->spki, spki);
	json_str(o, "fingerprint", hex);
	json_str(o, "spki", spki);
	json_str(o, "device_id", c->device_id);
	json_str(o, "serial", c->serial);
	json_str(o, "issuer", c->issuer);
	json_int(o, "not_before_s", c->not_before_s);
	json_int(o, "not_after_s", c->not_after_s);
	json_str(o, "status",
		c->status == CREDENTIAL_ACTIVE ? "active" : "revoked");
	json_time(o, "revoked_s", c->revoked_s);
	json_str(o, "reason", c->reason[0] != '\0' ? c->reason : NULL);
	return o;
}

const char *credential_state(const struct credential *c, int64_t now_s)
{
	if (c->status != CREDENTIAL_ACTIVE)
		return "revoked";
	if (now_s > c->not_after_s)
		return "expired";
	return now_s < c->not_before_s ? "not yet valid" : "active";
}

void warn_unless_class(struct registry *r, const char *class_name)
{
	struct policy_row row = {0};
	struct policy *policy = NULL;
	struct errs errs = {0};
	struct err e;
	bool found = false;

	if (!registry_policy(r, 0, &row, &found, &e)) {
		print_err(&e);
		return;
	}
	if (!found || !policy_json_parse((struct str){row.text, row.text_len},
			      &policy, &errs))
		print_note("warning: the policy in force cannot be read; see "
			   "weir policy show");
	else if (policy_class_find(policy, str_from(class_name)) == NULL)
		print_note("warning: class '%s' is not in the policy in force, "
			   "so its devices are refused; see weir policy apply",
			class_name);
	policy_free(&policy);
	policy_row_fini(&row);
}
