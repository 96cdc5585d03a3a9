/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device and its credentials as JSON.
 */
#include "io/attrs_json.h"
#include "io/fleet_private.h"
#include "io/json_scan.h"
#include "io/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MAX_S 253402300799.0 /* the year 9999 */

/* ------------------------------------------------------------- credentials */

enum {
	CR_FINGERPRINT,
	CR_SPKI,
	CR_SERIAL,
	CR_ISSUER,
	CR_NOT_BEFORE,
	CR_NOT_AFTER,
	CR_STATUS,
	CR_REVOKED,
	CR_REASON,
	CR_DEVICE,
	CR_STATE,
	CR_KEYS
};
#define CR_NEEDED 6 /* the first ones */

static const char *const cr_key[CR_KEYS] = {"fingerprint", "spki", "serial",
	"issuer", "not_before_s", "not_after_s", "status", "revoked_s",
	"reason", "device_id", "state"};

static bool time_value(const cJSON *v, int64_t *out, struct err *e)
{
	if (cJSON_IsNumber(v) && v->valuedouble >= 0 &&
		v->valuedouble <= TIME_MAX_S) {
		*out = (int64_t)v->valuedouble;
		return true;
	}
	return err_set(e, ERR_INPUT, "is not a time in Unix seconds");
}

static bool text_value(const cJSON *v, char *out, size_t cap, struct err *e)
{
	if (!cJSON_IsString(v) || strlen(v->valuestring) >= cap)
		return err_set(e, ERR_INPUT, "is not a text of up to %zu bytes",
			cap - 1);
	memcpy(out, v->valuestring, strlen(v->valuestring) + 1);
	return true;
}

static bool digest_value(
	const cJSON *v, uint8_t out[static FINGERPRINT_LEN], struct err *e)
{
	return (cJSON_IsString(v) && fingerprint_parse(str_from(v->valuestring),
					     out, NULL)) ||
	       err_set(e, ERR_INPUT, "is not a SHA-256 in hex");
}

static bool status_value(const cJSON *v, struct credential *c, struct err *e)
{
	if (cJSON_IsString(v) && strcmp(v->valuestring, "active") == 0)
		c->status = CREDENTIAL_ACTIVE;
	else if (cJSON_IsString(v) && strcmp(v->valuestring, "revoked") == 0)
		c->status = CREDENTIAL_REVOKED;
	else
		return err_set(e, ERR_INPUT, "is not active or revoked");
	return true;
}

static bool value_set(
	struct credential *c, int key, const cJSON *v, struct err *e)
{
	char device[DEVICE_ID_MAX + 1];

	switch (key) {
	case CR_FINGERPRINT:
		return digest_value(v, c->fingerprint, e);
	case CR_SPKI:
		return digest_value(v, c->spki, e);
	case CR_SERIAL:
		return text_value(v, c->serial, sizeof(c->serial), e);
	case CR_ISSUER:
		return text_value(v, c->issuer, sizeof(c->issuer), e);
	case CR_NOT_BEFORE:
		return time_value(v, &c->not_before_s, e);
	case CR_NOT_AFTER:
		return time_value(v, &c->not_after_s, e);
	case CR_STATUS:
		return status_value(v, c, e);
	case CR_REVOKED:
		return cJSON_IsNull(v) || time_value(v, &c->revoked_s, e);
	case CR_REASON:
		return cJSON_IsNull(v) ||
		       text_value(v, c->reason, sizeof(c->reason), e);
	case CR_DEVICE:
		return (text_value(v, device, sizeof(device), e) &&
			       strcmp(device, c->device_id) == 0) ||
		       err_set(e, ERR_INPUT, "is another device's id");
	default: /* what it amounted to then */
		return true;
	}
}

static int cr_find(const char *name)
{
	int k = 0;

	while (k < CR_KEYS && strcmp(cr_key[k], name) != 0)
		k++;
	return k;
}

/* The registry's reasons. */
static bool is_reason(const char *text)
{
	return strcmp(text, "revoked") == 0 ||
	       strcmp(text, "superseded") == 0 ||
	       strcmp(text, "key_compromise") == 0;
}

/* A revocation has a reason and a time, and nothing else has. */
static bool revocation_check(const struct credential *c, struct err *e)
{
	bool revoked = c->status == CREDENTIAL_REVOKED;

	if (revoked ? is_reason(c->reason)
		    : c->reason[0] == '\0' && c->revoked_s == 0)
		return true;
	return err_set(e, ERR_INPUT,
		revoked ? "reason: must be revoked, superseded or "
			  "key_compromise"
			: "reason: an active certificate has none, and no "
			  "revoked_s");
}

static bool credential_read(struct credential *c, const cJSON *o, struct err *e)
{
	const cJSON *m;
	unsigned seen = 0;

	if (!cJSON_IsObject(o))
		return err_set(e, ERR_INPUT, "is not an object");
	c->status = CREDENTIAL_ACTIVE;
	cJSON_ArrayForEach (m, o) {
		int k = cr_find(m->string);

		if (k == CR_KEYS)
			return err_set(e, ERR_INPUT,
				"has an unknown key; device show --json prints "
				"the known ones");
		if (!value_set(c, k, m, e))
			return fleet_named(e, cr_key[k]);
		seen |= 1u << k;
	}
	for (int k = 0; k < CR_NEEDED; k++) {
		if ((seen & 1u << k) == 0)
			return err_set(
				e, ERR_INPUT, "%s: is missing", cr_key[k]);
	}
	return revocation_check(c, e);
}

