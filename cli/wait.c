/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wait.h"

#include "io/segment.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_NS    20000000L
#define BATCH_ROWS 10000

bool wait_option(
	const struct cli *c, bool *given, int64_t *wait_s, struct err *e)
{
	const char *v = args_get(c->args, "wait");

	*given = v != NULL;
	*wait_s = 0;
	return v == NULL || duration_parse(str_from(v), wait_s, e);
}

static int64_t monotonic_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_a_little(void)
{
	const struct timespec t = {.tv_nsec = POLL_NS};

	(void)nanosleep(&t, NULL);
}

/* ------------------------------------------------------------------- the wait */

/* LOOK at the segment says how far the broker is; WAIT_TIMEOUT: not yet. */
struct look {
	enum wait_end (*at)(
		void *ctx, const struct segment *s, struct wait_result *out);
	void *ctx;
};

/* What fails from now on must not be taken for a change that was not made. */
static bool cannot_tell(const struct err *why, struct err *e)
{
	return err_set(e, why->code,
		"it is committed, but whether the broker has applied it cannot "
		"be told: %.230s",
		why->msg);
}

static bool wait_for(const struct cli *c, int64_t wait_s, struct look look,
	struct wait_result *out, struct err *e)
{
	struct segment s = {0};
	struct err why = {.code = ERR_NONE};
	int64_t start = monotonic_ms();

	if (!segment_open_read(c->meter, &s, &why)) {
		if (why.code != ERR_NOT_FOUND)
			return cannot_tell(&why, e);
		out->end = WAIT_NO_BROKER;
		return true;
	}
	for (;;) {
		if (!segment_intact(&s)) {
			segment_close(&s);
			return err_set(e, ERR_ENVIRONMENT,
				"it is committed, but %.150s was cut short; "
				"see weir status",
				c->meter);
		}
		out->end = segment_writer_alive(&s) ? look.at(look.ctx, &s, out)
						    : WAIT_NO_BROKER;
		out->waited_ms = monotonic_ms() - start;
		if (out->end != WAIT_TIMEOUT || out->waited_ms >= wait_s * 1000)
			break;
		pause_a_little();
	}
	out->pid = atomic_load_explicit(
		&segment_header(&s)->pid, memory_order_relaxed);
	segment_close(&s);
	return true;
}

/* -------------------------------------------------------------------- changes */

struct change_list {
	int64_t last;
	size_t cap;
	struct wait_result *out;
};

static bool add_change(void *ctx, int64_t seq, struct str device_id)
{
	struct change_list *l = ctx;
	struct wait_closed *w;

	if (seq > l->last)
		return false;
	if (l->out->n == l->cap) {
		size_t cap = l->cap != 0 ? l->cap * 2 : 16;
		struct wait_closed *more = need_memory(cap, sizeof(*more));

		if (l->out->n != 0)
			memcpy(more, l->out->changes,
				l->out->n * sizeof(*more));
		free(l->out->changes);
		l->out->changes = more;
		l->cap = cap;
	}
	w = &l->out->changes[l->out->n++];
	*w = (struct wait_closed){.change = seq};
	if (device_id.n < sizeof(w->device_id) && device_id.n != 0)
		memcpy(w->device_id, device_id.p, device_id.n);
	return true;
}

static bool list_changes(struct registry *r, struct change_range range,
	struct wait_result *out, struct err *e)
{
	struct change_list l = {.last = range.last, .out = out};
	struct err why = {.code = ERR_NONE};
	int64_t after = range.after;

	while (after < range.last) {
		size_t before = out->n;

		if (!registry_changes(
			    r, after, BATCH_ROWS, add_change, &l, &why))
			return cannot_tell(&why, e);
		if (out->n == before)
			return true;
		after = out->changes[out->n - 1].change;
	}
	return true;
}

/* Where collecting the outcomes stands. */
struct change_look {
	int64_t last;
	size_t next; /* the first change whose outcome is not looked up yet */
};

/* Outcomes are picked up on the way: the segment keeps the newest only. */
static enum wait_end look_changes(
	void *ctx, const struct segment *s, struct wait_result *out)
{
	struct change_look *l = ctx;
	int64_t applied = atomic_load_explicit(
		&segment_header(s)->applied_change, memory_order_acquire);

	while (l->next < out->n && out->changes[l->next].change <= applied) {
		struct wait_closed *w = &out->changes[l->next++];

		w->known = meter_outcome_load(s->mem, w->change, &w->closed);
	}
	return applied >= l->last ? WAIT_APPLIED : WAIT_TIMEOUT;
}

