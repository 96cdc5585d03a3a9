/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/action.h"

#include "feed/action_body.h"
#include "feed/feed.h"
#include "feed/log.h"
#include "io/live.h"
#include "io/values.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define DEVICES "/api/v1/devices/"

/* An action under way. */
struct act {
	struct feed *f;
	const struct ask *q;
	const char *name; /* "quarantine", "release" */
	int64_t now_s;
	char id[DEVICE_ID_MAX + 1];
	enum device_status status; /* by the registry */
};

/* -------------------------------------------------------------------- the log */

static void address_text(
	const uint8_t a[static 16], char out[static INET6_ADDRSTRLEN])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v4 = memcmp(a, mapped, sizeof(mapped)) == 0;

	if (inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a + 12 : a, out,
		    INET6_ADDRSTRLEN) == NULL)
		out[0] = '\0';
}

/* Who did, or tried to do, what to whom. */
static void log_action(const struct act *x, enum log_level level,
	const struct quarantine *made, int64_t change, const char *why)
{
	char address[INET6_ADDRSTRLEN];
	struct text t = {0};

	address_text(x->q->address, address);
	log_begin(&t, level, "action");
	json_text(&t, "action", str_from(x->name));
	json_text(&t, "device", str_from(x->id));
	json_text(&t, "who", str_from(x->q->who));
	json_text(&t, "address", str_from(address));
	if (made != NULL) {
		json_text(&t, "reason", str_from(made->reason));
		json_number(&t, "until_s", made->until_s);
	}
	if (why != NULL)
		json_text(&t, "message", str_from(why));
	else
		json_number(&t, "change", change);
	log_end(&t);
}

static void refuse(const struct act *x, struct answer *a, const struct err *e)
{
	log_action(x, e->code == ERR_ENVIRONMENT ? LOG_ERROR : LOG_WARNING,
		NULL, 0, e->msg);
	answer_err(a, e);
}

/* ------------------------------------------------------------------ live.db */

static bool open_live(const struct feed *f, enum live_mode mode,
	struct live **out, struct err *e)
{
	return live_open(held_path(f->held), mode, out, e);
}

/* The newest action that the broker has in force; 0 when it does not run, or
 * cannot say. */
static int64_t in_force(const struct feed *f)
{
	const struct meter_watch *w = &f->watch->meter;

	if (w->state != BROKER_RUNNING)
		return 0;
	return meter_applied_live(w->segment.mem);
}

/* ------------------------------------------------------------- who it is about */

static bool find_device(
	struct registry *r, struct act *x, bool *found, struct err *e)
{
	struct device d = {.id_len = 0};

	if (!registry_device(r, str_from(x->id), &d, found, e))
		return false;
	x->status = device_effective(&d, x->now_s);
	device_fini(&d);
	return true;
}

/* What the registry says of the device of Q's path. */
static bool look_up(struct act *x, struct err *e)
{
	struct str rest, id = ask_segment(x->q, DEVICES, &rest);
	struct registry *r = roster_get(x->f->roster, e);
	bool found = false, told;

	if (!device_id_valid(id))
		return err_set(e, ERR_NOT_FOUND, "'%.*s' is no device id",
			(int)(id.n < 64 ? id.n : 64), id.n != 0 ? id.p : "");
	(void)snprintf(x->id, sizeof(x->id), "%.*s", STR_ARG(id));
	told = r != NULL && find_device(r, x, &found, e);
	if (!told && r != NULL) {
		r = roster_retry(x->f->roster, e);
		told = r != NULL && find_device(r, x, &found, e);
	}
	if (!told)
		return false;
	return found || err_set(e, ERR_NOT_FOUND,
				"device '%s' is not registered", x->id);
}

/* False: it is answered. */
static bool begin(struct act *x, struct answer *a)
{
	struct err e;

	x->now_s = (int64_t)time(NULL);
	if (!action_body_typed(x->q)) {
		answer_problem(a, 415,
			"the body must be JSON: Content-Type: "
			"application/json");
		return false;
	}
	if (ask_only(x->q, NULL, 0, &e) && look_up(x, &e))
		return true;
	refuse(x, a, &e);
	return false;
}

/* ---------------------------------------------------------------- quarantine */

static void put_quarantine(
	struct text *out, const struct feed *f, const struct quarantine *q)
{
	json_text(out, "device", str_from(q->device_id));
	json_number(out, "since_s", q->since_s);
	if (q->until_s != 0)
		json_number(out, "until_s", q->until_s);
	else
		json_null(out, "until_s");
	json_text(out, "reason", str_from(q->reason));
	json_text(out, "actor", str_from(q->actor));
	json_number(out, "change", q->change);
	json_truth(out, "in_force", q->change <= in_force(f));
}

