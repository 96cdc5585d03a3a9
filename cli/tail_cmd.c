/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir tail: the meter's events as they happen.
 */
#include "cli/meter_known.h"
#include "cli/meter_view.h"
#include "core/event.h"
#include "io/meter_text.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS   50
#define N_DEFAULT 10
#define TEXT_CAP  (3 * EVENT_TEXT + 1)
#define RED       "\x1b[1;31m"
#define PLAIN     "\x1b[0m"
/* The oldest of the ring may be written over while they are read. */
#define RING_READ (METER_EVENTS - 64)

struct tail {
	const struct cli *c;
	struct meter_watch w;
	uint64_t cursor;
	uint32_t types, reasons; /* a bit each; 0: all */
	bool colour;
};

/* ------------------------------------------------------------------- filters */

/* True when option NAME was not given, or has VALUE. */
static bool is_asked(const struct tail *t, const char *name, const char *value)
{
	size_t at = 0;
	const char *v;

	if (!args_has(t->c->args, name))
		return true;
	while ((v = args_each(t->c->args, name, &at)) != NULL) {
		if (strcmp(v, value) == 0)
			return true;
	}
	return false;
}

static bool is_judgement(const struct event *e)
{
	return e->type == EVENT_REFUSAL || e->type == EVENT_OBSERVED;
}

static bool fits(const struct tail *t, const struct event_copy *x)
{
	char class[CLASS_NAME_MAX + 1];

	if (t->types != 0 && (t->types >> x->e.type & 1) == 0)
		return false;
	if (t->reasons != 0 &&
		(!is_judgement(&x->e) || x->e.reason >= REASON_COUNT ||
			(t->reasons >> x->e.reason & 1) == 0))
		return false;
	meter_class_text(&t->w, x->e.class, class);
	return is_asked(t, "device", x->device) && is_asked(t, "class", class);
}

_Static_assert(EVENT_TYPES <= 32 && REASON_COUNT <= 32, "a bit each");

static bool read_types(struct tail *t, struct err *e)
{
	const char *names[EVENT_TYPES] = {NULL}, *v, *near;
	size_t at = 0;

	for (int i = EVENT_NONE + 1; i < EVENT_TYPES; i++)
		names[i] = event_name((enum event_type)i);
	while ((v = args_each(t->c->args, "type", &at)) != NULL) {
		enum event_type type = event_find(str_from(v));

		near = nearest_name(v, names, EVENT_TYPES);
		if (type == EVENT_NONE)
			return err_set(e, ERR_INPUT,
				"--type '%.40s' is no type of event%s%s; see "
				"weir help tail",
				v, near != NULL ? ": did you mean " : "",
				near != NULL ? near : "");
		t->types |= UINT32_C(1) << type;
	}
	return true;
}

static bool read_reasons(struct tail *t, struct err *e)
{
	const char *names[REASON_COUNT], *v, *near;
	size_t at = 0;
	int r;

	for (r = 0; r < REASON_COUNT; r++)
		names[r] = reason_name((enum reason)r);
	while ((v = args_each(t->c->args, "reason", &at)) != NULL) {
		for (r = 0; r < REASON_COUNT && strcmp(names[r], v) != 0;)
			r++;
		near = nearest_name(v, names, REASON_COUNT);
		if (r == REASON_COUNT)
			return err_set(e, ERR_INPUT,
				"--reason '%.40s' is no reason%s%s; see weir "
				"help tail",
				v, near != NULL ? ": did you mean " : "",
				near != NULL ? near : "");
		t->reasons |= UINT32_C(1) << r;
	}
	return true;
}

/* A wrong name must not look like a device that is silent. */
static bool check_names(struct tail *t, struct err *e)
{
	struct meter_device d;
	uint32_t class;
	size_t at = 0;
	const char *v;

	while ((v = args_each(t->c->args, "device", &at)) != NULL) {
		if (!meter_known_device(t->c, &t->w, str_from(v), &d, e))
			return false;
	}
	for (at = 0; (v = args_each(t->c->args, "class", &at)) != NULL;) {
		if (!meter_known_class(t->c, &t->w, v, &class, e))
			return false;
	}
	return true;
}

/* -------------------------------------------------------------------- events */

#define WHAT_CAP (TEXT_CAP + 160)

/* "publish a/b: no_rule (and 3 like it before)" */
static void judgement_text(
	const struct event_copy *x, const char *text, char out[static WHAT_CAP])
{
	const struct event *e = &x->e;
	char more[48] = "";
	enum reason reason = e->reason < REASON_COUNT ? (enum reason)e->reason
						      : REASON_UNAVAILABLE;

	if (e->value != 0)
		(void)snprintf(more, sizeof(more),
			" (and %" PRIu64 " like it before)", e->value);
	(void)snprintf(out, WHAT_CAP, "%s %s%s: %s%s",
		action_name((enum action)e->action), text,
		x->text_len > EVENT_TEXT ? "…" : "", reason_name(reason), more);
}

