/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain_batch.h"

#include "cli/line.h"
#include "cli/output.h"
#include "io/file.h"
#include "io/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 6
/* Devices kept at hand, one a slot, so that memory is bounded whatever the
 * size of the fleet. */
#define SLOTS 8192u

struct batch {
	const struct asking *from;
	struct slot {
		char id[DEVICE_ID_MAX + 1];
		struct asked *asked; /* NULL: empty */
	} * slots;
};

/* FNV-1a. */
static size_t slot_of(struct str id)
{
	uint32_t h = UINT32_C(2166136261);
	size_t i;

	for (i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * UINT32_C(16777619);
	return (h ^ h >> 16) % SLOTS;
}

static void slot_clear(struct slot *s)
{
	if (s->asked == NULL)
		return;
	asked_fini(s->asked);
	free(s->asked);
	s->asked = NULL;
}

/* The device ID, from its slot or the registry; lent until the next. */
static bool find_device(
	struct batch *b, struct str id, const struct asked **out, struct err *e)
{
	struct slot *s = &b->slots[slot_of(id)];

	/* What is no id shares one record: it is never found. */
	if (!device_id_valid(id))
		id.n = 0;
	if (s->asked == NULL || !str_eq(str_from(s->id), id)) {
		slot_clear(s);
		s->asked = need_memory(1, sizeof(*s->asked));
		if (!asked_load(b->from, id, s->asked, e)) {
			free(s->asked);
			s->asked = NULL;
			return false;
		}
		if (id.n != 0)
			memcpy(s->id, id.p, id.n);
		s->id[id.n] = '\0';
	}
	*out = s->asked;
	return true;
}

/* -------------------------------------------------------------- one question */

struct question {
	struct str device;
	struct request what;
};

static bool parse_flag(struct str text, bool *out, struct err *e)
{
	if (str_eq(text, STR("1")) || str_eq(text, STR("true"))) {
		*out = true;
		return true;
	}
	*out = false;
	return text.n == 0 || str_eq(text, STR("0")) ||
	       str_eq(text, STR("false")) ||
	       err_set(e, ERR_INPUT,
		       "retain is '%.*s'; it can be 0, 1, true or false",
		       STR_ARG(text));
}

static bool parse_number(const char *what, struct str text, int64_t high,
	int64_t *out, struct err *e)
{
	*out = 0;
	return text.n == 0 || number_parse(what, text, 0, high, out, e);
}

/* Cuts LINE at its tabs; what is missing stays empty. False when there are too
 * many. */
static bool split(struct str line, struct str col[static COLUMNS])
{
	size_t i;

	for (i = 0; i < COLUMNS; i++) {
		const char *tab =
			line.n != 0 ? memchr(line.p, '\t', line.n) : NULL;
		size_t n = tab != NULL ? (size_t)(tab - line.p) : line.n;

		col[i] = (struct str){line.p, n};
		if (tab == NULL)
			return true;
		line = (struct str){tab + 1, line.n - n - 1};
	}
	return false;
}

static bool parse(struct str line, struct question *q, struct err *e)
{
	struct str col[COLUMNS] = {{NULL, 0}};
	int64_t qos, bytes;

	if (!split(line, col))
		return err_set(e, ERR_INPUT,
			"more than %d columns; there are: device, action, "
			"topic, qos, retain, bytes",
			COLUMNS);
	if (col[0].n == 0)
		return err_set(e, ERR_INPUT, "no device");
	*q = (struct question){.device = col[0]};
	q->what.action = action_find(col[1]);
	if (q->what.action == ACTION_NONE)
		return err_set(e, ERR_INPUT,
			"'%.*s' is no action: connect, publish, subscribe or "
			"receive",
			STR_ARG(col[1]));
	q->what.topic = col[2];
	if (q->what.action == ACTION_CONNECT && col[2].n == 0)
		q->what.topic = col[0];
	if (!parse_number("qos", col[3], 2, &qos, e) ||
		!parse_flag(col[4], &q->what.retain, e) ||
		!parse_number("bytes", col[5], UINT32_MAX, &bytes, e))
		return false;
	q->what.qos = (uint8_t)qos;
	q->what.payload_len = (uint32_t)bytes;
	return true;
}

static void answer(const struct policy *policy, struct decision d)
{
	char place[RULE_PLACE_MAX];

	/* The nearest of rules that do not match is a hint for people. */
	if (d.verdict != VERDICT_ALLOWED && d.reason != REASON_QOS &&
		d.reason != REASON_RETAIN && d.reason != REASON_SIZE)
		d.rule = RULE_NONE;
	if (policy_rule_place(policy, d.rule, place) == 0)
		memcpy(place, "-", 2);
	(void)printf("%s\t%s\t%s\n",
		d.verdict == VERDICT_REFUSED ? "deny" : "allow",
		reason_name(d.reason), place);
}

static bool ask(struct batch *b, struct str line, struct err *e)
{
	struct question q = {.device = {NULL, 0}};
	const struct asked *a;

	if (!parse(line, &q, e) || !find_device(b, q.device, &a, e))
		return false;
	q.what.now_s = b->from->c->now_s;
	answer(b->from->policy, decide(b->from->policy, &a->who, &q.what));
	return true;
}

/* ------------------------------------------------------------------- the file */

static bool ask_all(struct batch *b, FILE *in, const char *name, struct err *e)
{
	struct line *l = need_memory(1, sizeof(*l));
	bool ok = true, end = false;

	while (ok && output_ok()) {
		ok = line_next(l, in, name, &end, e);
		if (!ok || end)
			break;
		ok = ask(b, (struct str){l->text, l->n}, e) ||
		     line_at(l, name, e);
	}
	free(l);
	return ok;
}

bool explain_batch(const struct asking *from, const char *path, struct err *e)
{
	bool standard = strcmp(path, "-") == 0, ok;
	struct batch b = {.from = from};
	FILE *in = standard ? stdin : fopen(path, "re");
	size_t i;

	if (in == NULL)
		return file_err(e, "open", path, errno);
	b.slots = need_memory(SLOTS, sizeof(*b.slots));
	ok = ask_all(&b, in, standard ? "standard input" : path, e);
	for (i = 0; i < SLOTS; i++)
		slot_clear(&b.slots[i]);
	free(b.slots);
	if (!standard)
		(void)fclose(in);
	return ok;
}
