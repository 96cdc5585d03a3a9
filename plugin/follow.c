/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/follow.h"

#include "io/policy_json.h"
#include "plugin/change.h"
#include "plugin/clock.h"
#include "plugin/follow_file.h"
#include "plugin/guard.h"
#include "plugin/judge.h"
#include "plugin/record.h"
#include "plugin/report.h"

#include <stdio.h>

/* ------------------------------------------------------------- what is wrong */

void follow_tell(struct guard *g)
{
	const struct follow *f = &g->follow;
	const char *text = f->registry_problem[0] != '\0' ? f->registry_problem
			   : g->live.problem[0] != '\0'   ? g->live.problem
							  : f->policy_problem;

	meter_text_store(&g->meter->load_error, str_from(text));
	atomic_store_explicit(&g->meter->load_error_s,
		text[0] != '\0' ? g->now_s : 0, memory_order_relaxed);
}

void follow_problem(struct guard *g, char *which, size_t cap, const char *text)
{
	struct follow *f = &g->follow;
	bool fresh = strncmp(which, text, cap - 1) != 0;

	if (!fresh && g->now_ms - f->told_ms < FOLLOW_REPEAT_MS)
		return;
	f->told_ms = g->now_ms;
	(void)snprintf(which, cap, "%s", text);
	/* Who has read the line finds it in the segment too. */
	follow_tell(g);
	report(MOSQ_LOG_ERR, "%s", text);
}

static void registry_problem(struct guard *g, const char *text)
{
	g->admitting = false;
	follow_problem(g, g->follow.registry_problem,
		sizeof g->follow.registry_problem, text);
}

static void registry_good(struct guard *g)
{
	if (g->follow.registry_problem[0] != '\0') {
		g->follow.registry_problem[0] = '\0';
		report(MOSQ_LOG_NOTICE,
			"%s: readable again; devices are "
			"admitted",
			g->registry_path);
		follow_tell(g);
	}
	g->admitting = true;
}

/* ------------------------------------------------------------------- policy */

/* The first error as `place: message`, and how many more there are. */
static bool first_error(
	const struct errs *errs, int64_t revision, struct err *e)
{
	const struct err *x = &errs->e[0];

	if (errs->n == 0)
		return err_set(e, ERR_ENVIRONMENT,
			"policy revision %lld: no memory to load it",
			(long long)revision);
	return err_set(e, ERR_INPUT,
		"policy revision %lld: %s%s%s (%zu error%s); run: weir policy "
		"check",
		(long long)revision, x->place, x->place[0] != '\0' ? ": " : "",
		x->msg, errs->n, errs->n == 1 ? "" : "s");
}

static void swap_policy(struct guard *g, struct policy *p, int64_t revision)
{
	struct event e = {.type = EVENT_POLICY,
		.reason = REASON_ALLOWED,
		.value = (uint64_t)revision,
		.class = METER_NONE};
	struct policy *old = g->policy;

	/* Bindings find their class anew by the generation; 0 stands for no
	 * policy and is skipped. */
	g->policy = p;
	if (++g->policy_gen == 0)
		g->policy_gen = 1;
	policy_free(&old);
	record_ready(g, false);
	g->follow.policy_revision = revision;
	gauge_event(g, &e);
	report(MOSQ_LOG_INFO, "policy revision %lld in force, classes: %zu",
		(long long)revision, policy_n_classes(p));
}

static bool load_policy(struct guard *g, struct err *e)
{
	struct policy_row row = {0};
	struct policy *p = NULL;
	struct errs errs = {0};
	bool found = false, parsed;

	if (!registry_policy(g->registry, 0, &row, &found, e))
		return false;
	if (!found)
		return err_set(e, ERR_NOT_FOUND,
			"%s: it holds no policy; run: weir init",
			g->registry_path);
	parsed = policy_json_parse(
		(struct str){row.text, row.text_len}, &p, &errs);
	if (parsed && !gauge_policy(g, p)) {
		policy_free(&p);
		parsed = err_set(e, ERR_ENVIRONMENT,
			"policy revision %lld: no memory to load it",
			(long long)row.revision);
	} else if (parsed) {
		swap_policy(g, p, row.revision);
	} else {
		g->follow.policy_refused = row.revision;
		(void)first_error(&errs, row.revision, e);
	}
	policy_row_fini(&row);
	return parsed;
}