/* Of a connection. Most client ids are the device's id. */
static void connection_text(
	const struct event_copy *x, const char *text, char out[static WHAT_CAP])
{
	const struct event *e = &x->e;
	char lasted[DURATION_TEXT + 8] = "", duration[DURATION_TEXT];
	bool other = text[0] != '\0' && strcmp(text, x->device) != 0;

	if (e->type == EVENT_DISCONNECT) {
		duration_format(
			e->value < INT64_MAX ? (int64_t)e->value : 0, duration);
		(void)snprintf(lasted, sizeof(lasted), "after %s", duration);
	}
	(void)snprintf(out, WHAT_CAP, "%s%s%s%s", other ? "as " : "",
		other ? text : "", other && lasted[0] != '\0' ? " " : "",
		lasted);
}

static void what_text(const struct event_copy *x, char out[static WHAT_CAP])
{
	char text[TEXT_CAP], change[48];
	const struct event *e = &x->e;

	(void)text_mend(e->text, text);
	if (is_judgement(e)) {
		judgement_text(x, text, out);
	} else if (e->type == EVENT_POLICY) {
		(void)snprintf(out, WHAT_CAP, "revision %" PRIu64 " in force",
			e->value);
	} else if (e->type == EVENT_STATUS) {
		(void)snprintf(
			change, sizeof(change), ", change %" PRIu64, e->value);
		(void)snprintf(out, WHAT_CAP, "%s%s",
			text[0] != '\0' ? text : "rights changed",
			e->value != 0 ? change
			: e->reason == REASON_QUARANTINED
				? ", by weir-feed"
				: ", its time being over");
	} else {
		connection_text(x, text, out);
	}
}

/* TEXT after BEFORE; nothing when it is empty. */
static void print_part(const char *before, const char *text, const char *behind)
{
	if (text[0] == '\0')
		return;
	(void)fputs(before, stdout);
	print_text(stdout, text);
	(void)fputs(behind, stdout);
}

static void print_event(const struct tail *t, const struct event_copy *x)
{
	char when[TIME_MS_TEXT], class[CLASS_NAME_MAX + 1], what[WHAT_CAP],
		address[ADDRESS_TEXT];
	bool red = t->colour && x->e.type == EVENT_REFUSAL;

	time_ms_format(x->e.t_ms, when);
	meter_class_text(&t->w, x->e.class, class);
	address_format(x->e.address, address);
	what_text(x, what);
	(void)printf(
		"%s%s  %-10s", red ? RED : "", when, event_name(x->e.type));
	if (x->e.type != EVENT_POLICY)
		print_part(
			" ", x->device[0] != '\0' ? x->device : "unknown", "");
	print_part(" (", class, ")");
	print_part("  ", what, "");
	print_part("  from ", address, "");
	(void)puts(red ? PLAIN : "");
}

static void event_json(const struct tail *t, const struct event_copy *x)
{
	char class[CLASS_NAME_MAX + 1], address[ADDRESS_TEXT];
	const struct event *e = &x->e;
	cJSON *o = json_new();

	meter_class_text(&t->w, e->class, class);
	address_format(e->address, address);
	json_int(o, "t_s", e->t_ms / 1000);
	json_int(o, "t_ms", e->t_ms);
	json_str(o, "type", event_name(e->type));
	if (e->device.n != 0)
		json_mended(o, "device", e->device);
	else
		json_str(o, "device", NULL);
	if (class[0] != '\0')
		json_mended(o, "class", str_from(class));
	else
		json_str(o, "class", NULL);
	json_str(o, "address", address[0] != '\0' ? address : NULL);
	json_str(o, "action",
		is_judgement(e) ? action_name((enum action)e->action) : NULL);
	json_str(o, "reason",
		is_judgement(e) ? reason_name((enum reason)e->reason) : NULL);
	if (is_judgement(e))
		json_int(o, "qos", e->qos);
	else
		json_str(o, "qos", NULL);
	if (event_value(e->type)[0] != '\0')
		json_int(o, "value", (int64_t)e->value);
	else
		json_str(o, "value", NULL);
	json_mended(o, "text", e->text);
	json_int(o, "text_bytes", (int64_t)x->text_len);
	json_print(o);
}

static void tell_lost(const struct tail *t, uint64_t lost)
{
	cJSON *o;

	if (!t->c->json) {
		(void)printf("-- lost %" PRIu64 " event%s: they came faster "
			     "than they were read\n",
			lost, lost != 1 ? "s" : "");
		return;
	}
	o = json_new();
	json_str(o, "type", "lost");
	json_int(o, "lost", (int64_t)lost);
	json_print(o);
}

static void tell_broker(const struct tail *t, bool new_file)
{
	char text[WATCH_TEXT], when[TIME_TEXT];
	int64_t now_s = (int64_t)time(NULL);
	cJSON *o;

	if (!t->c->json) {
		time_format(now_s, when);
		meter_watch_text(&t->w, text);
		(void)printf("-- %s  broker: ", when);
		print_text(stdout, text);
		(void)puts(new_file && meter_watch_reads(&t->w)
				   ? "; its meter is another one"
				   : "");
		return;
	}
	o = json_new();
	json_int(o, "t_s", now_s);
	json_str(o, "type", "broker");
	json_str(o, "state", broker_state_name(t->w.state));
	json_int(o, "generation", (int64_t)t->w.generation);
	json_bool(o, "new_meter", new_file);
	json_print(o);
}

