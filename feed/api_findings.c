/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/api_findings.h"

#include "feed/args.h"
#include "feed/feed.h"

#include <stdlib.h>
#include <string.h>

#define FINDINGS_MAX (DETECTOR_OPEN_MAX + DETECTOR_ENDED_MAX)

enum findings_state {
	STATE_OPEN = 0,
	STATE_ENDED,
	STATE_ALL,
};

struct findings_ask {
	size_t state; /* enum findings_state */
	size_t kind;  /* FINDING_KINDS: any */
	bool by_class;
	char device[DEVICE_ID_MAX + 1], class_name[CLASS_NAME_MAX + 1];
};

static bool read_args(
	const struct ask *q, struct findings_ask *x, struct err *e)
{
	static const char *const known[] = {"state", "kind", "class", "device"};
	static const char *const states[] = {"open", "ended", "all"};
	static const char *const names[] = {
#define FINDING_WORD(c, name, unit, floor, text) #name,
		FINDINGS_TABLE(FINDING_WORD)
#undef FINDING_WORD
	};

	x->kind = FINDING_KINDS;
	return ask_only(q, known, 4, e) &&
	       args_choice(q, "state", states, 3, &x->state, e) &&
	       args_choice(q, "kind", names, FINDING_KINDS, &x->kind, e) &&
	       args_class(q, "class", &x->by_class, x->class_name, e) &&
	       args_id(q, "device", x->device, e);
}

/* One that is told of. */
struct row {
	const struct finding *f;
};

static bool is_asked(const struct findings_ask *x, const struct finding *f)
{
	return (x->kind == FINDING_KINDS || x->kind == f->kind) &&
	       (!x->by_class || strcmp(x->class_name, f->class_name) == 0) &&
	       (x->device[0] == '\0' || strcmp(x->device, f->device) == 0);
}

/* Into OUT those that are asked for. Returns how many. */
static size_t collect(const struct detector *d, const struct findings_ask *x,
	struct row out[static FINDINGS_MAX])
{
	const struct finding *f;
	size_t n = 0;

	for (uint32_t i = 0; x->state != STATE_ENDED && i < d->n_open; i++) {
		if (is_asked(x, &d->open[i]))
			out[n++].f = &d->open[i];
	}
	for (uint32_t i = 0;
		x->state != STATE_OPEN && (f = detector_ended(d, i)) != NULL;
		i++) {
		if (is_asked(x, f))
			out[n++].f = f;
	}
	return n;
}

/* The newest first; of one minute by device, then by kind. */
static int by_age(const void *a, const void *b)
{
	const struct finding *x = ((const struct row *)a)->f;
	const struct finding *y = ((const struct row *)b)->f;
	int order;

	if (x->since_s != y->since_s)
		return x->since_s < y->since_s ? 1 : -1;
	order = strcmp(x->device, y->device);
	return order != 0 ? order : (int)x->kind - (int)y->kind;
}

static void add(struct text *t, const struct finding *f)
{
	json_open(t, NULL, '{');
	json_text(t, "device", str_from(f->device));
	json_text(t, "class", str_from(f->class_name));
	json_text(t, "kind", str_from(finding_name(f->kind)));
	json_text(t, "what", str_from(finding_text(f->kind)));
	json_text(t, "unit", str_from(finding_unit(f->kind)));
	json_count(t, "amount", f->amount);
	json_count(t, "class_median", f->median);
	json_count(t, "limit", f->limit);
	json_count(t, "others", f->others);
	json_number(t, "since_s", f->since_s);
	json_number(t, "last_s", f->last_s);
	if (f->ended_s != 0)
		json_number(t, "ended_s", f->ended_s);
	else
		json_null(t, "ended_s");
	json_close(t, '}');
}

void api_findings(struct feed *f, const struct ask *q, struct answer *a)
{
	struct row row[FINDINGS_MAX];
	const struct detector *d = f->detector;
	struct findings_ask x = {.state = STATE_OPEN};
	struct text *t = &a->body;
	struct err e;
	size_t n;

	if (!read_args(q, &x, &e)) {
		answer_err(a, &e);
		return;
	}
	n = collect(d, &x, row);
	qsort(row, n, sizeof(row[0]), by_age);
	json_open(t, NULL, '{');
	if (d->looked_s != 0)
		json_number(t, "looked_s", d->looked_s);
	else
		json_null(t, "looked_s");
	json_count(t, "minutes", d->minutes);
	json_count(t, "untold", d->untold);
	json_open(t, "findings", '[');
	for (size_t i = 0; i < n; i++)
		add(t, row[i].f);
	json_close(t, ']');
	json_close(t, '}');
	json_line_end(t);
}
