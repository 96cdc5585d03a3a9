/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_draw.h"

#include "io/meter_text.h"

#include <inttypes.h>
#include <stdarg.h>

#define BOLD    "\x1b[1m"
#define REVERSE "\x1b[7m"
#define RED     "\x1b[1;31m"
#define PLAIN   "\x1b[0m"

/* Those that are shown, as there is room, the first first. */
static const unsigned by_need[] = {COUNTER_WIRE_BYTES_IN, COUNTER_MESSAGES_IN,
	METER_REFUSED, COUNTER_WIRE_BYTES_OUT, COUNTER_MESSAGES_QUEUED,
	COUNTER_MQTT_BYTES_IN, COUNTER_PAYLOAD_BYTES_IN};
#define COLUMNS_MAX  (sizeof(by_need) / sizeof(by_need[0]) + 1)
#define DEVICE_LEAST 16
#define CLASS_LEAST  8
#define CONN_WIDTH   5
#define LAST_LEAST   24 /* for the last refusal to be shown */

struct layout {
	unsigned what[COLUMNS_MAX];
	size_t n, device, class, last;
};

/* ------------------------------------------------------------------- cells */

/* The two lines of a heading: "wire_bytes_in" is wire_bytes over in. */
static size_t head_parts(unsigned what, struct str part[2])
{
	struct str name = str_from(meter_count_name(what));
	size_t at = name.n;

	while (at != 0 && name.p[at - 1] != '_')
		at--;
	part[0] = (struct str){name.p, at != 0 ? at - 1 : 0};
	part[1] = (struct str){name.p + at, name.n - at};
	return part[0].n > part[1].n ? part[0].n : part[1].n;
}

static size_t width_of(unsigned what)
{
	struct str part[2];
	size_t n = head_parts(what, part);

	return n > 5 ? n : 5;
}

/* TEXT at the left in WIDTH columns; what is not plain as '?', and what is
 * too long cut, which a '+' shows. */
static void put_left(FILE *out, const char *text, size_t width)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < width; i++) {
		int c = i < n ? (unsigned char)text[i] : ' ';

		if (i + 1 == width && n > width)
			c = '+';
		(void)fputc(c >= ' ' && c <= '~' ? c : '?', out);
	}
}

/* ------------------------------------------------------------------- layout */

static bool is_in(const struct layout *l, unsigned what)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->what[i] == what)
			return true;
	}
	return false;
}

static void sort_columns(struct layout *l)
{
	for (size_t i = 1; i < l->n; i++) {
		for (size_t k = i; k != 0 && l->what[k - 1] > l->what[k]; k--) {
			unsigned x = l->what[k];

			l->what[k] = l->what[k - 1];
			l->what[k - 1] = x;
		}
	}
}

/* The longest of the shown devices' ids and classes. */
static void measure(const struct top *t, struct layout *l)
{
	char id[DEVICE_ID_MAX + 1], class[CLASS_NAME_MAX + 1];
	struct meter_map m = segment_map(&t->w.segment);

	for (size_t i = 0; i < t->shown; i++) {
		const struct meter_slot *s = meter_slot_at(m, top_slot(t, i));
		size_t n = meter_slot_id(s, id);

		l->device = n > l->device ? n : l->device;
		meter_class_text(&t->w,
			atomic_load_explicit(&s->class, memory_order_relaxed),
			class);
		n = strlen(class);
		l->class = n > l->class ? n : l->class;
	}
}

static struct layout lay_out(const struct top *t, size_t columns)
{
	struct layout l = {
		.n = 1, .device = DEVICE_LEAST, .class = CLASS_LEAST};
	size_t least = 2 + DEVICE_LEAST + 1 + CLASS_LEAST + 1 + CONN_WIDTH;
	size_t used, room;