/* Writes *Q, and reads it back. */
static bool write_quarantine(
	struct feed *f, struct quarantine *q, struct err *e)
{
	struct live *l = NULL;
	bool found = false, done;

	if (!open_live(f, LIVE_WRITE, &l, e))
		return false;
	done = live_quarantine(l, q, &q->change, e);
	/* On disk: what is told is what the broker will read. */
	if (done && !live_find(l, str_from(q->device_id), q, &found, NULL))
		found = false;
	live_close(&l);
	return done;
}

void action_quarantine(struct feed *f, const struct ask *q, struct answer *a)
{
	struct act x = {.f = f, .q = q, .name = "quarantine"};
	struct action_body body;
	struct quarantine made = {.change = 0};
	struct err e;

	if (!begin(&x, a))
		return;
	if (!action_body_read(q, x.now_s, &body, &e)) {
		refuse(&x, a, &e);
		return;
	}
	if (x.status == DEVICE_RETIRED) {
		(void)err_set(&e, ERR_CONFLICT,
			"device '%s' is retired, and has no rights to lose",
			x.id);
		refuse(&x, a, &e);
		return;
	}
	made.since_s = x.now_s;
	made.until_s = body.until_s;
	memcpy(made.device_id, x.id, sizeof(made.device_id));
	memcpy(made.reason, body.reason, sizeof(made.reason));
	(void)snprintf(made.actor, sizeof(made.actor), "%s", q->who);
	if (!write_quarantine(f, &made, &e)) {
		refuse(&x, a, &e);
		return;
	}
	held_look(f->held);
	log_action(&x, LOG_NOTICE, &made, made.change, NULL);
	json_open(&a->body, NULL, '{');
	put_quarantine(&a->body, f, &made);
	json_text(&a->body, "registry_status",
		str_from(device_status_name(x.status)));
	json_close(&a->body, '}');
	json_line_end(&a->body);
}

/* ------------------------------------------------------------------- release */

static bool write_release(const struct act *x, int64_t *change, struct err *e)
{
	struct live *l = NULL;
	bool done;

	/* Nothing to release where there is no file: it is not made for it. */
	if (!open_live(x->f, LIVE_FOLLOW, &l, e))
		return false;
	if (l == NULL)
		return true;
	live_close(&l);
	if (!open_live(x->f, LIVE_WRITE, &l, e))
		return false;
	done = live_release(l, str_from(x->id), x->q->who, x->now_s, change, e);
	live_close(&l);
	return done;
}

static bool is_held(enum device_status s)
{
	return s == DEVICE_QUARANTINED || s == DEVICE_SUSPENDED;
}

void action_release(struct feed *f, const struct ask *q, struct answer *a)
{
	struct act x = {.f = f, .q = q, .name = "release"};
	int64_t change = 0;
	struct err e;

	if (!begin(&x, a))
		return;
	if (!action_body_none(q, &e) || !write_release(&x, &change, &e)) {
		refuse(&x, a, &e);
		return;
	}
	if (change == 0 && is_held(x.status)) {
		(void)err_set(&e, ERR_CONFLICT,
			"device '%s' is %s by the registry, not by weir-feed, "
			"which ends only what it began; run: weir release %s",
			x.id, device_status_name(x.status), x.id);
		refuse(&x, a, &e);
		return;
	}
	held_look(f->held);
	log_action(&x, LOG_NOTICE, NULL, change, NULL);
	json_open(&a->body, NULL, '{');
	json_text(&a->body, "device", str_from(x.id));
	if (change != 0)
		json_number(&a->body, "change", change);
	else
		json_null(&a->body, "change");
	json_truth(&a->body, "in_force",
		in_force(f) != 0 && change <= in_force(f));
	json_text(&a->body, "registry_status",
		str_from(device_status_name(x.status)));
	json_close(&a->body, '}');
	json_line_end(&a->body);
}

/* --------------------------------------------------------------------- lists */

struct listing {
	const struct feed *f;
	struct text *out;
	int64_t now_s;
	int64_t limit, n; /* n: given so far */
	int64_t looked_at;
	char last[DEVICE_ID_MAX + 1];
	int64_t last_change;
	bool more;
};