bool fleet_credentials(struct fleet_entry *x, const cJSON *list, struct err *e)
{
	int n = cJSON_GetArraySize(list);
	const cJSON *o;
	char where[48];

	if (cJSON_IsNull(list))
		return true;
	if (!cJSON_IsArray(list) || n > FLEET_CREDENTIALS_MAX)
		return err_set(e, ERR_INPUT,
			"is not a list of up to %d certificates",
			FLEET_CREDENTIALS_MAX);
	/* One more: fleet_certificate's. */
	x->credentials = calloc((size_t)n + 1, sizeof(*x->credentials));
	if (x->credentials == NULL)
		return fleet_no_memory(e);
	cJSON_ArrayForEach (o, list) {
		struct credential *c = &x->credentials[x->n_credentials];

		memcpy(c->device_id, x->device.id, sizeof(c->device_id));
		if (!credential_read(c, o, e)) {
			(void)snprintf(where, sizeof(where), "[%zu]",
				x->n_credentials);
			return fleet_named(e, where);
		}
		x->n_credentials++;
	}
	return true;
}

bool fleet_certificate(struct fleet_entry *x, struct str text, struct err *e)
{
	X509 *cert;
	bool done;

	if (text.n == 0)
		return true;
	if (x->credentials == NULL)
		x->credentials = calloc(1, sizeof(*x->credentials));
	if (x->credentials == NULL)
		return fleet_no_memory(e);
	cert = x509_decode(text);
	if (cert == NULL)
		return err_set(e, ERR_INPUT, "is no certificate in PEM");
	done = x509_device_credential(
		cert, x->device.id, &x->credentials[x->n_credentials], e);
	X509_free(cert);
	x->n_credentials += done;
	return done;
}

/* ------------------------------------------------------------------ devices */

static bool scalar(const struct fleet_file *f, struct fleet_entry *x,
	enum fleet_column c, const cJSON *v, struct err *e)
{
	bool number = c == FLEET_STATUS_UNTIL;
	int64_t t = 0;
	char text[32];

	if (cJSON_IsNull(v))
		return fleet_set(f, x, c, (struct str){NULL, 0}, e);
	if (!number && cJSON_IsString(v))
		return v->valuestring[0] != '\0'
			       ? fleet_set(f, x, c, str_from(v->valuestring), e)
			       : err_set(e, ERR_INPUT,
					 "is empty; null is no value");
	if (!number)
		return err_set(e, ERR_INPUT, "is not a text");
	if (!time_value(v, &t, e))
		return false;
	(void)snprintf(text, sizeof(text), "%lld", (long long)t);
	return fleet_set(f, x, c, str_from(text), e);
}

static bool member_read(const struct fleet_file *f, struct fleet_entry *x,
	const cJSON *m, struct err *e)
{
	struct device *d = &x->device;
	enum fleet_column c;

	if (!fleet_column_find(f, str_from(m->string), &c, e))
		return false;
	x->given |= FLEET_BIT(c);
	switch ((int)c) {
	case FLEET_ID: /* read before the others */
	case FLEET_EFFECTIVE:
	case FLEET_CREATED:
	case FLEET_UPDATED:
	case FLEET_REVISION:
	case FLEET_CERTIFICATE: /* behind the others */
		return true;
	case FLEET_ATTRS:
		return attrs_json_read(
			       m, &d->attrs, &d->n_attrs, &d->attr_text, e) ||
		       fleet_named(e, "attrs");
	case FLEET_CREDENTIALS:
		return fleet_credentials(x, m, e) ||
		       fleet_named(e, "credentials");
	default:
		return scalar(f, x, c, m, e) ||
		       fleet_named(e, fleet_column_name(c));
	}
}

static bool object_read(const struct fleet_file *f, const cJSON *o,
	struct fleet_entry *x, struct err *e)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(o, "id"), *m;

	if (!cJSON_IsObject(o))
		return err_set(e, ERR_INPUT, "is not a JSON object");
	if (!cJSON_IsString(id))
		return err_set(e, ERR_INPUT, "id: is missing");
	if (!scalar(f, x, FLEET_ID, id, e))
		return fleet_named(e, "id");
	cJSON_ArrayForEach (m, o) {
		if (!member_read(f, x, m, e))
			return false;
	}
	m = cJSON_GetObjectItemCaseSensitive(o, "certificate");
	if (m == NULL || cJSON_IsNull(m))
		return true;
	return (cJSON_IsString(m) ? fleet_certificate(
					    x, str_from(m->valuestring), e)
				  : err_set(e, ERR_INPUT, "is not a text")) ||
	       fleet_named(e, "certificate");
}

bool fleet_json_read(const struct fleet_file *f, struct str line,
	struct fleet_entry *x, struct err *e)
{
	cJSON *o;
	bool done;

	if (!json_scan(line, RECORD_MAX, e))
		return false;
	o = cJSON_ParseWithLength(line.p, line.n);
	if (o == NULL)
		return fleet_no_memory(e);
	done = object_read(f, o, x, e);
	cJSON_Delete(o);
	return done;
}
