/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/asked.h"

#include "core/confine.h"

#include <string.h>

struct choice {
	int64_t now_s;
	bool any, good; /* good: active, and valid now */
	struct credential best;
};

static bool choose(void *ctx, const struct credential *c)
{
	struct choice *ch = ctx;
	bool good = c->status == CREDENTIAL_ACTIVE &&
		    ch->now_s >= c->not_before_s && ch->now_s <= c->not_after_s;

	if (ch->any &&
		(ch->good != good ? ch->good
				  : c->not_before_s < ch->best.not_before_s))
		return true;
	ch->any = true;
	ch->good = good;
	ch->best = *c;
	return true;
}

/* The certificate that the registry's record is of, as far as it goes. */
static void take_credential(struct asked *a, const struct credential *c)
{
	a->registered = true;
	a->credential = *c;
	a->certificate.not_before_s = c->not_before_s;
	a->certificate.not_after_s = c->not_after_s;
	memcpy(a->certificate.fingerprint, c->fingerprint, FINGERPRINT_LEN);
	memcpy(a->certificate.spki, c->spki, FINGERPRINT_LEN);
	a->who.credential = (enum credential_status)c->status;
	a->who.certificate = &a->certificate;
}

static bool load_credential(
	const struct cli *c, struct registry *r, struct asked *a, struct err *e)
{
	struct choice ch = {.now_s = c->now_s};
	struct credential_filter f = {.device_id = a->device.id};

	if (!registry_credentials(r, &f, choose, &ch, e))
		return false;
	if (!ch.any)
		return true;
	take_credential(a, &ch.best);
	if (!registry_key_barred(r, a->credential.spki, &a->who.key_barred, e))
		return false;
	/* Whoever shows it has lost all rights, connected or not. */
	if (a->who.key_barred || a->who.credential != CREDENTIAL_ACTIVE)
		a->who.barred = REASON_CERTIFICATE_REVOKED;
	return true;
}

/* The status that the device has for the broker. */
static void find_status(const struct asking *from, struct asked *a)
{
	int64_t now_s = from->c->now_s;

	a->device.status = (uint8_t)device_effective(&a->device, now_s);
	a->by_feed = live_view_find(from->live, str_from(a->device.id));
	if (a->by_feed != NULL)
		confine(&a->who, &a->device, a->by_feed->until_s, now_s);
}

bool asked_load(const struct asking *from, struct str id, struct asked *out,
	struct err *e)
{
	memset(out, 0, sizeof(*out));
	out->certificate.usable = true;
	out->who.barred = REASON_ALLOWED;
	if (device_id_valid(id) &&
		!registry_device(from->r, id, &out->device, &out->found, e))
		return false;
	if (!out->found) {
		out->certificate.not_before_s = INT64_MIN;
		out->certificate.not_after_s = INT64_MAX;
		out->who.certificate = &out->certificate;
		return true;
	}
	out->who.device = &out->device;
	find_status(from, out);
	out->who.class = policy_class_find(
		from->policy, str_from(out->device.class_name));
	if (load_credential(from->c, from->r, out, e))
		return true;
	asked_fini(out);
	return false;
}

void asked_fini(struct asked *a)
{
	if (a->found)
		device_fini(&a->device);
	memset(a, 0, sizeof(*a));
}
