/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/refit.h"

#include "io/segment_guard.h"
#include "plugin/guard.h"
#include "plugin/report.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value)                                                    \
	atomic_store_explicit(&(field), (value), memory_order_relaxed)

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void remember(struct guard *g)
{
	struct refit *x = &g->refit;

	x->size = LOAD(g->meter->size);
	x->generation = LOAD(g->meter->generation);
	x->started_s = LOAD(g->meter->started_s);
	x->pid = LOAD(g->meter->pid);
	x->applied_change = LOAD(g->meter->applied_change);
	x->highest_revision = LOAD(g->meter->highest_revision);
}

/* What the plugin says of itself goes on in the new file; what it counts
 * begins anew. */
static void carry_header(struct guard *g, struct meter_header *to)
{
	const struct refit *x = &g->refit;

	STORE(to->generation, x->generation + 1);
	STORE(to->started_s, x->started_s);
	STORE(to->pid, x->pid);
	STORE(to->heartbeat_s, g->now_s);
	STORE(to->connected, 0);
	STORE(to->policy_revision, g->follow.policy_revision);
	STORE(to->highest_revision,
		larger(x->highest_revision, g->follow.revision));
	/* Stored since the last look, if it is not lost. */
	STORE(to->applied_change,
		larger(x->applied_change, LOAD(g->meter->applied_change)));
}

static void carry_binding(struct guard *g, struct binding *b)
{
	struct badge *badge = b->badge;

	if (badge == NULL || badge->slot == NULL)
		return;
	/* Not asked since a swap of the policy it may still have a class of the
	 * one before, which is gone. The rest comes when it is asked. */
	badge->subject.class = policy_class_find(
		g->policy, str_from(badge->device.class_name));
	gauge_device(g, badge);
	if (b->qos2)
		STORE(badge->slot->qos2, 1);
	if (b->stale)
		STORE(badge->slot->stale_change, 1);
	if (b->wire != NULL) {
		b->wire->slot = badge->slot;
		b->wire->total = badge->total;
	}
	if (b->state == BINDING_CONNECTED)
		gauge_is_connected(g, b);
}

static void carry_list(struct guard *g, const struct binding_list *l)
{
	for (struct binding *b = l->first; b != NULL; b = b->next)
		carry_binding(g, b);
}

static void move_to(struct guard *g, const struct segment *fresh)
{
	struct segment old = g->segment;
	struct meter_header *h = segment_header(fresh);

	carry_header(g, h);
	g->segment = *fresh;
	g->meter = h;
	gauge_again(g);
	/* Those that no binding holds any more are nobody's. */
	wires_move(&g->wires, h, &g->gauge.nobody,
		meter_class_mut(g->segment.mem, 0));
	absent_fini(&g->absent);
	carry_list(g, &g->bindings.connected);
	carry_list(g, &g->bindings.ended);
	carry_list(g, &g->bindings.offline);
	follow_tell(g);
	segment_close(&old);
	remember(g);
}

/* Until there is a new file the old mapping serves: what it has lost is
 * memory. */
static bool begin_anew(struct guard *g, struct err *e)
{
	struct segment fresh = {NULL, 0, -1};
	char note[ERR_MSG_MAX];

	if (!segment_replace(
		    g->segment_path, &g->segment, &fresh, note, sizeof note, e))
		return false;
	if (!gauge_fits(&fresh)) {
		segment_close(&fresh);
		return err_set(e, ERR_ENVIRONMENT,
			"%s: no room to count in it; make room on its disk",
			g->segment_path);
	}
	if (!segment_guard_begin(SEGMENT_GUARDED_METER, fresh.mem, fresh.size,
		    fresh.fd, e)) {
		segment_close(&fresh);
		return false;
	}
	move_to(g, &fresh);
	report(MOSQ_LOG_ERR, "%s; generation %llu", note,
		(unsigned long long)LOAD(g->meter->generation));
	return true;
}

/* Devices that are served and not counted: said once, until there is room. */
static void look_for_room(struct guard *g)
{
	struct refit *x = &g->refit;
	uint64_t unmetered = LOAD(g->meter->unmetered);
	uint32_t slots = LOAD(g->meter->n_slots);

	if (slots != x->slots)
		x->told_full = false;
	if (unmetered > x->unmetered && !x->told_full) {
		report(MOSQ_LOG_WARNING,
			"%s: no room for another device's counters after %u: "
			"it is served, and not counted; make room on its disk",
			g->segment_path, (unsigned)slots);
		x->told_full = true;
	}
	x->unmetered = unmetered;
	x->slots = slots;
}

void refit_tick(struct guard *g)
{
	struct refit *x = &g->refit;
	struct err e;

	if (g->now_ms < x->next_ms &&
		(x->told || !segment_guard_lost(SEGMENT_GUARDED_METER)))
		return;
	x->next_ms = g->now_ms + REFIT_MS;
	if (!segment_guard_lost(SEGMENT_GUARDED_METER) &&
		LOAD(g->meter->magic) == METER_MAGIC &&
		(x->size == 0 ||
			segment_holds(g->segment_path, &g->segment, x->size))) {
		remember(g);
		look_for_room(g);
		x->told = false;
		return;
	}
	if (begin_anew(g, &e)) {
		x->told = false;
		return;
	}
	if (!x->told)
		report(MOSQ_LOG_ERR, "%s; what is counted until then is lost",
			e.msg);
	x->told = true;
}
