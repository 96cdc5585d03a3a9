/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/tail_filter.h"

#include "core/reason.h"
#include "io/values.h"

#include <inttypes.h>
#include <stdio.h>

_Static_assert(EVENT_TYPES <= 32 && REASON_COUNT <= 32, "a bit each");

#define BIT(n) (UINT32_C(1) << (n))
/* What was refused, or would have been: events that have a reason. */
#define JUDGED    (BIT(EVENT_REFUSAL) | BIT(EVENT_OBSERVED))
#define ALL_TYPES ((BIT(EVENT_TYPES) - 1) & ~BIT(EVENT_NONE))

/* ------------------------------------------------------------------- cursor */

void tail_cursor_format(struct tail_cursor c, char out[static TAIL_CURSOR_TEXT])
{
	(void)snprintf(
		out, TAIL_CURSOR_TEXT, "%016" PRIx64 "-%" PRIu64, c.meter, c.n);
}

/* The 16 hexadecimal digits at P. */
static bool read_meter(const char *p, uint64_t *out)
{
	uint64_t n = 0;

	for (size_t i = 0; i < 16; i++) {
		if (p[i] >= '0' && p[i] <= '9')
			n = n << 4 | (uint64_t)(p[i] - '0');
		else if (p[i] >= 'a' && p[i] <= 'f')
			n = n << 4 | (uint64_t)(p[i] - 'a' + 10);
		else
			return false;
	}
	*out = n;
	return true;
}

