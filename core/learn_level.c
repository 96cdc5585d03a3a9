/* SPDX-License-Identifier: Apache-2.0 */
#include "core/learn_private.h"

#include <stdlib.h>

/* Rows that have the same level where they are looked at. */
struct group {
	struct str level;
	struct row *row;
	size_t n, devices;
	uint64_t messages;
	bool usual, gathered;
};

/* -------------------------------------------------------------------- rows */

static size_t count_devices(const struct row *row, size_t n)
{
	size_t devices = 0;

	for (size_t i = 0; i < n; i++)
		devices += i == 0 || row[i].device != row[i - 1].device;
	return devices;
}

static uint64_t count_messages(const struct row *row, size_t n)
{
	uint64_t messages = 0;

	for (size_t i = 0; i < n; i++)
		messages += row[i].o->messages;
	return messages;
}

static int by_device(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = (x->device > y->device) - (x->device < y->device);

	return order != 0 ? order
			  : str_cmp(str_from(x->text), str_from(y->text));
}

static int by_level(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = str_cmp(x->level, y->level);

	return order != 0 ? order : by_device(a, b);
}

size_t learn_pick(struct row *row, size_t n,
	bool (*wanted)(const struct row *r), struct row *spare)
{
	size_t front = 0, back = 0;

	for (size_t i = 0; i < n; i++)
		if (wanted(&row[i]))
			spare[front++] = row[i];
	for (size_t i = 0; i < n; i++)
		if (!wanted(&row[i]))
			spare[front + back++] = row[i];
	if (n != 0)
		memcpy(row, spare, n * sizeof *row);
	return front;
}

/* ------------------------------------------------------------------- items */

static struct learned *add_item(struct learner *l, struct str topic)
{
	struct learned_set *s = l->out;
	struct learned *x;

	if (s->n == l->cap) {
		size_t cap = l->cap != 0 ? 2 * l->cap : 64;
		struct learned *more = realloc(s->item, cap * sizeof *more);

		if (more == NULL) {
			l->no_memory = true;
			return NULL;
		}
		s->item = more;
		l->cap = cap;
	}
	x = &s->item[s->n];
	*x = (struct learned){.topic = malloc(topic.n + 1)};
	if (x->topic == NULL) {
		l->no_memory = true;
		return NULL;
	}
	if (topic.n != 0)
		memcpy(x->topic, topic.p, topic.n);
	x->topic[topic.n] = '\0';
	s->n++;
	return x;
}

/* Devices of the rows that set retain, or used at least QOS (retain false). */
static size_t count_using(
	const struct row *row, size_t n, bool retain, uint8_t qos)
{
	size_t devices = 0;
	uint32_t last = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		bool uses = retain ? row[i].o->retain : row[i].o->qos >= qos;

		if (!uses || row[i].device == last)
			continue;
		last = row[i].device;
		devices++;
	}
	return devices;
}

struct learned *learn_note(struct learner *l, struct str topic,
	const struct row *row, size_t n, enum learn_why why)
{
	struct learned *x = add_item(l, topic);

	if (x == NULL)
		return NULL;
	x->why = why;
	x->action = row[0].o->action;
	x->devices = count_devices(row, n);
	x->messages = count_messages(row, n);
	x->first_s = row[0].o->first_s;
	for (size_t i = 0; i < n; i++) {
		const struct observation *o = row[i].o;

		x->first_s = o->first_s < x->first_s ? o->first_s : x->first_s;
		x->last_s = o->last_s > x->last_s ? o->last_s : x->last_s;
		x->largest = o->largest > x->largest ? o->largest : x->largest;
		x->qos = o->qos > x->qos ? o->qos : x->qos;
		x->retain = x->retain || o->retain;
	}
	return x;
}

static void add_rule(
	struct learner *l, struct str topic, const struct row *row, size_t n)
{
	struct learned *x = learn_note(l, topic, row, n, LEARN_RULE);
	size_t retaining = count_using(row, n, true, 0);

