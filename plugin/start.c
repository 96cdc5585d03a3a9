/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* faccessat with AT_EACCESS */
#include "plugin/start.h"

#include "io/live.h"
#include "io/segment_guard.h"
#include "io/x509.h"
#include "plugin/follow_file.h"
#include "plugin/record.h"
#include "plugin/report.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define STATE_DEFAULT "/var/lib/weir"
#define CA_KEY        "ca.key"

/* ------------------------------------------------------------------- options */

static bool set_path(char out[static PATH_MAX], struct err *e, const char *fmt,
	...) __attribute__((format(printf, 3, 4)));

static bool set_path(
	char out[static PATH_MAX], struct err *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, PATH_MAX, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= PATH_MAX)
		return err_set(e, ERR_INPUT,
			"an option of the plugin is longer than a path may be");
	return true;
}

static bool set_option(
	struct guard *g, const struct mosquitto_opt *o, struct err *e)
{
	char *path = NULL;

	if (strcmp(o->key, "state") == 0)
		path = g->state_dir;
	else if (strcmp(o->key, "ca_dir") == 0)
		path = g->ca_dir;
	else if (strcmp(o->key, "meter") == 0)
		path = g->segment_path;
	else
		return err_set(e, ERR_INPUT,
			"plugin_opt_%s: no such option; there are "
			"plugin_opt_state, plugin_opt_meter and "
			"plugin_opt_ca_dir",
			o->key);
	if (o->value == NULL || o->value[0] != '/')
		return err_set(e, ERR_INPUT,
			"plugin_opt_%s: give an absolute path", o->key);
	return set_path(path, e, "%s", o->value);
}

bool start_options(struct guard *g, const struct mosquitto_opt *options, int n,
	struct err *e)
{
	if (!set_path(g->state_dir, e, "%s", STATE_DEFAULT))
		return false;
	for (int i = 0; i < n; i++) {
		if (!set_option(g, &options[i], e))
			return false;
	}
	return set_path(g->registry_path, e, "%s/%s", g->state_dir,
		       REGISTRY_FILE) &&
	       set_path(g->live_path, e, "%s/%s", g->state_dir, LIVE_FILE) &&
	       (g->segment_path[0] != '\0' ||
		       set_path(g->segment_path, e, "%s/%s", g->state_dir,
			       SEGMENT_FILE));
}

/* -------------------------------------------------------------- the CA's key */

/* A broker that can read the CA's key can be made to issue certificates. */
static bool key_is_safe(const char *dir, const char *below, struct err *e)
{
	char path[PATH_MAX];

	if (dir == NULL || dir[0] == '\0')
		return true;
	if (!set_path(path, e, "%s%s/%s", dir, below, CA_KEY))
		return false;
	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
		return true;
	return err_set(e, ERR_ENVIRONMENT,
		"%s: the broker's user (uid %u) can read the CA's key, so "
		"whoever breaks into the broker could issue certificates; keep "
		"it on another machine, or run: chmod 600 %s and chown it to "
		"another user",
		path, (unsigned)geteuid(), path);
}

static bool home_is_safe(struct err *e)
{
	char buf[4096];
	struct passwd pw, *found = NULL;

	if (getpwuid_r(geteuid(), &pw, buf, sizeof buf, &found) != 0 ||
		found == NULL)
		return true;
	return key_is_safe(pw.pw_dir, "/.weir/ca", e);
}

static bool keys_are_safe(struct guard *g, struct err *e)
{
	char ca_dir[PATH_MAX];

	/* Where `weir ca init` has put it on this machine, if it was here. */
	if (!registry_meta(g->registry, "ca_dir", ca_dir, sizeof ca_dir, e))
		return false;
	return key_is_safe(g->ca_dir, "", e) && key_is_safe(ca_dir, "", e) &&
	       key_is_safe(g->state_dir, "/ca", e) &&
	       // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, at start
	       key_is_safe(getenv("WEIR_CA"), "", e) && home_is_safe(e);
}

/* ------------------------------------------------------------- start and stop */

static bool open_segment(struct guard *g, struct err *e)
{
	char note[ERR_MSG_MAX];
	struct meter_header *m;

	if (!segment_open_write(
		    g->segment_path, &g->segment, note, sizeof note, e))
		return false;
	if (note[0] != '\0')
		report(MOSQ_LOG_WARNING, "%s", note);
	if (!segment_guard_begin(SEGMENT_GUARDED_METER, g->segment.mem,
		    g->segment.size, g->segment.fd, e))
		return false;
	m = segment_header(&g->segment);
	g->meter = m;
	count_u64(&m->generation, 1);
	atomic_store_explicit(&m->started_s, g->now_s, memory_order_relaxed);
	atomic_store_explicit(&m->heartbeat_s, g->now_s, memory_order_relaxed);
	atomic_store_explicit(&m->connected, 0, memory_order_relaxed);
	meter_apply_live(g->segment.mem, 0);
	if (!gauge_begin(g))
		return err_set(e, ERR_ENVIRONMENT,
			"%s: no memory or no room to count in it",
			g->segment_path);
	return wires_begin(&g->wires, m, e);
}

bool start(struct guard *g, struct err *e)
{
	g->ledger.max = LEDGER_MAX;
	if (getrandom(&g->ledger.key, sizeof g->ledger.key, 0) !=
		(ssize_t)sizeof g->ledger.key)
		return err_set(
			e, ERR_ENVIRONMENT, "no random numbers to start with");
	g->refusals.rate = REFUSAL_LINES;
	g->event_limit.rate = REFUSAL_EVENTS;
	if (!bindings_init(&g->bindings, OFFLINE_MAX, HUSKS_MAX))
		return err_set(e, ERR_ENVIRONMENT, "no memory to start");
	if (!follow_open(g, e) || !keys_are_safe(g, e) || !open_segment(g, e) ||
		!follow_begin(g, e))
		return false;
	atomic_store_explicit(
		&g->meter->pid, (int64_t)getpid(), memory_order_relaxed);
	return true;
}

void stop(struct guard *g)
{
	if (g->meter != NULL) {
		gauge_end(g);
		wires_end(&g->wires);
		atomic_store_explicit(
			&g->meter->connected, 0, memory_order_relaxed);
		atomic_store_explicit(&g->meter->pid, 0, memory_order_relaxed);
	}
	if (g->bindings.by_client.slot != NULL)
		bindings_fini(&g->bindings);
	due_fini(&g->due);
	absent_fini(&g->absent);
	ledger_fini(&g->ledger);
	gauge_fini(&g->gauge);
	record_end(&g->record);
	follow_close(g);
	segment_guard_end();
	segment_close(&g->segment);
	X509_free(g->leaving);
	g->leaving = NULL;
	g->meter = NULL;
}
