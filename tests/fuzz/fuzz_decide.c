/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy and a question out of any bytes: the first line is the topic, or
 * the filter, that is asked; each further line is a rule's topic. Oracle:
 * where no rule holds a variable, decide() says what topic_match() and
 * filter_covered() say of the same rules.
 */
#include "core/decide.h"
#include "core/topic.h"

#include <stdint.h>
#include <stdlib.h>

#define RULES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct question {
	struct str asked;
	struct str rules[RULES_MAX];
	size_t n;
	bool plain; /* no rule holds a variable */
};

static struct str line_take(const char **p, const char *end)
{
	const char *start = *p, *stop = start;

	while (stop < end && *stop != '\n')
		stop++;
	*p = stop < end ? stop + 1 : end;
	return (struct str){start, (size_t)(stop - start)};
}

static struct question question_read(const char *p, size_t size)
{
	const char *end = p + size;
	struct question q = {.plain = true};
	size_t i;

	q.asked = line_take(&p, end);
	while (p < end && q.n < RULES_MAX) {
		struct str rule = line_take(&p, end);

		for (i = 0; i + 1 < rule.n; i++)
			if (rule.p[i] == '$' && rule.p[i + 1] == '{')
				q.plain = false;
		q.rules[q.n++] = rule;
	}
	return q;
}

static void ask(const struct policy *policy, const struct question *q,
	enum action action, bool want)
{
	struct attr attrs[2] = {{STR("a"), STR("1")}, {STR("a"), STR("22")}};
	struct device device = {.id = "dev-1",
		.class_name = "c",
		.id_len = 5,
		.status = DEVICE_ACTIVE,
		.n_attrs = 2,
		.attrs = attrs};
	struct subject who = {.device = &device,
		.class = policy_class_at(policy, 0),
		.barred = REASON_ALLOWED};
	struct request what = {.action = action, .topic = q->asked};
	struct decision d = decide(policy, &who, &what);

	if ((d.verdict == VERDICT_ALLOWED) != (d.reason == REASON_ALLOWED))
		abort();
	if (q->plain && (d.verdict == VERDICT_ALLOWED) != want)
		abort();
}

/* Of a filter with $share, the definition judges the rest; and these rules
 * serve no group. */
static bool subscribe_wanted(const struct question *q)
{
	struct str group, rest;

	return share_split(q->asked, &group, &rest) && group.n == 0 &&
	       filter_valid(rest) && filter_covered(rest, q->rules, q->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct question q = question_read((const char *)data, size);
	struct rule_spec rules[RULES_MAX];
	struct class_spec class = {.name = STR("c"),
		.publish = rules,
		.n_publish = q.n,
		.subscribe = rules,
		.n_subscribe = q.n};
	struct policy_spec spec = {.classes = &class, .n_classes = 1};
	struct policy *policy = NULL;
	struct errs errs = {0};
	bool match = false;
	size_t i;

	for (i = 0; i < q.n; i++)
		rules[i] = (struct rule_spec){.topic = q.rules[i],
			.max_qos = 2,
			.max_bytes = POLICY_BYTES_MAX};
	if (!policy_compile(&spec, &policy, &errs)) {
		if (errs.n == 0)
			abort();
		return 0;
	}
	for (i = 0; i < q.n && q.plain && topic_valid(q.asked); i++)
		match = match || topic_match(q.rules[i], q.asked);
	ask(policy, &q, ACTION_PUBLISH, match);
	ask(policy, &q, ACTION_RECEIVE, match);
	ask(policy, &q, ACTION_SUBSCRIBE, q.plain && subscribe_wanted(&q));
	policy_free(&policy);
	return 0;
}
