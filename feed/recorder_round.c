/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/recorder_private.h"

#include <stdlib.h>
#include <string.h>

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* Of a step: slots told, and slots looked at. */
#define TELL_STEP 256u
#define LOOK_STEP 8192u
#define NOT_TOLD  UINT64_MAX

void slots_forget(struct slots *s)
{
	s->n = s->n_order = 0;
	memset(s->class_no, 0, sizeof(s->class_no));
}

void slots_free(struct slots *s)
{
	free(s->no);
	free(s->sum);
	free(s->order);
	memset(s, 0, sizeof(*s));
}

static bool grow(void **p, size_t n, size_t size)
{
	void *more = realloc(*p, n * size);

	if (more == NULL)
		return false;
	*p = more;
	return true;
}

/* Room for N slots. */
static bool need_slots(struct slots *s, uint32_t n, struct err *e)
{
	uint32_t cap = s->cap == 0 ? METER_SLOTS_STEP : s->cap;

	while (cap < n)
		cap *= 2;
	if (cap == s->cap)
		return true;
	if (!grow((void **)&s->no, cap, sizeof(*s->no)) ||
		!grow((void **)&s->sum, cap, sizeof(*s->sum)) ||
		!grow((void **)&s->order, cap, sizeof(*s->order)))
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	s->cap = cap;
	return true;
}

static struct meter_map map_of(const struct watch *w)
{
	return segment_map(&w->meter.segment);
}

/* ------------------------------------------------------------------ numbers */

/* The number of the device in SLOT; 0: what it has is no id of a device. */
static bool number_slot(
	struct recorder *r, const struct watch *w, uint32_t slot, struct err *e)
{
	char id[DEVICE_ID_MAX + 1];
	size_t n = meter_slot_id(meter_slot_at(map_of(w), slot), id);
	int64_t no = 0;

	if (device_id_valid((struct str){id, n}) &&
		!history_device_number(r->w, (struct str){id, n}, &no, e))
		return false;
	r->slots.no[slot] = (uint32_t)no;
	r->slots.sum[slot] = NOT_TOLD;
	return true;
}

static bool number_slots(struct recorder *r, const struct watch *w,
	uint32_t slots, struct err *e)
{
	struct slots *s = &r->slots;
	uint32_t end = slots - s->n < TELL_STEP ? slots : s->n + TELL_STEP;

	if (!need_slots(s, slots, e) || !history_begin(r->w, e))
		return false;
	for (uint32_t i = s->n; i < end; i++) {
		if (number_slot(r, w, i, e))
			continue;
		history_rollback(r->w);
		return false;
	}
	if (!history_commit(r->w, e))
		return false;
	s->n = end;
	return true;
}

/* Sorts the N slots at FROM by one byte of their numbers, into TO. */
static void sort_by_byte(const struct slots *s, const uint32_t *from,
	uint32_t *to, unsigned shift)
{
	uint32_t at[257] = {0};

	for (uint32_t i = 0; i < s->n; i++)
		at[(s->no[from[i]] >> shift & 0xff) + 1]++;
	for (unsigned b = 0; b < 256; b++)
		at[b + 1] += at[b];
	for (uint32_t i = 0; i < s->n; i++)
		to[at[s->no[from[i]] >> shift & 0xff]++] = from[i];
}

/* New devices have new numbers, and come last. Those that were there before a
 * meter was begun anew come back in any order. */
static bool put_in_order(struct slots *s, struct err *e)
{
	uint32_t last = s->n_order == 0 ? 0 : s->no[s->order[s->n_order - 1]];
	uint32_t *other;

	while (s->n_order < s->n && s->no[s->n_order] > last) {
		last = s->no[s->n_order];
		s->order[s->n_order] = s->n_order;
		s->n_order++;
	}
	if (s->n_order == s->n)
		return true;
	other = calloc(s->n, sizeof(*other));
	if (other == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	for (uint32_t i = 0; i < s->n; i++)
		other[i] = i;
	sort_by_byte(s, other, s->order, 0);
	sort_by_byte(s, s->order, other, 8);
	sort_by_byte(s, other, s->order, 16);
	free(other);
	s->n_order = s->n;
	return true;
}

/* ------------------------------------------------------------------ classes */

/* The number of class I, in a transaction. The nameless class has one too; a
 * name that is none is taken for it. */
static bool number_class(struct recorder *r, const struct watch *w, uint32_t i,
	int64_t *no, struct err *e)
{
	char name[CLASS_NAME_MAX + 1];

	if (i >= meter_classes(map_of(w)))
		i = 0;
	*no = r->slots.class_no[i];
	if (*no != 0)
		return true;
	meter_class_text(&w->meter, i, name);
	if (!class_name_valid(str_from(name)))
		name[0] = '\0';
	if (!history_class_number(r->w, str_from(name), no, e))
		return false;
	r->slots.class_no[i] = *no;
	return true;
}

/* Of two classes with one name, as no plugin writes them, the first counts. */
static bool is_first(const struct slots *s, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++) {
		if (s->class_no[k] == s->class_no[i])
			return false;
	}
	return true;
}