static bool each_quarantine(void *ctx, const struct quarantine *q)
{
	struct listing *x = ctx;

	if (x->n == x->limit || x->looked_at == ACTION_PAGE_MAX) {
		x->more = true;
		return false;
	}
	x->looked_at++;
	memcpy(x->last, q->device_id, sizeof(x->last));
	if (!quarantine_holds(q, x->now_s))
		return true;
	x->n++;
	json_open(x->out, NULL, '{');
	put_quarantine(x->out, x->f, q);
	json_close(x->out, '}');
	return true;
}

static bool each_action(void *ctx, const struct live_action *w)
{
	struct listing *x = ctx;

	if (x->n == x->limit) {
		x->more = true;
		return false;
	}
	x->n++;
	x->last_change = w->change;
	json_open(x->out, NULL, '{');
	json_number(x->out, "change", w->change);
	json_number(x->out, "t_s", w->t_s);
	json_text(x->out, "action",
		w->quarantine ? STR("quarantine") : STR("release"));
	json_text(x->out, "device", str_from(w->device_id));
	json_text(x->out, "actor", str_from(w->actor));
	json_text(x->out, "reason", str_from(w->reason));
	if (w->until_s != 0)
		json_number(x->out, "until_s", w->until_s);
	else
		json_null(x->out, "until_s");
	json_truth(x->out, "in_force", w->change <= in_force(x->f));
	json_close(x->out, '}');
	return true;
}

static bool read_limit(const struct ask *q, int64_t *out, struct err *e)
{
	struct str limit = ask_arg(q, "limit");

	*out = ACTION_PAGE;
	return limit.p == NULL ||
	       number_parse("limit", limit, 1, ACTION_PAGE_MAX, out, e);
}

/* What AFTER or BEFORE the list goes on: the `next` of the page before. */
static bool read_cursor(
	const struct ask *q, bool by_id, struct listing *x, struct err *e)
{
	struct str at = ask_arg(q, "cursor");

	if (at.p == NULL)
		return true;
	if (!by_id)
		return number_parse(
			"cursor", at, 1, INT64_MAX, &x->last_change, e);
	if (!device_id_valid(at))
		return err_set(e, ERR_INPUT,
			"cursor: it is not what `next` said of a page");
	(void)snprintf(x->last, sizeof(x->last), "%.*s", STR_ARG(at));
	return true;
}

/* The rows of one page. *newest: of all actions. */
static bool put_rows(
	struct listing *x, bool by_id, int64_t *newest, struct err *e)
{
	struct live_heads h = {0, 0};
	struct live *l = NULL;
	char after[DEVICE_ID_MAX + 1];
	int64_t before = x->last_change;
	bool done = true;

	*newest = 0;
	memcpy(after, x->last, sizeof(after));
	if (!open_live(x->f, LIVE_FOLLOW, &l, e))
		return false;
	if (l == NULL)
		return true;
	done = live_heads(l, &h, e) &&
	       (by_id ? live_quarantines(l, after, ACTION_PAGE_MAX + 1,
				each_quarantine, x, e)
		      : live_actions(l, before, ACTION_PAGE_MAX + 1,
				each_action, x, e));
	live_close(&l);
	*newest = h.newest;
	return done;
}

static void list(
	struct feed *f, const struct ask *q, bool by_id, struct answer *a)
{
	static const char *const args[] = {"limit", "cursor"};
	struct listing x = {
		.f = f, .out = &a->body, .now_s = (int64_t)time(NULL)};
	int64_t newest;
	char cursor[24];
	struct err e;

	json_open(&a->body, NULL, '{');
	json_open(&a->body, by_id ? "quarantines" : "actions", '[');
	if (!ask_only(q, args, 2, &e) || !read_limit(q, &x.limit, &e) ||
		!read_cursor(q, by_id, &x, &e) ||
		!put_rows(&x, by_id, &newest, &e)) {
		answer_err(a, &e);
		return;
	}
	json_close(&a->body, ']');
	(void)snprintf(cursor, sizeof(cursor), "%" PRId64, x.last_change);
	if (!x.more)
		json_null(&a->body, "next");
	else
		json_text(&a->body, "next", str_from(by_id ? x.last : cursor));
	json_number(&a->body, "change", newest);
	json_number(&a->body, "in_force", in_force(f));
	json_close(&a->body, '}');
	json_line_end(&a->body);
}

void action_quarantines(struct feed *f, const struct ask *q, struct answer *a)
{
	list(f, q, true, a);
}

void action_list(struct feed *f, const struct ask *q, struct answer *a)
{
	list(f, q, false, a);
}