/* Takes up the newest policy, once. An error keeps the one in force. */
static void follow_policy(struct guard *g, int64_t newest)
{
	struct follow *f = &g->follow;
	char text[sizeof f->policy_problem];
	struct err e;

	if (newest == f->policy_revision || newest == f->policy_refused)
		return;
	if (load_policy(g, &e)) {
		f->policy_refused = 0;
		f->policy_problem[0] = '\0';
		atomic_store_explicit(&g->meter->policy_revision,
			f->policy_revision, memory_order_relaxed);
		follow_tell(g);
		return;
	}
	(void)snprintf(text, sizeof text,
		"%.400s; revision %lld stays in force", e.msg,
		(long long)f->policy_revision);
	follow_problem(g, f->policy_problem, sizeof f->policy_problem, text);
}

/* ------------------------------------------------------------------ changes */

/* Each poll does one thing at least. */
static bool has_time(const struct guard *g)
{
	return clock_ns() < g->follow.until_ns;
}

struct batch {
	struct guard *g;
	struct err *e;
	bool failed;
};

static bool each_change(void *ctx, int64_t change, struct str device)
{
	struct batch *batch = ctx;
	struct guard *g = batch->g;
	struct follow *f = &g->follow;
	bool told;

	if (f->tries == 0)
		outcome_begin(&g->outcomes, change, device);
	told = change_apply(g, change, device, batch->e);
	if (!told && ++f->tries < FOLLOW_TRIES) {
		batch->failed = true;
		return false;
	}
	if (!told)
		change_give_up(g, change, device);
	change_tell(g, change, REASON_ALLOWED, device);
	f->tries = 0;
	f->seen_change = change;
	return has_time(g);
}

static bool follow_changes(struct guard *g, int64_t newest, struct err *e)
{
	struct batch batch = {g, e, false};
	int limit = FOLLOW_BATCH;

	/* A change that is tried again is under way already. */
	if (outcome_room(&g->outcomes) < FOLLOW_BATCH)
		limit = (int)outcome_room(&g->outcomes);
	if (newest <= g->follow.seen_change || limit == 0)
		return true;
	return registry_changes(g->registry, g->follow.seen_change, limit,
		       each_change, &batch, e) &&
	       !batch.failed;
}

/* Tells which changes are in force, in order. */
static void settle(struct guard *g)
{
	struct outcome o;

	while (outcome_take(&g->outcomes, &o)) {
		meter_outcome_store(
			g->segment.mem, o.change, str_from(o.device), o.closed);
		atomic_store_explicit(&g->meter->applied_change, o.change,
			memory_order_release);
		if (o.closed != 0)
			report(MOSQ_LOG_NOTICE,
				"change %lld of device %s closed %u "
				"connection%s",
				(long long)o.change, o.device, o.closed,
				o.closed == 1 ? "" : "s");
	}
}

/* ----------------------------------------------------------------- the file */

static void went_back(struct guard *g, int64_t revision, int64_t highest)
{
	char text[sizeof g->follow.registry_problem];

	g->follow.went_back = true;
	g->follow.is_new = true;
	/* Short enough to be whole in the segment's load error. */
	(void)snprintf(text, sizeof text,
		"%.90s went back (revision %lld, seen: %lld), as a restored "
		"backup would: nobody is admitted; put the newer file back, or "
		"run: weir registry accept",
		g->registry_path, (long long)revision, (long long)highest);
	registry_problem(g, text);
}

