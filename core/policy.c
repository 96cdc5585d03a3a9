/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy.h"

#include "core/policy_private.h"
#include "core/topic.h"

#include <stdlib.h>

void policy_free(struct policy **p)
{
	size_t i;

	if (*p == NULL)
		return;
	for (i = 0; (*p)->classes != NULL && i <= (*p)->n_classes; i++) {
		trie_free(&(*p)->classes[i].trie[DIRECTION_PUBLISH]);
		trie_free(&(*p)->classes[i].trie[DIRECTION_SUBSCRIBE]);
		free((*p)->classes[i].client_ids);
	}
	free((*p)->classes);
	free((*p)->by_name);
	free((*p)->rules);
	free((*p)->strs);
	free((*p)->text);
	free(*p);
	*p = NULL;
}

const struct policy_class *policy_class_find(
	const struct policy *p, struct str name)
{
	size_t low = 0, high = p->n_classes;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct policy_class *c = &p->classes[p->by_name[mid]];
		int order = str_cmp(name, c->name);

		if (order == 0)
			return c;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

size_t policy_n_classes(const struct policy *p)
{
	return p->n_classes;
}

const struct policy_class *policy_class_at(const struct policy *p, size_t i)
{
	return &p->classes[i];
}

size_t policy_class_index(const struct policy *p, const struct policy_class *c)
{
	return (size_t)(c - p->classes);
}

struct str policy_class_name(const struct policy_class *c)
{
	return c->name;
}

enum on_deny policy_class_on_deny(const struct policy_class *c)
{
	return c->on_deny;
}

const struct limits *policy_class_limits(const struct policy_class *c)
{
	return c->limited || c->limits.max[LIMIT_REFUSALS_PER_S] != 0
		       ? &c->limits
		       : NULL;
}

bool policy_class_limited(const struct policy_class *c)
{
	return c->limited;
}

bool policy_class_observes(const struct policy_class *c)
{
	return c->observe;
}

bool policy_observes(const struct policy *p, const struct policy_class *c)
{
	return p->observe && (c == NULL || !c->enforce);
}

enum fallback policy_fallback(const struct policy *p)
{
	return p->fallback;
}

struct str policy_unknown(const struct policy *p)
{
	return p->unknown;
}

bool policy_class_qos2(const struct policy_class *c)
{
	return c->qos2 || c->observe || c->any_client_id;
}

bool policy_class_sized(const struct policy_class *c)
{
	return c->sized;
}

bool policy_class_one_session(const struct policy_class *c)
{
	return c->n_client_ids == 1 && !c->client_ids[0].open &&
	       !c->any_client_id;
}

unsigned policy_class_worst(const struct policy_class *c)
{
	return c->worst;
}

/* Appends S to the LEN bytes of OUT. */
static size_t append(char *out, size_t len, struct str s)
{
	memcpy(out + len, s.p, s.n);
	return len + s.n;
}

static size_t append_number(char *out, size_t len, uint32_t n)
{
	char digits[10];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	return append(out, len, (struct str){digits + i, sizeof(digits) - i});
}

size_t policy_rule_place(
	const struct policy *p, uint32_t rule, char out[static RULE_PLACE_MAX])
{
	const struct policy_rule *r;
	size_t n = 0;

	out[0] = '\0';
	if (rule >= p->n_rules)
		return 0;
	r = &p->rules[rule];
	if (r->class == p->n_classes) {
		n = append(out, n, STR("quarantine"));
	} else {
		n = append(out, n, STR("classes."));
		n = append(out, n, p->classes[r->class].name);
	}
	n = append(out, n,
		r->direction == DIRECTION_PUBLISH ? STR(".publish[")
						  : STR(".subscribe["));
	n = append_number(out, n, r->index);
	n = append(out, n, STR("]"));
	out[n] = '\0';
	return n;
}

uint32_t policy_n_rules(const struct policy *p)
{
	return (uint32_t)p->n_rules;
}

const struct policy_class *policy_rule_class(
	const struct policy *p, uint32_t rule)
{
	uint32_t class = p->rules[rule].class;

	return class < p->n_classes ? &p->classes[class] : NULL;
}

bool policy_rule_subscribes(const struct policy *p, uint32_t rule)
{
	return p->rules[rule].direction == DIRECTION_SUBSCRIBE;
}

struct str policy_rule_topic(const struct policy *p, uint32_t rule)
{
	if (rule >= p->n_rules)
		return (struct str){NULL, 0};
	return p->rules[rule].spec.topic;
}

static bool groups_within(const struct rule_spec *a, const struct rule_spec *b)
{
	size_t i, k;

	for (i = 0; i < a->n_shared; i++) {
		for (k = 0; k < b->n_shared; k++)
			if (str_eq(a->shared[i], b->shared[k]))
				break;
		if (k == b->n_shared)
			return false;
	}
	return true;
}

/* A variable's level is literal text here, the same in both: a rule covers
 * another only if it names the same variable or a wildcard in its place. */
static bool rule_covers(const struct rule_spec *b, const struct rule_spec *a)
{
	return a->max_qos <= b->max_qos && (b->retain || !a->retain) &&
	       a->max_bytes <= b->max_bytes && groups_within(a, b) &&
	       filter_covered(a->topic, &b->topic, 1);
}

/* The first rule of [BEGIN, END) other than RULE that covers it. Of two that
 * cover one another the later one is needless. */
static uint32_t covering(
	const struct policy *p, uint32_t rule, uint32_t begin, uint32_t end)
{
	const struct rule_spec *a = &p->rules[rule].spec;
	uint32_t i;

	for (i = begin; i < end; i++) {
		const struct rule_spec *b = &p->rules[i].spec;

		if (i != rule && rule_covers(b, a) &&
			(i < rule || !rule_covers(a, b)))
			return i;
	}
	return RULE_NONE;
}

void policy_redundant(const struct policy *p,
	void (*each)(void *ctx, uint32_t rule, uint32_t by), void *ctx)
{
	uint32_t rule = 0, by;

	while (rule < p->n_rules) {
		const struct policy_rule *r = &p->rules[rule];
		const struct policy_class *c = &p->classes[r->class];
		uint32_t begin = c->first_rule[r->direction];
		uint32_t end = begin + c->n_rules[r->direction];

		by = covering(p, rule, begin, end);
		if (by != RULE_NONE)
			each(ctx, rule, by);
		rule++;
	}
}
