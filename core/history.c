/* SPDX-License-Identifier: Apache-2.0 */
#include "core/history.h"

#include <string.h>

static const struct {
	const char *name;
	int64_t step_s;
} levels[HISTORY_LEVELS] = {
	[HISTORY_MINUTE] = {"minute", 60},
	[HISTORY_HOUR] = {"hour", 3600},
	[HISTORY_DAY] = {"day", 86400},
};

const char *history_level_name(enum history_level l)
{
	return levels[l].name;
}

bool history_level_find(struct str name, enum history_level *out)
{
	for (unsigned l = 0; l < HISTORY_LEVELS; l++) {
		if (!str_eq(name, str_from(levels[l].name)))
			continue;
		*out = (enum history_level)l;
		return true;
	}
	return false;
}

int64_t history_step_s(enum history_level l)
{
	return levels[l].step_s;
}

int64_t history_floor(enum history_level l, int64_t t_s)
{
	int64_t step = levels[l].step_s, rest = t_s % step;

	return t_s - (rest < 0 ? rest + step : rest);
}

/* ------------------------------------------------------------------- deltas */

static bool went_back(const uint64_t now[static COUNTERS],
	const uint64_t before[static COUNTERS])
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		if (now[i] < before[i])
			return true;
	}
	return false;
}

bool history_delta(const struct history_base *base, uint64_t segment,
	const uint64_t now[static COUNTERS], uint64_t out[static COUNTERS])
{
	bool fresh = base == NULL ||
		     (base->segment == 0 ? went_back(now, base->counter)
					 : base->segment != segment);
	bool any = false;

	for (unsigned i = 0; i < COUNTERS; i++) {
		uint64_t before = fresh ? 0 : base->counter[i];

		out[i] = now[i] > before ? now[i] - before : 0;
		any = any || out[i] != 0;
	}
	return any;
}

void history_add(
	uint64_t sum[static COUNTERS], const uint64_t more[static COUNTERS])
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		uint64_t room = UINT64_MAX - sum[i];

		sum[i] += more[i] < room ? more[i] : room;
	}
}

/* --------------------------------------------------------------------- rows */

_Static_assert(COUNTERS <= 28, "the mask takes four bytes");

static size_t put_varint(uint64_t v, uint8_t *out)
{
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

size_t history_encode(const uint64_t counter[static COUNTERS],
	uint8_t out[static HISTORY_ROW_MAX])
{
	uint64_t mask = 0;
	size_t n;

	for (unsigned i = 0; i < COUNTERS; i++)
		mask |= (uint64_t)(counter[i] != 0) << i;
	n = put_varint(mask, out);
	for (unsigned i = 0; i < COUNTERS; i++) {
		if (counter[i] != 0)
			n += put_varint(counter[i], out + n);
	}
	return n;
}

/* What is left to be read. */
struct cursor {
	const uint8_t *p, *end;
};

/* False: it has no end, more than 64 bits, or a shorter form. */
static bool get_varint(struct cursor *c, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; c->p < c->end && shift < 64; shift += 7) {
		uint8_t byte = *c->p++;

		if (shift == 63 && byte > 1)
			return false;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) != 0)
			continue;
		*out = v;
		return byte != 0 || shift == 0;
	}
	return false;
}

bool history_decode(const uint8_t *p, size_t n, uint64_t out[static COUNTERS])
{
	struct cursor c = {p, p + n};
	uint64_t got[COUNTERS] = {0}, mask;

	if (n == 0 || !get_varint(&c, &mask) || mask >> COUNTERS != 0)
		return false;
	for (unsigned i = 0; mask >> i != 0; i++) {
		if ((mask >> i & 1) != 0 &&
			(!get_varint(&c, &got[i]) || got[i] == 0))
			return false;
	}
	if (c.p != c.end)
		return false;
	memcpy(out, got, sizeof(got));
	return true;
}

/* ------------------------------------------------------------------ buckets */

void history_walk_init(struct history_walk *w, const struct history_reach *r,
	int64_t from_s, int64_t to_s, enum history_level longest)
{
	*w = (struct history_walk){.reach = *r,
		.at_s = history_floor(HISTORY_MINUTE, from_s),
		.to_s = to_s,
		.longest = longest};
	/* Else a bucket could overlap the one before it. */
	for (unsigned l = HISTORY_MINUTE; l < HISTORY_DAY; l++) {
		enum history_level up = (enum history_level)(l + 1);

		w->reach.purged_s[l] = history_floor(up, r->purged_s[l] - 1) +
				       history_step_s(up);
		w->reach.rolled_s[up] = history_floor(up, r->rolled_s[up]);
	}
}

/* True when the bucket at T_S of level L is there, so far as there was
 * anything. */
static bool is_there(
	const struct history_reach *r, enum history_level l, int64_t t_s)
{
	return t_s >= r->purged_s[l] && t_s < r->rolled_s[l];
}

/* The longest bucket that begins at the walk's place and ends within it. */
static bool fits(const struct history_walk *w, struct history_bucket *out)
{
	for (unsigned l = w->longest + 1u; l-- != 0;) {
		enum history_level level = (enum history_level)l;
		int64_t t = w->at_s;

		if (history_floor(level, t) != t ||
			t > w->to_s - history_step_s(level) ||
			!is_there(&w->reach, level, t))
			continue;
		*out = (struct history_bucket){level, t};
		return true;
	}
	return false;
}

/* The shortest bucket around the walk's place, or after it when what was there
 * is gone. */
static bool around(const struct history_walk *w, struct history_bucket *out)
{
	for (unsigned l = 0; l < HISTORY_LEVELS; l++) {
		enum history_level level = (enum history_level)l;
		int64_t t = history_floor(level, w->at_s);

		if (!is_there(&w->reach, level, t))
			continue;
		*out = (struct history_bucket){level, t};
		return true;
	}
	return false;
}

/* Of what is gone at every level, where the first bucket begins; the end when
 * there is none. */
static int64_t next_there(const struct history_walk *w)
{
	int64_t next = w->to_s;

	for (unsigned l = 0; l < HISTORY_LEVELS; l++) {
		int64_t t = w->reach.purged_s[l];

		if (t > w->at_s && t < next && t < w->reach.rolled_s[l])
			next = t;
	}
	return next;
}

bool history_walk_next(struct history_walk *w, struct history_bucket *out)
{
	if (w->at_s < w->to_s && !fits(w, out) && !around(w, out)) {
		w->at_s = next_there(w);
		if (w->at_s < w->to_s && !fits(w, out) && !around(w, out))
			return false;
	}
	if (w->at_s >= w->to_s)
		return false;
	w->at_s = out->t_s + history_step_s(out->level);
	return true;
}
