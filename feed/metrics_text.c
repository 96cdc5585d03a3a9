/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/metrics_text.h"

#include <inttypes.h>

/* ------------------------------------------------------------- single numbers */

enum as {
	AS_COUNT,
	AS_NUMBER,
	AS_MS,
	AS_US,
};

static const struct number {
	const char *name, *type, *help;
	enum as as;
} numbers[SCRAPE_N_NUMBERS] = {
#define NUMBER_ROW(c, name, type, as, help)                                    \
	[SCRAPE_##c] = {#name, #type, (help), AS_##as},
	SCRAPE_NUMBERS(NUMBER_ROW)
#undef NUMBER_ROW
};

/* Those with a label; the same name one after the other. */
static const struct pair {
	const char *name, *type, *help, *label;
} pairs[SCRAPE_N_PAIRS] = {
	[SCRAPE_STRANGER_IN] = {"weir_stranger_wire_bytes_total", "counter",
		"What connections carried that never became a device's.",
		"direction=\"in\""},
	[SCRAPE_STRANGER_OUT] = {"weir_stranger_wire_bytes_total", "counter",
		NULL, "direction=\"out\""},
	[SCRAPE_EXPIRING_7D] = {"weir_credentials_expiring", "gauge",
		"Active certificates that end within so long from now.",
		"within=\"7d\""},
	[SCRAPE_EXPIRING_30D] = {"weir_credentials_expiring", "gauge", NULL,
		"within=\"30d\""},
	[SCRAPE_CLIENTS_HTTP] = {"weir_feed_clients", "gauge",
		"Connections to weir-feed now.", "kind=\"http\""},
	[SCRAPE_CLIENTS_WEBSOCKET] = {"weir_feed_clients", "gauge", NULL,
		"kind=\"websocket\""},
#define FINDING_PAIR(c, name, unit, floor, text)                               \
	[SCRAPE_FINDINGS + FINDING_##c] = {"weir_findings", "gauge",           \
		FINDING_##c == 0 ? "Devices that are unlike their class now, " \
				   "by what they do."                          \
				 : NULL,                                       \
		"kind=\"" #name "\""},
	FINDINGS_TABLE(FINDING_PAIR)
#undef FINDING_PAIR
};

static void add_head(
	struct text *out, const char *name, const char *type, const char *help)
{
	text_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_number(struct text *out, enum as as, uint64_t n)
{
	switch (as) {
	case AS_COUNT:
		text_fmt(out, "%" PRIu64 "\n", n);
		return;
	case AS_NUMBER:
		text_fmt(out, "%" PRId64 "\n", (int64_t)n);
		return;
	case AS_MS:
		text_fmt(out, "%" PRIu64 ".%03u\n", n / 1000,
			(unsigned)(n % 1000));
		return;
	case AS_US:
		text_fmt(out, "%" PRIu64 ".%06u\n", n / 1000000,
			(unsigned)(n % 1000000));
		return;
	}
}

static void add_single(const struct scrape *s, struct text *out)
{
	add_head(out, "weir_build_info", "gauge",
		"1; the version of weir-feed is in the label.");
	text_fmt(out, "weir_build_info{version=\"%s\"} 1\n", WEIR_VERSION);
	for (unsigned i = 0; i < SCRAPE_N_NUMBERS; i++) {
		const struct number *n = &numbers[i];

		if (!s->has[i])
			continue;
		add_head(out, n->name, n->type, n->help);
		text_fmt(out, "%s ", n->name);
		add_number(out, n->as, s->number[i]);
	}
	for (unsigned i = 0; i < SCRAPE_N_PAIRS; i++) {
		const struct pair *p = &pairs[i];

		if (!s->has_pair[i])
			continue;
		if (p->help != NULL)
			add_head(out, p->name, p->type, p->help);
		text_fmt(out, "%s{%s} %" PRIu64 "\n", p->name, p->label,
			s->pair[i]);
	}
}

/* ------------------------------------------------------------------- families */

/* What one HELP and one TYPE are for. Its rows are those of a table of the
 * scrape. */
struct family {
	const char *name, *type, *help;
	const char *of; /* the counters of this family, by core/counter.h */
	uint32_t (*rows)(const struct scrape *s);
	void (*row)(const struct scrape *s, const struct family *f, uint32_t i,
		struct text *out);
};

static bool is_of(const struct family *f, unsigned counter)
{
	return strcmp(counter_family((enum counter)counter), f->of) == 0;
}

/* One line: the name, a label whose value is a name, more labels, the number. */
static void add_line(struct text *out, const struct family *f,
	const char *label, const char *value, const char *more, uint64_t n)
{
	text_fmt(out, "%s{%s=\"%s\"%s%s} %" PRIu64 "\n", f->name, label, value,
		more[0] != '\0' ? "," : "", more, n);
}

/* By action, the counter of what was refused. */
static const struct {
	enum counter counter;
	enum action action;
	const char *label;
} refused[] = {
	{COUNTER_REFUSED_CONNECTS, ACTION_CONNECT, "action=\"connect\""},
	{COUNTER_REFUSED_PUBLISHES, ACTION_PUBLISH, "action=\"publish\""},
	{COUNTER_REFUSED_SUBSCRIBES, ACTION_SUBSCRIBE, "action=\"subscribe\""},
	{COUNTER_REFUSED_DELIVERIES, ACTION_RECEIVE, "action=\"receive\""},
};
#define N_REFUSED (sizeof(refused) / sizeof(refused[0]))

static void add_refused(struct text *out, const struct family *f,
	const char *label, const char *value, const uint64_t *counter)
{
	for (size_t i = 0; i < N_REFUSED; i++)
		add_line(out, f, label, value, refused[i].label,
			counter[refused[i].counter]);
}

/* ----------------------------------------------------------------- by class */

static uint32_t classes(const struct scrape *s)
{
	return s->n_classes;
}

static void class_counters(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	const struct scrape_class *c = &s->class[i];

	for (unsigned k = 0; k < COUNTERS; k++)
		if (is_of(f, k))
			add_line(out, f, "class", c->name,
				counter_labels((enum counter)k), c->counter[k]);
}

static void class_refused(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	add_refused(out, f, "class", s->class[i].name, s->class[i].counter);
}

static void class_refusals(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	const struct scrape_class *c = &s->class[i];

	for (size_t k = 0; k < N_REFUSED; k++) {
		const uint64_t *n = c->refused[refused[k].action - 1];

		for (unsigned r = 0; r < REASON_COUNT; r++) {
			if (n[r] == 0)
				continue;
			text_fmt(out,
				"%s{class=\"%s\",%s,reason=\"%s\"} %" PRIu64
				"\n",
				f->name, c->name, refused[k].label,
				reason_name((enum reason)r), n[r]);
		}
	}
}

static void class_connected(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	add_line(out, f, "class", s->class[i].name, "", s->class[i].connected);
}

/* ---------------------------------------------------------------- by device */

static uint32_t devices(const struct scrape *s)
{
	return s->n_devices;
}

static void device_counters(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	const struct scrape_device *d = &s->device[i];

	for (unsigned k = 0; k < COUNTERS; k++)
		if (is_of(f, k))
			add_line(out, f, "device", d->id,
				counter_labels((enum counter)k), d->counter[k]);
}

static void device_refused(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	add_refused(out, f, "device", s->device[i].id, s->device[i].counter);
}

static void device_refusals(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	const struct scrape_device *d = &s->device[i];

	for (unsigned r = 0; r < REASON_COUNT; r++) {
		uint32_t at = meter_reason_index((enum reason)r);

		if (at >= METER_REASONS || d->reason[at] == 0)
			continue;
		text_fmt(out, "%s{device=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
			f->name, d->id, reason_name((enum reason)r),
			d->reason[at]);
	}
}

static void device_connections(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	add_line(out, f, "device", s->device[i].id, "",
		s->device[i].connections);
}

/* ----------------------------------------------------- by device, last minute */

static uint32_t tops(const struct scrape *s)
{
	return s->n_top;
}

static void add_top(struct text *out, const struct family *f,
	const struct scrape_top *t, const char *more, uint64_t n)
{
	text_fmt(out, "%s{device=\"%s\",class=\"%s\"%s%s} %" PRIu64 "\n",
		f->name, t->device, t->class_name, more[0] != '\0' ? "," : "",
		more, n);
}

static void top_counters(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	for (unsigned k = 0; k < MINUTE_REFUSED; k++)
		if (is_of(f, k))
			add_top(out, f, &s->top[i],
				counter_labels((enum counter)k),
				s->top[i].count[k]);
}

static void top_refused(const struct scrape *s, const struct family *f,
	uint32_t i, struct text *out)
{
	add_top(out, f, &s->top[i], "", s->top[i].count[MINUTE_REFUSED]);
}

/* ----------------------------------------------------------------------- all */

/* X(name without what all begin with, help) */
#define COUNTER_FAMILIES(X)                                                    \
	X(messages_total,                                                      \
		"PUBLISH packets: let in, queued for the device, sent to it "  \
		"(Mosquitto 2.1 only).")                                       \
	X(payload_bytes_total, "Payloads of those packets.")                   \
	X(mqtt_bytes_total, "Those packets whole.")                            \
	X(wire_bytes_total,                                                    \
		"What TLS connections carried on the socket, handshakes "      \
		"included.")                                                   \
	X(wills_total, "Wills that were published.")                           \
	X(refused_publish_bytes_total, "PUBLISH packets that were refused.")   \
	X(observed_total, "Requests let pass because they are only observed.") \
	X(connects_total, "Connects admitted.")                                \
	X(disconnects_total, "Ends of connections.")                           \
	X(takeovers_total,                                                     \
		"Connects that took a live connection's client id over.")      \
	X(connected_seconds_total,                                             \
		"How long connections lasted that have ended.")

/* X(name, help): what is told of the last full minute. */
#define MINUTE_FAMILIES(X)                                                     \
	X(messages, "PUBLISH packets in the last full minute.")                \
	X(payload_bytes, "Their payloads.")                                    \
	X(mqtt_bytes, "Those packets whole.")                                  \
	X(wire_bytes, "Bytes of TLS connections in the last full minute.")

#define REFUSED_HELP  "Requests refused, whatever the reason."
#define REFUSALS_HELP "Requests refused, by reason; none is no line."

static const struct family families[] = {
#define BY_CLASS(n, help)                                                      \
	{"weir_" #n, "counter", (help), "weir_" #n, classes, class_counters},
	COUNTER_FAMILIES(BY_CLASS)
#undef BY_CLASS
		{"weir_refused_requests_total", "counter", REFUSED_HELP, "",
			classes, class_refused},
	{"weir_refusals_total", "counter", REFUSALS_HELP, "", classes,
		class_refusals},
	{"weir_connected_devices", "gauge", "Devices with a connection now.",
		"", classes, class_connected},
#define BY_DEVICE(n, help)                                                     \
	{"weir_device_" #n, "counter", (help), "weir_" #n, devices,            \
		device_counters},
	COUNTER_FAMILIES(BY_DEVICE)
#undef BY_DEVICE
		{"weir_device_refused_requests_total", "counter", REFUSED_HELP,
			"", devices, device_refused},
	{"weir_device_refusals_total", "counter", REFUSALS_HELP, "", devices,
		device_refusals},
	{"weir_device_connections", "gauge", "Connections of the device now.",
		"", devices, device_connections},
#define BY_MINUTE(n, help)                                                     \
	{"weir_last_minute_" #n, "gauge", (help), "weir_" #n "_total", tops,   \
		top_counters},
	MINUTE_FAMILIES(BY_MINUTE)
#undef BY_MINUTE
		{"weir_last_minute_refused_requests", "gauge",
			"Requests refused in the last full minute.", "", tops,
			top_refused},
};
#define N_FAMILIES (sizeof(families) / sizeof(families[0]))

bool metrics_text(const struct scrape *s, struct metrics_place *at,
	size_t least, struct text *out)
{
	size_t end = out->n + least;

	if (at->family == 0) {
		add_single(s, out);
		at->family = 1;
	}
	while (at->family <= N_FAMILIES && out->n < end && !out->failed) {
		const struct family *f = &families[at->family - 1];
		uint32_t rows = f->rows(s);

		if (at->row == 0 && rows != 0)
			add_head(out, f->name, f->type, f->help);
		/* A head never ends a piece: it would come again. */
		for (; at->row < rows && (at->row == 0 || out->n < end);
			at->row++)
			f->row(s, f, at->row, out);
		if (at->row < rows)
			break;
		at->family++;
		at->row = 0;
	}
	return at->family <= N_FAMILIES && !out->failed;
}
