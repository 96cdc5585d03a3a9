/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage_history.h"

#include "cli/meter_known.h"
#include "cli/usage_print.h"
#include "cli/usage_row.h"
#include "io/history.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GAPS_SHOWN 5

/* An answer, as it is printed. */
struct told {
	const struct cli *c;
	struct history *h;
	struct history_ask ask;
	unsigned sort; /* the column beside the usual; METER_COUNTS: none */
	bool csv, single;
	struct usage_row heads; /* kept by t */
	struct table *t;
	size_t n;
	int64_t from_s, to_s; /* of the rows so far */
};

bool usage_asks_history(const struct cli *c)
{
	return args_has(c->args, "since") || args_has(c->args, "until") ||
	       args_has(c->args, "by") || args_has(c->args, "csv");
}

/* ---------------------------------------------------------------- what is asked */

static bool read_time(
	const struct cli *c, const char *option, int64_t *out, struct err *e)
{
	const char *text = args_get(c->args, option);
	int64_t back_s;

	if (text == NULL || time_parse(str_from(text), out, NULL))
		return true;
	if (!duration_parse(str_from(text), &back_s, NULL))
		return err_set(e, ERR_INPUT,
			"--%s: '%.64s' is neither a time, as "
			"2026-11-25T08:00:00Z, nor how long ago, as 2h",
			option, text);
	*out = c->now_s > back_s ? c->now_s - back_s : 0;
	return true;
}

static bool read_level(
	const struct cli *c, struct history_ask *a, struct err *e)
{
	const char *by = args_get(c->args, "by");

	a->series = by != NULL;
	return by == NULL || history_level_find(str_from(by), &a->by) ||
	       err_set(e, ERR_INPUT,
		       "--by: '%.64s' is none of minute, hour, day", by);
}

static bool read_ask(struct told *t, size_t top, unsigned sort, struct err *e)
{
	const struct cli *c = t->c;
	struct history_ask *a = &t->ask;
	const char *class = args_get(c->args, "class");

	/* What is counted in this second belongs to it. */
	a->to_s = c->now_s + 1;
	if (!read_time(c, "since", &a->from_s, e) ||
		!read_time(c, "until", &a->to_s, e) || !read_level(c, a, e))
		return false;
	a->top = top;
	a->sort = sort;
	a->what = HISTORY_CLASSES;
	if (class != NULL) {
		a->what = HISTORY_CLASS;
		a->name = str_from(class);
	} else if (c->args->n_words != 0) {
		a->what = HISTORY_DEVICE;
		a->name = cli_word(c, 0);
	}
	if (top != 0)
		a->what = HISTORY_TOP;
	t->csv = args_has(c->args, "csv");
	t->single = !a->series && !t->csv &&
		    (a->what == HISTORY_DEVICE || a->what == HISTORY_CLASS);
	t->sort = top != 0 ? sort : METER_COUNTS;
	if (t->csv && c->json)
		return err_set(e, ERR_INPUT, "give --csv or --json, not both");
	if (top != 0 && a->series)
		return err_set(e, ERR_INPUT,
			"--top has no --by: ask for the devices one by one");
	return true;
}

/* A wrong name must not look like a device that is silent. */
static bool check_known(
	const struct told *t, const struct meter_watch *w, struct err *e)
{
	const struct history_ask *a = &t->ask;
	struct meter_device d;
	uint32_t class;
	bool known = a->name.p == NULL;

	if (known)
		return true;
	if (a->what == HISTORY_DEVICE)
		return history_knows_device(t->h, a->name, &known, e) &&
		       (known || meter_known_device(t->c, w, a->name, &d, e));
	return history_knows_class(t->h, a->name, &known, e) &&
	       (known || meter_known_class(t->c, w, a->name.p, &class, e));
}

/* ------------------------------------------------------------------- one row */

