/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir status: is the broker guarded, by what, and what is in the registry.
 */
#include "cli/audit.h"
#include "cli/live_view.h"
#include "cli/meter_view.h"
#include "cli/output.h"
#include "io/values.h"

#include <inttypes.h>
#include <string.h>

#define EXPIRES_S (INT64_C(30) * 86400)

struct newest_audit {
	int64_t seq, t_s;
	char actor[64], action[64], device_id[DEVICE_ID_MAX + 1];
};

struct status {
	struct meter_view broker;
	struct registry_heads heads;
	struct registry_counts counts;
	int64_t expiring;
	struct newest_audit audit;
	struct live_view live;
};

/* ------------------------------------------------------------------- reading */

static void copy_text(char *out, size_t cap, struct str s)
{
	size_t n = s.n < cap ? s.n : cap - 1;

	if (n != 0)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

static bool count_one(void *ctx, const struct credential *cr)
{
	struct status *s = ctx;

	(void)cr;
	s->expiring++;
	return true;
}

static bool read_newest(void *ctx, const struct audit_row *a)
{
	struct newest_audit *n = ctx;

	n->seq = a->seq;
	n->t_s = a->t_s;
	copy_text(n->actor, sizeof(n->actor), a->actor);
	copy_text(n->action, sizeof(n->action), a->action);
	copy_text(n->device_id, sizeof(n->device_id), a->device_id);
	return true;
}

static bool read_registry(
	const struct cli *c, struct status *out, struct err *e)
{
	struct credential_filter soon = {
		.expires_before_s = c->now_s + EXPIRES_S};
	struct registry *r = NULL;
	int64_t newest = 0;
	bool done;

	if (!cli_registry(c, REGISTRY_READ, &r, e))
		return false;
	done = registry_heads(r, &out->heads, e) &&
	       registry_counts(r, &out->counts, e) &&
	       registry_credentials(r, &soon, count_one, out, e) &&
	       audit_newest(r, &newest, e) &&
	       (newest == 0 || registry_audit(r, newest - 1, read_newest,
				       &out->audit, e));
	registry_close(&r);
	return done;
}

/* ------------------------------------------------------------------ printing */

static void broker_json(cJSON *o, const struct meter_view *b)
{
	cJSON *j = json_object(o, "broker");

	json_str(j, "state", broker_state_name(b->state));
	json_str(j, "problem", b->problem[0] != '\0' ? b->problem : NULL);
	if (b->state != BROKER_STOPPED && b->state != BROKER_RUNNING)
		return;
	json_int(j, "pid", b->state == BROKER_RUNNING ? b->pid : 0);
	json_time(j, "started_s", b->started_s);
	json_time(j, "heartbeat_s", b->heartbeat_s);
	json_int(j, "generation", (int64_t)b->generation);
	json_int(j, "connected", b->state == BROKER_RUNNING ? b->connected : 0);
	json_int(j, "closed", (int64_t)b->closed);
	json_int(j, "refused", (int64_t)b->refused);
	json_int(j, "metered", b->metered);
	json_int(j, "unmetered", (int64_t)b->unmetered);
	json_int(j, "strangers", (int64_t)b->strangers);
	json_int(j, "applied_change", b->applied_change);
	json_int(j, "applied_live", b->applied_live);
	json_int(j, "policy_revision", b->policy_revision);
	json_time(j, "load_error_s", b->load_error_s);
	json_str(j, "load_error", b->load_error_s != 0 ? b->load_error : NULL);
}

static void registry_json(cJSON *o, const struct status *s)
{
	cJSON *j = json_object(o, "registry"), *devices, *credentials;

	json_int(j, "revision", s->heads.revision);
	json_int(j, "policy_revision", s->heads.policy_revision);
	json_int(j, "change_seq", s->heads.change_seq);
	devices = json_object(j, "devices");
	for (unsigned i = DEVICE_ACTIVE; i <= DEVICE_RETIRED; i++)
		json_int(devices, device_status_name((enum device_status)i),
			s->counts.devices[i]);
	credentials = json_object(j, "credentials");
	json_int(credentials, "active", s->counts.credentials_active);
	json_int(credentials, "revoked", s->counts.credentials_revoked);
	json_int(credentials, "expiring_30d", s->expiring);
}

static void live_status_json(cJSON *o, const struct live_view *v)
{
	cJSON *j = json_object(o, "live");
	bool unreadable = v->problem[0] != '\0';

	json_str(j, "state",
		unreadable ? "unreadable"
		: v->there ? "ok"
			   : "none");
	json_str(j, "problem", unreadable ? v->problem : NULL);
	if (unreadable)
		return;
	json_int(j, "quarantined", live_view_count(v));
	json_int(j, "change", v->change);
}

static void status_json(const struct cli *c, const struct status *s)
{
	cJSON *o = json_new(), *j;

	json_str(o, "state", c->state);
	broker_json(o, &s->broker);
	registry_json(o, s);
	live_status_json(o, &s->live);
	if (s->audit.seq == 0) {
		json_str(o, "audit", NULL);
	} else {
		j = json_object(o, "audit");
		json_int(j, "seq", s->audit.seq);
		json_int(j, "t_s", s->audit.t_s);
		json_str(j, "actor", s->audit.actor);
		json_str(j, "action", s->audit.action);
		json_str(j, "device_id",
			s->audit.device_id[0] != '\0' ? s->audit.device_id
						      : NULL);
	}
	json_print(o);
}

static void print_running(const struct cli *c, const struct status *s)
{
	const struct meter_view *b = &s->broker;
	char up[DURATION_TEXT], beat[DURATION_TEXT];

	duration_format(c->now_s - b->started_s, up);
	duration_format(c->now_s - b->heartbeat_s, beat);
	print_field("broker",
		"running, pid %" PRId64
		", up %s, heartbeat %s ago, start %" PRIu64,
		b->pid, up, beat, b->generation);
	print_field("connected", "%" PRId64, b->connected);
	print_field("metered",
		"%" PRIu32 " devices; %" PRIu64 " connects without room to be "
		"counted, %" PRIu64 " TLS connections of strangers",
		b->metered, b->unmetered, b->strangers);
	if (b->applied_change >= s->heads.change_seq)
		print_field("changes", "all in force (%" PRId64 ")",
			b->applied_change);
	else
		print_field("changes",
			"%" PRId64 " of %" PRId64 " in force: the broker is "
			"behind",
			b->applied_change, s->heads.change_seq);
	if (b->policy_revision == s->heads.policy_revision)
		print_field("policy", "revision %" PRId64 ", in force",
			b->policy_revision);
	else
		print_field("policy",
			"revision %" PRId64 " in force, %" PRId64
			" is the newest",
			b->policy_revision, s->heads.policy_revision);
}

static void print_broker(const struct cli *c, const struct status *s)
{
	const struct meter_view *b = &s->broker;
	char when[TIME_TEXT];

	switch (b->state) {
	case BROKER_RUNNING:
		print_running(c, s);
		break;
	case BROKER_STOPPED:
		time_format(b->heartbeat_s, when);
		print_field("broker", "stopped, last seen %s", when);
		break;
	case BROKER_NEVER_RAN:
		print_field("broker", "has not run with this state directory");
		break;
	case BROKER_UNKNOWN:
		print_field("broker", "unknown: %s", b->problem);
		break;
	}
	if (b->state != BROKER_RUNNING)
		print_field("policy", "revision %" PRId64 " is the newest",
			s->heads.policy_revision);
	if (b->load_error_s != 0) {
		time_format(b->load_error_s, when);
		print_field("load error", "%s, at %s", b->load_error, when);
	}
}

static void print_live(const struct status *s)
{
	const struct live_view *v = &s->live;
	int64_t n = live_view_count(v);
	bool behind = s->broker.state == BROKER_RUNNING &&
		      s->broker.applied_live != v->change;

	if (v->problem[0] != '\0')
		print_field("weir-feed", "%s", v->problem);
	else if (v->there)
		print_field("weir-feed",
			"%" PRId64 " device%s in quarantine by it (%" PRId64
			"%s)",
			n, n == 1 ? "" : "s", v->change,
			behind ? ", not all in force: the broker is behind"
			       : "");
}

static void status_print(const struct cli *c, const struct status *s)
{
	const int64_t *n = s->counts.devices;
	char when[TIME_TEXT];

	print_broker(c, s);
	print_field("registry", "%s, revision %" PRId64, c->state,
		s->heads.revision);
	print_field("devices",
		"%" PRId64 " active, %" PRId64 " suspended, %" PRId64
		" quarantined, %" PRId64 " retired",
		n[DEVICE_ACTIVE], n[DEVICE_SUSPENDED], n[DEVICE_QUARANTINED],
		n[DEVICE_RETIRED]);
	print_live(s);
	print_field("certificates",
		"%" PRId64 " active, %" PRId64 " revoked; %" PRId64
		" expired or within 30 days of it",
		s->counts.credentials_active, s->counts.credentials_revoked,
		s->expiring);
	if (s->audit.seq != 0) {
		time_format(s->audit.t_s, when);
		print_field("last change", "%s %s%s%s by %s", when,
			s->audit.action, s->audit.device_id[0] ? " " : "",
			s->audit.device_id, s->audit.actor);
	}
}

static bool run_status(struct cli *c, struct err *e)
{
	struct status s = {.expiring = 0};

	if (!read_registry(c, &s, e) || !live_view_read(c, &s.live, e))
		return false;
	meter_view_read(c, &s.broker);
	if (c->json)
		status_json(c, &s);
	else
		status_print(c, &s);
	live_view_fini(&s.live);
	return true;
}

const struct command status_commands[] = {
	{
		.name = "status",
		.usage = "",
		.summary = "Show the broker's state and the registry's",
		.help = "Is a broker running with the plugin, has it taken up "
			"all changes and the newest\npolicy, how many devices "
			"and certificates are there, what changed last.\n\n"
			"  weir status --json\n",
		.run = run_status,
	},
	{.name = NULL},
};
