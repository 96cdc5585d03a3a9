/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry, policy and the running plugin.
 */
#include "cli/doctor.h"
#include "cli/live_view.h"
#include "cli/meter_view.h"
#include "core/policy.h"
#include "io/policy_json.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdio.h>

#define SOON_S  (INT64_C(30) * 86400)
#define STALE_S 5 /* the plugin's heart beats once a second */

/* ------------------------------------------------------------------- policy */

struct tally {
	const struct policy *policy;
	int64_t n; /* devices of unknown classes */
	char first[DEVICE_ID_MAX + 1], class_name[128];
};

static bool tally_device(void *ctx, const struct device *dev)
{
	struct tally *t = ctx;

	if (dev->status == DEVICE_RETIRED ||
		policy_class_find(t->policy, str_from(dev->class_name)) != NULL)
		return true;
	if (t->n++ == 0) {
		(void)snprintf(t->first, sizeof(t->first), "%s", dev->id);
		(void)snprintf(t->class_name, sizeof(t->class_name), "%s",
			dev->class_name);
	}
	return true;
}

static void check_classes(struct doctor *d, const char *path,
	struct registry *r, const struct policy *p)
{
	const struct device_filter all = {.class_name = NULL};
	struct tally t = {.policy = p};
	struct err e;

	if (!registry_devices(r, &all, tally_device, &t, &e))
		doctor_find(d, SEVERITY_ERROR, "registry.read", path,
			"put a backup in its place", "%s", e.msg);
	else if (t.n != 0)
		doctor_find(d, SEVERITY_WARNING, "policy.class", path,
			"add the class to the policy, or: weir device set ID "
			"--class C",
			"%" PRId64 " device%s of classes that the policy does "
			"not have, and are refused: %s of class '%s' first",
			t.n, t.n == 1 ? "" : "s", t.first, t.class_name);
}

void doctor_find_policy(struct doctor *d)
{
	struct policy_row row = {.revision = 0};
	struct errs errs = {.n = 0};
	struct policy *p = NULL;
	struct registry *r = NULL;
	char path[CLI_PATH_MAX];
	bool found = false;
	struct err e;

	/* What fails here is told by doctor_state(). */
	if (cli_state_path(d->c, REGISTRY_FILE, path, sizeof(path), &e) &&
		registry_open(path, REGISTRY_READ, &r, &e) &&
		registry_policy(r, 0, &row, &found, &e) && found &&
		policy_json_parse(
			(struct str){row.text, row.text_len}, &p, &errs)) {
		d->observing = policy_observes(p, NULL);
		d->falls_back =
			d->observing && policy_fallback(p) == FALLBACK_BROKER;
	}
	policy_free(&p);
	policy_row_fini(&row);
	registry_close(&r);
}

static void check_policy(struct doctor *d, const char *path, struct registry *r)
{
	struct policy_row row = {.revision = 0};
	struct policy *p = NULL;
	struct errs errs = {.n = 0};
	bool found = false;
	struct err e;

	if (!registry_policy(r, 0, &row, &found, &e)) {
		doctor_find(d, SEVERITY_ERROR, "policy.read", path,
			"put a backup in its place", "%s", e.msg);
		return;
	}
	if (!found) {
		doctor_find(d, SEVERITY_ERROR, "policy.missing", path,
			"weir policy apply FILE", "it holds no policy");
		return;
	}
	if (!policy_json_parse((struct str){row.text, row.text_len}, &p, &errs))
		doctor_find(d, SEVERITY_ERROR, "policy.invalid", path,
			"weir policy check, then weir policy apply FILE",
			"policy revision %" PRId64 " does not compile: %s: %s",
			row.revision, errs.e[0].place, errs.e[0].msg);
	else if (policy_n_classes(p) == 0)
		doctor_find(d, SEVERITY_NOTE, "policy.empty", path,
			"weir policy apply FILE",
			"the policy has no class: nobody may do anything");
	if (d->observing)
		doctor_find(d, SEVERITY_WARNING, "policy.observe", path,
			"when it is learned what devices need, apply a policy "
			"that enforces",
			"the whole broker only observes: nothing is enforced "
			"but what was decided about single devices");
	if (p != NULL)
		check_classes(d, path, r, p);
	policy_free(&p);
	policy_row_fini(&row);
}

/* ----------------------------------------------------------------- registry */

struct expiry {
	int64_t now_s, expired, soon;
};

static bool count_expiry(void *ctx, const struct credential *c)
{
	struct expiry *x = ctx;

	if (c->not_after_s < x->now_s)
		x->expired++;
	else
		x->soon++;
	return true;
}

static void check_credentials(
	struct doctor *d, const char *path, struct registry *r)
{
	struct credential_filter soon = {
		.expires_before_s = d->c->now_s + SOON_S};
	struct expiry x = {.now_s = d->c->now_s};
	struct err e;