	if (x == NULL)
		return;
	while (x->qos > 0 && count_using(row, n, false, x->qos) < l->least)
		x->qos--;
	if (!x->retain || retaining >= l->least)
		return;
	x->retain = false;
	x = learn_note(l, topic, row, n, LEARN_RETAIN);
	if (x != NULL)
		x->devices = retaining;
}

/* Each template of the N rows, which are in any order, on its own. */
static int by_text(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = str_cmp(str_from(x->text), str_from(y->text));

	return order != 0 ? order : by_device(a, b);
}

static void add_outliers(
	struct learner *l, struct row *row, size_t n, enum learn_why why)
{
	size_t i, end;

	if (n == 0)
		return;
	qsort(row, n, sizeof *row, by_text);
	for (i = 0; i < n; i = end) {
		for (end = i + 1; end < n && str_eq(str_from(row[end].text),
						     str_from(row[i].text));)
			end++;
		(void)learn_note(
			l, str_from(row[i].text), &row[i], end - i, why);
	}
}

/* ---------------------------------------------------------- level by level */

/* Cuts the N rows, sorted by level, into groups. */
static size_t make_groups(
	const struct learner *l, struct row *row, size_t n, struct group *out)
{
	size_t k = 0, i, end;

	for (i = 0; i < n; i = end) {
		struct group *g = &out[k++];

		for (end = i + 1;
			end < n && str_eq(row[end].level, row[i].level);)
			end++;
		*g = (struct group){.level = row[i].level,
			.row = &row[i],
			.n = end - i,
			.devices = count_devices(&row[i], end - i),
			.messages = count_messages(&row[i], end - i)};
		g->usual = g->devices >= l->least;
	}
	return k;
}

/* What a group is where values of one level are weighed. */
enum kind {
	KIND_OWN,    /* it stands for itself */
	KIND_RARE,   /* a value of few devices */
	KIND_SHARED, /* a value of some devices, less than half of them */
};

/* Variables, wildcards that a device asked for, and what half of the DEVICES
 * that came here use are no values among others. */
static enum kind kind_of(const struct group *g, size_t devices)
{
	if (str_eq(g->level, STR("+")))
		return g->row->o->action == ACTION_PUBLISH ? KIND_RARE
							   : KIND_OWN;
	if (str_eq(g->level, STR("#")) || is_variable(g->level))
		return KIND_OWN;
	if (!g->usual)
		return KIND_RARE;
	return 2 * g->devices < devices ? KIND_SHARED : KIND_OWN;
}

/* Counts the devices of G's rows that this count has not met yet. */
static size_t count_new(struct learner *l, const struct group *g)
{
	size_t devices = 0;

	for (size_t i = 0; i < g->n; i++) {
		devices += l->mark[g->row[i].device] != l->counts;
		l->mark[g->row[i].device] = l->counts;
	}
	return devices;
}

/* The devices of all K groups together. */
static size_t count_all(struct learner *l, const struct group *g, size_t k)
{
	size_t devices = 0;

	l->counts++;
	for (size_t i = 0; i < k; i++)
		devices += count_new(l, &g[i]);
	return devices;
}

/* True when the values of KIND among the K groups are many, of at least half
 * of the DEVICES and of a tenth of the messages. */
static bool are_many(struct learner *l, const struct group *g, size_t k,
	enum kind kind, size_t devices)
{
	size_t values = 0, using = 0;
	uint64_t messages = 0, all = 0;

	l->counts++;
	for (size_t i = 0; i < k; i++) {
		all += g[i].messages;
		if (kind_of(&g[i], devices) != kind)
			continue;
		/* A pattern was made of many. */
		values += str_eq(g[i].level, STR("+")) ? l->options.many : 1;
		using += count_new(l, &g[i]);
		messages += g[i].messages;
	}
	return values >= l->options.many && using >= l->least &&
	       2 * using >= devices && 10 * messages >= all;
}

/* Moves the rows of gathered groups to the front; returns how many. */
static size_t gather(
	struct learner *l, struct group *g, size_t k, struct row *row, size_t n)
{
	size_t at = 0, front;

