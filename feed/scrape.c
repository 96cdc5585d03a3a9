/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/scrape.h"

#include <stdlib.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* ------------------------------------------------------------------- numbers */

/* Its clock may be ahead of ours, and its word may be anything. */
static int64_t age(int64_t then_s, int64_t now_s)
{
	if (then_s >= now_s)
		return 0;
	return then_s > 0 ? now_s - then_s : now_s;
}

static void take_header(struct scrape *s, const struct watch *w, int64_t now_s)
{
	const struct meter_header *h = segment_header(&w->meter.segment);

	scrape_set(s, SCRAPE_BROKER_STARTED, (uint64_t)w->meter.started_s);
	scrape_set(s, SCRAPE_HEARTBEAT_AGE,
		(uint64_t)age(w->meter.heartbeat_s, now_s));
	scrape_set(
		s, SCRAPE_POLICY_REVISION, (uint64_t)LOAD(h->policy_revision));
	scrape_set(
		s, SCRAPE_REVISION_SEEN, (uint64_t)LOAD(h->highest_revision));
	scrape_set(s, SCRAPE_APPLIED_CHANGE, (uint64_t)LOAD(h->applied_change));
	scrape_set(s, SCRAPE_LOAD_ERROR, LOAD(h->load_error_s) != 0 ? 1 : 0);
	scrape_set(s, SCRAPE_CONNECTIONS,
		w->meter.state == BROKER_RUNNING ? (uint64_t)LOAD(h->connected)
						 : 0);
	scrape_set(s, SCRAPE_DEVICES, w->n);
	scrape_set(s, SCRAPE_CLOSED, LOAD(h->closed));
	scrape_set(s, SCRAPE_UNMETERED, LOAD(h->unmetered));
	scrape_set(s, SCRAPE_STRANGERS, LOAD(h->strangers));
	scrape_set(s, SCRAPE_EVENTS, LOAD(h->events));
	scrape_pair(s, SCRAPE_STRANGER_IN, LOAD(h->stranger_wire_bytes_in));
	scrape_pair(s, SCRAPE_STRANGER_OUT, LOAD(h->stranger_wire_bytes_out));
}

/* ------------------------------------------------------------------- classes */

/* The place that class I counts in: its own, that of an earlier one of the
 * same name, or that of all others, which is the last. */
static struct scrape_class *class_place(
	struct scrape *s, const struct meter_class *c, uint32_t i)
{
	struct scrape_class *at = &s->class[s->n_classes];
	size_t n = meter_class_name(c, at->name);
	struct str name = {at->name, n};

	if (i == 0) {
		at->name[0] = '\0';
		s->n_classes++;
		return at;
	}
	if (!class_name_valid(name))
		return &s->class[SCRAPE_CLASSES - 1];
	for (uint32_t k = 1; k < s->n_classes; k++)
		if (strcmp(s->class[k].name, at->name) == 0)
			return &s->class[k];
	if (s->n_classes == SCRAPE_CLASSES - 1)
		return &s->class[SCRAPE_CLASSES - 1];
	s->n_classes++;
	return at;
}

static bool take_classes(struct scrape *s, const struct watch *w)
{
	struct meter_map m = segment_map(&w->meter.segment);
	uint32_t n = meter_classes(m);
	struct scrape_class *other;
	bool others = false;

	s->class = calloc(SCRAPE_CLASSES, sizeof(*s->class));
	if (s->class == NULL)
		return false;
	other = &s->class[SCRAPE_CLASSES - 1];
	for (uint32_t i = 0; i < n; i++) {
		const struct meter_class *c = meter_class_at(m, i);
		struct scrape_class *to = class_place(s, c, i);

		others |= to == other;
		to->connected += w->connected[i];
		for (unsigned k = 0; k < COUNTERS; k++)
			to->counter[k] += LOAD(c->counter[k]);
		for (unsigned a = 0; a < METER_ALL_ACTIONS; a++)
			for (unsigned r = 0; r < REASON_COUNT; r++)
				to->refused[a][r] += LOAD(c->refused[a][r]);
	}
	if (!others)
		return true;
	s->class[s->n_classes] = *other;
	memcpy(s->class[s->n_classes++].name, SCRAPE_OTHER,
		sizeof(SCRAPE_OTHER));
	return true;
}

/* ------------------------------------------------------------------- devices */

static bool has_device(const struct scrape *s, struct str id)
{
	for (uint32_t i = 0; i < s->n_devices; i++)
		if (str_eq(str_from(s->device[i].id), id))
			return true;
	return false;
}