	if (!registry_credentials(r, &soon, count_expiry, &x, &e))
		doctor_find(d, SEVERITY_ERROR, "registry.read", path,
			"put a backup in its place", "%s", e.msg);
	if (x.expired + x.soon != 0)
		doctor_find(d, SEVERITY_NOTE, "registry.expiring", path,
			"weir cert list --expires-within 30d",
			"%" PRId64 " certificates have expired, %" PRId64
			" more will within 30 days",
			x.expired, x.soon);
}

static void check_audit(struct doctor *d, const char *path, struct registry *r)
{
	int64_t bad = 0, n = 0;
	uint8_t head[32];
	struct err e;

	if (!registry_audit_verify(r, &bad, &n, head, &e))
		doctor_find(d, SEVERITY_ERROR, "registry.read", path,
			"put a backup in its place", "%s", e.msg);
	else if (bad != 0)
		doctor_find(d, SEVERITY_ERROR, "registry.audit", path,
			"weir audit verify, and compare with a backup",
			"entry %" PRId64 " of the audit does not fit the "
			"chain: the registry was changed behind weir's back",
			bad);
}

/* ------------------------------------------------------------------- plugin */

static void check_running(struct doctor *d, const char *path,
	const struct meter_view *v, const struct registry_heads *h)
{
	char age[DURATION_TEXT];

	duration_format(d->c->now_s - v->heartbeat_s, age);
	if (d->c->now_s - v->heartbeat_s > STALE_S)
		doctor_find(d, SEVERITY_ERROR, "plugin.stuck", path,
			"see the broker's log; restart it",
			"the broker lives, but the plugin was last called %s "
			"ago: no change takes hold",
			age);
	if (v->policy_revision != h->policy_revision)
		doctor_find(d, SEVERITY_ERROR, "plugin.policy", path,
			"see the load error, or the broker's log",
			"policy revision %" PRId64 " is in force, %" PRId64
			" is the newest",
			v->policy_revision, h->policy_revision);
	if (v->applied_change < h->change_seq)
		doctor_find(d, SEVERITY_WARNING, "plugin.behind", path,
			"look again in a second; then see the broker's log",
			"%" PRId64 " of %" PRId64 " changes are in force",
			v->applied_change, h->change_seq);
}

/* V: what the broker says, which runs; or NULL. */
static void check_live(struct doctor *d, const struct meter_view *v)
{
	char path[CLI_PATH_MAX];
	struct live_view live;
	struct err e;

	if (!cli_state_path(d->c, LIVE_FILE, path, sizeof(path), &e) ||
		!live_view_read(d->c, &live, &e))
		return;
	if (live.problem[0] != '\0')
		doctor_find(d, SEVERITY_ERROR, "live.read", path,
			"do what it says: until then the broker admits nobody",
			"%s", live.problem);
	else if (live.there && v != NULL && v->applied_live != live.change)
		doctor_find(d, SEVERITY_WARNING, "live.behind", path,
			"look again in a second; then see the broker's log",
			"%" PRId64 " of %" PRId64
			" of weir-feed's actions are in force",
			v->applied_live, live.change);
	live_view_fini(&live);
}

static void check_plugin(struct doctor *d, const struct registry_heads *h)
{
	const char *path = d->c->meter;
	struct meter_view v;

	meter_view_read(d->c, &v);
	check_live(d, v.state == BROKER_RUNNING ? &v : NULL);
	if (h->restored || h->revision < v.highest_revision)
		doctor_find(d, SEVERITY_ERROR, "registry.went_back", path,
			"put the newer file back, or: weir registry accept",
			"the registry is at revision %" PRId64
			" and the broker has seen %" PRId64
			": a restored backup, by which nobody is admitted",
			h->revision, v.highest_revision);
	if (v.load_error_s != 0)
		doctor_find(d, SEVERITY_ERROR, "plugin.load", path,
			"do what it says", "the plugin could not load: %s",
			v.load_error);
	if (v.state == BROKER_UNKNOWN)
		doctor_find(d, SEVERITY_ERROR, "plugin.meter", path,
			"stop the broker, remove the file, start it", "%s",
			v.problem);
	else if (v.state == BROKER_RUNNING)
		check_running(d, path, &v, h);
	else
		doctor_find(d, SEVERITY_NOTE, "plugin.stopped", path,
			"start the broker",
			v.state == BROKER_NEVER_RAN
				? "no broker has run with this state directory"
				: "no broker runs with this state directory");
}

void doctor_state(struct doctor *d)
{
	struct registry_heads heads = {.revision = 0};
	struct registry *r = NULL;
	char path[CLI_PATH_MAX];
	struct err e;

	if (!cli_state_path(d->c, REGISTRY_FILE, path, sizeof(path), &e))
		return;
	if (!registry_open(path, REGISTRY_READ, &r, &e) ||
		!registry_heads(r, &heads, &e)) {
		doctor_find(d, SEVERITY_ERROR, "registry.open", path,
			"weir init, or put a backup in its place", "%s", e.msg);
	} else {
		check_audit(d, path, r);
		check_policy(d, path, r);
		check_credentials(d, path, r);
		check_plugin(d, &heads);
	}
	registry_close(&r);
}