/* What the file says holds from now on. Its changes do not continue those of
 * the file before, so all bindings are judged anew. */
static void take_file(struct guard *g, const struct registry_heads *heads)
{
	struct follow *f = &g->follow;

	report(MOSQ_LOG_NOTICE, "%s: %s; its revision is %lld",
		g->registry_path, f->went_back ? "accepted" : "another file",
		(long long)heads->revision);
	f->went_back = false;
	f->is_new = false;
	f->epoch++;
	f->sweeping = true;
	gauge_all_stale(g, heads->change_seq);
	f->sweep_change = heads->change_seq;
	f->seen_change = heads->change_seq;
	f->tries = 0;
	f->policy_refused = 0;
	f->policy_revision = 0;
}

/* Reads the heads; false: not told, or the file is an older one. */
static bool read_heads(
	struct guard *g, struct registry_heads *heads, struct err *e)
{
	int64_t highest = atomic_load_explicit(
		&g->meter->highest_revision, memory_order_relaxed);

	if (!registry_heads(g->registry, heads, e))
		return false;
	if (heads->restored || heads->revision < highest) {
		went_back(g, heads->revision, highest);
		return err_set(
			e, ERR_CONFLICT, "%s", g->follow.registry_problem);
	}
	if (heads->revision > highest)
		atomic_store_explicit(&g->meter->highest_revision,
			heads->revision, memory_order_relaxed);
	if (g->follow.revision != heads->revision && g->policy != NULL)
		judge_registry_changed(g);
	g->follow.revision = heads->revision;
	if (g->follow.is_new)
		take_file(g, heads);
	return true;
}

/* Judges bindings of older files, a bounded number a poll. The judged go to
 * the end of the list, as new connections do: the oldest stand first. */
static bool sweep(struct guard *g, struct err *e)
{
	struct follow *f = &g->follow;

	for (int left = FOLLOW_BATCH; left > 0; left--) {
		struct binding *b = g->bindings.connected.first;

		if (b == NULL || b->epoch == f->epoch)
			break;
		if (!judge_again(g, b, 0, e)) {
			if (++f->tries < FOLLOW_TRIES)
				return false;
			change_unknown(g, b, 0);
		}
		f->tries = 0;
		b->epoch = f->epoch;
		b->policy_gen = g->policy_gen;
		binding_to_end(&g->bindings, b);
		if (!has_time(g))
			break;
	}
	return true;
}

/* True when all that the new file asked for is done. */
static bool sweep_is_done(const struct guard *g)
{
	const struct binding *b = g->bindings.connected.first;

	return (b == NULL || b->epoch == g->follow.epoch) && g->kicks.n == 0 &&
	       outcome_room(&g->outcomes) == OUTCOMES_MAX;
}

static void follow_sweep(struct guard *g)
{
	if (!g->follow.sweeping || !sweep_is_done(g))
		return;
	g->follow.sweeping = false;
	atomic_store_explicit(&g->meter->applied_change, g->follow.sweep_change,
		memory_order_release);
}

/* -------------------------------------------------------------------- polls */

static bool poll_registry(struct guard *g, bool second, struct err *e)
{
	struct follow *f = &g->follow;
	struct registry_heads heads;
	int64_t version;

	if (!registry_data_version(g->registry, &version, e))
		return false;
	/* An unchanged version is a hint only: look once a second anyway. */
	if (version == f->data_version && g->admitting && !second)
		return true;
	if (!read_heads(g, &heads, e))
		return false;
	follow_policy(g, heads.policy_revision);
	if (f->sweeping ? !sweep(g, e)
			: !follow_changes(g, heads.change_seq, e))
		return false;
	/* More to read: come back at the next poll whatever the version. */
	f->more = f->sweeping || f->seen_change < heads.change_seq;
	f->data_version = f->more ? -1 : version;
	return true;
}

