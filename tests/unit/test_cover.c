/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containment and matching against enumeration: what a filter may match is
 * written out, topic by topic, over the literals of rules and filter, a letter
 * that no rule uses, the empty level and "$x", to one level more than the
 * longest of them, and each topic is matched by a matcher that knows nothing
 * of core/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/policy.h"
#include "core/topic.h"
#include "core/trie.h"
#include "tests/support/rng.h"

#include <stdio.h>
#include <stdlib.h>

#define LEVELS 4 /* of a random filter or rule */
#define RULES  6
#define PAIRS  150000

/* Letters of the alphabet; PLUS and HASH stand in filters only. */
enum { A, B, LONG, EMPTY, DOLLAR, FRESH, LETTERS, PLUS = LETTERS, HASH };

static const char *const texts[] = {
	"a", "b", "a-long-level-of-27-bytes-00", "", "$x", "z", "+", "#"};

struct path {
	int n;
	int at[LEVELS + 2];
};

static struct str text_of(const struct path *p, char *out)
{
	size_t n = 0;
	int i;

	for (i = 0; i < p->n; i++) {
		struct str t = str_from(texts[p->at[i]]);

		if (i != 0)
			out[n++] = '/';
		memcpy(out + n, t.p, t.n);
		n += t.n;
	}
	return (struct str){out, n};
}

/* MQTT 5.0 §4.7, by recursion over letters. */
static bool naive_match(const struct path *f, int i, const struct path *t)
{
	if (i < f->n && f->at[i] == HASH)
		return i != 0 || t->at[0] != DOLLAR;
	if (i == f->n || i == t->n)
		return i == f->n && i == t->n
			       ? true
			       : i == t->n && i + 1 == f->n && f->at[i] == HASH;
	if (f->at[i] == PLUS ? (i == 0 && t->at[0] == DOLLAR)
			     : f->at[i] != t->at[i])
		return false;
	return naive_match(f, i + 1, t);
}

static bool matched_by_any(
	const struct path *rules, int n, const struct path *topic)
{
	int i;

	for (i = 0; i < n; i++)
		if (naive_match(&rules[i], 0, topic))
			return true;
	return false;
}

/* Every topic of up to MOST levels that starts with TOPIC and that F matches
 * is matched by some rule. */
static bool naive_cover(const struct path *f, const struct path *rules, int n,
	struct path *topic, int most)
{
	bool empty = topic->n == 1 && topic->at[0] == EMPTY;
	int letter;

	if (topic->n != 0 && !empty && naive_match(f, 0, topic) &&
		!matched_by_any(rules, n, topic))
		return false;
	if (topic->n == most)
		return true;
	/* below a literal of F nothing else can match */
	for (letter = 0; letter < LETTERS; letter++) {
		int want = topic->n < f->n ? f->at[topic->n] : HASH;
		bool ok;

		if (want < LETTERS && want != letter)
			continue;
		topic->at[topic->n++] = letter;
		ok = naive_cover(f, rules, n, topic, most);
		topic->n--;
		if (!ok)
			return false;
	}
	return true;
}

/* The first ten are the wide ones. */
static const int often[] = {
	PLUS, PLUS, PLUS, PLUS, PLUS, A, A, A, B, B, LONG, LONG, EMPTY, DOLLAR};

static struct path random_path(struct rng *r, bool wide)
{
	struct path p = {(int)rng_below(r, LEVELS) + 1, {0}};
	int i;

	for (i = 0; i < p.n; i++)
		p.at[i] = often[rng_below(r, wide ? 10 : 14)];
	if (rng_below(r, 3) == 0)
		p.at[p.n - 1] = HASH;
	return p;
}

/* The empty filter is no filter. */
static bool usable(const struct path *p)
{
	return !(p->n == 1 && p->at[0] == EMPTY);
}

struct sample {
	struct path filter, rules[RULES];
	int n;
	char text[RULES + 1][256];
	struct str rule_text[RULES], filter_text;
	struct trie *trie;
};

static void sample_make(struct sample *s, struct rng *r)
{
	struct trie_rule rules[RULES] = {0};
	bool wide = rng_below(r, 2) == 0;
	int i;

	s->n = (int)rng_below(r, RULES) + 1;
	do
		s->filter = random_path(r, wide);
	while (!usable(&s->filter));
	for (i = 0; i < s->n; i++) {
		do
			s->rules[i] = random_path(r, wide);
		while (!usable(&s->rules[i]));
		s->rule_text[i] = text_of(&s->rules[i], s->text[i]);
		rules[i] = (struct trie_rule){.topic = s->rule_text[i],
			.max_qos = 2,
			.wild = true,
			.number = (uint32_t)i};
	}
	s->filter_text = text_of(&s->filter, s->text[RULES]);
	s->trie = trie_new(rules, (size_t)s->n);
	assert_non_null(s->trie);
	assert_true(trie_worst(s->trie) <= TRIE_WORST_MAX);
}

static void sample_print(const struct sample *s, struct str asked)
{
	int i;

	(void)fprintf(stderr, "asked: %.*s\n", STR_ARG(asked));
	for (i = 0; i < s->n; i++)
		(void)fprintf(stderr, "rule: %.*s\n", STR_ARG(s->rule_text[i]));
}