bool wait_changes(const struct cli *c, struct registry *r,
	struct change_range range, int64_t wait_s, struct wait_result *out,
	struct err *e)
{
	struct wait_result w = {.end = WAIT_TIMEOUT};
	struct change_look l = {.last = range.last};

	if (!list_changes(r, range, &w, e) ||
		!wait_for(c, wait_s, (struct look){look_changes, &l}, &w, e)) {
		wait_fini(&w);
		return false;
	}
	*out = w;
	return true;
}

/* --------------------------------------------------------------------- policy */

struct policy_look {
	int64_t revision, since_s;
};

static enum wait_end look_policy(
	void *ctx, const struct segment *s, struct wait_result *out)
{
	const struct policy_look *l = ctx;
	const struct meter_header *h = segment_header(s);

	if (atomic_load_explicit(&h->policy_revision, memory_order_acquire) >=
		l->revision)
		return WAIT_APPLIED;
	/* An older error is about an older revision. */
	if (atomic_load_explicit(&h->load_error_s, memory_order_acquire) <
		l->since_s)
		return WAIT_TIMEOUT;
	(void)meter_text_load(&h->load_error, out->error);
	return WAIT_REFUSED;
}

bool wait_policy(const struct cli *c, int64_t revision, int64_t wait_s,
	struct wait_result *out, struct err *e)
{
	struct wait_result w = {.end = WAIT_TIMEOUT};
	struct policy_look l = {revision, c->now_s};

	if (!wait_for(c, wait_s, (struct look){look_policy, &l}, &w, e))
		return false;
	*out = w;
	return true;
}

/* --------------------------------------------------------------------- result */

void wait_fini(struct wait_result *w)
{
	free(w->changes);
	*w = (struct wait_result){.end = WAIT_TIMEOUT};
}

/* How many changes went by before their outcome could be read. */
static size_t missed(const struct wait_result *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += w->changes[i].known ? 0 : 1;
	return n;
}

void wait_print(const struct wait_result *w)
{
	if (w->end == WAIT_NO_BROKER) {
		(void)puts("no broker runs here; it is in force when one "
			   "starts");
		return;
	}
	for (size_t i = 0; i < w->n && output_ok(); i++) {
		const struct wait_closed *ch = &w->changes[i];

		if (ch->known && ch->closed != 0)
			(void)printf("%s: %" PRIu32 " connection%s closed\n",
				ch->device_id, ch->closed,
				ch->closed != 1 ? "s" : "");
	}
	if (w->end == WAIT_APPLIED && missed(w) != 0)
		(void)printf("%zu more changes are in force; what they closed "
			     "is no longer known\n",
			missed(w));
	if (w->end == WAIT_APPLIED)
		(void)printf("applied by the broker after %" PRId64 " ms\n",
			w->waited_ms);
}

void wait_json(cJSON *o, const struct wait_result *w)
{
	static const char *const names[] = {
		[WAIT_TIMEOUT] = "timeout",
		[WAIT_NO_BROKER] = "no_broker",
		[WAIT_REFUSED] = "refused",
		[WAIT_APPLIED] = "applied",
	};
	cJSON *wait = json_object(o, "wait"), *closed;

	json_str(wait, "state", names[w->end]);
	json_int(wait, "waited_ms", w->waited_ms);
	if (w->end == WAIT_REFUSED)
		json_str(wait, "error", w->error);
	json_int(wait, "unknown",
		w->end == WAIT_APPLIED ? (int64_t)missed(w) : 0);
	closed = json_array(wait, "closed");
	for (size_t i = 0; i < w->n; i++) {
		const struct wait_closed *ch = &w->changes[i];
		cJSON *item;

		if (!ch->known || ch->closed == 0)
			continue;
		item = json_new();
		json_str(item, "device_id", ch->device_id);
		json_int(item, "connections", ch->closed);
		json_push(closed, item);
	}
}

bool wait_finish(const struct wait_result *w, struct err *e)
{
	if (w->end == WAIT_TIMEOUT)
		return err_set(e, ERR_ENVIRONMENT,
			"it is committed, but the broker (pid %" PRId64
			") has not applied it after %" PRId64
			" ms; see weir status and the broker's log",
			w->pid, w->waited_ms);
	if (w->end == WAIT_REFUSED)
		return err_set(e, ERR_ENVIRONMENT,
			"it is committed, but the broker keeps the old policy: "
			"%.220s",
			w->error);
	return true;
}