static void print_single(const struct told *t, const struct history_row *row)
{
	static const char *const heads[] = {"COUNTER", "VALUE", "UNIT"};
	struct table *table = table_new(heads, 3);
	char from[TIME_TEXT], to[TIME_TEXT], value[24];

	time_format(row->from_s, from);
	time_format(row->to_s, to);
	if (row->device[0] != '\0')
		print_field("device", "%s", row->device);
	print_field("class", "%s", row->class[0] != '\0' ? row->class : "none");
	print_field("from", "%s", from);
	print_field("until", "%s", to);
	table_right(table, 1, 1);
	for (unsigned i = 0; i < COUNTERS; i++) {
		if (row->counter[i] == 0)
			continue;
		(void)snprintf(
			value, sizeof(value), "%" PRIu64, row->counter[i]);
		table_row(table,
			(const char *const[]){counter_name((enum counter)i),
				value, counter_unit((enum counter)i)});
	}
	if (t->n == 0)
		print_field("counted", "nothing");
	else
		(void)putchar('\n');
	table_print(table);
	table_free(&table);
}

static void print_json(const struct history_row *row)
{
	cJSON *o = json_new();

	if (row->device[0] != '\0')
		json_mended(o, "device", str_from(row->device));
	else
		json_str(o, "device", NULL);
	if (row->class[0] != '\0')
		json_mended(o, "class", str_from(row->class));
	else
		json_str(o, "class", NULL);
	json_int(o, "from_s", row->from_s);
	json_int(o, "to_s", row->to_s);
	usage_counters_json(o, row->counter);
	json_print(o);
}

static void csv_heads(void)
{
	(void)fputs("from,to,device,class", stdout);
	for (unsigned i = 0; i < COUNTERS; i++)
		(void)printf(",%s", counter_name((enum counter)i));
	(void)putchar('\n');
}

/* Names of devices and classes need no quotes: what they may hold is checked
 * before it is told. Whatever is in the file, they get none that hurts. */
static void print_csv(const struct history_row *row)
{
	char from[TIME_TEXT], to[TIME_TEXT];

	time_format(row->from_s, from);
	time_format(row->to_s, to);
	(void)printf("%s,%s,", from, to);
	print_text(stdout, row->device);
	(void)putchar(',');
	print_text(stdout, row->class);
	for (unsigned i = 0; i < COUNTERS; i++)
		(void)printf(",%" PRIu64, row->counter[i]);
	(void)putchar('\n');
}

/* ------------------------------------------------------------------- tables */

static void begin_table(struct told *t)
{
	struct usage_row *heads = &t->heads;
	size_t names;

	if (t->ask.series)
		heads->cell[heads->n++] = "TIME";
	if (t->ask.what == HISTORY_TOP)
		heads->cell[heads->n++] = "DEVICE";
	if (t->ask.what != HISTORY_DEVICE && t->ask.what != HISTORY_CLASS)
		heads->cell[heads->n++] = "CLASS";
	names = heads->n;
	usage_row_heads(heads, t->sort);
	t->t = table_new(heads->cell, heads->n);
	table_right(t->t, names, heads->n - names);
}

static void add_row(struct told *t, const struct history_row *row)
{
	struct usage_row r = {.n = 0};
	char when[TIME_TEXT];

	time_format(row->from_s, when);
	if (t->ask.series)
		r.cell[r.n++] = when;
	if (t->ask.what == HISTORY_TOP)
		r.cell[r.n++] = row->device;
	if (t->ask.what != HISTORY_DEVICE && t->ask.what != HISTORY_CLASS)
		r.cell[r.n++] =
			row->class[0] != '\0' ? row->class : "(no class)";
	usage_row_counts(&r, row->counter, t->sort);
	table_row(t->t, r.cell);
}

static void tell_row(struct told *t, const struct history_row *row)
{
	if (t->n++ == 0)
		t->from_s = row->from_s;
	if (row->to_s > t->to_s)
		t->to_s = row->to_s;
	if (t->c->json)
		print_json(row);
	else if (t->csv)
		print_csv(row);
	else if (t->single)
		print_single(t, row);
	else
		add_row(t, row);
}

/* ---------------------------------------------------------------- the answer */

