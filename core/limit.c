/* SPDX-License-Identifier: Apache-2.0 */
#include "core/limit.h"

#define SECOND_NS INT64_C(1000000000)
#define DEBT_NS   (INT64_C(86400) * SECOND_NS) /* no debt lasts longer */

static const char *const keys[] = {
#define LIMIT_KEY(c, key, text) [LIMIT_##c] = #key,
	LIMITS_TABLE(LIMIT_KEY)
#undef LIMIT_KEY
};

static const char *const texts[] = {
#define LIMIT_TEXT(c, key, text) [LIMIT_##c] = (text),
	LIMITS_TABLE(LIMIT_TEXT)
#undef LIMIT_TEXT
};

const char *limit_key(enum limit l)
{
	return keys[l];
}

const char *limit_text(enum limit l)
{
	return texts[l];
}

uint64_t limit_most(enum limit l)
{
	return l == LIMIT_BYTES_PER_DAY   ? DAY_MAX
	       : l == LIMIT_SUBSCRIPTIONS ? SUBSCRIPTIONS_MAX
					  : RATE_MAX;
}

struct subscription subscription_of(
	const struct siphash_key *key, struct str client_id, struct str filter)
{
	return (struct subscription){
		siphash(key, client_id), siphash(key, filter)};
}

uint64_t request_remaining(const struct request *what)
{
	return publish_remaining(what->topic.n, what->qos, what->payload_len);
}

uint64_t request_bytes(const struct request *what)
{
	return packet_bytes(request_remaining(what));
}

/* One rate that a request counts against, and by how much. */
struct use {
	enum limit limit;
	uint64_t n;
};

/* The rates of WHAT into OUT; returns how many. */
static size_t uses_of(const struct request *what, struct use out[static 2])
{
	switch (what->action) {
	case ACTION_PUBLISH:
		out[0] = (struct use){LIMIT_MESSAGES_PER_S, 1};
		out[1] = (struct use){LIMIT_BYTES_PER_S, request_bytes(what)};
		return 2;
	case ACTION_CONNECT:
		out[0] = (struct use){LIMIT_CONNECTS_PER_MIN, 1};
		return 1;
	case ACTION_SUBSCRIBE:
		out[0] = (struct use){LIMIT_SUBSCRIBES_PER_S, 1};
		return 1;
	case ACTION_NONE:
	case ACTION_RECEIVE:
		break;
	}
	return 0;
}

static int64_t period_ns(enum limit limit)
{
	return limit == LIMIT_CONNECTS_PER_MIN ? 60 * SECOND_NS : SECOND_NS;
}

/* The time that N take at MAX a period. Within 64 bits, as MAX is at most
 * RATE_MAX. */
static int64_t cost_ns(uint64_t n, uint64_t max, int64_t period)
{
	uint64_t whole = n / max, part = n % max;

	if (whole >= (uint64_t)(DEBT_NS / period))
		return DEBT_NS;
	return (int64_t)(whole * (uint64_t)period +
			 part * (uint64_t)period / max);
}

/* Something counted one by one must be there whole; of bytes any that are left
 * will do, or a message larger than the burst could never pass. */
static bool rate_holds(const struct limits *l, const struct usage *u,
	const struct use *use, int64_t now_ns)
{
	uint64_t max = l->max[use->limit];
	int64_t period = period_ns(use->limit);
	int64_t ahead = u->spent_until_ns[use->limit] - now_ns;

	if (max == 0)
		return true;
	if (use->limit == LIMIT_BYTES_PER_S)
		return ahead < period;
	return (ahead > 0 ? ahead : 0) + cost_ns(1, max, period) <= period;
}

/* The bytes of the 24 hours before the end of BUCKET. */
static uint64_t day_bytes(const struct usage *u, int64_t bucket)
{
	uint64_t sum = u->day_bytes;
	int64_t b = u->bucket - (LIMIT_BUCKETS - 1);

	/* what has grown older than the window; nothing when the clock went
	 * back */
	if (bucket - u->bucket >= LIMIT_BUCKETS)
		return 0;
	for (; b <= bucket - LIMIT_BUCKETS; b++)
		if (b >= 0)
			sum -= u->bytes[b % LIMIT_BUCKETS];
	return sum;
}

