/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/level.h"
#include "core/topic.h"
#include "tests/support/guard.h"

#include <stdio.h>

static void test_valid(void **state)
{
	const struct {
		struct str s;
		bool topic, filter;
	} table[] = {
		{STR_INIT("a"), true, true},
		{STR_INIT("a/b/c"), true, true},
		{STR_INIT("/"), true, true},
		{STR_INIT("/a//b/"), true, true},
		{STR_INIT("$SYS/broker"), true, true},
		{STR_INIT("a b"), true, true},
		{STR_INIT("caf\xc3\xa9/\xf0\x9f\x9a\x8c"), true, true},
		{STR_INIT("+"), false, true},
		{STR_INIT("#"), false, true},
		{STR_INIT("+/a/+/#"), false, true},
		{STR_INIT("a/#"), false, true},
		{STR_INIT(""), false, false},
		{STR_INIT("a+"), false, false},
		{STR_INIT("+a/b"), false, false},
		{STR_INIT("a/b#"), false, false},
		{STR_INIT("a/#/b"), false, false},
		{STR_INIT("#/"), false, false},
		{STR_INIT("##"), false, false},
		{STR_INIT("a\0b"), false, false},
		{STR_INIT("a\x01"), false, false},
		{STR_INIT("a\x7f"), false, false},
		{STR_INIT("\xc3"), false, false},
		{STR_INIT("abcdefgh/\xc0\xaf"), false, false},
		{STR_INIT("abcdefg\xed\xa0\x80"), false, false},
		{STR_INIT("\xf4\x90\x80\x80"), false, false},
		{STR_INIT("\xef\xbf\xbf"), false, false},
		{STR_INIT("\xc2\x85"), false, false},
	};
	struct guard g;
	size_t i;

	(void)state;
	guard_init(&g, TOPIC_MAX + 1);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct str s = guard_put(&g, table[i].s);

		if (topic_valid(s) != table[i].topic ||
			filter_valid(s) != table[i].filter)
			fail_msg("entry %zu", i);
	}
	guard_fini(&g);
}

static void test_length(void **state)
{
	static char text[TOPIC_MAX + 1];

	(void)state;
	memset(text, '/', sizeof(text));
	assert_true(topic_valid((struct str){text, TOPIC_MAX}));
	assert_true(filter_valid((struct str){text, TOPIC_MAX}));
	assert_false(topic_valid((struct str){text, TOPIC_MAX + 1}));
	assert_false(filter_valid((struct str){text, TOPIC_MAX + 1}));
}