	l.what[0] = t->view.sort;
	used = least + 1 + width_of(l.what[0]);
	for (size_t i = 0; i + 1 < COLUMNS_MAX; i++) {
		size_t more = 1 + width_of(by_need[i]);

		if (is_in(&l, by_need[i]) || used + more > columns)
			continue;
		l.what[l.n++] = by_need[i];
		used += more;
	}
	sort_columns(&l);
	measure(t, &l);
	/* What is left goes to the ids, then to classes, then to the last
	 * refusal. */
	room = columns > used ? columns - used : 0;
	if (l.device > DEVICE_LEAST + room)
		l.device = DEVICE_LEAST + room;
	room -= l.device - DEVICE_LEAST;
	if (l.class > CLASS_LEAST + room)
		l.class = CLASS_LEAST + room;
	room -= l.class - CLASS_LEAST;
	l.last = room > LAST_LEAST ? room - 2 : 0;
	return l;
}

/* --------------------------------------------------------------------- lines */

static const char *style(const struct top_frame *f, const char *ansi)
{
	return f->ansi ? ansi : "";
}

/* One line, cut at the terminal's width. */
static void line(FILE *out, const struct top_frame *f, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void line(FILE *out, const struct top_frame *f, const char *fmt, ...)
{
	char text[512];
	size_t n;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	n = strlen(text);
	put_left(out, text, n < f->columns ? n : f->columns);
	(void)fputc('\n', out);
}

static void draw_state(
	const struct top *t, const struct top_frame *f, FILE *out)
{
	const struct meter_header *h = segment_header(&t->w.segment);
	char state[WATCH_TEXT], up[DURATION_TEXT], when[TIME_TEXT];
	int64_t connected = 0;

	meter_watch_text(&t->w, state);
	time_format(f->now_s, when);
	if (t->w.state != BROKER_RUNNING) {
		(void)fputs(style(f, f->colour ? RED : BOLD), out);
		line(out, f, "weir top  %.8s  broker: %s%s", when + 11, state,
			meter_watch_reads(&t->w) ? "; what it had counted:"
						 : "");
		(void)fputs(style(f, PLAIN), out);
		return;
	}
	connected = atomic_load_explicit(&h->connected, memory_order_relaxed);
	duration_format(f->now_s - t->w.started_s, up);
	line(out, f, "weir top  %.8s  broker: %s, up %s, %" PRId64 " connected",
		when + 11, state, up, connected);
}

static void draw_view(const struct top *t, const struct top_frame *f, FILE *out)
{
	const struct top_view *v = &t->view;
	char how[64];

	if (v->totals)
		(void)snprintf(how, sizeof(how), "totals");
	else if (top_seconds(t) > 0)
		(void)snprintf(how, sizeof(how), "per second, over %.1f s",
			top_seconds(t));
	else
		(void)snprintf(how, sizeof(how),
			"per second, known with the next look");
	line(out, f, "%s; %s %s first; %zu of %" PRIu32 " devices%s%s%s%s%s%s",
		how, v->reverse ? "least" : "most", meter_count_name(v->sort),
		t->fit, t->now.n, v->one_class ? "; class " : "",
		v->one_class ? v->class_name : "",
		v->device[0] != '\0' ? "; id with " : "", v->device,
		v->refused ? "; refused only" : "",
		t->view.offset != 0 ? "; scrolled" : "");
}

/* The first or second line of the heading of counter WHAT. */
static void put_head(const struct top *t, const struct top_frame *f,
	unsigned what, size_t k, FILE *out)
{
	bool sort = what == t->view.sort;
	struct str part[2];

	(void)head_parts(what, part);
	(void)fprintf(out, " %s%*.*s%s", style(f, sort ? REVERSE : ""),
		(int)width_of(what), STR_ARG(part[k]),
		style(f, sort ? PLAIN BOLD : ""));
}

static void draw_heads(const struct top *t, const struct top_frame *f,
	const struct layout *l, FILE *out)
{
	static const char *const heads[2][3] = {
		{"", "", ""}, {"DEVICE", "CLASS", "CONN"}};

	for (size_t k = 0; k < 2; k++) {
		(void)fprintf(out, "%s  ", style(f, BOLD));
		put_left(out, heads[k][0], l->device + 1);
		put_left(out, heads[k][1], l->class + 1);
		(void)fprintf(out, "%*s", CONN_WIDTH, heads[k][2]);
		for (size_t i = 0; i < l->n; i++)
			put_head(t, f, l->what[i], k, out);
		if (l->last != 0 && k == 1)
			(void)fputs("  LAST REFUSAL", out);
		(void)fprintf(out, "%s\n", style(f, PLAIN));
	}
}

static void put_number(FILE *out, double n, size_t width)
{
	char text[SCALED_TEXT];

	scaled_format(n, text);
	(void)fprintf(out, " %*s", (int)width, text);
}

static void draw_sum(const struct top *t, const struct top_frame *f,
	const struct layout *l, FILE *out)
{
	(void)fprintf(out, "%s  ", style(f, BOLD));
	put_left(out, t->view.one_class ? "(the class)" : "(all)",
		l->device + 1 + l->class + 1 + CONN_WIDTH);
	for (size_t i = 0; i < l->n; i++)
		put_number(out, top_sum(t, l->what[i], t->view.totals),
			width_of(l->what[i]));
	(void)fprintf(out, "%s\n", style(f, PLAIN));
}

static void put_refusal(const struct top_frame *f,
	const struct meter_refusal *r, size_t width, FILE *out)
{
	char ago[DURATION_TEXT], text[METER_TOPIC + 128];
	enum reason reason = r->reason < REASON_COUNT ? (enum reason)r->reason
						      : REASON_UNAVAILABLE;

	if (r->t_s == 0 || width == 0)
		return;
	duration_format(f->now_s - r->t_s, ago);
	(void)snprintf(text, sizeof(text), "%s ago %s %s %s", ago,
		action_name((enum action)r->action), reason_name(reason),
		r->topic);
	(void)fputs("  ", out);
	put_left(out, text, strlen(text) < width ? strlen(text) : width);
}

static void draw_device(const struct top *t, const struct top_frame *f,
	const struct layout *l, uint32_t slot, FILE *out)
{
	const struct meter_slot *s =
		meter_slot_at(segment_map(&t->w.segment), slot);
	bool refused = top_value(t, slot, METER_REFUSED, false) > 0;
	char id[DEVICE_ID_MAX + 1], class[CLASS_NAME_MAX + 1];
	struct meter_refusal last;

	(void)meter_slot_id(s, id);
	meter_class_text(&t->w,
		atomic_load_explicit(&s->class, memory_order_relaxed), class);
	/* Marked without colours too. */
	(void)fprintf(out, "%s%c ",
		refused ? style(f, f->colour ? RED : BOLD) : "",
		refused ? '!' : ' ');
	put_left(out, id, l->device);
	(void)fputc(' ', out);
	put_left(out, class, l->class);
	(void)fprintf(out, " %*" PRIu32, CONN_WIDTH,
		meter_slot_connections(&t->w, s));
	for (size_t i = 0; i < l->n; i++)
		put_number(out, top_value(t, slot, l->what[i], t->view.totals),
			width_of(l->what[i]));
	meter_slot_last_refusal(s, &last);
	put_refusal(f, &last, l->last, out);
	(void)fprintf(out, "%s\n", refused ? style(f, PLAIN) : "");
}

void top_draw(const struct top *t, const struct top_frame *f, FILE *out)
{
	struct layout l = lay_out(t, f->columns);

	if (meter_watch_reads(&t->w)) {
		draw_state(t, f, out);
		draw_view(t, f, out);
		draw_heads(t, f, &l, out);
		draw_sum(t, f, &l, out);
	} else {
		draw_state(t, f, out);
	}
	for (size_t i = 0; i < t->shown; i++)
		draw_device(t, f, &l, top_slot(t, i), out);
	if (f->bottom != NULL)
		line(out, f, "%s", f->bottom);
}