/* ---------------------------------------------------------------- following */

/* Reads all that is there. */
static void drain(struct tail *t)
{
	struct meter_map m = segment_map(&t->w.segment);
	struct event_copy x;
	uint64_t lost = 0;

	while (meter_watch_reads(&t->w) && output_ok()) {
		enum event_read got = event_load(m, &t->cursor, &x, &lost);

		if (got == EVENT_READ_NONE)
			return;
		if (got == EVENT_READ_LOST)
			tell_lost(t, lost);
		else if (fits(t, &x) && t->c->json)
			event_json(t, &x);
		else if (fits(t, &x))
			print_event(t, &x);
	}
}

/* Where the N newest that fit begin. */
static uint64_t begin_at(const struct tail *t, size_t n)
{
	struct meter_map m = segment_map(&t->w.segment);
	uint64_t head, cursor, lost, *at;
	struct event_copy x;
	size_t found = 0;

	if (!meter_watch_reads(&t->w))
		return 0;
	head = event_head(m);
	cursor = head > RING_READ ? head - RING_READ : 0;
	if (n == 0 || n >= RING_READ)
		return n == 0 ? head : cursor;
	at = need_memory(n, sizeof(*at));
	at[0] = cursor;
	while (cursor < head) {
		uint64_t this = cursor;

		if (event_load(m, &cursor, &x, &lost) == EVENT_READ_ONE &&
			fits(t, &x))
			at[found++ % n] = this;
	}
	cursor = at[found < n ? 0 : found % n];
	free(at);
	return cursor;
}

/* False when whoever reads the output is gone. */
static bool pause_a_little(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return poll(&out, 1, POLL_MS) <= 0;
}

static void follow(struct tail *t)
{
	enum watch_change change;

	for (;;) {
		bool had = meter_watch_reads(&t->w);

		drain(t);
		if (args_has(t->c->args, "no-follow") || fflush(stdout) != 0 ||
			!pause_a_little())
			return;
		/* Of a file that was set aside, what was written last. */
		if (meter_watch_moved(&t->w))
			drain(t);
		change = meter_watch_look(&t->w);
		if (change == WATCH_FILE)
			t->cursor = 0;
		if (change != WATCH_SAME)
			tell_broker(t, change == WATCH_FILE && had);
	}
}

static bool read_n(const struct cli *c, int64_t *n, struct err *e)
{
	const char *v = args_get(c->args, "lines");

	*n = v == NULL ? N_DEFAULT : METER_EVENTS;
	return v == NULL || strcmp(v, "all") == 0 ||
	       number_parse("-n", str_from(v), 0, METER_EVENTS, n, e);
}

static bool run_tail(struct cli *c, struct err *e)
{
	struct tail t = {.c = c,
		.colour = isatty(STDOUT_FILENO) == 1 &&
			  environment("NO_COLOR") == NULL};
	int64_t n;
	bool done;

	if (!read_n(c, &n, e) || !read_types(&t, e) || !read_reasons(&t, e) ||
		!meter_watch_open(c->meter, &t.w, e))
		return false;
	/* As other programs that write as long as somebody reads. */
	(void)signal(SIGPIPE, SIG_DFL);
	done = meter_watch_need(c, &t.w, e) && check_names(&t, e);
	if (done) {
		meter_watch_note(&t.w);
		t.cursor = begin_at(&t, (size_t)n);
		follow(&t);
	}
	meter_watch_close(&t.w);
	return done;
}

static const struct opt TAIL_OPTIONS[] = {
	{"lines", 'n', OPT_VALUE, "N",
		"begin with the N newest events that fit, or all (10)"},
	{"no-follow", '\0', OPT_FLAG, NULL, "end after those"},
	{"device", '\0', OPT_LIST, "ID", "only of these devices"},
	{"class", '\0', OPT_LIST, "C", "only of devices of these classes"},
	{"type", '\0', OPT_LIST, "T", "only events of these types"},
	{"reason", '\0', OPT_LIST, "R", "only what was refused for these"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

#define EVENT_HELP(c, name, value, text) "  " #name ": " text "\n"

const struct command tail_commands[] = {
	{
		.name = "tail",
		.usage = "[-n N|all] [--no-follow] [--device ID]… [--class C]… "
			 "[--type T]… [--reason R]…",
		.summary = "Show what happens, as it happens",
		.help = "Connects, ends of connections, refusals, changes of "
			"rights: not what well-behaved\ndevices say. Each "
			"option may be given several times; an event must fit "
			"one of each.\nGoes on while the broker restarts, and "
			"says how many events were lost when they came\nfaster "
			"than they could be read.\n\n"
			"  weir tail --type refusal --class pump\n"
			"  weir tail -n all --no-follow --device pump-0001\n\n"
			"Types:\n\n" EVENTS_TABLE(
				EVENT_HELP) "\nReasons are "
					    "those of weir explain "
					    "(docs/POLICY.md).\n",
		.options = TAIL_OPTIONS,
		.run = run_tail,
	},
	{.name = NULL},
};
