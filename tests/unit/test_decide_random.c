/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide() against the definitions: every rule is written out as the plain
 * filters that its variables make of it for the device, one for each choice of
 * values, and topic_match() and filter_covered() judge those. Levels are of
 * all lengths that the fast paths tell apart, topics of up to some hundred
 * bytes, each ending at a page that must not be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/decide.h"
#include "core/level.h"
#include "core/topic.h"
#include "tests/support/guard.h"
#include "tests/support/rng.h"

#include <stdio.h>
#include <string.h>

#define POLICIES 6000
#define ASKED    40
#define RULES    10
#define LEVELS   5
#define FILTERS  64 /* that one rule can become */

static const char *const ids[] = {"d", "dev-1", "dev-0001", "device-000001",
	"a-device-with-an-id-of-32-bytes-"};

/* Literal levels; %s is the device's id. */
static const char long_word[] = "long-0123456789-0123456789-0123456789-"
				"0123456789-0123456789-0123456789";
static const char *const words[] = {"a", "b", "pay", "status", "12345678",
	"123456789", "a-level-of-17-byte", "a-level-of-twenty-four-b", "", "%s",
	"%sx", "north", "south", "v-north", "v-7", "7", long_word};
#define WORDS (sizeof(words) / sizeof(words[0]))

static const char *const patterns[] = {"${device}", "${device}", "${class}",
	"${attr.site}", "${attr.line}", "v-${attr.site}", "v-${attr.line}",
	"${imsi}", "${attr.none}", "${device}x"};
#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

struct text {
	char p[512];
	size_t n;
};

static void text_add(struct text *t, const char *s)
{
	size_t n = strlen(s);

	assert_true(t->n + n < sizeof(t->p));
	memcpy(t->p + t->n, s, n);
	t->n += n;
	t->p[t->n] = '\0';
}

static struct str text_str(const struct text *t)
{
	return (struct str){t->p, t->n};
}

static void add_word(struct text *t, struct rng *r, const char *id)
{
	const char *w = words[rng_below(r, WORDS)];
	const char *at = strstr(w, "%s");

	text_add(t, at != NULL ? id : w);
	if (at != NULL)
		text_add(t, at + 2);
}

static void random_rule(struct text *t, struct rng *r, const char *id)
{
	unsigned levels = 1 + rng_below(r, LEVELS), i;

	do {
		t->n = 0;
		for (i = 0; i < levels; i++) {
			unsigned pick = rng_below(r, 10);

			if (i != 0)
				text_add(t, "/");
			if (pick < 2)
				text_add(t, "+");
			else if (pick < 5)
				text_add(t, patterns[rng_below(r, PATTERNS)]);
			else if (pick == 5 && i + 1 == levels)
				text_add(t, "#");
			else
				add_word(t, r, id);
		}
	} while (t->n == 0);
}

/* What NAME may be; a list that ends with NULL. */
static const char *const *values(const char *name, const char *id)
{
	static const char *sites[] = {"north", "south", NULL};
	static const char *lines[] = {"7", NULL};
	static const char *class[] = {"meter", NULL};
	static const char *none[] = {NULL};
	static const char *device[] = {NULL, NULL};

	device[0] = id;
	return strcmp(name, "${attr.site}") == 0   ? sites
	       : strcmp(name, "${attr.line}") == 0 ? lines
	       : strcmp(name, "${class}") == 0     ? class
	       : strcmp(name, "${device}") == 0    ? device
						   : none;
}

/* Writes TEMPLATE with all of its NAME replaced by VALUE. */
static void replace_all(struct text *out, const struct text *template,
	const char *name, const char *value)
{
	const char *p = template->p, *at;

	out->n = 0;
	while ((at = strstr(p, name)) != NULL) {
		char head[512];

		memcpy(head, p, (size_t)(at - p));
		head[at - p] = '\0';
		text_add(out, head);
		text_add(out, value);
		p = at + strlen(name);
	}
	text_add(out, p);
}