/* The examples of MQTT 5.0 §4.7.1 and §4.7.2, and their opposites. */
static void test_match(void **state)
{
	const struct {
		const char *filter, *topic;
		bool match;
	} table[] = {
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking",
			true},
		{"sport/tennis/player1/#", "sport/tennis/player1/a/b", true},
		{"sport/#", "sport", true},
		{"#", "sport", true},
		{"#", "/", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "$SYS", false},
		{"#", "$SYS/x", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/monitor", true},
		{"$SYS/#", "$SYS", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"a/+", "a/$b", true},
		{"a/#", "a/$b", true},
		{"ACCOUNTS", "Accounts", false},
		{"a", "a/", false},
		{"a/", "a", false},
		{"a", "/a", false},
		{"a/b", "a/bc", false},
		{"a/bc", "a/b", false},
		{"a//b", "a/b", false},
		{"a/+/b", "a//b", true},
		{"a/#", "ab", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (topic_match(str_from(table[i].filter),
			    str_from(table[i].topic)) != table[i].match)
			fail_msg("%s, %s", table[i].filter, table[i].topic);
}

static void test_share(void **state)
{
	const struct {
		const char *filter, *group, *rest; /* group NULL: malformed */
	} table[] = {
		{"a/b", "", "a/b"},
		{"$share/g/a", "g", "a"},
		{"$share/g/+/#", "g", "+/#"},
		{"$share/g//a", "g", "/a"},
		{"$shared/g/a", "", "$shared/g/a"},
		{"$share", "", "$share"},
		{"$share/", NULL, NULL},
		{"$share/g", NULL, NULL},
		{"$share/g/", NULL, NULL},
		{"$share//a", NULL, NULL},
		{"$share/+/a", NULL, NULL},
		{"$share/g#/a", NULL, NULL},
	};
	struct str group, rest;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool ok = share_split(str_from(table[i].filter), &group, &rest);

		if (ok != (table[i].group != NULL) ||
			(ok && (!str_eq(group, str_from(table[i].group)) ||
				       !str_eq(rest, str_from(table[i].rest)))))
			fail_msg("%s", table[i].filter);
	}
}

static void test_levels(void **state)
{
	const struct {
		const char *text, *joined;
	} table[] = {{"", "[]"}, {"a", "[a]"}, {"/", "[][]"}, {"a/", "[a][]"},
		{"/a", "[][a]"}, {"a//b/", "[a][][b][]"}};
	char joined[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct levels c = levels_of(str_from(table[i].text));
		struct str level;
		size_t n = 0, count = 0;

		while (levels_next(&c, &level)) {
			n += (size_t)snprintf(joined + n, sizeof(joined) - n,
				"[%.*s]", STR_ARG(level));
			count++;
		}
		assert_string_equal(joined, table[i].joined);
		assert_int_equal(count, levels_count(str_from(table[i].text)));
	}
}

/* One filter and rule set for each naive way to get containment wrong. */
/* The least topic that RULE leaves out of FILTER has LEVELS; 0: none. */
static void assert_gap(const char *filter, size_t levels, const char *rule)
{
	struct str r = str_from(rule);

	assert_int_equal(filter_gap(str_from(filter), &r, 1), levels);
}

static void test_cover_pitfalls(void **state)
{
	const struct {
		const char *filter;
		struct str rules[3];
		bool covered;
	} table[] = {
		/* one rule at a time would refuse it */
		{"+/#", {STR_INIT("+"), STR_INIT("+/+/#")}, true},
		/* no fresh letter would allow it */
		{"+", {STR_INIT("a"), STR_INIT("b")}, false},
		/* stopping at M would allow it */
		{"#", {STR_INIT("+")}, false},
		/* forgetting the parent would allow it */
		{"a/#", {STR_INIT("+/+/#")}, false},
		{"a/#", {STR_INIT("+/+/#"), STR_INIT("a")}, true},
		{"/#", {STR_INIT("/+"), STR_INIT("/+/+/#")}, true},
		{"/#", {STR_INIT("/+/#")}, true},
		{"/", {STR_INIT("/+")}, true},
		{"#", {STR_INIT("+/#")}, true},
		{"#", {STR_INIT("#")}, true},
		{"#", {STR_INIT("$SYS/#"), STR_INIT("a/#")}, false},
		{"$SYS/#", {STR_INIT("#")}, false},
		{"$SYS/+", {STR_INIT("+/+")}, false},
		{"a/+", {STR_INIT("a/#")}, true},
		{"a/+", {STR_INIT("+/b"), STR_INIT("+/+")}, true},
		{"a/b", {STR_INIT("a/c"), STR_INIT("b/b")}, false},
		{"a", {STR_INIT("a/+")}, false},
		{"+/+", {STR_INIT("+/a"), STR_INIT("a/+")}, false},
	};
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (n = 0; n < 3 && table[i].rules[n].p != NULL; n++)
			continue;
		if (filter_covered(str_from(table[i].filter), table[i].rules,
			    n) != table[i].covered)
			fail_msg("%s (entry %zu)", table[i].filter, i);
	}
	assert_false(filter_covered(STR("a"), NULL, 0));
	assert_gap("a/#", 1, "a/+/#");
	assert_gap("a/#", 2, "a");
	assert_gap("a/+/#", 2, "a/b/#");
	assert_gap("#", 2, "+");
	assert_gap("#", 1, "+/+/#");
	assert_gap("/#", 2, "a");
	assert_gap("+/b", 2, "a/b");
	assert_gap("+/b", 0, "+/+");
	assert_gap("a/#", 0, "#");
}

/* The N-th text of up to MAX levels out of the N_WORDS WORDS, into OUT; its
 * length, 0 for none. */
static size_t nth_text(size_t n, size_t max, const char *const *words,
	size_t n_words, char *out)
{
	size_t len = 0, levels = 1, count = n_words;

	while (n >= count && levels < max) {
		n -= count;
		count *= n_words;
		levels++;
	}
	for (size_t i = 0; n < count && i < levels; i++) {
		size_t w = strlen(words[n % n_words]);

		if (i != 0)
			out[len++] = '/';
		memcpy(out + len, words[n % n_words], w);
		len += w;
		n /= n_words;
		count /= n_words;
	}
	return len;
}

/* The N valid texts of up to MAX levels out of WORDS: how many. */
static size_t fill(char (*out)[16], size_t n, size_t max,
	const char *const *words, size_t n_words)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = nth_text(i, max, words, n_words, out[kept]);

		out[kept][len] = '\0';
		kept += filter_valid((struct str){out[kept], len});
	}
	return kept;
}

/* The definition: some topic is matched by both. Of one level more than the
 * filters have is enough. */
static bool met(struct str a, struct str b, char (*topics)[16], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str t = str_from(topics[i]);

		if (topic_match(a, t) && topic_match(b, t))
			return true;
	}
	/* The one exception of the contract. */
	return (str_eq(a, STR("+")) && str_eq(b, STR("/#"))) ||
	       (str_eq(b, STR("+")) && str_eq(a, STR("/#")));
}

static void test_overlap(void **state)
{
	static const char *const words[] = {"a", "b", "", "$x", "+", "#"};
	enum { FILTERS = 6 + 36 + 216, TOPICS = 4 + 16 + 64 + 256 };
	static char f[FILTERS][16], t[TOPICS][16];
	size_t nf = fill(f, FILTERS, 3, words, 6);
	size_t nt = fill(t, TOPICS, 4, words, 4);
	size_t n = 0;

	(void)state;
	assert_true(nf > 100 && nt > 300);
	for (size_t i = 0; i < nf * nf; i++) {
		struct str a = str_from(f[i / nf]), b = str_from(f[i % nf]);
		bool want = met(a, b, t, nt);

		if (filter_overlap(a, b) != want)
			fail_msg("%s %s: not %d", a.p, b.p, want);
		n += want;
	}
	assert_true(n > nf && n < nf * nf / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_cover_pitfalls),
		cmocka_unit_test(test_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