static bool tell_class(
	struct recorder *r, const struct watch *w, uint32_t i, struct err *e)
{
	const struct meter_class *c = meter_class_at(map_of(w), i);
	struct history_look look = {.segment = r->slots.segment};

	if (!number_class(r, w, i, &look.no, e))
		return false;
	for (unsigned k = 0; k < COUNTERS; k++)
		look.counter[k] = LOAD(c->counter[k]);
	return !is_first(&r->slots, i) ||
	       history_tell_class(r->w, r->t_s, &look, e);
}

static bool tell_classes(
	struct recorder *r, const struct watch *w, struct err *e)
{
	uint32_t n = meter_classes(map_of(w));
	uint32_t end = n - r->at < TELL_STEP ? n : r->at + TELL_STEP;

	if (!history_begin(r->w, e))
		return false;
	for (uint32_t i = r->at; i < end; i++) {
		if (tell_class(r, w, i, e))
			continue;
		history_rollback(r->w);
		return false;
	}
	if (!history_commit(r->w, e))
		return false;
	r->at = end;
	if (end < n)
		return true;
	r->at = 0;
	r->round = ROUND_DEVICES;
	return put_in_order(&r->slots, e);
}

/* ------------------------------------------------------------------ devices */

/* What is to be kept in mind of a step when it has happened. */
struct told {
	uint32_t slot[TELL_STEP];
	uint64_t sum[TELL_STEP];
	uint32_t n;
};

static uint64_t load(const struct meter_slot *s, uint64_t out[static COUNTERS])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < COUNTERS; i++)
		sum += out[i] = LOAD(s->counter[i]);
	return sum;
}

/* Counters only grow: the same sum is nothing new. */
static bool tell_slot(struct recorder *r, const struct watch *w, uint32_t slot,
	struct told *told, struct err *e)
{
	const struct meter_slot *s = meter_slot_at(map_of(w), slot);
	struct history_look look = {
		.no = r->slots.no[slot], .segment = r->slots.segment};
	uint64_t sum = load(s, look.counter);

	if (sum == r->slots.sum[slot])
		return true;
	if (!number_class(r, w, LOAD(s->class), &look.class, e) ||
		!history_tell_device(r->w, r->t_s, &look, e))
		return false;
	told->slot[told->n] = slot;
	told->sum[told->n++] = sum;
	return true;
}

/* A device's second slot, as no plugin writes it, does not count. */
static bool counts(const struct slots *s, uint32_t at)
{
	uint32_t no = s->no[s->order[at]];

	return no != 0 && (at == 0 || s->no[s->order[at - 1]] != no);
}

static bool tell_devices(
	struct recorder *r, const struct watch *w, struct err *e)
{
	struct slots *s = &r->slots;
	struct told told = {.n = 0};
	uint32_t at = r->at, looked = 0;

	if (!history_begin(r->w, e))
		return false;
	for (; at < s->n_order && told.n < TELL_STEP && looked < LOOK_STEP;
		at++, looked++) {
		if (!counts(s, at) || tell_slot(r, w, s->order[at], &told, e))
			continue;
		history_rollback(r->w);
		return false;
	}
	if (!history_commit(r->w, e))
		return false;
	for (uint32_t i = 0; i < told.n; i++)
		s->sum[told.slot[i]] = told.sum[i];
	r->at = at;
	if (at >= s->n_order)
		r->round = ROUND_END;
	return true;
}

/* -------------------------------------------------------------------- round */

static bool end_round(struct recorder *r, struct err *e)
{
	struct history_place p = r->place;
	struct history_gap gap = {p.looked_s, r->begun_s};

	p.looked_s = r->begun_s;
	p.told_s = history_floor(HISTORY_MINUTE, r->begun_s);
	if (!history_begin(r->w, e))
		return false;
	if ((gap.from_s != 0 && gap.from_s < r->t_s &&
		    !history_tell_gap(r->w, &gap, e)) ||
		!history_place_set(r->w, &p, e)) {
		history_rollback(r->w);
		return false;
	}
	if (!history_commit(r->w, e))
		return false;
	r->place = p;
	r->minute_s = p.told_s;
	r->round = ROUND_NONE;
	r->tidy = true;
	return true;
}

static bool without_meter(struct recorder *r, struct err *e)
{
	/* There is nothing to look at: that is told as well. */
	r->round = ROUND_END;
	return end_round(r, e);
}

bool round_step(struct recorder *r, const struct watch *w, struct err *e)
{
	uint32_t slots;

	if (!meter_watch_reads(&w->meter))
		return without_meter(r, e);
	slots = meter_slots(map_of(w));
	switch (r->round) {
	case ROUND_NUMBERS:
		if (r->slots.n < slots)
			return number_slots(r, w, slots, e);
		r->round = ROUND_CLASSES;
		r->at = 0;
		return true;
	case ROUND_CLASSES:
		return tell_classes(r, w, e);
	case ROUND_DEVICES:
		return tell_devices(r, w, e);
	case ROUND_END:
		return end_round(r, e);
	case ROUND_NONE:
		break;
	}
	return true;
}
