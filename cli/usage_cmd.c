/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir usage: what the meter has counted.
 */
#include "cli/meter_known.h"
#include "cli/meter_view.h"
#include "cli/usage_history.h"
#include "cli/usage_print.h"
#include "cli/usage_row.h"
#include "core/rank.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdlib.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* --------------------------------------------------------------- all classes */

static void add_use(struct table *t, const struct meter_use *u)
{
	struct usage_row r = {.cell = {u->name}, .n = 1};

	usage_row_number(&r, u->devices);
	usage_row_number(&r, u->connections);
	usage_row_counts(&r, u->counter, METER_COUNTS);
	table_row(t, r.cell);
}

static void sum_up(struct meter_use *sum, const struct meter_use *u)
{
	sum->devices += u->devices;
	sum->connections += u->connections;
	for (unsigned i = 0; i < COUNTERS; i++)
		sum->counter[i] += u->counter[i];
}

/* Nothing was ever counted for it. */
static bool is_idle(const struct meter_use *u)
{
	uint64_t sum = u->devices;

	for (unsigned i = 0; i < COUNTERS; i++)
		sum |= u->counter[i];
	return sum == 0;
}

static void print_uses(const struct meter_use *uses, size_t n)
{
	struct usage_row heads = {
		.cell = {"CLASS", "DEVICES", "CONNECTED"}, .n = 3};
	struct meter_use sum = {.name = "(all)"}, nameless;
	struct table *t;

	usage_row_heads(&heads, METER_COUNTS);
	t = table_new(heads.cell, heads.n);
	table_right(t, 1, heads.n - 1);
	for (size_t i = 1; i < n; i++) {
		if (!is_idle(&uses[i]))
			add_use(t, &uses[i]);
	}
	for (size_t i = 0; i < n; i++)
		sum_up(&sum, &uses[i]);
	if (n != 0) {
		nameless = uses[0];
		(void)snprintf(
			nameless.name, sizeof(nameless.name), "(no class)");
		add_use(t, &nameless);
		add_use(t, &sum);
	}
	table_print(t);
	table_free(&t);
}

static void usage_all(const struct cli *c, const struct meter_watch *w)
{
	struct meter_use *uses;
	size_t n = meter_uses(w, &uses);

	for (size_t i = 0; c->json && i < n && output_ok(); i++)
		usage_class_json(w, &uses[i]);
	if (!c->json)
		print_uses(uses, n);
	free(uses);
}

static void usage_class(
	const struct cli *c, const struct meter_watch *w, uint32_t class)
{
	struct meter_use *uses, none = {.index = METER_NONE};
	size_t n = meter_uses(w, &uses);
	const struct meter_use *u = class < n ? &uses[class] : &none;

	(void)snprintf(
		none.name, sizeof(none.name), "%s", args_get(c->args, "class"));
	if (c->json)
		usage_class_json(w, u);
	else
		usage_class_print(w, u);
	free(uses);
}

/* ----------------------------------------------------------------------- top */

struct top {
	struct meter_map m;
	unsigned sort;
};

static uint64_t sort_value(const struct meter_slot *s, unsigned what)
{
	uint64_t counter[COUNTERS];

	if (what < COUNTERS)
		return LOAD(s->counter[what]);
	for (unsigned i = 0; i < COUNTERS; i++)
		counter[i] = LOAD(s->counter[i]);
	return meter_count(counter, what);
}

/* Those with more first; then by slot, that is by age. */
static bool before(const void *ctx, uint32_t a, uint32_t b)
{
	const struct top *t = ctx;
	uint64_t x = sort_value(meter_slot_at(t->m, a), t->sort);
	uint64_t y = sort_value(meter_slot_at(t->m, b), t->sort);

	return x != y ? x > y : a < b;
}

static void print_top(const struct cli *c, const struct meter_watch *w,
	const struct rank *r, unsigned sort)
{
	struct usage_row heads = {
		.cell = {"DEVICE", "CLASS", "CONNECTED"}, .n = 3};
	struct meter_device d;
	struct table *t;

	usage_row_heads(&heads, sort);
	t = table_new(heads.cell, heads.n);
	table_right(t, 2, heads.n - 2);
	for (size_t i = 0; i < r->n && output_ok(); i++) {
		char class[CLASS_NAME_MAX + 1];
		struct usage_row row = {.cell = {d.id, class}, .n = 2};

		meter_device_load(w, r->kept[i], &d);
		if (c->json) {
			usage_device_json(w, &d);
			continue;
		}
		meter_class_text(w, d.class, class);
		usage_row_number(&row, d.connections);
		usage_row_counts(&row, d.counter, sort);
		table_row(t, row.cell);
	}
	if (!c->json)
		table_print(t);
	table_free(&t);
}