/* The filters that TEMPLATE becomes, appended to OUT. */
static void expand(const struct text *template, const char *id,
	struct text *out, size_t *n)
{
	static const char *const names[] = {"${device}", "${class}", "${imsi}",
		"${attr.site}", "${attr.line}", "${attr.none}"};
	size_t i;

	for (i = 0; i < 6; i++) {
		const char *const *v;
		struct text next = {{0}, 0};

		if (strstr(template->p, names[i]) == NULL)
			continue;
		for (v = values(names[i], id); *v != NULL; v++) {
			replace_all(&next, template, names[i], *v);
			expand(&next, id, out, n);
		}
		return;
	}
	assert_true(*n < (size_t)FILTERS * RULES);
	out[(*n)++] = *template;
}

struct sample {
	const char *id;
	struct text rule[RULES];
	size_t n_rules;
	struct text filter[RULES * FILTERS];
	struct str filter_str[RULES * FILTERS];
	size_t n_filters;
	struct policy *policy;
};

/* False: the policy is refused (two equal rules, too many nodes). */
static bool sample_make(struct sample *s, struct rng *r)
{
	struct rule_spec rules[RULES];
	struct class_spec class = {
		.name = STR("meter"), .publish = rules, .subscribe = rules};
	struct policy_spec spec = {.classes = &class, .n_classes = 1};
	struct errs errs = {0};
	size_t i;

	s->id = ids[rng_below(r, 5)];
	s->n_rules = 1 + rng_below(r, RULES);
	s->n_filters = 0;
	for (i = 0; i < s->n_rules; i++) {
		random_rule(&s->rule[i], r, s->id);
		expand(&s->rule[i], s->id, s->filter, &s->n_filters);
		rules[i] = (struct rule_spec){.topic = text_str(&s->rule[i]),
			.max_qos = 2,
			.max_bytes = POLICY_BYTES_MAX};
	}
	for (i = 0; i < s->n_filters; i++)
		s->filter_str[i] = text_str(&s->filter[i]);
	class.n_publish = s->n_rules;
	class.n_subscribe = s->n_rules;
	return policy_compile(&spec, &s->policy, &errs);
}

/* LEVEL, or now and then another in its place; a wildcard stays if KEEP_WILD. */
static void random_level(struct text *t, struct rng *r, const struct sample *s,
	struct str level, bool keep_wild)
{
	bool wild = level.n == 1 && (level.p[0] == '+' || level.p[0] == '#');
	char copy[256];

	memcpy(copy, level.p, level.n);
	copy[level.n] = '\0';
	if (keep_wild && rng_below(r, 12) == 0 && copy[0] != '#')
		text_add(t, "+");
	else if ((wild && !keep_wild) || rng_below(r, 16) == 0)
		add_word(t, r, s->id);
	else
		text_add(t, copy);
}

/* A topic near the rules: one of their filters, its wildcards filled in, and
 * now and then a level changed. */
static void random_topic(
	struct text *t, struct rng *r, const struct sample *s, bool keep_wild)
{
	struct levels c = {NULL, NULL};
	struct str level;
	bool first = true;

	t->n = 0;
	t->p[0] = '\0';
	if (s->n_filters != 0 && rng_below(r, 8) != 0)
		c = levels_of(
			s->filter_str[rng_below(r, (unsigned)s->n_filters)]);
	while (levels_next(&c, &level)) {
		if (!first)
			text_add(t, "/");
		first = false;
		random_level(t, r, s, level, keep_wild);
	}
	while (t->n == 0 || (!keep_wild && rng_below(r, 6) == 0)) {
		if (t->n != 0)
			text_add(t, "/");
		add_word(t, r, s->id);
	}
}

static struct device device_of(const struct sample *s, struct attr *attrs)
{
	struct device d = {.class_name = "meter",
		.status = DEVICE_ACTIVE,
		.n_attrs = 3,
		.attrs = attrs};