static bool tell_all(struct told *t, struct err *e)
{
	struct history_usage *u;
	enum history_got got = HISTORY_LATER;

	if (!history_usage_open(t->h, &t->ask, &u, e))
		return false;
	while (got != HISTORY_END && got != HISTORY_FAILED && output_ok()) {
		unsigned work = HISTORY_WORK;
		struct history_row row;

		got = history_usage_next(u, &work, &row, e);
		if (got == HISTORY_ONE)
			tell_row(t, &row);
	}
	history_usage_close(&u);
	return got != HISTORY_FAILED;
}

/* Nothing was counted in that time: that is an answer, too. */
static void tell_nothing(struct told *t)
{
	struct history_row row = {.from_s = t->ask.from_s, .to_s = t->ask.to_s};
	bool device = t->ask.what == HISTORY_DEVICE;

	if (t->ask.series || (!device && t->ask.what != HISTORY_CLASS))
		return;
	(void)snprintf(device ? row.device : row.class,
		device ? sizeof(row.device) : sizeof(row.class), "%.*s",
		STR_ARG(t->ask.name));
	if (t->c->json)
		print_json(&row);
	else if (t->single)
		print_single(t, &row);
	else
		print_csv(&row);
}

static void note_gaps(const struct told *t)
{
	struct history_gap gap[GAPS_SHOWN];
	char from[TIME_TEXT], to[TIME_TEXT];
	size_t n = 0;

	if (!history_gaps(t->h,
		    (struct history_gap){t->ask.from_s, t->ask.to_s}, gap,
		    GAPS_SHOWN, &n, NULL))
		return;
	for (size_t i = 0; i < n; i++) {
		time_format(gap[i].from_s, from);
		time_format(gap[i].to_s, to);
		print_note("weir-feed did not run from %s to %s: what was "
			   "counted then is in the minute of its return",
			from, to);
	}
}

/* What the rows are of, where that is not what was asked for; and what is not
 * there yet. */
static void note_ends(const struct told *t, const struct history_head *head)
{
	char from[TIME_TEXT], to[TIME_TEXT];

	if (head->told_s < t->ask.to_s) {
		time_format(head->told_s, to);
		if (head->told_s == 0)
			print_note("weir-feed has told nothing yet");
		else
			print_note("complete until %s: what was counted since "
				   "is told within two minutes while weir-feed "
				   "runs; weir usage without a time has it",
				to);
	}
	if (t->n != 0 && (t->from_s < t->ask.from_s / 60 * 60 ||
				 t->to_s > t->ask.to_s + 59)) {
		time_format(t->from_s, from);
		time_format(t->to_s, to);
		print_note("from %s until %s: minutes so old are kept by the "
			   "hour or day alone",
			from, to);
	}
	if (head->first_s > t->ask.from_s && args_has(t->c->args, "since")) {
		time_format(head->first_s, from);
		print_note("there is nothing before %s", from);
	}
}

static bool answer(struct told *t, const struct meter_watch *w, struct err *e)
{
	struct history_head head;

	if (!check_known(t, w, e) || !history_head(t->h, &head, e))
		return false;
	if (!t->c->json && !t->csv && !t->single)
		begin_table(t);
	if (t->csv)
		csv_heads();
	if (!tell_all(t, e)) {
		table_free(&t->t);
		return false;
	}
	if (t->n == 0)
		tell_nothing(t);
	if (t->t != NULL)
		table_print(t->t);
	table_free(&t->t);
	note_ends(t, &head);
	note_gaps(t);
	return true;
}

bool usage_history(const struct cli *c, const struct meter_watch *w, size_t top,
	unsigned sort, struct err *e)
{
	struct told t = {.c = c};
	bool done;

	if (!read_ask(&t, top, sort, e))
		return false;
	if (!history_open(c->state, &t.h, e)) {
		if (e->code == ERR_NOT_FOUND)
			e->code = ERR_ENVIRONMENT;
		return false;
	}
	done = answer(&t, w, e);
	history_close(&t.h);
	return done;
}