static int most_levels(const struct sample *s)
{
	int most = s->filter.n, i;

	for (i = 0; i < s->n; i++)
		most = s->rules[i].n > most ? s->rules[i].n : most;
	return most;
}

/* Asks whether the rules contain the filter of pair I: true when they do. */
static bool cover_ask(const struct sample *s, long i)
{
	static const struct device nobody;
	struct path topic = {0, {0}};
	bool want = naive_cover(
		&s->filter, s->rules, s->n, &topic, most_levels(s) + 1);
	bool defined =
		filter_covered(s->filter_text, s->rule_text, (size_t)s->n);
	bool walked = trie_cover(s->trie, &nobody, s->filter_text, STR(""), 0)
			      .reason == REASON_ALLOWED;

	if (defined != want || walked != want) {
		sample_print(s, s->filter_text);
		fail_msg("pair %ld: enumeration %d, definition %d, trie %d", i,
			want, defined, walked);
	}
	return want;
}

static void test_cover_random(void **state)
{
	struct rng r = {20261122};
	struct sample s;
	long i, covered = 0;

	(void)state;
	for (i = 0; i < PAIRS; i++) {
		sample_make(&s, &r);
		covered += cover_ask(&s, i);
		trie_free(&s.trie);
	}
	/* both answers are common, or the test says little */
	assert_in_range(covered, PAIRS / 20, PAIRS - PAIRS / 20);
	print_message("containment: %d pairs, %ld contained, 0 disagreements\n",
		PAIRS, covered);
}

static struct path random_topic(struct rng *r)
{
	struct path t = {(int)rng_below(r, LEVELS + 1) + 1, {0}};
	int i;

	for (i = 0; i < t.n; i++)
		t.at[i] = (int)rng_below(r, LETTERS);
	return t;
}

/* Asks whether some rule matches T: true when one does. */
static bool match_ask(const struct sample *s, const struct path *t)
{
	static const struct device nobody;
	char text[256];
	struct request what = {
		.action = ACTION_RECEIVE, .topic = text_of(t, text)};
	bool want = matched_by_any(s->rules, s->n, t);
	bool defined = false, walked;
	int i;

	for (i = 0; i < s->n; i++)
		defined = defined || topic_match(s->rule_text[i], what.topic);
	walked = trie_match(s->trie, &nobody, &what).reason == REASON_ALLOWED;
	if (defined != want || walked != want) {
		sample_print(s, what.topic);
		fail_msg("naive %d, definition %d, trie %d", want, defined,
			walked);
	}
	return want;
}

static void test_match_random(void **state)
{
	struct rng r = {4711};
	struct sample s;
	long i, k, matched = 0, asked = 0;

	(void)state;
	for (i = 0; i < PAIRS / 4; i++) {
		sample_make(&s, &r);
		for (k = 0; k < 8; k++) {
			struct path t = random_topic(&r);

			if (!usable(&t))
				continue;
			asked++;
			matched += match_ask(&s, &t);
		}
		trie_free(&s.trie);
	}
	assert_in_range(matched, asked / 20, asked - asked / 20);
	print_message("matching: %ld topics, %ld matched, 0 disagreements\n",
		asked, matched);
}

/* Every filter of up to two levels over three letters and both wildcards. */
static int all_filters(struct path all[static 64])
{
	static const int letters[] = {A, EMPTY, DOLLAR, PLUS, HASH};
	int n = 0, i, k;

	for (i = 0; i < 5; i++) {
		all[n] = (struct path){1, {letters[i]}};
		n += usable(&all[n]);
		for (k = 0; k < 5 && letters[i] != HASH; k++)
			all[n++] = (struct path){2, {letters[i], letters[k]}};
	}
	return n;
}

/* Asks the two rules for each of the N filters. */
static void pair_ask(
	const struct path rules[static 2], const struct path *all, int n)
{
	static const struct device nobody;
	char text[3][64];
	struct str r[2] = {
		text_of(&rules[0], text[0]), text_of(&rules[1], text[1])};
	struct trie_rule tr[2] = {{.topic = r[0], .max_qos = 2, .wild = true},
		{.topic = r[1], .max_qos = 2, .wild = true, .number = 1}};
	struct trie *trie = trie_new(tr, 2);
	int i;

	for (i = 0; i < n; i++) {
		struct path topic = {0, {0}};
		struct str asked = text_of(&all[i], text[2]);
		bool want = naive_cover(&all[i], rules, 2, &topic, 3);

		assert_int_equal(filter_covered(asked, r, 2), want);
		assert_int_equal(
			trie_cover(trie, &nobody, asked, STR(""), 0).reason ==
				REASON_ALLOWED,
			want);
	}
	trie_free(&trie);
}

/* Every pair of rules and every filter: nothing left to chance at small
 * scope. */
static void test_cover_exhaustive(void **state)
{
	struct path all[64];
	int n = all_filters(all), i, k;

	(void)state;
	for (i = 0; i < n; i++) {
		for (k = 0; k < n; k++) {
			struct path rules[2] = {all[i], all[k]};

			pair_ask(rules, all, n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cover_exhaustive),
		cmocka_unit_test(test_cover_random),
		cmocka_unit_test(test_match_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
