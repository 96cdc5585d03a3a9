/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well a policy is learned, by hours of observation: seeded fleets whose
 * true policy is known send into the record, and what learn() makes of it is
 * held against the truth. Prints the table of docs/BENCH.md, "Learning".
 *
 *     build/bin/bench_learn [SEED]
 *
 * precision  of the learned rules, how many allow nothing beyond the truth
 * recall     of the true rules, how many the learned ones cover wholly
 *
 * Each fleet has noise: one message in 2,000 has a slip in its topic, and one
 * device is compromised and sends as much as 1 % of all.
 */
#include "core/learn.h"
#include "core/seen_write.h"
#include "core/topic.h"
#include "tests/support/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW         INT64_C(1800000000)
#define RULES       24
#define SLIP_ONE_IN 200u

/*
 * A true rule: its template, what a device sends by it, and how often. In SENT
 * %d is the device's id, %i a number of its own that grows, %z a zone (one of
 * 12, as the device's number says). Without SENT it is a rule of the truth only,
 * without a template something that is sent.
 */
struct true_rule {
	const char *template, *sent;
	unsigned per_1000_h; /* messages of a device in 1,000 hours */
	enum action action;
};

struct fleet {
	const char *name;
	unsigned devices;
	struct true_rule rule[RULES];
};

#define PUB ACTION_PUBLISH
#define SUB ACTION_SUBSCRIBE

static const struct fleet fleets[] = {
	{"plain: a handful of topics", 200,
		{{"m/${device}/up", "m/%d/up", 4000, PUB},
			{"m/${device}/state", "m/%d/state", 1000, PUB},
			{"m/${device}/cmd", "m/%d/cmd", 500, SUB},
			{"news/all", "news/all", 500, SUB}}},
	{"ids: numbers within topics", 200,
		{{"pay/${device}/status", "pay/%d/status", 2000, PUB},
			{"pay/${device}/txn/+", "pay/%d/txn/%i", 3000, PUB},
			{"pay/${device}/txn/+/log", "pay/%d/txn/%i/log", 1000,
				PUB},
			{"pay/${device}/reply/+", "pay/%d/reply/+", 500, SUB}}},
	{"names: 12 zones, 3 rooms", 200,
		{{"zone/+/t", "zone/%z/t", 4000, PUB},
			{"zone/+/${device}", "zone/%z/%d", 1000, PUB},
			{"room/r0/t", "room/r0/t", 1500, PUB},
			{"room/r1/t", "room/r1/t", 1500, PUB},
			{"room/r2/t", "room/r2/t", 1500, PUB}}},
	{"listed: 12 zones, by their names", 200,
		{{NULL, "zone/%z/t", 4000, PUB}, {"zone/z0/t", NULL, 0, PUB},
			{"zone/z1/t", NULL, 0, PUB},
			{"zone/z2/t", NULL, 0, PUB},
			{"zone/z3/t", NULL, 0, PUB},
			{"zone/z4/t", NULL, 0, PUB},
			{"zone/z5/t", NULL, 0, PUB},
			{"zone/z6/t", NULL, 0, PUB},
			{"zone/z7/t", NULL, 0, PUB},
			{"zone/z8/t", NULL, 0, PUB},
			{"zone/z9/t", NULL, 0, PUB},
			{"zone/z10/t", NULL, 0, PUB},
			{"zone/z11/t", NULL, 0, PUB}}},
	{"kinds: 12 values that all have", 200,
		{{"k/${device}/v0", "k/%d/v0", 1000, PUB},
			{"k/${device}/v1", "k/%d/v1", 1000, PUB},
			{"k/${device}/v2", "k/%d/v2", 1000, PUB},
			{"k/${device}/v3", "k/%d/v3", 1000, PUB},
			{"k/${device}/v4", "k/%d/v4", 1000, PUB},
			{"k/${device}/v5", "k/%d/v5", 1000, PUB},
			{"k/${device}/v6", "k/%d/v6", 500, PUB},
			{"k/${device}/v7", "k/%d/v7", 500, PUB},
			{"k/${device}/v8", "k/%d/v8", 500, PUB},
			{"k/${device}/v9", "k/%d/v9", 500, PUB},
			{"k/${device}/v10", "k/%d/v10", 250, PUB},
			{"k/${device}/v11", "k/%d/v11", 250, PUB}}},
	{"rare: from hourly to monthly", 200,
		{{"r/${device}/1h", "r/%d/1h", 1000, PUB},
			{"r/${device}/4h", "r/%d/4h", 250, PUB},
			{"r/${device}/1d", "r/%d/1d", 42, PUB},
			{"r/${device}/3d", "r/%d/3d", 14, PUB},
			{"r/${device}/1w", "r/%d/1w", 6, PUB},
			{"r/${device}/1m", "r/%d/1m", 1, PUB}}},
	{"small: 8 devices, ids", 8,
		{{"s/${device}/up", "s/%d/up", 4000, PUB},
			{"s/${device}/job/+", "s/%d/job/%i", 2000, PUB},
			{"s/${device}/rare", "s/%d/rare", 10, PUB}}},
	{"large: 2,000 devices", 2000,
		{{"m/${device}/up", "m/%d/up", 1000, PUB},
			{"m/${device}/txn/+", "m/%d/txn/%i", 500, PUB},
			{"m/${device}/rare", "m/%d/rare", 6, PUB}}},
};

