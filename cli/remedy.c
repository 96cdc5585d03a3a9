/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remedy.h"

#include "core/explain.h"
#include "io/values.h"

#include <stdio.h>

static void unknown(const struct explained *x, char out[static REMEDY_MAX])
{
	if (!x->asked->found)
		(void)snprintf(out, REMEDY_MAX,
			"register it: weir device add %.*s --class C",
			x->id.n < 64 ? (int)x->id.n : 64, x->id.p);
}

static void retired(const struct explained *x, char out[static REMEDY_MAX])
{
	(void)snprintf(out, REMEDY_MAX,
		"%s is retired, which is for ever; what is to connect in its "
		"place is a device of another id",
		x->asked->device.id);
}

static void new_certificate(
	const struct explained *x, char out[static REMEDY_MAX])
{
	const struct asked *a = x->asked;
	char from[TIME_TEXT], to[TIME_TEXT];

	if (a->device.status == DEVICE_RETIRED) {
		retired(x, out);
		return;
	}
	if (!a->registered) {
		(void)snprintf(out, REMEDY_MAX,
			"no certificate is registered for it: weir cert issue "
			"%s",
			a->device.id);
		return;
	}
	time_format(a->credential.not_before_s, from);
	time_format(a->credential.not_after_s, to);
	(void)snprintf(out, REMEDY_MAX,
		"its newest certificate (%s to %s) is no good any more: weir "
		"cert issue %s",
		from, to, a->device.id);
}

static void by_feed(const struct explained *x, char out[static REMEDY_MAX])
{
	const struct quarantine *q = x->asked->by_feed;
	char until[TIME_TEXT] = "";

	if (q->until_s != 0)
		time_format(q->until_s, until);
	(void)snprintf(out, REMEDY_MAX,
		"weir-feed ends it, asked by POST /api/v1/devices/%s/release"
		"%s%s; %s did it%s%s",
		q->device_id, until[0] != '\0' ? "; it ends by itself at " : "",
		until, q->actor,
		q->reason[0] != '\0' ? "; the reason given: " : "", q->reason);
}

static void status(const struct explained *x, char out[static REMEDY_MAX])
{
	const struct device *d = &x->asked->device;
	char until[TIME_TEXT];

	if (x->asked->who.confined) {
		by_feed(x, out);
		return;
	}
	until[0] = '\0';
	if (d->status_until_s != 0)
		time_format(d->status_until_s, until);
	(void)snprintf(out, REMEDY_MAX, "weir release %s ends it%s%s%s%s",
		d->id, until[0] != '\0' ? "; it ends by itself at " : "", until,
		d->status_reason[0] != '\0' ? "; the reason given: " : "",
		d->status_reason);
}

static void class_unknown(
	const struct explained *x, char out[static REMEDY_MAX])
{
	(void)snprintf(out, REMEDY_MAX,
		"add class '%s' to the policy, or weir device set %s --class C",
		x->asked->device.class_name, x->asked->device.id);
}

static void client_ids(const struct explained *x, char out[static REMEDY_MAX])
{
	size_t at, i;
	int k = snprintf(out, REMEDY_MAX, "connect with client id");

	for (i = 0, at = (size_t)k; k >= 0; i++) {
		char id[160];

		if (explain_client_id(x->asked->who.class, i, &x->asked->device,
			    id, sizeof(id)) == 0)
			return;
		k = snprintf(out + at, REMEDY_MAX - at, "%s %s",
			i != 0 ? " or" : "", id);
		if (k < 0 || (size_t)k >= REMEDY_MAX - at)
			return;
		at += (size_t)k;
	}
}

static void sim(const struct explained *x, char out[static REMEDY_MAX])
{
	unsigned need = explain_sim_require(x->asked->who.class);
	const struct device *d = &x->asked->device;
	int kind;

	for (kind = SIMID_NONE + 1; kind < SIMID_KINDS; kind++) {
		const char *name = simid_name((enum simid_kind)kind);

		if ((need >> kind & 1) == 0 || d->sim[kind].kind != SIMID_NONE)
			continue;
		(void)snprintf(out, REMEDY_MAX,
			"its class requires an %s, and it has none: weir "
			"device set %s --%s …",
			name, d->id, name);
		return;
	}
}

static void malformed(const struct explained *x, char out[static REMEDY_MAX])
{
	if (x->what.action == ACTION_SUBSCRIBE)
		(void)snprintf(out, REMEDY_MAX,
			"a filter is UTF-8 without control characters; '+' is "
			"a whole level, '#' the whole last one, and $share/ "
			"is followed by a group and a filter");
	else if (x->what.action != ACTION_CONNECT)
		(void)snprintf(out, REMEDY_MAX,
			"a topic is UTF-8 without control characters, '+' or "
			"'#'");
}

bool remedy_text(const struct explained *x, char out[static REMEDY_MAX])
{
	static void (*const by_reason[REASON_COUNT])(
		const struct explained *, char[static REMEDY_MAX]) = {
		[REASON_UNKNOWN_CERTIFICATE] = unknown,
		[REASON_NO_CERTIFICATE] = new_certificate,
		[REASON_CERTIFICATE_REVOKED] = new_certificate,
		[REASON_CERTIFICATE_EXPIRED] = new_certificate,
		[REASON_DEVICE_SUSPENDED] = status,
		[REASON_DEVICE_RETIRED] = retired,
		[REASON_QUARANTINED] = status,
		[REASON_CLASS_UNKNOWN] = class_unknown,
		[REASON_CLIENT_ID_MISMATCH] = client_ids,
		[REASON_SIM_MISMATCH] = sim,
		[REASON_MALFORMED] = malformed,
	};

	out[0] = '\0';
	if (x->decision.verdict != VERDICT_ALLOWED &&
		by_reason[x->decision.reason] != NULL)
		by_reason[x->decision.reason](x, out);
	return out[0] != '\0';
}