/* CLASS: only devices of it; NULL: all. */
static void usage_top(const struct cli *c, const struct meter_watch *w,
	size_t n, const struct top *ask, const uint32_t *class)
{
	uint32_t slots = meter_watch_reads(w) ? meter_slots(ask->m) : 0;
	struct rank r = {
		.cap = n < slots ? n : slots, .before = before, .ctx = ask};

	r.kept = need_memory(r.cap, sizeof(*r.kept));
	for (uint32_t i = 0; i < slots; i++) {
		if (class == NULL ||
			LOAD(meter_slot_at(ask->m, i)->class) == *class)
			rank_offer(&r, i);
	}
	rank_order(&r);
	print_top(c, w, &r, ask->sort);
	free(r.kept);
}

/* --------------------------------------------------------------------- usage */

/* --top N and --sort COUNTER; *n 0: no --top. */
static bool read_top(
	const struct cli *c, int64_t *n, unsigned *sort, struct err *e)
{
	const char *top = args_get(c->args, "top");
	const char *name = args_get(c->args, "sort");

	*n = 0;
	*sort = COUNTER_WIRE_BYTES_IN;
	if (top == NULL && name != NULL)
		return err_set(e, ERR_INPUT,
			"--sort is for --top N: give both, or see weir top");
	if (top != NULL && c->args->n_words != 0)
		return err_set(e, ERR_INPUT,
			"--top lists devices; give it without one");
	return (top == NULL || number_parse("--top", str_from(top), 1,
				       METER_SLOTS_MAX, n, e)) &&
	       (name == NULL || meter_count_find(name, sort, e));
}

static bool usage_of(const struct cli *c, const struct meter_watch *w,
	int64_t top, unsigned sort, struct err *e)
{
	const char *name = args_get(c->args, "class");
	struct top ask = {segment_map(&w->segment), sort};
	struct meter_device d;
	uint32_t class;

	if (name != NULL && !meter_known_class(c, w, name, &class, e))
		return false;
	if (top != 0) {
		usage_top(
			c, w, (size_t)top, &ask, name != NULL ? &class : NULL);
	} else if (name != NULL) {
		usage_class(c, w, class);
	} else if (c->args->n_words == 0) {
		usage_all(c, w);
	} else {
		if (!meter_known_device(c, w, cli_word(c, 0), &d, e))
			return false;
		if (c->json)
			usage_device_json(w, &d);
		else
			usage_device_print(w, &d);
	}
	return true;
}

static bool run_usage(struct cli *c, struct err *e)
{
	struct meter_watch w;
	int64_t top;
	unsigned sort;
	bool done;

	if (c->args->n_words != 0 && args_has(c->args, "class"))
		return err_set(e, ERR_INPUT,
			"give a device or --class, not both; see weir help "
			"usage");
	if (!read_top(c, &top, &sort, e) || !meter_watch_open(c->meter, &w, e))
		return false;
	if (usage_asks_history(c)) {
		done = usage_history(c, &w, (size_t)top, sort, e);
	} else {
		done = meter_watch_need(c, &w, e) &&
		       usage_of(c, &w, top, sort, e);
		if (done)
			meter_watch_note(&w);
	}
	meter_watch_close(&w);
	return done;
}

static const struct opt USAGE_OPTIONS[] = {
	{"class", '\0', OPT_VALUE, "C",
		"this class and its rules; with --top: its devices"},
	{"top", '\0', OPT_VALUE, "N", "the N devices with the most"},
	{"sort", '\0', OPT_VALUE, "COUNTER",
		"with --top: of what (wire_bytes_in)"},
	{"since", '\0', OPT_VALUE, "T",
		"what was counted since then: a time, or how long ago"},
	{"until", '\0', OPT_VALUE, "T", "and until then (now)"},
	{"by", '\0', OPT_VALUE, "BUCKET",
		"a row for each minute, hour or day (UTC)"},
	{"csv", '\0', OPT_FLAG, NULL, "comma separated, all counters"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

#define COUNTER_HELP(c, name, unit, family, labels, text)                      \
	"  " #name ": " text "\n"

const struct command usage_commands[] = {
	{
		.name = "usage",
		.usage = "[ID|--class C] [--top N [--sort COUNTER]] "
			 "[--since T] [--until T] [--by minute|hour|day] "
			 "[--csv]",
		.summary = "Show what the meter has counted",
		.help = "Counters only grow, and outlive the broker. Without "
			"anything: each class. Of a device\nor class: what its "
			"TLS connections carried (wire), the PUBLISH packets "
			"in it (MQTT),\ntheir payloads, every counter beside "
			"its class's median, and what was refused for\nwhich "
			"reason; of a class each rule too.\n\n"
			"  weir usage pump-0001\n"
			"  weir usage --class pump\n"
			"  weir usage --top 10 --sort refused\n\n"
			"Over time, from what weir-feed has told its history: "
			"T is a time (2026-11-25T08:00:00Z)\nor how long ago "
			"(2h). A minute is told once it is over.\n\n"
			"  weir usage pump-0001 --since 24h --by hour\n"
			"  weir usage --top 10 --since 7d\n"
			"  weir usage --since 30d --by day --csv "
			">classes.csv\n\n"
			"The counters, by which --sort sorts, as by refused, "
			"all refusals:\n\n" COUNTERS_TABLE(COUNTER_HELP),
		.options = USAGE_OPTIONS,
		.words_max = 1,
		.run = run_usage,
	},
	{.name = NULL},
};
