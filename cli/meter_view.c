/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/meter_view.h"

#include "cli/output.h"
#include "io/segment.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LOAD(field) atomic_load_explicit(&h->field, memory_order_relaxed)

static void read_header(const struct meter_header *h, struct meter_view *out)
{
	out->generation = LOAD(generation);
	out->pid = LOAD(pid);
	out->started_s = LOAD(started_s);
	out->heartbeat_s = LOAD(heartbeat_s);
	out->connected = LOAD(connected);
	out->closed = LOAD(closed);
	out->refused = LOAD(refused);
	out->metered = LOAD(n_slots);
	out->unmetered = LOAD(unmetered);
	out->strangers = LOAD(strangers);
	out->applied_change = LOAD(applied_change);
	out->applied_live = meter_applied_live(h);
	out->policy_revision = LOAD(policy_revision);
	out->highest_revision = LOAD(highest_revision);
	out->load_error_s = LOAD(load_error_s);
	if (out->load_error_s != 0)
		(void)meter_text_load(&h->load_error, out->load_error);
}

static void open_meter(
	const struct cli *c, struct segment *s, struct meter_view *out)
{
	struct err why;

	if (!segment_open_read(c->meter, s, &why)) {
		if (why.code == ERR_NOT_FOUND)
			out->state = BROKER_NEVER_RAN;
		else
			(void)snprintf(out->problem, sizeof(out->problem), "%s",
				why.msg);
		return;
	}
	if (segment_intact(s))
		out->state = segment_writer_alive(s) ? BROKER_RUNNING
						     : BROKER_STOPPED;
	else
		(void)snprintf(out->problem, sizeof(out->problem),
			"meter.seg was cut short");
}

static bool is_open(const struct meter_view *v)
{
	return v->state == BROKER_RUNNING || v->state == BROKER_STOPPED;
}

void meter_view_read(const struct cli *c, struct meter_view *out)
{
	struct meter_view v = {.state = BROKER_UNKNOWN};
	struct segment s = {0};

	open_meter(c, &s, &v);
	if (is_open(&v))
		read_header(segment_header(&s), &v);
	segment_close(&s);
	*out = v;
}

void meter_view_changes(const struct cli *c, int64_t after,
	bool (*each)(void *ctx, int64_t change, const char *device_id),
	void *ctx)
{
	struct meter_view v = {.state = BROKER_UNKNOWN};
	struct segment s = {0};
	char id[DEVICE_ID_MAX + 1];
	int64_t change;

	open_meter(c, &s, &v);
	if (is_open(&v)) {
		read_header(segment_header(&s), &v);
		change = v.applied_change - (int64_t)METER_OUTCOMES;
		for (change = change > after ? change : after;
			change < v.applied_change;) {
			change++;
			if (meter_outcome_device(s.mem, change, id) &&
				!each(ctx, change, id))
				break;
		}
	}
	segment_close(&s);
}

void meter_watch_note(const struct meter_watch *w)
{
	char text[WATCH_TEXT];

	if (w->state == BROKER_RUNNING)
		return;
	meter_watch_text(w, text);
	print_note("broker: %s%s", text,
		w->state == BROKER_STOPPED ? "; this is what it had counted"
					   : "");
}

bool meter_watch_need(
	const struct cli *c, const struct meter_watch *w, struct err *e)
{
	struct stat st;

	if (w->state == BROKER_UNKNOWN)
		return err_set(e, ERR_ENVIRONMENT, "%.*s",
			(int)sizeof(e->msg) - 1, w->problem);
	if (w->state == BROKER_NEVER_RAN && stat(c->state, &st) != 0)
		return err_set(e, ERR_ENVIRONMENT,
			"%.200s: there is no such state directory; see --state",
			c->state);
	return true;
}
