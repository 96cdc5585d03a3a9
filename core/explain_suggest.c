/* SPDX-License-Identifier: Apache-2.0 */
#include "core/explain.h"

#include "core/explain_private.h"
#include "core/level.h"
#include "core/template.h"
#include "core/topic.h"

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

/* Where the device's id stands in LEVEL as a word of its own, or NULL. An id
 * of one or two characters would be found where it means something else. */
static const char *find_id(struct str level, const struct device *d)
{
	const char *end = level.p + level.n, *p = level.p;

	if (d->id_len < 3)
		return NULL;
	for (; level.n != 0 && end - p >= d->id_len; p++) {
		const char *q = p + d->id_len;

		if (memcmp(p, d->id, d->id_len) == 0 &&
			(p == level.p || !is_word(p[-1])) &&
			(q == end || !is_word(*q)))
			return p;
	}
	return NULL;
}

/* Writes LEVEL as the variable that it is the whole value of; false if none.
 */
static bool put_as_variable(
	struct writer *w, struct str level, const struct device *d)
{
	unsigned kind;
	uint16_t i;

	if (str_eq(level, (struct str){d->id, d->id_len})) {
		put(w, STR("${device}"));
		return true;
	}
	for (kind = SIMID_NONE + 1; kind < SIMID_KINDS; kind++) {
		const struct simid *id = &d->sim[kind];

		if (id->kind != SIMID_NONE &&
			str_eq(level, (struct str){id->digits, id->n})) {
			put_variable(w, "",
				str_from(simid_name((enum simid_kind)kind)));
			return true;
		}
	}
	for (i = 0; i < d->n_attrs; i++) {
		if (str_eq(level, d->attrs[i].value)) {
			put_variable(w, "attr.", d->attrs[i].name);
			return true;
		}
	}
	return false;
}

/* Writes LEVEL with the device's own values as variables. NEAREST is what the
 * nearest rule has there: a pattern that matches is what its author would
 * write again. */
static void put_level(struct writer *w, struct str level, struct str nearest,
	const struct device *d)
{
	struct piece pieces[PIECES_MAX];
	enum level_kind kind;
	size_t n, value;
	const char *id;

	if (level_parse(nearest, &kind, pieces, &n, NULL) &&
		kind == LEVEL_PATTERN &&
		pieces_match(pieces, n, d, level, &value)) {
		put(w, nearest);
		return;
	}
	if (put_as_variable(w, level, d))
		return;
	id = find_id(level, d);
	if (id == NULL) {
		put(w, level);
		return;
	}
	put(w, (struct str){level.p, (size_t)(id - level.p)});
	put(w, STR("${device}"));
	id += d->id_len;
	put(w, (struct str){id, (size_t)(level.p + level.n - id)});
}

/* TOPIC as a template in OUT; its length, 0 when it would not be one that
 * matches TOPIC. */
static size_t generalize(struct str topic, struct str nearest,
	const struct device *d, char out[static POLICY_TEMPLATE_MAX + 1])
{
	struct levels a = levels_of(topic), b = levels_of(nearest);
	struct writer w = {out, POLICY_TEMPLATE_MAX + 1, 0};
	struct explain_level differs;
	struct str level, rule, template;
	size_t count = 0;

	while (levels_next(&a, &level)) {
		if (!levels_next(&b, &rule))
			rule = (struct str){NULL, 0};
		if (count++ != 0)
			put(&w, STR("/"));
		put_level(&w, level, rule, d);
	}
	template = (struct str){out, finish(&w)};
	if (template.n > POLICY_TEMPLATE_MAX || !template_check(template, NULL))
		return 0;
	explain_level(template, d, topic, &differs);
	return differs.level == 0 ? template.n : 0;
}

/* TOPIC itself as a template, where no variable would do: two values of one
 * attribute, for example. */
static size_t verbatim(struct str topic, const struct device *d,
	char out[static POLICY_TEMPLATE_MAX + 1])
{
	struct explain_level differs;

	if (topic.n > POLICY_TEMPLATE_MAX || !template_check(topic, NULL))
		return 0;
	explain_level(topic, d, topic, &differs);
	if (differs.level != 0)
		return 0;
	memcpy(out, topic.p, topic.n);
	return topic.n;
}

static bool can_suggest(enum reason reason)
{
	return reason == REASON_NO_RULE || reason == REASON_FILTER_TOO_WIDE ||
	       reason == REASON_QOS || reason == REASON_RETAIN ||
	       reason == REASON_SIZE || reason == REASON_QUARANTINED;
}

/* Widens R so far that its limits admit WHAT. */
static void widen(struct rule_spec *r, const struct request *what)
{
	if (what->action != ACTION_RECEIVE && what->qos > r->max_qos)
		r->max_qos = what->qos;
	if (what->action != ACTION_PUBLISH)
		return;
	r->retain = r->retain || what->retain;
	if (what->payload_len > r->max_bytes)
		r->max_bytes = what->payload_len;
}

static bool lists_group(const struct rule_spec *r, struct str group)
{
	size_t i;

	for (i = 0; i < r->n_shared; i++)
		if (str_eq(r->shared[i], group))
			return true;
	return false;
}

/* The new rule's template, in TEXT. */
static struct str new_topic(struct str topic, const struct rule_spec *nearest,
	const struct device *d, char text[static POLICY_TEMPLATE_MAX + 1])
{
	struct str like = {NULL, 0};
	size_t n;

	if (nearest != NULL)
		like = nearest->topic;
	n = generalize(topic, like, d, text);
	if (n == 0)
		n = verbatim(topic, d, text);
	return (struct str){text, n};
}

size_t explain_suggest(const struct policy *policy, const struct subject *who,
	const struct request *what, const struct decision *decision,
	uint32_t *instead, char out[static EXPLAIN_SUGGEST_CAP])
{
	bool publish = what->action == ACTION_PUBLISH;
	const struct rule_spec *nearest = explain_rule(policy, decision->rule);
	struct rule_spec rule = {
		.max_qos = publish ? 1 : 2, .max_bytes = POLICY_BYTES_MAX};
	struct writer w = {out, EXPLAIN_SUGGEST_CAP, 0};
	struct str group = {NULL, 0}, topic = what->topic;
	struct explain_level differs = {.level = 1};
	char text[POLICY_TEMPLATE_MAX + 1];

	*instead = RULE_NONE;
	out[0] = '\0';
	if (who->device == NULL || !can_suggest(decision->reason) ||
		what->payload_len > POLICY_BYTES_MAX ||
		(what->action == ACTION_SUBSCRIBE &&
			!share_split(what->topic, &group, &topic)))
		return 0;
	if (nearest != NULL)
		explain_level(nearest->topic, who->device, topic, &differs);
	if (nearest != NULL && differs.level == 0) {
		rule = *nearest;
		*instead = decision->rule;
	} else {
		rule.topic = new_topic(topic, nearest, who->device, text);
	}
	if (rule.topic.n == 0)
		return 0;
	widen(&rule, what);
	if (lists_group(&rule, group))
		group.n = 0;
	explain_put_rule(&w, &rule, publish, group);
	if (w.n < w.cap)
		return finish(&w);
	out[0] = '\0';
	return 0;
}
