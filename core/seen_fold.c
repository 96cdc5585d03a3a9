/* SPDX-License-Identifier: Apache-2.0 */
#include "core/level.h"
#include "core/meter.h"
#include "core/seen_private.h"
#include "core/topic.h"

/* A pattern that is being written. */
struct pattern {
	char *out; /* SEEN_TOPIC bytes */
	size_t n;
	unsigned folded; /* levels that became `+` */
};

static bool is_level(struct str level, char c)
{
	return level.n == 1 && level.p[0] == c;
}

/* Appends LEVEL, the first one or not. False: no room. */
static bool put_level(struct pattern *x, struct str level, bool first)
{
	if (x->n + 1 + level.n > SEEN_TOPIC)
		return false;
	if (!first)
		x->out[x->n++] = '/';
	if (level.n != 0)
		memcpy(x->out + x->n, level.p, level.n);
	x->n += level.n;
	return true;
}

/* Appends what P and Q have in common. A first level that begins with `$`, and
 * a `#`, would lose their meaning: they are not folded. */
static bool put_common(
	struct pattern *x, struct str p, struct str q, bool first)
{
	bool own = first &&
		   ((p.n != 0 && p.p[0] == '$') || (q.n != 0 && q.p[0] == '$'));

	if (str_eq(p, q))
		return put_level(x, p, first);
	if (own || is_level(p, '#') || is_level(q, '#') || x->folded != 0)
		return false;
	x->folded++;
	return put_level(x, STR("+"), first);
}

/* True when A and B differ in one level only, which *pattern then has as `+`
 * (in OUT). The group of a shared subscription is a name, and no level. */
static bool fold(struct str a, struct str b, char out[static SEEN_TOPIC],
	struct str *pattern)
{
	struct pattern to = {out, 0, 0};
	struct levels x, y;
	struct str p, q, group, other;

	if (!share_split(a, &group, &p) || !share_split(b, &other, &q) ||
		!str_eq(group, other))
		return false;
	to.n = a.n - p.n;
	memcpy(out, a.p, to.n);
	x = levels_of(p);
	y = levels_of(q);
	for (bool first = true; levels_next(&x, &p); first = false)
		if (!levels_next(&y, &q) || !put_common(&to, p, q, first))
			return false;
	*pattern = (struct str){out, to.n};
	return to.folded == 1 && !levels_next(&y, &q);
}

/* Adds what FROM counted to INTO. */
static void merge(struct seen_writer *w, uint32_t into, uint32_t from)
{
	struct seen_request *a = seen_request_at(w->mem, into);
	struct seen_request *b = seen_request_at(w->mem, from);
	uint32_t odd = seqlock_open(&a->seq), what = LOAD(a->what);
	uint32_t qos = LOAD(b->what) >> 16 & 0xFF;

	if ((what >> 16 & 0xFF) < qos)
		what = (what & ~(UINT32_C(0xFF) << 16)) | qos << 16;
	STORE(a->what, what | (LOAD(b->what) & UINT32_C(1) << 24));
	STORE(a->count, LOAD(a->count) + LOAD(b->count));
	if (LOAD(a->largest) < LOAD(b->largest))
		STORE(a->largest, LOAD(b->largest));
	if (LOAD(a->first_s) > LOAD(b->first_s))
		STORE(a->first_s, LOAD(b->first_s));
	if (LOAD(a->last_s) < LOAD(b->last_s))
		STORE(a->last_s, LOAD(b->last_s));
	seqlock_close(&a->seq, odd);
}

/* Merges into INTO what its PATTERN covers of its kind. */
static void absorb(struct seen_writer *w, uint32_t into, struct str pattern)
{
	const struct seen_request *r = seen_request_at(w->mem, into);
	struct one like = {
		.device = LOAD(r->device), .kind = LOAD(r->what) & KIND};
	uint32_t at = w->first[like.device], next;
	char own[SEEN_TOPIC];

	for (; at != 0; at = next) {
		const struct seen_request *other =
			seen_request_at(w->mem, at - 1);

		next = w->next[at - 1];
		if (at - 1 == into || !same_kind(other, &like) ||
			!filter_covered(topic_of(other, own), &pattern, 1))
			continue;
		merge(w, into, at - 1);
		seen_unindex(w, at - 1);
		seen_unlink(w, at - 1);
		seen_free(w, at - 1);
		count_u64(&header(w)->folded, 1);
	}
}

/* Turns request NUMBER into PATTERN. */
static void make_pattern(
	struct seen_writer *w, uint32_t number, struct str pattern)
{
	struct seen_request *r = seen_request_at(w->mem, number);
	uint32_t odd;

	seen_unindex(w, number);
	odd = seqlock_open(&r->seq);
	words_store(r->topic, SEEN_TOPIC / 8, pattern);
	STORE(r->topic_len, (uint32_t)pattern.n);
	STORE(r->what, LOAD(r->what) | FOLDED);
	seqlock_close(&r->seq, odd);
	seen_reindex(w, number);
	absorb(w, number, pattern);
}

bool seen_fold(struct seen_writer *w, const struct one *x)
{
	uint32_t at = w->first[x->device];
	char own[SEEN_TOPIC], out[SEEN_TOPIC];
	struct str pattern;

	for (; at != 0; at = w->next[at - 1]) {
		const struct seen_request *r = seen_request_at(w->mem, at - 1);

		if (!same_kind(r, x) ||
			!fold(topic_of(r, own), x->topic, out, &pattern))
			continue;
		make_pattern(w, at - 1, pattern);
		seen_count(w, at, x);
		count_u64(&header(w)->folded, 1);
		return true;
	}
	return false;
}