static bool take_devices(
	struct scrape *s, const struct watch *w, const struct config_metrics *m)
{
	s->device = calloc(m->n_devices + 1, sizeof(*s->device));
	if (s->device == NULL)
		return false;
	for (size_t i = 0; i < m->n_devices; i++) {
		struct scrape_device *to = &s->device[s->n_devices];
		struct str id = str_from(m->device[i]);
		struct meter_device d;

		if (!device_id_valid(id) || has_device(s, id))
			continue;
		/* One that the meter does not have yet has zeros, so that its
		 * first message is seen as growth. */
		(void)meter_device_find(&w->meter, id, &d);
		memcpy(to->id, d.id, sizeof(to->id));
		to->connections = d.connections;
		memcpy(to->counter, d.counter, sizeof(to->counter));
		memcpy(to->reason, d.reason, sizeof(to->reason));
		s->n_devices++;
	}
	return true;
}

/* --------------------------------------------------------------- last minute */

/* Names that were there before, by hash: open addressing. An entry is a place
 * in s->top plus one. */
struct names {
	uint16_t at[2 * 1024];
};
_Static_assert(WATCH_TOP <= 1024, "half of the table stays free");

/* False: TO's name is that of one before. */
static bool is_new(struct names *t, const struct scrape *s, uint32_t to)
{
	const uint32_t mask = sizeof(t->at) / sizeof(t->at[0]) - 1;
	const char *name = s->top[to].device;
	uint32_t h = 2166136261; /* FNV-1a */

	for (const char *p = name; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 16777619;
	for (; t->at[h & mask] != 0; h++)
		if (strcmp(s->top[t->at[h & mask] - 1].device, name) == 0)
			return false;
	t->at[h & mask] = (uint16_t)(to + 1);
	return true;
}

/* All that is not told by name. */
static void take_others(struct scrape *s, const uint64_t *all)
{
	struct scrape_top *other = &s->top[s->n_top];

	memset(other, 0, sizeof(*other));
	memcpy(other->device, SCRAPE_OTHER, sizeof(SCRAPE_OTHER));
	memcpy(other->count, all, sizeof(other->count));
	for (uint32_t i = 0; i < s->n_top; i++)
		for (unsigned k = 0; k < MINUTE_COUNTS; k++)
			other->count[k] -= s->top[i].count[k];
	s->n_top++;
}

static bool take_minute(struct scrape *s, const struct watch *w)
{
	const struct watch_minute *m = &w->minute;
	struct names names = {{0}};

	if (!m->full || m->top == NULL)
		return true;
	s->top = calloc((size_t)m->n_top + 1, sizeof(*s->top));
	if (s->top == NULL)
		return false;
	for (uint32_t i = 0; i < m->n_top; i++) {
		const struct watch_top *from = &m->top[i];
		struct scrape_top *to = &s->top[s->n_top];
		struct str class_name = str_from(from->class_name);

		memcpy(to->device, from->device, sizeof(to->device));
		if (!device_id_valid(str_from(to->device)) ||
			!is_new(&names, s, s->n_top))
			continue;
		if (class_name_valid(class_name))
			memcpy(to->class_name, from->class_name,
				class_name.n + 1);
		memcpy(to->count, from->count, sizeof(to->count));
		s->n_top++;
	}
	take_others(s, m->all);
	scrape_set(s, SCRAPE_MINUTE_START, (uint64_t)m->start_s);
	scrape_set(s, SCRAPE_MINUTE_MS, (uint64_t)m->ms);
	scrape_set(s, SCRAPE_MINUTE_ACTIVE, m->active);
	return true;
}

/* ----------------------------------------------------------------------- all */

bool scrape_take(const struct watch *w, const struct config_metrics *m,
	int64_t now_s, struct scrape **out, struct err *e)
{
	struct scrape *s = calloc(1, sizeof(*s));
	bool reads = meter_watch_reads(&w->meter);

	if (s == NULL ||
		(reads && (!take_classes(s, w) || !take_devices(s, w, m) ||
				  !take_minute(s, w)))) {
		scrape_free(&s);
		return err_set(
			e, ERR_ENVIRONMENT, "no memory for a page of metrics");
	}
	scrape_set(s, SCRAPE_METER_UP, reads ? 1 : 0);
	scrape_set(
		s, SCRAPE_BROKER_UP, w->meter.state == BROKER_RUNNING ? 1 : 0);
	if (reads)
		take_header(s, w, now_s);
	*out = s;
	return true;
}

void scrape_free(struct scrape **s)
{
	if (*s == NULL)
		return;
	free((*s)->class);
	free((*s)->device);
	free((*s)->top);
	free(*s);
	*s = NULL;
}