static bool subscribed(const struct usage *u, const struct subscription *self)
{
	size_t i;

	for (i = 0; i < u->n_subscriptions; i++)
		if (u->subscription[i].client == self->client &&
			u->subscription[i].filter == self->filter)
			return true;
	return false;
}

static bool quota_holds(const struct limits *l, const struct usage *u,
	const struct request *what)
{
	uint64_t day = l->max[LIMIT_BYTES_PER_DAY];
	uint64_t filters = l->max[LIMIT_SUBSCRIPTIONS];

	if (what->action == ACTION_PUBLISH && day != 0)
		return day_bytes(u, what->now_s / LIMIT_BUCKET_S) +
			       request_bytes(what) <=
		       day;
	if (what->action == ACTION_SUBSCRIBE && filters != 0)
		return u->n_subscriptions < filters ||
		       (what->subscription != NULL &&
			       subscribed(u, what->subscription));
	return true;
}

enum reason limit_reason(const struct limits *l, const struct usage *u,
	const struct request *what)
{
	struct use uses[2];
	size_t n = uses_of(what, uses), i;

	for (i = 0; i < n; i++)
		if (!rate_holds(l, u, &uses[i], what->now_ns))
			return REASON_RATE;
	return quota_holds(l, u, what) ? REASON_ALLOWED : REASON_QUOTA;
}

static void day_charge(struct usage *u, uint64_t n, int64_t bucket)
{
	if (bucket > u->bucket) {
		int64_t b = bucket - u->bucket >= LIMIT_BUCKETS
				    ? bucket - LIMIT_BUCKETS + 1
				    : u->bucket + 1;

		u->day_bytes = day_bytes(u, bucket);
		for (; b <= bucket; b++)
			u->bytes[b % LIMIT_BUCKETS] = 0;
		u->bucket = bucket;
	}
	u->bytes[u->bucket % LIMIT_BUCKETS] += n;
	u->day_bytes += n;
}

static void rate_charge(const struct limits *l, struct usage *u,
	const struct use *use, int64_t now_ns)
{
	int64_t *until_ns = &u->spent_until_ns[use->limit];
	int64_t from = *until_ns > now_ns ? *until_ns : now_ns;

	if (l->max[use->limit] == 0)
		return;
	from += cost_ns(use->n, l->max[use->limit], period_ns(use->limit));
	*until_ns = from - now_ns < DEBT_NS ? from : now_ns + DEBT_NS;
}

void limit_charge(
	const struct limits *l, struct usage *u, const struct request *what)
{
	struct use uses[2];
	size_t n = uses_of(what, uses), i;

	for (i = 0; i < n; i++)
		rate_charge(l, u, &uses[i], what->now_ns);
	if (what->action == ACTION_PUBLISH && l->max[LIMIT_BYTES_PER_DAY] != 0)
		day_charge(
			u, request_bytes(what), what->now_s / LIMIT_BUCKET_S);
}

bool limit_more(const struct limits *l, struct usage *u, uint64_t n,
	const struct request *what)
{
	const struct use use = {LIMIT_BYTES_PER_S, n};
	uint64_t day = l->max[LIMIT_BYTES_PER_DAY];
	int64_t bucket = what->now_s / LIMIT_BUCKET_S;

	if (day != 0 && day_bytes(u, bucket) + n > day)
		return false;
	rate_charge(l, u, &use, what->now_ns);
	if (day != 0)
		day_charge(u, n, bucket);
	return true;
}

bool limit_refused(const struct limits *l, int64_t *until_ns, int64_t now_ns)
{
	uint64_t max = l->max[LIMIT_REFUSALS_PER_S];
	int64_t from = *until_ns > now_ns ? *until_ns : now_ns;

	if (max == 0)
		return false;
	from += cost_ns(1, max, SECOND_NS);
	if (from - now_ns > SECOND_NS)
		return true;
	*until_ns = from;
	return false;
}