static const unsigned hours[] = {1, 6, 24, 72, 168};
#define N_HOURS (sizeof hours / sizeof hours[0])

struct world {
	const struct fleet *fleet;
	struct rng rng;
	struct seen_writer writer;
	uint32_t *seen;  /* each device's number in the record */
	uint32_t *count; /* and the number it has come to */
	uint64_t sent;
};

static void device_id(unsigned number, char out[static 16])
{
	(void)snprintf(out, 16, "unit-%04u", number);
}

/* What DEVICE sends by FORM. */
static void topic_of(struct world *w, unsigned device, const char *form,
	char out[static 128])
{
	char id[16];
	size_t n = 0;

	device_id(device, id);
	for (; *form != '\0' && n < 100; form++) {
		size_t left = 128 - n;

		if (*form != '%') {
			out[n++] = *form;
			continue;
		}
		switch (*++form) {
		case 'd':
			n += (size_t)snprintf(out + n, left, "%s", id);
			break;
		case 'i':
			n += (size_t)snprintf(out + n, left, "%u",
				100000 * device + w->count[device]++);
			break;
		default:
			n += (size_t)snprintf(
				out + n, left, "z%u", device % 12);
		}
	}
	out[n] = '\0';
}

static void record(
	struct world *w, unsigned device, enum action action, const char *topic)
{
	struct request what = {.action = action,
		.topic = str_from(topic),
		.payload_len = 20,
		.now_s = NOW};

	seen_record(&w->writer, w->seen[device], &what, REASON_NO_RULE);
	w->sent++;
}

/* A letter that is another, at random. */
static void slip(struct world *w, char *topic)
{
	size_t i = rng_below(&w->rng, (unsigned)strlen(topic));

	if (topic[i] != '/' && topic[i] != '+')
		topic[i] = (char)('a' + rng_below(&w->rng, 26));
}

/* The compromised device, the last: others' topics, and ones of nobody. */
static void attack(struct world *w, unsigned device)
{
	const struct true_rule *r = &w->fleet->rule[0];
	char topic[128];

	if (rng_below(&w->rng, 2) == 0)
		topic_of(w, rng_below(&w->rng, w->fleet->devices), r->sent,
			topic);
	else
		(void)snprintf(topic, sizeof topic, "admin/%u/%u",
			rng_below(&w->rng, 20), rng_below(&w->rng, 1000));
	record(w, device, ACTION_PUBLISH, topic);
}

/* How many messages an hour brings: PER_1000_H, by chance. */
static unsigned draw(struct rng *rng, unsigned per_1000_h)
{
	return per_1000_h / 1000 +
	       (rng_below(rng, 1000) < per_1000_h % 1000 ? 1u : 0u);
}

static void one_hour(struct world *w)
{
	const struct fleet *f = w->fleet;
	uint64_t before = w->sent;
	char topic[128];

	for (unsigned d = 0; d < f->devices; d++)
		for (unsigned k = 0; k < RULES; k++) {
			unsigned n = draw(&w->rng, f->rule[k].per_1000_h);

			while (f->rule[k].sent != NULL && n-- > 0) {
				topic_of(w, d, f->rule[k].sent, topic);
				if (rng_below(&w->rng, SLIP_ONE_IN) == 0)
					slip(w, topic);
				record(w, d, f->rule[k].action, topic);
			}
		}
	for (uint64_t n = (w->sent - before) / 100; n > 0; n--)
		attack(w, f->devices - 1);
}