	attrs[0] = (struct attr){STR("line"), STR("7")};
	attrs[1] = (struct attr){STR("site"), STR("north")};
	attrs[2] = (struct attr){STR("site"), STR("south")};
	memcpy(d.id, s->id, strlen(s->id));
	d.id_len = (uint8_t)strlen(s->id);
	return d;
}

static void disagree(const struct sample *s, struct str asked, bool want)
{
	size_t i;

	(void)fprintf(stderr, "device %s asked '%.*s', want %d\n", s->id,
		STR_ARG(asked), want);
	for (i = 0; i < s->n_rules; i++)
		(void)fprintf(stderr, "rule: %s\n", s->rule[i].p);
	fail();
}

static bool matched(const struct sample *s, struct str topic)
{
	size_t i;

	for (i = 0; i < s->n_filters; i++)
		if (topic_match(s->filter_str[i], topic))
			return true;
	return false;
}

static void ask_all(
	const struct sample *s, struct rng *r, struct guard *g, long count[4])
{
	struct attr attrs[3];
	struct device d = device_of(s, attrs);
	struct subject who = {.device = &d,
		.class = policy_class_at(s->policy, 0),
		.barred = REASON_ALLOWED};
	int i;

	for (i = 0; i < ASKED; i++) {
		bool filter = i % 2 != 0;
		struct request what = {.action = filter       ? ACTION_SUBSCRIBE
						 : i % 4 == 0 ? ACTION_PUBLISH
							      : ACTION_RECEIVE};
		struct text t;
		bool want;

		random_topic(&t, r, s, filter);
		what.topic = guard_put(g, text_str(&t));
		want = filter ? filter_valid(what.topic) &&
					filter_covered(what.topic,
						s->filter_str, s->n_filters)
			      : matched(s, what.topic);
		count[2 * filter + want]++;
		if ((decide(s->policy, &who, &what).verdict ==
			    VERDICT_ALLOWED) != want)
			disagree(s, what.topic, want);
	}
}

static void test_random(void **state)
{
	static struct sample s;
	struct rng r = {19700101};
	struct guard g;
	long count[4] = {0, 0, 0, 0};
	int made = 0;

	(void)state;
	guard_init(&g, 1024);
	while (made < POLICIES) {
		if (!sample_make(&s, &r))
			continue;
		made++;
		ask_all(&s, &r, &g, count);
		policy_free(&s.policy);
	}
	guard_fini(&g);
	print_message("topics: %ld refused, %ld allowed; filters: %ld "
		      "refused, %ld allowed; 0 disagreements\n",
		count[0], count[1], count[2], count[3]);
	assert_true(count[0] > 20000 && count[1] > 20000);
	assert_true(count[2] > 20000 && count[3] > 20000);
}

/* No read leaves the topic, and no walk its bound, for any length: of levels,
 * and of what comes before and after. */
static void test_lengths(void **state)
{
	static struct sample s = {.id = "device-000001"};
	static char text[400];
	struct rng r = {7};
	struct guard g;
	size_t n, i;
	long count[4] = {0, 0, 0, 0};

	(void)state;
	guard_init(&g, sizeof(text));
	while (!sample_make(&s, &r))
		continue;
	for (n = 1; n <= sizeof(text); n++) {
		struct attr attrs[3];
		struct device d = device_of(&s, attrs);
		struct subject who = {.device = &d,
			.class = policy_class_at(s.policy, 0),
			.barred = REASON_ALLOWED};

		for (i = 0; i < n; i++)
			text[i] = rng_below(&r, 9) == 0 ? '/' : 'a';
		for (i = ACTION_PUBLISH; i <= ACTION_RECEIVE; i++) {
			struct request what = {.action = (enum action)i,
				.topic = guard_put(&g, (struct str){text, n})};
			bool want = i == ACTION_SUBSCRIBE
					    ? filter_covered(what.topic,
						      s.filter_str, s.n_filters)
					    : matched(&s, what.topic);

			assert_int_equal(
				decide(s.policy, &who, &what).verdict, want);
		}
	}
	ask_all(&s, &r, &g, count);
	policy_free(&s.policy);
	guard_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
