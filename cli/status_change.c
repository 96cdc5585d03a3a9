/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir suspend, quarantine, release, retire: what a device may do now. All
 * named devices change in one transaction, or none.
 */
#include "cli/command.h"
#include "cli/line.h"
#include "cli/live_view.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "core/utf8.h"
#include "io/values.h"

#include <stdlib.h>
#include <string.h>

#define IDS_MAX ((size_t)1000000)

/* ------------------------------------------------------------ which devices */

struct ids {
	size_t n, cap;
	char **id; /* each: free() */
};

static void ids_fini(struct ids *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->id[i]);
	free(l->id);
	*l = (struct ids){.n = 0};
}

static void ids_add(struct ids *l, const char *id)
{
	if (l->n == l->cap) {
		size_t cap = l->cap != 0 ? l->cap * 2 : 16;
		char **more = need_memory(cap, sizeof(*more));

		if (l->n != 0)
			memcpy(more, l->id, l->n * sizeof(*more));
		free(l->id);
		l->id = more;
		l->cap = cap;
	}
	l->id[l->n++] = need_copy(id);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A device named twice is changed once. */
static void ids_unique(struct ids *l)
{
	size_t k = 0;

	if (l->n == 0)
		return;
	qsort(l->id, l->n, sizeof(*l->id), by_text);
	for (size_t i = 1; i < l->n; i++) {
		if (strcmp(l->id[k], l->id[i]) == 0)
			free(l->id[i]);
		else
			l->id[++k] = l->id[i];
	}
	l->n = k + 1;
}

static bool ids_line(struct ids *l, const struct line *line, struct err *e)
{
	if (line->n == 0)
		return true;
	if (l->n == IDS_MAX)
		return err_set(e, ERR_INPUT, "more than %zu ids", IDS_MAX);
	if (!device_id_valid((struct str){line->text, line->n}))
		return err_set(
			e, ERR_INPUT, "'%.80s' is no device id", line->text);
	ids_add(l, line->text);
	return true;
}

/* Ids on standard input, one a line; blank lines are passed over. */
static bool ids_read(struct ids *l, struct err *e)
{
	static const char name[] = "standard input";
	struct line *line = need_memory(1, sizeof(*line));
	bool done = true, end = false;

	while (done) {
		done = line_next(line, stdin, name, &end, e);
		if (!done || end)
			break;
		done = ids_line(l, line, e) || line_at(line, name, e);
	}
	free(line);
	return done;
}

/* ------------------------------------------------------------- what is asked */

enum verb { VERB_SUSPEND, VERB_QUARANTINE, VERB_RELEASE, VERB_RETIRE };

static const struct {
	const char *name, *done;
	enum device_status status;
	/* Statuses that --class picks, bit 1 << status: it never gives rights
	 * back but by release. */
	unsigned from;
} VERBS[] = {
	[VERB_SUSPEND] = {"suspend", "suspended", DEVICE_SUSPENDED,
		1u << DEVICE_ACTIVE | 1u << DEVICE_QUARANTINED},
	[VERB_QUARANTINE] = {"quarantine", "quarantined", DEVICE_QUARANTINED,
		1u << DEVICE_ACTIVE},
	[VERB_RELEASE] = {"release", "released", DEVICE_ACTIVE,
		1u << DEVICE_SUSPENDED | 1u << DEVICE_QUARANTINED},
	[VERB_RETIRE] = {"retire", "retired", DEVICE_RETIRED,
		1u << DEVICE_ACTIVE | 1u << DEVICE_SUSPENDED |
			1u << DEVICE_QUARANTINED},
};

struct request {
	enum verb verb;
	const char *class_name; /* NULL: ids say which */
	const char *reason;
	int64_t until_s;
	bool wait;
	int64_t wait_s;
	struct ids ids;
};

struct class_pick {
	unsigned from;
	int64_t now_s;
	struct ids *ids;
};

static bool pick(void *ctx, const struct device *d)
{
	struct class_pick *p = ctx;
	unsigned status = d->status;

	/* A suspension that ran out is one to renew. */
	if (d->status_until_s != 0 && p->now_s >= d->status_until_s)
		status = DEVICE_ACTIVE;
	if ((p->from & 1u << status) != 0)
		ids_add(p->ids, d->id);
	return true;
}

/* The devices of --class, as they are inside the transaction. */
static bool pick_class(const struct cli *c, struct registry *r,
	struct request *q, struct err *e)
{
	struct device_filter f = {.class_name = q->class_name};
	struct class_pick p = {VERBS[q->verb].from, c->now_s, &q->ids};

	if (!registry_devices(r, &f, pick, &p, e))
		return false;
	if (!args_has(c->args, "yes"))
		return err_set(e, ERR_INPUT,
			"this would %s %zu device%s of class '%.64s'; add "
			"--yes to do it",
			VERBS[q->verb].name, q->ids.n, q->ids.n == 1 ? "" : "s",
			q->class_name);
	return true;
}

static bool read_reason(const struct cli *c, struct request *q, struct err *e)
{
	struct str reason = str_from(args_get(c->args, "reason"));

	q->reason = reason.n != 0 ? reason.p : "";
	if (reason.n > STATUS_REASON_MAX || !utf8_valid(reason))
		return err_set(e, ERR_INPUT,
			"--reason is not text of at most %d bytes without "
			"control characters",
			STATUS_REASON_MAX);
	return true;
}

/* --for DUR, where the command has it. */
static bool read_until(const struct cli *c, struct request *q, struct err *e)
{
	const char *text;
	int64_t s;

	if (q->verb != VERB_SUSPEND && q->verb != VERB_QUARANTINE)
		return true;
	text = args_get(c->args, "for");
	if (text == NULL)
		return true;
	if (!duration_parse(str_from(text), &s, e))
		return false;
	if (s == 0)
		return err_set(e, ERR_INPUT, "--for 0 would end at once");
	q->until_s = c->now_s + s;
	return true;
}

static bool read_ids(const struct cli *c, struct request *q, struct err *e)
{
	const struct args *a = c->args;

	if (q->class_name != NULL && a->n_words != 0)
		return err_set(
			e, ERR_INPUT, "give devices or --class, not both");
	if (q->class_name == NULL && a->n_words == 0)
		return err_set(e, ERR_INPUT,
			"which devices? Give ids, '-' to read them from "
			"standard input, or --class C --yes");
	for (size_t i = 0; i < a->n_words; i++) {
		if (strcmp(a->words[i], "-") == 0) {
			if (!ids_read(&q->ids, e))
				return false;
		} else {
			ids_add(&q->ids, a->words[i]);
		}
	}
	ids_unique(&q->ids);
	return true;
}

/* --------------------------------------------------------------------- doing */

/* A release must not look as if it had freed whom weir-feed holds. */
static bool check_feed(const struct cli *c, struct registry *r,
	const struct live_view *live, const char *id, struct err *e)
{
	const struct quarantine *q = live_view_find(live, str_from(id));
	struct device d = {.id_len = 0};
	bool found = false, only;

	if (q == NULL)
		return true;
	if (!registry_device(r, str_from(id), &d, &found, e))
		return false;
	only = found && device_effective(&d, c->now_s) == DEVICE_ACTIVE;
	device_fini(&d);
	if (only)
		return err_set(e, ERR_CONFLICT,
			"device '%s' is in quarantine by weir-feed alone (%s), "
			"which ends it, asked by POST "
			"/api/v1/devices/%s/release",
			id, q->actor, id);
	if (found)
		print_note("device '%s' stays in quarantine by weir-feed (%s) "
			   "until that ends it, asked by POST "
			   "/api/v1/devices/%s/release",
			id, q->actor, id);
	return true;
}

static bool check_releases(const struct cli *c, struct registry *r,
	const struct ids *ids, struct err *e)
{
	struct live_view live;
	bool done = true;

	if (!live_view_read(c, &live, e))
		return false;
	live_view_note(&live);
	for (size_t i = 0; done && i < ids->n; i++)
		done = check_feed(c, r, &live, ids->id[i], e);
	live_view_fini(&live);
	return done;
}

/* All changes of Q in one transaction of R; *range is what it wrote. */
static bool apply(const struct cli *c, struct registry *r, struct request *q,
	struct change_range *range, struct err *e)
{
	struct registry_heads heads;

	if (!registry_heads(r, &heads, e))
		return false;
	if (q->class_name != NULL && !pick_class(c, r, q, e))
		return false;
	if (q->verb == VERB_RELEASE && !check_releases(c, r, &q->ids, e))
		return false;
	for (size_t i = 0; i < q->ids.n; i++) {
		if (!registry_device_status(r, str_from(q->ids.id[i]),
			    VERBS[q->verb].status, q->reason, q->until_s, e))
			return false;
	}
	range->after = heads.change_seq;
	return q->ids.n == 0 || registry_commit(r, &range->last, e);
}

static void print_result(const struct cli *c, const struct request *q,
	const struct wait_result *w)
{
	cJSON *o, *devices;

	if (!c->json) {
		for (size_t i = 0; i < q->ids.n && output_ok(); i++)
			(void)printf(
				"%s %s\n", q->ids.id[i], VERBS[q->verb].done);
		if (q->ids.n == 0)
			(void)printf("no device to %s\n", VERBS[q->verb].name);
		if (q->wait)
			wait_print(w);
		return;
	}
	o = json_new();
	json_str(o, "status", device_status_name(VERBS[q->verb].status));
	json_str(o, "status_reason", q->reason[0] != '\0' ? q->reason : NULL);
	json_time(o, "status_until_s", q->until_s);
	devices = json_array(o, "devices");
	for (size_t i = 0; i < q->ids.n; i++)
		json_push(devices, cJSON_CreateString(q->ids.id[i]));
	if (q->wait)
		wait_json(o, w);
	json_print(o);
}

static bool change(const struct cli *c, struct request *q, struct err *e)
{
	struct wait_result w = {.end = WAIT_APPLIED};
	struct change_range range = {0, 0};
	struct registry *r = NULL;
	bool done;

	if (!cli_registry_begin(c, &r, e))
		return false;
	done = apply(c, r, q, &range, e);
	if (done && q->wait && q->ids.n != 0)
		done = wait_changes(c, r, range, q->wait_s, &w, e);
	if (done) {
		print_result(c, q, &w);
		done = wait_finish(&w, e);
	}
	wait_fini(&w);
	registry_close(&r);
	return done;
}

static bool run(struct cli *c, enum verb verb, struct err *e)
{
	struct request q = {
		.verb = verb, .class_name = args_get(c->args, "class")};
	bool done;

	done = wait_option(c, &q.wait, &q.wait_s, e) && read_reason(c, &q, e) &&
	       read_until(c, &q, e) && read_ids(c, &q, e) && change(c, &q, e);
	ids_fini(&q.ids);
	return done;
}

static bool run_suspend(struct cli *c, struct err *e)
{
	return run(c, VERB_SUSPEND, e);
}

static bool run_quarantine(struct cli *c, struct err *e)
{
	return run(c, VERB_QUARANTINE, e);
}

static bool run_release(struct cli *c, struct err *e)
{
	return run(c, VERB_RELEASE, e);
}

static bool run_retire(struct cli *c, struct err *e)
{
	return run(c, VERB_RETIRE, e);
}

/* ---------------------------------------------------------------------- table */

#define CHANGE_OPTIONS                                                         \
	{"class", '\0', OPT_VALUE, "C",                                        \
		"all devices of the class that it "                            \
		"applies to"},                                                 \
		{"yes", '\0', OPT_FLAG, NULL, "confirm --class"},              \
		{"reason", '\0', OPT_VALUE, "R",                               \
			"why; kept with the device "                           \
			"and in the audit"},                                   \
		WAIT_OPTION

static const struct opt UNTIL_OPTIONS[] = {
	CHANGE_OPTIONS,
	{"for", '\0', OPT_VALUE, "DUR", "ends by itself: 30s, 15m, 2h, 7d"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

static const struct opt PLAIN_OPTIONS[] = {
	CHANGE_OPTIONS,
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

#define WHICH "{ID…|-|--class C --yes} [--reason R] "

const struct command status_change_commands[] = {
	{
		.name = "suspend",
		.usage = WHICH "[--for DUR] [--wait DUR]",
		.summary = "Refuse devices until they are released",
		.help = "Live connections are closed and new ones refused "
			"(device_suspended). '-' reads ids\nfrom standard "
			"input, one a line. All devices change, or none.\n\n"
			"  weir suspend pump-0001 --reason stolen --wait 5s\n",
		.options = UNTIL_OPTIONS,
		.words_max = WORDS_ANY,
		.run = run_suspend,
	},
	{
		.name = "quarantine",
		.usage = WHICH "[--for DUR] [--wait DUR]",
		.summary = "Confine devices to the policy's quarantine rules",
		.help = "A device in quarantine may connect, but passes only "
			"what the policy's `quarantine`\nallows. --class picks "
			"active devices only: a suspended one is not let back "
			"in by it.\n\n"
			"  weir quarantine pump-0001 --for 2h --reason "
			"'sends too much'\n",
		.options = UNTIL_OPTIONS,
		.words_max = WORDS_ANY,
		.run = run_quarantine,
	},
	{
		.name = "release",
		.usage = WHICH "[--wait DUR]",
		.summary = "End a suspension or quarantine",
		.help = "Whom weir-feed alone has in quarantine it releases "
			"itself: the message says how.\n\n"
			"  weir release pump-0001\n",
		.options = PLAIN_OPTIONS,
		.words_max = WORDS_ANY,
		.run = run_release,
	},
	{
		.name = "retire",
		.usage = WHICH "[--wait DUR]",
		.summary = "End devices for ever",
		.help = "A retired device never comes back, and its id is "
			"never used again.\n\n"
			"  weir retire pump-0001 --reason scrapped --wait 5s\n",
		.options = PLAIN_OPTIONS,
		.words_max = WORDS_ANY,
		.run = run_retire,
	},
	{.name = NULL},
};
