/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir top: who sends how much, now.
 */
#include "cli/meter_known.h"
#include "cli/meter_view.h"
#include "cli/screen.h"
#include "cli/top_draw.h"
#include "cli/top_keys.h"
#include "cli/usage_print.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS   1000
#define N_DEFAULT 20
#define WIDE      160 /* columns where there is no terminal */

/* ------------------------------------------------------------------ a picture */

static struct top_frame frame(size_t columns, bool ansi, const char *bottom)
{
	return (struct top_frame){
		.columns = columns,
		.ansi = ansi,
		.colour = ansi && environment("NO_COLOR") == NULL,
		.now_s = (int64_t)time(NULL),
		.bottom = bottom,
	};
}

static void device_json(const struct top *t, uint32_t slot)
{
	char class[CLASS_NAME_MAX + 1];
	struct meter_device d;
	cJSON *o = json_new(), *rates;

	meter_device_load(&t->w, slot, &d);
	meter_class_text(&t->w, d.class, class);
	json_mended(o, "device", str_from(d.id));
	if (class[0] != '\0')
		json_mended(o, "class", str_from(class));
	else
		json_str(o, "class", NULL);
	json_str(o, "broker", broker_state_name(t->w.state));
	json_int(o, "connections", d.connections);
	usage_counters_json(o, t->now.counter[slot]);
	json_int(o, "refused",
		(int64_t)meter_count(t->now.counter[slot], METER_REFUSED));
	json_decimal(o, "seconds", top_seconds(t));
	rates = json_object(o, "per_second");
	for (unsigned i = 0; i < METER_COUNTS; i++)
		json_decimal(rates, meter_count_name(i),
			top_value(t, slot, i, false));
	json_print(o);
}

/* Two looks, a second apart, and what they show. */
static void one_picture(const struct cli *c, struct top *t, size_t n)
{
	const struct timespec apart = {.tv_sec = LOOK_MS / 1000};
	bool tty = isatty(STDOUT_FILENO) == 1;
	size_t rows, columns = WIDE;
	struct top_frame f;

	meter_watch_note(&t->w);
	(void)nanosleep(&apart, NULL);
	top_look(t);
	top_find(t, n);
	if (tty)
		screen_size(&rows, &columns);
	f = frame(columns, tty && screen_possible(), NULL);
	if (!c->json)
		top_draw(t, &f, stdout);
	for (size_t i = 0; c->json && i < t->shown && output_ok(); i++)
		device_json(t, top_slot(t, i));
}

/* ---------------------------------------------------------------- full screen */

/* False: the terminal is gone. */
static bool redraw(struct top *t, const struct top_keys *k)
{
	char bottom[TOP_BOTTOM];
	char *picture = NULL;
	size_t n = 0, rows, columns;
	struct top_frame f;
	FILE *out;
	bool done;

	screen_size(&rows, &columns);
	top_keys_bottom(k, t, bottom);
	/* Clearing the rest of a full line would take its last character. */
	f = frame(columns - 1, true, bottom);
	rows = rows > TOP_HEAD_LINES + 1 ? rows - TOP_HEAD_LINES - 1 : 1;
	out = open_memstream(&picture, &n);
	if (out == NULL)
		return false;
	if (k->help) {
		top_keys_help(out);
		(void)fprintf(out, "%s\n", bottom);
	} else {
		top_find(t, rows);
		top_draw(t, &f, out);
	}
	done = fclose(out) == 0 && screen_draw(picture, n);
	free(picture);
	return done;
}