	for (size_t i = 0; i < k; i++)
		if (g[i].gathered) {
			memcpy(l->spare + at, g[i].row, g[i].n * sizeof *row);
			at += g[i].n;
		}
	front = at;
	for (size_t i = 0; i < k; i++)
		if (!g[i].gathered) {
			memcpy(l->spare + at, g[i].row, g[i].n * sizeof *row);
			g[i].row = row + at;
			at += g[i].n;
		}
	memcpy(row, l->spare, n * sizeof *row);
	return front;
}

/* Marks the groups that become `+` together, if some do, and moves their rows
 * to the front; returns how many rows. */
static size_t widen(
	struct learner *l, struct group *g, size_t k, struct row *row, size_t n)
{
	size_t devices = count_all(l, g, k);

	if (!are_many(l, g, k, KIND_RARE, devices) &&
		!are_many(l, g, k, KIND_SHARED, devices))
		return 0;
	for (size_t i = 0; i < k; i++)
		g[i].gathered = kind_of(&g[i], devices) != KIND_OWN;
	return gather(l, g, k, row, n);
}

/* The rule goes on with LEVEL for the N rows. */
static void go_on(struct learner *l, struct str level, struct row *row,
	size_t n, size_t len, unsigned depth)
{
	if (len + level.n + 2 > sizeof l->topic) {
		add_outliers(l, row, n, LEARN_ODD);
		return;
	}
	if (depth != 0)
		l->topic[len++] = '/';
	if (level.n != 0)
		memcpy(l->topic + len, level.p, level.n);
	qsort(row, n, sizeof *row, by_device);
	learn_rows(l, row, n, len + level.n, depth + 1);
}

static void learn_group(
	struct learner *l, struct group *g, size_t len, unsigned depth)
{
	bool hash = str_eq(g->level, STR("#"));

	if (!g->usual)
		add_outliers(l, g->row, g->n, LEARN_FEW);
	else if (hash && !l->options.hash)
		add_outliers(l, g->row, g->n, LEARN_HASH);
	else
		go_on(l, g->level, g->row, g->n, len, depth);
}

static bool has_ended(const struct row *r)
{
	return r->level.p == NULL;
}

/* Reads the next level of each of the N rows; those that had none left are
 * moved to the front, and counted. */
static size_t part_ended(struct learner *l, struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!levels_next(&row[i].rest, &row[i].level))
			row[i].level = (struct str){NULL, 0};
	return learn_pick(row, n, has_ended, l->spare);
}

/* Groups that stand alone, then those that are one: their rows do not overlap,
 * so that each may sort its own. */
static void learn_groups(struct learner *l, struct row *row, size_t n,
	size_t len, unsigned depth)
{
	struct group *g = calloc(n, sizeof *g);
	size_t k, taken;

	if (g == NULL) {
		l->no_memory = true;
		return;
	}
	qsort(row, n, sizeof *row, by_level);
	k = make_groups(l, row, n, g);
	taken = widen(l, g, k, row, n);
	if (taken != 0)
		go_on(l, STR("+"), row, taken, len, depth);
	for (size_t i = 0; i < k && !l->no_memory; i++)
		if (!g[i].gathered)
			learn_group(l, &g[i], len, depth);
	free(g);
}

void learn_rows(struct learner *l, struct row *row, size_t n, size_t len,
	unsigned depth)
{
	size_t ended;

	if (l->no_memory || n == 0)
		return;
	if (depth > POLICY_LEVELS_MAX) {
		add_outliers(l, row, n, LEARN_ODD);
		return;
	}
	ended = part_ended(l, row, n);
	if (ended != 0 && count_devices(row, ended) >= l->least)
		add_rule(l, (struct str){l->topic, len}, row, ended);
	else
		add_outliers(l, row, ended, LEARN_FEW);
	if (ended != n)
		learn_groups(l, row + ended, n - ended, len, depth);
}
