/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_health.h"

#include "feed/feed.h"

/* Why it fails is for who may read: it names files. */
static void tell_history(
	struct text *t, const struct recorder *r, enum ask_right right)
{
	struct recorder_state s;

	recorder_state(r, &s);
	json_open(t, "history", '{');
	json_text(t, "state", s.well ? STR("ok") : STR("failing"));
	if (s.well || right < RIGHT_READ)
		json_null(t, "error");
	else
		json_text(t, "error", str_from(s.error));
	json_number(t, "looked_s", s.looked_s);
	json_number(t, "told_s", s.told_s);
	json_count(t, "bytes", s.bytes);
	json_close(t, '}');
}

static bool history_well(const struct feed *f)
{
	struct recorder_state s;

	recorder_state(f->recorder, &s);
	return s.well;
}

void api_health(struct feed *f, const struct ask *q, struct answer *a)
{
	struct err e;

	if (!ask_only(q, NULL, 0, &e)) {
		answer_err(a, &e);
		return;
	}
	json_open(&a->body, NULL, '{');
	json_text(&a->body, "status",
		f->watch->meter.state != BROKER_UNKNOWN && history_well(f)
			? STR("ok")
			: STR("degraded"));
	json_text(&a->body, "version", STR(WEIR_VERSION));
	json_number(&a->body, "started_s", f->started_s);
	json_open(&a->body, "broker", '{');
	json_text(&a->body, "state",
		str_from(broker_state_name(f->watch->meter.state)));
	json_number(&a->body, "heartbeat_s", f->watch->meter.heartbeat_s);
	json_close(&a->body, '}');
	tell_history(&a->body, f->recorder, q->right);
	json_close(&a->body, '}');
	json_line_end(&a->body);
}
