/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rank.h"
#include "io/history_usage_private.h"

#include <stdlib.h>
#include <string.h>

static bool no_memory(struct err *e)
{
	return err_set(e, ERR_ENVIRONMENT, "out of memory");
}

/* --------------------------------------------------------------------- sums */

/* Where the sum of NO is, or would be. */
static size_t place_of(const struct history_usage *u, int64_t no)
{
	size_t low = 0, high = u->n_sums;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (u->sum[mid].no < no)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct usage_sum *find_sum(const struct history_usage *u, int64_t no)
{
	size_t at = place_of(u, no);

	return at < u->n_sums && u->sum[at].no == no ? &u->sum[at] : NULL;
}

/* Begun if there is none. NULL: no memory. */
static struct usage_sum *need_sum(struct history_usage *u, int64_t no)
{
	struct usage_sum *s = find_sum(u, no);
	size_t at = place_of(u, no);

	if (s != NULL)
		return s;
	if (u->n_sums == u->cap_sums) {
		size_t cap = u->cap_sums == 0 ? 8 : 2 * u->cap_sums;
		struct usage_sum *more = realloc(u->sum, cap * sizeof(*more));

		if (more == NULL)
			return NULL;
		u->sum = more;
		u->cap_sums = cap;
	}
	s = &u->sum[at];
	memmove(s + 1, s, (u->n_sums - at) * sizeof(*s));
	*s = (struct usage_sum){.no = no};
	u->n_sums++;
	return s;
}

/* ---------------------------------------------------------------------- top */

static uint64_t counted(const uint64_t counter[static COUNTERS], unsigned sort)
{
	if (sort < COUNTERS)
		return counter[sort];
	return counter[COUNTER_REFUSED_PUBLISHES] +
	       counter[COUNTER_REFUSED_SUBSCRIBES] +
	       counter[COUNTER_REFUSED_DELIVERIES] +
	       counter[COUNTER_REFUSED_CONNECTS];
}

static bool add_count(struct history_usage *u, int64_t no, uint64_t n)
{
	uint64_t room;

	if ((size_t)no >= u->n_counts) {
		size_t want = ((size_t)no + 1) * 2;
		uint64_t *more = realloc(u->count, want * sizeof(*more));

		if (more == NULL)
			return false;
		memset(more + u->n_counts, 0,
			(want - u->n_counts) * sizeof(*more));
		u->count = more;
		u->n_counts = want;
	}
	room = UINT64_MAX - u->count[no];
	u->count[no] += n < room ? n : room;
	return true;
}

/* The most first, then by number, that is by age. */
static bool before(const void *ctx, uint32_t a, uint32_t b)
{
	const uint64_t *count = ctx;

	return count[a] != count[b] ? count[a] > count[b] : a < b;
}

/* The first way is done: who came out first, and the second begins. */
static bool choose(struct history_usage *u, struct err *e)
{
	struct rank r = {.before = before, .ctx = u->count};

	r.cap = u->ask.top < u->n_counts ? u->ask.top : u->n_counts;
	u->first = calloc(r.cap + 1, sizeof(*u->first));
	if (u->first == NULL)
		return no_memory(e);
	r.kept = u->first;
	for (size_t no = 0; no < u->n_counts; no++) {
		if (u->count[no] != 0)
			rank_offer(&r, (uint32_t)no);
	}
	rank_order(&r);
	u->n_first = r.n;
	for (size_t i = 0; i < r.n; i++) {
		if (need_sum(u, u->first[i]) == NULL)
			return no_memory(e);
	}
	u->walk = u->again;
	return true;
}

/* ------------------------------------------------------------------ telling */

static bool fill(struct history_usage *u, const struct usage_sum *s,
	struct history_row *out, struct err *e)
{
	struct history_db *d = &u->h->d;
	bool device = u->book == BOOK_DEVICE;

	out->from_s = u->from_s;
	out->to_s = u->to_s;
	out->device[0] = '\0';
	out->cursor = 0;
	memcpy(out->counter, s->counter, sizeof(out->counter));
	return (!device || hist_name(d, BOOK_DEVICE, s->no, out->device,
				   sizeof(out->device), e)) &&
	       hist_name(d, BOOK_CLASS, device ? s->class : s->no, out->class,
		       sizeof(out->class), e);
}

/* END: all of it is told, and the next stage begins. */
static enum history_got tell(
	struct history_usage *u, struct history_row *out, struct err *e)
{
	size_t n = u->first != NULL ? u->n_first : u->n_sums;
	const struct usage_sum *s;

	if (u->told == n) {
		u->told = u->n_sums = 0;
		u->stage = u->over ? USAGE_END : USAGE_BUCKETS;
		return HISTORY_END;
	}
	s = u->first != NULL ? find_sum(u, u->first[u->told])
			     : &u->sum[u->told];
	u->told++;
	/* Each of the first was given one. */
	return s != NULL && fill(u, s, out, e) ? HISTORY_ONE : HISTORY_FAILED;
}

/* ------------------------------------------------------------------ buckets */

static bool take_row(
	struct history_usage *u, const struct usage_sum *row, struct err *e)
{
	bool top = u->ask.what == HISTORY_TOP;
	struct usage_sum *s;

	if (u->only_class >= 0 && row->class != u->only_class)
		return true;
	if (top && u->first == NULL)
		return add_count(u, row->no,
			       counted(row->counter, u->ask.sort)) ||
		       no_memory(e);
	s = top ? find_sum(u, row->no) : need_sum(u, row->no);
	if (s == NULL)
		return top || no_memory(e);
	s->class = row->class;
	history_add(s->counter, row->counter);
	return true;
}

static bool look_up(struct history_usage *u, struct err *e)
{
	struct history_db *d = &u->h->d;
	struct usage_sum got = {.no = u->only_no};
	sqlite3_stmt *st =
		hist_row_stmt(d, u->book, u->bucket.level, ROW_GET, e);
	bool row, ok;

	if (!hist_start(d, st, VALS(V_INT(hist_key(u->bucket.t_s, got.no))),
		    &row, e))
		return false;
	if (!row)
		return true;
	ok = hist_row(d, st, 0, &got.class, got.counter, e);
	hist_done(st);
	return ok && take_row(u, &got, e);
}

/* EACH: the row is told as it is. */
static bool is_told(const struct history_usage *u, const struct usage_sum *row)
{
	return u->ask.what == HISTORY_EACH &&
	       hist_key(u->bucket.t_s, row->no) > u->ask.after &&
	       (u->only_class < 0 || row->class == u->only_class);
}

static enum history_got tell_each(struct history_usage *u,
	const struct usage_sum *row, struct history_row *out, struct err *e)
{
	if (!fill(u, row, out, e))
		return HISTORY_FAILED;
	out->cursor = hist_key(u->bucket.t_s, row->no);
	return HISTORY_ONE;
}

/* The row that ST stands on. */
static bool read_row(struct history_usage *u, sqlite3_stmt *st,
	struct usage_sum *out, struct err *e)
{
	int64_t key = 0;

	if (!col_int(st, 0, &key))
		return hist_damaged(&u->h->d, "a key", e);
	out->no = hist_key_no(key);
	return hist_row(&u->h->d, st, 1, &out->class, out->counter, e);
}

/* All numbers of the bucket. END: it is done. */
static enum history_got scan(struct history_usage *u, unsigned *work,
	struct history_row *out, struct err *e)
{
	struct history_db *d = &u->h->d;
	sqlite3_stmt *st =
		hist_row_stmt(d, u->book, u->bucket.level, ROW_RANGE, e);
	int64_t key = hist_key(u->bucket.t_s, 0);
	unsigned limit = *work;
	bool row;

	if (!hist_start(d, st,
		    VALS(V_INT(key + u->next_no),
			    V_INT(key + HISTORY_NO_MAX + 1), V_INT(limit)),
		    &row, e))
		return HISTORY_FAILED;
	/* An empty bucket is some work too. */
	--*work;
	while (row) {
		struct usage_sum got = {0};

		limit--;
		*work -= *work != 0;
		if (!read_row(u, st, &got, e) ||
			(u->ask.what != HISTORY_EACH &&
				!take_row(u, &got, e))) {
			hist_done(st);
			return HISTORY_FAILED;
		}
		u->next_no = got.no + 1;
		if (is_told(u, &got)) {
			hist_done(st);
			return tell_each(u, &got, out, e);
		}
		if (!hist_step(d, st, &row, e))
			return HISTORY_FAILED;
	}
	return limit == 0 ? HISTORY_LATER : HISTORY_END;
}

/* The next bucket; the sums that came before it may have to be told first. */
static bool fetch(struct history_usage *u, struct err *e)
{
	if (!history_walk_next(&u->walk, &u->bucket)) {
		if (u->ask.what == HISTORY_TOP && u->first == NULL)
			return choose(u, e);
		u->over = true;
		u->stage = USAGE_TELL;
		return true;
	}
	u->fetched = true;
	if (u->n_sums != 0 && u->first == NULL &&
		u->bucket.t_s >= u->group_end_s)
		u->stage = USAGE_TELL;
	return true;
}

static void enter(struct history_usage *u)
{
	const struct history_bucket *b = &u->bucket;
	int64_t end = b->t_s + history_step_s(b->level);
	enum history_level by = b->level > u->ask.by ? b->level : u->ask.by;
	bool one = !u->ask.series && u->ask.what != HISTORY_EACH;

	if (b->t_s >= u->group_end_s) {
		u->from_s = b->t_s;
		u->group_end_s =
			one ? INT64_MAX
			    : history_floor(by, b->t_s) + history_step_s(by);
	}
	/* TOP's second way is through the same. */
	u->to_s = end > u->to_s || !one ? end : u->to_s;
	u->next_no = 0;
	u->entered = true;
}

static enum history_got go_on(struct history_usage *u, unsigned *work,
	struct history_row *out, struct err *e)
{
	enum history_got got = HISTORY_END;

	if (!u->fetched)
		return fetch(u, e) ? HISTORY_END : HISTORY_FAILED;
	if (!u->entered)
		enter(u);
	if (*work == 0)
		return HISTORY_LATER;
	if (u->only_no == 0) {
		got = scan(u, work, out, e);
	} else {
		--*work;
		if (!look_up(u, e))
			return HISTORY_FAILED;
	}
	if (got == HISTORY_END)
		u->fetched = u->entered = false;
	return got;
}

/* END of a part is not the end: the next one begins. */
static enum history_got turn(struct history_usage *u, unsigned *work,
	struct history_row *out, struct err *e)
{
	while (u->stage != USAGE_END) {
		enum history_got got = u->stage == USAGE_TELL
					       ? tell(u, out, e)
					       : go_on(u, work, out, e);

		if (got != HISTORY_END)
			return got;
	}
	return HISTORY_END;
}

/* A transaction of the turn's own: else each look-up takes the file's locks. */
enum history_got history_usage_next(struct history_usage *u, unsigned *work,
	struct history_row *out, struct err *e)
{
	struct history_db *d = &u->h->d;
	enum history_got got;

	if (d->one_view)
		return turn(u, work, out, e);
	if (!hist_run(d, hist_own_stmt(d, OWN_SNAPSHOT, e), NO_VALS, e))
		return HISTORY_FAILED;
	got = turn(u, work, out, e);
	if (!hist_run(d, hist_own_stmt(d, OWN_COMMIT, NULL), NO_VALS, NULL))
		(void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
	return got;
}