/* A number as we write it: no zero before another digit. */
static bool read_number(struct str s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.n == 0 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit = (uint64_t)(s.p[i] - '0');

		if (s.p[i] < '0' || s.p[i] > '9' ||
			n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return true;
}

bool tail_cursor_parse(struct str text, struct tail_cursor *out, struct err *e)
{
	struct tail_cursor c;

	if (text.n > 17 && text.p[16] == '-' && read_meter(text.p, &c.meter) &&
		read_number((struct str){text.p + 17, text.n - 17}, &c.n)) {
		*out = c;
		return true;
	}
	return err_set(e, ERR_INPUT,
		"'%.*s' is no cursor: give the one of an event that was sent, "
		"such as 00c0ffee00c0ffee-1027",
		text.n < 48 ? (int)text.n : 48, text.n != 0 ? text.p : "");
}

/* ---------------------------------------------------------------- arguments */

/* The next of the names that *LIST holds, between commas. False: there is no
 * further one. */
static bool next_name(struct str *list, struct str *name)
{
	const char *comma;

	if (list->p == NULL)
		return false;
	comma = list->n != 0 ? memchr(list->p, ',', list->n) : NULL;
	*name = *list;
	*list = (struct str){NULL, 0};
	if (comma != NULL) {
		*list = (struct str){
			comma + 1, name->n - (size_t)(comma - name->p) - 1};
		name->n = (size_t)(comma - name->p);
	}
	return true;
}

static bool refuse(
	struct err *e, const char *argument, struct str name, const char *why)
{
	(void)err_set(e, ERR_INPUT, "'%.*s' %s", name.n < 48 ? (int)name.n : 48,
		name.n != 0 ? name.p : "", why);
	return err_at(e, "%s", argument);
}

static bool read_types(
	const struct ask *q, struct tail_filter *f, struct err *e)
{
	struct str list = ask_arg(q, "events"), name;

	f->types = ALL_TYPES;
	if (list.p == NULL || str_eq(list, STR("all")))
		return true;
	f->types = 0;
	if (str_eq(list, STR("none")))
		return true;
	while (next_name(&list, &name)) {
		enum event_type type = event_find(name);

		if (type == EVENT_NONE)
			return refuse(e, "events", name,
				"is no type of event: they are connect, "
				"disconnect, refusal, observed, takeover, "
				"policy and status; or all, or none");
		f->types |= BIT(type);
	}
	return true;
}

static bool read_reasons(
	const struct ask *q, struct tail_filter *f, struct err *e)
{
	struct str list = ask_arg(q, "reason"), name;
	int r;

	while (next_name(&list, &name)) {
		for (r = 0; r < REASON_COUNT; r++) {
			if (str_eq(str_from(reason_name((enum reason)r)), name))
				break;
		}
		if (r == REASON_COUNT)
			return refuse(e, "reason", name,
				"is no reason: docs/POLICY.md has them");
		f->reasons |= BIT(r);
	}
	return true;
}

static bool has_name(const struct tail_names *names, struct str name)
{
	for (size_t i = 0; i < names->n; i++) {
		if (str_eq(str_from(names->name[i]), name))
			return true;
	}
	return false;
}

static bool read_names(const struct ask *q, const char *argument,
	bool (*valid)(struct str), struct tail_names *out, struct err *e)
{
	struct str list = ask_arg(q, argument), name;

	while (next_name(&list, &name)) {
		if (!valid(name))
			return refuse(
				e, argument, name, "cannot be the name of one");
		if (has_name(out, name))
			continue;
		if (out->n == TAIL_NAMES) {
			(void)err_set(e, ERR_INPUT,
				"more than %u names: leave the filter out, or "
				"tail in several connections",
				TAIL_NAMES);
			return err_at(e, "%s", argument);
		}
		memcpy(out->name[out->n], name.p, name.n);
		out->name[out->n++][name.n] = '\0';
	}
	return true;
}

static bool read_counters(
	const struct ask *q, struct tail_filter *f, struct err *e)
{
	struct str text = ask_arg(q, "counters");
	int64_t s = 0;

	if (text.p == NULL || str_eq(text, STR("off")))
		return true;
	if (!duration_parse(text, &s, e))
		return err_at(e, "counters");
	if (s < 1 || s > TAIL_COUNTERS_MAX)
		return refuse(e, "counters", text,
			"is not between 1s and 60s, or off");
	f->counters_s = (uint32_t)s;
	return true;
}

static bool read_begin(
	const struct ask *q, struct tail_filter *f, struct err *e)
{
	struct str after = ask_arg(q, "after"), last = ask_arg(q, "last");
	int64_t n;

	if (last.p != NULL) {
		if (!number_parse("last", last, 0, METER_EVENTS, &n, e))
			return err_at(e, "last");
		f->last = (uint32_t)n;
	}
	if (after.p == NULL)
		return true;
	if (last.p != NULL) {
		(void)err_set(e, ERR_INPUT,
			"begin behind an event or with the last ones, not "
			"both");
		return err_at(e, "after");
	}
	f->resumes = tail_cursor_parse(after, &f->after, e);
	return f->resumes || err_at(e, "after");
}

/* A filter that nothing can pass must not look like devices that are silent. */
static bool asks_something(const struct tail_filter *f, struct err *e)
{
	if (f->types == 0 && f->counters_s == 0) {
		(void)err_set(e, ERR_INPUT,
			"neither events nor counters are asked for");
		return err_at(e, "events");
	}
	if (f->reasons != 0 && (f->types & JUDGED) == 0) {
		(void)err_set(e, ERR_INPUT,
			"only events refusal and observed have a reason, and "
			"neither is asked for");
		return err_at(e, "reason");
	}
	return true;
}

bool tail_filter_parse(
	const struct ask *q, struct tail_filter *out, struct err *e)
{
	static const char *const known[] = {"events", "counters", "device",
		"class", "reason", "last", "after"};
	struct tail_filter f = {.types = 0};

	if (!ask_only(q, known, sizeof(known) / sizeof(known[0]), e) ||
		!read_types(q, &f, e) || !read_reasons(q, &f, e) ||
		!read_names(q, "device", device_id_valid, &f.devices, e) ||
		!read_names(q, "class", class_name_valid, &f.classes, e) ||
		!read_counters(q, &f, e) || !read_begin(q, &f, e) ||
		!asks_something(&f, e))
		return false;
	*out = f;
	return true;
}

/* ----------------------------------------------------------------- matching */

bool tail_filter_device(
	const struct tail_filter *f, struct str device, struct str class)
{
	return (f->devices.n == 0 || has_name(&f->devices, device)) &&
	       (f->classes.n == 0 || has_name(&f->classes, class));
}

bool tail_filter_event(const struct tail_filter *f, const struct tail_key *k)
{
	if ((f->types >> k->type & 1) == 0)
		return false;
	if (f->reasons != 0 &&
		((BIT(k->type) & JUDGED) == 0 || k->reason >= REASON_COUNT ||
			(f->reasons >> k->reason & 1) == 0))
		return false;
	return tail_filter_device(f, k->device, k->class);
}