struct score {
	unsigned right, learned, covered, rules, outliers;
};

/* The learned rules' or the true ones' topics of an action. */
static size_t topics(const struct learned_set *s, const struct fleet *f,
	enum action action, struct str out[static 512])
{
	size_t n = 0;

	for (size_t i = 0; s != NULL && i < s->n_rules && n < 512; i++)
		if (s->item[i].action == action)
			out[n++] = str_from(s->item[i].topic);
	for (size_t i = 0; s == NULL && i < RULES; i++)
		if (f->rule[i].template != NULL && f->rule[i].action == action)
			out[n++] = str_from(f->rule[i].template);
	return n;
}

static struct score score(const struct learned_set *s, const struct fleet *f)
{
	static const enum action actions[] = {PUB, SUB};
	struct score x = {.outliers = (unsigned)(s->n - s->n_rules)};
	struct str learned[512], truth[512];

	for (size_t a = 0; a < 2; a++) {
		size_t n = topics(s, f, actions[a], learned);
		size_t m = topics(NULL, f, actions[a], truth);

		for (size_t i = 0; i < n; i++)
			x.right += filter_covered(learned[i], truth, m);
		for (size_t i = 0; i < m; i++)
			x.covered += filter_covered(truth[i], learned, n);
		x.learned += (unsigned)n;
		x.rules += (unsigned)m;
	}
	return x;
}

/* What the record has come to, learned. */
static struct score look(struct world *w)
{
	uint32_t most = seen_requests(w->writer.mem);
	struct seen *s = calloc(most + 1, sizeof *s);
	struct observation *o = calloc(most + 1, sizeof *o);
	struct device *d = calloc(w->fleet->devices, sizeof *d);
	struct learn_options options = {LEARN_MANY, LEARN_SHARE_PCT, false};
	struct learned_set set = {0};
	struct score x = {0};
	struct err e;
	size_t n = 0;

	if (s == NULL || o == NULL || d == NULL)
		abort();
	for (uint32_t i = 0; i < most; i++) {
		struct device *who;

		if (!seen_request_load(w->writer.mem, i, &s[n]))
			continue;
		who = &d[strtoul(s[n].device + 5, NULL, 10)];
		memcpy(who->id, s[n].device, sizeof who->id);
		who->id_len = (uint8_t)strlen(who->id);
		o[n] = (struct observation){.device = who,
			.action = s[n].action,
			.topic = s[n].text,
			.folded = s[n].folded,
			.messages = s[n].count};
		n++;
	}
	if (!learn(o, n, &options, &set, &e))
		abort();
	x = score(&set, w->fleet);
	learned_fini(&set);
	free(s);
	free(o);
	free(d);
	return x;
}

static void run(const struct fleet *f, uint64_t seed)
{
	struct world w = {.fleet = f, .rng = {seed}};
	void *mem = calloc(1, SEEN_SIZE);
	unsigned hour = 0;
	char id[16];

	w.seen = calloc(f->devices, sizeof *w.seen);
	w.count = calloc(f->devices, sizeof *w.count);
	if (mem == NULL || w.seen == NULL || w.count == NULL)
		abort();
	seen_format(mem, NOW);
	if (!seen_writer_init(&w.writer, mem))
		abort();
	for (unsigned d = 0; d < f->devices; d++) {
		device_id(d, id);
		w.seen[d] = seen_device(&w.writer, str_from(id));
	}
	(void)printf("| %s |", f->name);
	for (size_t i = 0; i < N_HOURS; i++) {
		struct score x;

		for (; hour < hours[i]; hour++)
			one_hour(&w);
		x = look(&w);
		(void)printf(" %u/%u · %u/%u |", x.right, x.learned, x.covered,
			x.rules);
	}
	(void)printf(" %" PRIu64 " |\n", w.sent);
	seen_writer_fini(&w.writer);
	free(mem);
	free(w.seen);
	free(w.count);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;

	(void)printf("| fleet |");
	for (size_t i = 0; i < N_HOURS; i++)
		(void)printf(" %u h |", hours[i]);
	(void)printf(" messages |\n|---|");
	for (size_t i = 0; i <= N_HOURS; i++)
		(void)printf("---|");
	(void)putchar('\n');
	for (size_t i = 0; i < sizeof fleets / sizeof fleets[0]; i++)
		run(&fleets[i], seed + i);
	return 0;
}