static int64_t now_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void run_screen(struct top *t, struct screen *s)
{
	struct top_keys k = {.quit = false};
	int64_t next_ms = now_ms() + LOOK_MS;

	while (!k.quit && redraw(t, &k)) {
		char keys[SCREEN_KEYS_MAX];
		int64_t left_ms = next_ms - now_ms();
		size_t n = 0;

		switch (screen_wait(
			s, left_ms > 0 ? (int)left_ms : 0, keys, &n)) {
		case SCREEN_END:
			return;
		case SCREEN_KEYS:
			top_keys_take(&k, t, keys, n);
			break;
		case SCREEN_TIME:
			next_ms = now_ms() + LOOK_MS;
			if (!k.paused)
				top_look(t);
			break;
		case SCREEN_REDRAW:
			break;
		}
	}
}

static bool full_screen(struct top *t, struct err *e)
{
	struct screen s;

	if (!screen_open(&s, e))
		return false;
	run_screen(t, &s);
	screen_close(&s);
	screen_die(&s);
	return true;
}

/* ----------------------------------------------------------------------- top */

static bool read_view(const struct cli *c, struct top *t, struct err *e)
{
	const char *class = args_get(c->args, "class");
	const char *sort = args_get(c->args, "sort");
	const char *device = args_get(c->args, "device");

	if (sort != NULL && !meter_count_find(sort, &t->view.sort, e))
		return false;
	if (device != NULL && strlen(device) >= sizeof(t->view.device))
		return err_set(e, ERR_INPUT,
			"--device '%.80s' is longer than any id", device);
	if (device != NULL)
		(void)snprintf(
			t->view.device, sizeof(t->view.device), "%s", device);
	if (class == NULL)
		return true;
	t->view.one_class = true;
	(void)snprintf(
		t->view.class_name, sizeof(t->view.class_name), "%s", class);
	return meter_known_class(c, &t->w, class, &t->class, e);
}

static bool read_n(const struct cli *c, int64_t *n, struct err *e)
{
	const char *v = args_get(c->args, "lines");

	*n = v == NULL ? N_DEFAULT : METER_SLOTS_MAX;
	return v == NULL || strcmp(v, "all") == 0 ||
	       number_parse("-n", str_from(v), 1, METER_SLOTS_MAX, n, e);
}

static bool run_top(struct cli *c, struct err *e)
{
	bool once = args_has(c->args, "once") || c->json || !screen_possible();
	struct top t;
	int64_t n;
	bool done;

	if (!read_n(c, &n, e))
		return false;
	if (!once && args_has(c->args, "lines"))
		return err_set(e, ERR_INPUT,
			"-n is for one picture: give -1 too; the full screen "
			"shows as many as fit, and scrolls");
	if (!top_open(c, &t, e))
		return false;
	done = meter_watch_need(c, &t.w, e) && read_view(c, &t, e);
	if (done && once)
		one_picture(c, &t, (size_t)n);
	else if (done)
		done = full_screen(&t, e);
	top_close(&t);
	return done;
}

static const struct opt TOP_OPTIONS[] = {
	{"once", '1', OPT_FLAG, NULL, "one picture, then end"},
	{"lines", 'n', OPT_VALUE, "N", "with -1: so many devices, or all (20)"},
	{"class", '\0', OPT_VALUE, "C", "only devices of this class"},
	{"device", '\0', OPT_VALUE, "TEXT", "only ids that have this in them"},
	{"sort", '\0', OPT_VALUE, "F",
		"a counter, or refused (wire_bytes_in); see weir help usage"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command top_commands[] = {
	{
		.name = "top",
		.usage = "[-1] [-n N|all] [--class C] [--device TEXT] "
			 "[--sort F]",
		.summary = "Show who sends how much, now",
		.help = "A full screen, anew each second: the devices with the "
			"most first, with what each\ncounter grew by a second; "
			"those that are being refused are marked with '!'. "
			"Press ?\nfor the keys. One picture with -1, with "
			"--json, or where there is no terminal: of two\nlooks, "
			"a second apart.\n\n"
			"  weir top\n"
			"  weir top --class pump --sort refused\n"
			"  weir top -1 --json -n all\n",
		.options = TOP_OPTIONS,
		.run = run_top,
	},
	{.name = NULL},
};
