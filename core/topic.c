/* SPDX-License-Identifier: Apache-2.0 */
#include "core/topic.h"

#include "core/level.h"
#include "core/token.h"
#include "core/utf8.h"

static bool is_plus(struct str level)
{
	return level.n == 1 && level.p[0] == '+';
}

static bool is_hash(struct str level)
{
	return level.n == 1 && level.p[0] == '#';
}

static bool has_byte(struct str s, char c)
{
	return s.n != 0 && memchr(s.p, c, s.n) != NULL;
}

/*
 * True when the N >= 8 bytes at P are all ASCII and neither a control
 * character nor a wildcard: eight at a time, for what devices mostly send.
 * False says nothing.
 */
static bool plain(const char *p, size_t n)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t bad = 0, w, wild;
	size_t i = 0;

	for (;;) {
		w = load64(p + i);
		/* '+' and '#' differ in one bit: zero where w is either */
		wild = (w | ones * 8) ^ ones * (uint64_t)'+';
		/* the top bit of a byte: below ' ', DEL or above, wildcard */
		bad |= (w - ones * (uint64_t)' ') | (w + ones) | w |
		       ((wild - ones) & ~wild);
		if (i + 8 >= n)
			return (bad & ones << 7) == 0;
		i = i + 16 <= n ? i + 8 : n - 8;
	}
}

bool topic_valid(struct str t)
{
	if (t.n >= 8 && t.n <= TOPIC_MAX && plain(t.p, t.n))
		return true;
	return t.n >= 1 && t.n <= TOPIC_MAX && !has_byte(t, '+') &&
	       !has_byte(t, '#') && utf8_valid(t);
}

bool filter_valid(struct str f)
{
	struct levels cursor = levels_of(f);
	struct str level;

	if (f.n < 1 || f.n > TOPIC_MAX || !utf8_valid(f))
		return false;
	while (levels_next(&cursor, &level)) {
		if (is_hash(level))
			return !levels_next(&cursor, &level);
		if (has_byte(level, '#'))
			return false;
		if (has_byte(level, '+') && !is_plus(level))
			return false;
	}
	return true;
}

/*
 * The level after CURSOR of g_n (see filter_covered): the filter's own while
 * it has any, a fresh one for '+' and beyond. False after n levels.
 */
struct generic {
	struct levels filter;
	size_t left; /* levels of g_n still to come */
	bool plain;  /* the filter is a topic: nothing is fresh */
};

struct generic_level {
	struct str text;
	bool fresh;
};

static bool generic_next(struct generic *g, struct generic_level *level)
{
	if (g->left == 0)
		return false;
	g->left--;
	level->fresh =
		!levels_next(&g->filter, &level->text) ||
		(!g->plain && (is_plus(level->text) || is_hash(level->text)));
	return true;
}

/* MQTT 5.0 §4.7.1, for one topic whose levels G yields. */
static bool generic_match(struct str rule, struct generic g)
{
	struct levels cursor = levels_of(rule);
	struct generic_level level;
	struct str want;
	bool first = true;

	while (levels_next(&cursor, &want)) {
		bool wild = is_plus(want) || is_hash(want);
		bool more = generic_next(&g, &level);

		/* [MQTT-4.7.2-1] */
		if (first && wild && more && !level.fresh &&
			level.text.n != 0 && level.text.p[0] == '$')
			return false;
		/* §4.7.1.2: "#" matches the parent and all below */
		if (is_hash(want))
			return true;
		if (!more)
			return false;
		if (!wild && (level.fresh || !str_eq(want, level.text)))
			return false;
		first = false;
	}
	return !generic_next(&g, &level);
}

bool topic_match(struct str filter, struct str topic)
{
	struct generic g = {levels_of(topic), levels_count(topic), true};

	return generic_match(filter, g);
}

static bool any_match(
	const struct str *rules, size_t n, struct str filter, size_t n_levels)
{
	struct generic g = {levels_of(filter), n_levels, false};
	size_t i;

	for (i = 0; i < n; i++)
		if (generic_match(rules[i], g))
			return true;
	return false;
}

size_t filter_gap(struct str filter, const struct str *rules, size_t n)
{
	size_t p = levels_count(filter);
	size_t most = p;
	size_t i, k;

	if (filter.n == 0 || filter.p[filter.n - 1] != '#')
		return any_match(rules, n, filter, p) ? 0 : p;
	p--;
	for (i = 0; i < n; i++) {
		k = levels_count(rules[i]);
		most = k > most ? k : most;
	}
	for (k = p > 1 ? p : 1; k <= most + 1; k++) {
		bool empty_topic = k == 1 && p == 1 && filter.p[0] == '/';

		if (!empty_topic && !any_match(rules, n, filter, k))
			return k;
	}
	return 0;
}

bool filter_covered(struct str filter, const struct str *rules, size_t n)
{
	return filter_gap(filter, rules, n) == 0;
}

/* [MQTT-4.7.2-1] keeps a wildcard WILD at the front from "$…", OTHER. */
static bool dollar_apart(struct str wild, struct str other)
{
	return (is_plus(wild) || is_hash(wild)) && other.n != 0 &&
	       other.p[0] == '$';
}

static bool levels_meet(struct str a, struct str b)
{
	return is_plus(a) || is_plus(b) || str_eq(a, b);
}

bool filter_overlap(struct str a, struct str b)
{
	struct levels x = levels_of(a), y = levels_of(b);
	struct str p = {NULL, 0}, q = {NULL, 0};
	bool first = true;

	for (;; first = false) {
		bool more_p = levels_next(&x, &p);
		bool more_q = levels_next(&y, &q);

		if (first && (dollar_apart(p, q) || dollar_apart(q, p)))
			return false;
		/* "#" takes whatever the other has left, nothing too. */
		if ((more_p && is_hash(p)) || (more_q && is_hash(q)))
			return true;
		if (!more_p || !more_q)
			return more_p == more_q;
		if (!levels_meet(p, q))
			return false;
	}
}

bool share_split(struct str f, struct str *group, struct str *rest)
{
	const struct str prefix = STR("$share/");
	struct str tail, name;
	const char *slash;

	if (f.n < prefix.n || memcmp(f.p, prefix.p, prefix.n) != 0) {
		*group = (struct str){NULL, 0};
		*rest = f;
		return true;
	}
	tail = (struct str){f.p + prefix.n, f.n - prefix.n};
	slash = tail.n != 0 ? memchr(tail.p, '/', tail.n) : NULL;
	if (slash == NULL || slash == tail.p)
		return false;
	name = (struct str){tail.p, (size_t)(slash - tail.p)};
	if (has_byte(name, '+') || has_byte(name, '#') || name.n + 1 == tail.n)
		return false;
	*group = name;
	*rest = (struct str){slash + 1, tail.n - name.n - 1};
	return true;
}