static void look_at_file(struct guard *g)
{
	struct follow *f = &g->follow;
	struct err e;

	if (follow_file(g, &e)) {
		f->file_bad = false;
		f->file_tries = 0;
		return;
	}
	/* A command that ends holds the file for a moment, in which it cannot
	 * be opened; what is open, if anything, answers until then. */
	if (!f->is_new && ++f->file_tries < FOLLOW_TRIES)
		return;
	f->file_bad = true;
	registry_close(&g->registry);
	registry_problem(g, e.msg);
}

static void poll(struct guard *g, bool second)
{
	struct follow *f = &g->follow;
	struct err e;

	if (second || (f->failures + f->file_tries != 0 && !f->file_bad))
		look_at_file(g);
	if (f->file_bad || g->registry == NULL)
		return;
	if (poll_registry(g, second, &e)) {
		f->failures = 0;
		registry_good(g);
	} else if (++f->failures >= FOLLOW_TRIES) {
		/* Longer than a lock is held for. */
		registry_problem(g, e.msg);
	}
}

static void follow_due(struct guard *g)
{
	for (int i = 0; i < FOLLOW_DUE_BATCH; i++) {
		struct binding *b = due_take(&g->due, g->now_s);

		if (b == NULL)
			return;
		judge_due(g, b);
		if (!has_time(g))
			return;
	}
}

static void follow_poll(struct guard *g)
{
	struct follow *f = &g->follow;
	bool second = g->now_ms >= f->next_second_ms;

	f->next_poll_ms = g->now_ms + FOLLOW_POLL_MS;
	g->absent.left = ABSENT_PER_POLL;
	f->until_ns = clock_ns() + FOLLOW_BUDGET_NS;
	f->more = false;
	poll(g, second);
	if (f->more)
		f->next_poll_ms = g->now_ms + FOLLOW_MORE_MS;
	live_poll(g);
	follow_due(g);
	/* Both go through the same list: one after the other. */
	if (!f->sweeping)
		judge_by_policy(g, FOLLOW_POLICY_BATCH);
	if (second) {
		f->next_second_ms = g->now_ms + 1000;
		atomic_store_explicit(
			&g->meter->heartbeat_s, g->now_s, memory_order_relaxed);
	}
}

void follow_tick(struct guard *g)
{
	if (g->now_ms >= g->follow.next_poll_ms)
		follow_poll(g);
}

void follow_settle(struct guard *g)
{
	settle(g);
	live_settle(g);
	follow_sweep(g);
}

static bool each_missed(void *ctx, int64_t change, struct str device)
{
	gauge_stale(ctx, device, change);
	return true;
}

/* Changes since the broker before this one: sessions that it left may hold
 * what their devices had the right to then. */
static bool missed_changes(struct guard *g, int64_t newest, struct err *e)
{
	int64_t applied = atomic_load_explicit(
		&g->meter->applied_change, memory_order_relaxed);

	if (newest - applied <= FOLLOW_MISSED)
		return registry_changes(
			g->registry, applied, FOLLOW_MISSED, each_missed, g, e);
	gauge_all_stale(g, newest);
	return true;
}

bool follow_begin(struct guard *g, struct err *e)
{
	struct registry_heads heads;

	if (!load_policy(g, e))
		return false;
	atomic_store_explicit(&g->meter->policy_revision,
		g->follow.policy_revision, memory_order_relaxed);
	follow_tell(g);
	live_begin(g);
	if (!read_heads(g, &heads, e)) {
		g->follow.is_new = true;
		registry_problem(g, e->msg);
		return true;
	}
	if (!missed_changes(g, heads.change_seq, e))
		return false;
	g->follow.seen_change = heads.change_seq;
	atomic_store_explicit(&g->meter->applied_change, heads.change_seq,
		memory_order_release);
	g->admitting = true;
	return true;
}

void follow_close(struct guard *g)
{
	registry_close(&g->registry);
	live_end(g);
	policy_free(&g->policy);
}
