/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy.h"

#include "core/policy_check.h"
#include "core/policy_private.h"
#include "core/template.h"

#include <stdlib.h>

/* All rules of all classes, included ones counted where they are included. */
#define INSTANCES_MAX ((size_t)1 << 20)

struct compile {
	const struct policy_spec *spec;
	struct policy *p;
	struct errs *errs;
	char *text_next;
	struct str *strs_next;
	struct trie_rule *list; /* of the class and direction at hand */
	size_t n_list, cap_list;
	size_t instances;
};

static const struct class_spec *class_spec_at(
	const struct policy_spec *s, size_t i)
{
	return i < s->n_classes ? &s->classes[i] : &s->quarantine;
}

/* ------------------------------------------------------- copying the spec */

struct sizes {
	size_t text, strs, rules;
};

static void rules_size(
	const struct rule_spec *rules, size_t n, struct sizes *out)
{
	size_t i, k;

	out->rules += n;
	for (i = 0; i < n; i++) {
		out->text += rules[i].topic.n;
		out->strs += rules[i].n_shared;
		for (k = 0; k < rules[i].n_shared; k++)
			out->text += rules[i].shared[k].n;
	}
}

static struct sizes spec_sizes(const struct policy_spec *s)
{
	struct sizes out = {0, 0, 0};
	size_t i, k;

	for (i = 0; i <= s->n_classes; i++) {
		const struct class_spec *c = class_spec_at(s, i);

		out.text += c->name.n;
		rules_size(c->publish, c->n_publish, &out);
		rules_size(c->subscribe, c->n_subscribe, &out);
		for (k = 0; k < c->n_client_ids; k++)
			out.text += c->client_ids[k].n;
	}
	out.text += s->unknown.n;
	return out;
}

static struct str keep(struct compile *c, struct str s)
{
	struct str kept = {c->text_next, s.n};

	if (s.n != 0)
		memcpy(c->text_next, s.p, s.n);
	c->text_next += s.n;
	return kept;
}

static void rules_keep(struct compile *c, size_t class, enum direction d,
	const struct rule_spec *rules, size_t n)
{
	struct policy_class *out = &c->p->classes[class];
	size_t i, k;

	out->first_rule[d] = (uint32_t)c->p->n_rules;
	out->n_rules[d] = (uint32_t)n;
	for (i = 0; i < n; i++) {
		struct policy_rule *r = &c->p->rules[c->p->n_rules++];

		r->spec = rules[i];
		r->spec.topic = keep(c, rules[i].topic);
		r->spec.shared = c->strs_next;
		for (k = 0; k < rules[i].n_shared; k++)
			*c->strs_next++ = keep(c, rules[i].shared[k]);
		r->class = (uint32_t) class;
		r->index = (uint32_t)i;
		r->direction = (uint8_t)d;
	}
}

static bool client_ids_keep(
	struct compile *c, const struct class_spec *s, struct policy_class *out)
{
	const size_t device = sizeof("${device}") - 1;
	size_t n = s->n_client_ids != 0 ? s->n_client_ids : 1;
	size_t i;

	out->client_ids = calloc(n, sizeof(*out->client_ids));
	out->n_client_ids = n;
	if (out->client_ids == NULL)
		return false;
	for (i = 0; i < s->n_client_ids; i++) {
		struct str id = keep(c, s->client_ids[i]);
		bool open = id.n > device && id.p[id.n - 1] == '*';

		out->client_ids[i] = (struct client_id_form){
			{id.p + device, id.n - device - open}, open};
	}
	return true;
}

static bool class_keep(struct compile *c, size_t i)
{
	const struct class_spec *s = class_spec_at(c->spec, i);
	struct policy_class *out = &c->p->classes[i];
	size_t k;

	out->name = keep(c, s->name);
	out->sim_require = s->sim_require;
	out->on_deny = s->on_deny;
	out->observe = s->observe;
	out->enforce = s->enforce;
	out->any_client_id =
		c->spec->observe && !s->enforce && i < c->spec->n_classes;
	out->limits = s->limits;
	for (k = 0; k < LIMITS; k++)
		out->limited =
			out->limited ||
			(s->limits.max[k] != 0 && k != LIMIT_REFUSALS_PER_S);
	out->special = out->limited || out->observe || out->any_client_id;
	rules_keep(c, i, DIRECTION_PUBLISH, s->publish, s->n_publish);
	rules_keep(c, i, DIRECTION_SUBSCRIBE, s->subscribe, s->n_subscribe);
	return client_ids_keep(c, s, out);
}

static bool spec_keep(struct compile *c)
{
	struct sizes sizes = spec_sizes(c->spec);
	struct policy *p = c->p;
	size_t i;

	p->text = malloc(sizes.text + 1);
	p->strs = calloc(sizes.strs + 1, sizeof(*p->strs));
	p->rules = calloc(sizes.rules + 1, sizeof(*p->rules));
	p->classes = calloc(c->spec->n_classes + 1, sizeof(*p->classes));
	p->by_name = calloc(c->spec->n_classes + 1, sizeof(*p->by_name));
	p->n_classes = c->spec->n_classes;
	if (p->text == NULL || p->strs == NULL || p->rules == NULL ||
		p->classes == NULL || p->by_name == NULL)
		return false;
	c->text_next = p->text;
	c->strs_next = p->strs;
	p->observe = c->spec->observe;
	p->fallback = c->spec->fallback;
	p->unknown = keep(c, c->spec->unknown);
	for (i = 0; i <= p->n_classes; i++)
		if (!class_keep(c, i))
			return false;
	return true;
}

/* ------------------------------------------------------ finding a class */

struct named {
	struct str name;
	uint32_t index;
};

static int named_cmp(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

static bool index_names(struct compile *c)
{
	struct policy *p = c->p;
	struct named *names = calloc(p->n_classes + 1, sizeof(*names));
	size_t i;

	if (names == NULL)
		return false;
	for (i = 0; i < p->n_classes; i++)
		names[i] = (struct named){p->classes[i].name, (uint32_t)i};
	qsort(names, p->n_classes, sizeof(*names), named_cmp);
	for (i = 0; i < p->n_classes; i++)
		p->by_name[i] = names[i].index;
	free(names);
	return true;
}

/* -------------------------------------------------------- making the tries */

static bool list_add(struct compile *c, const struct policy_rule *r)
{
	uint32_t number = (uint32_t)(r - c->p->rules);
	struct str topic = r->spec.topic;

	if (c->n_list == c->cap_list) {
		size_t cap = c->cap_list != 0 ? 2 * c->cap_list : 64;
		struct trie_rule *list = realloc(c->list, cap * sizeof(*list));

		if (list == NULL)
			return false;
		c->list = list;
		c->cap_list = cap;
	}
	c->list[c->n_list++] = (struct trie_rule){
		.topic = topic,
		.shared = r->spec.shared,
		.n_shared = (uint16_t)r->spec.n_shared,
		.max_qos = r->spec.max_qos,
		.retain = r->spec.retain,
		.repeats = template_repeats(topic),
		.wild = memchr(topic.p, '+', topic.n) != NULL ||
			topic.p[topic.n - 1] == '#',
		.max_bytes = r->spec.max_bytes,
		.number = number,
	};
	return true;
}

/* Appends the rules of class I and of all it includes, each class once. */
static bool list_class(
	struct compile *c, size_t i, enum direction d, bool *seen)
{
	const struct class_spec *s = class_spec_at(c->spec, i);
	const struct policy_class *class = &c->p->classes[i];
	size_t k;

	if (seen[i])
		return true;
	seen[i] = true;
	for (k = 0; k < class->n_rules[d]; k++)
		if (!list_add(c, &c->p->rules[class->first_rule[d] + k]))
			return false;
	for (k = 0; k < s->n_include; k++) {
		const struct policy_class *base =
			policy_class_find(c->p, s->include[k]);

		if (!list_class(c, (size_t)(base - c->p->classes), d, seen))
			return false;
	}
	return true;
}

/* Checks what depends on the included rules; false when it is too much. */
static void class_bounds(struct compile *c, size_t i, enum direction d)
{
	struct policy_class *class = &c->p->classes[i];
	const char *way = d == DIRECTION_PUBLISH ? "publish" : "subscribe";
	uint64_t worst = trie_worst(class->trie[d]);
	struct err *e;

	if (c->n_list > POLICY_RULES_MAX) {
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT,
			"has %zu %s rules with what it includes; at most %d",
			c->n_list, way, POLICY_RULES_MAX);
		policy_check_place(e, c->spec, i);
	}
	if (worst > POLICY_NODES_MAX) {
		e = errs_next(c->errs);
		(void)err_set(e, ERR_INPUT,
			"one %s decision could visit %llu nodes of its rules, "
			"at most %d are allowed: name fewer '+' and variables "
			"beside other levels at the same place",
			way, (unsigned long long)worst, POLICY_NODES_MAX);
		policy_check_place(e, c->spec, i);
		return;
	}
	if (worst > class->worst)
		class->worst = (unsigned)worst;
}

static bool class_trie(struct compile *c, size_t i, enum direction d)
{
	struct policy_class *class = &c->p->classes[i];
	bool *seen = calloc(c->p->n_classes + 1, sizeof(*seen));
	size_t k;
	bool ok;

	if (seen == NULL)
		return false;
	c->n_list = 0;
	ok = list_class(c, i, d, seen);
	free(seen);
	c->instances += c->n_list;
	if (!ok)
		return false;
	if (c->instances > INSTANCES_MAX) {
		(void)err_set(errs_next(c->errs), ERR_INPUT,
			"more than %zu rules in all, included ones counted "
			"in each class",
			INSTANCES_MAX);
		return true;
	}
	for (k = 0; k < c->n_list && d == DIRECTION_PUBLISH; k++) {
		class->qos2 = class->qos2 || c->list[k].max_qos == 2;
		class->sized =
			class->sized || c->list[k].max_bytes < POLICY_BYTES_MAX;
	}
	class->trie[d] = trie_new(c->list, c->n_list);
	if (class->trie[d] == NULL)
		return false;
	if (d == DIRECTION_PUBLISH) {
		class->judge[ACTION_PUBLISH] = class->trie[d];
	} else {
		class->judge[ACTION_SUBSCRIBE] = class->trie[d];
		class->judge[ACTION_RECEIVE] = class->trie[d];
	}
	class_bounds(c, i, d);
	return true;
}

static bool tries_make(struct compile *c)
{
	size_t i;

	for (i = 0; i <= c->p->n_classes; i++) {
		if (!class_trie(c, i, DIRECTION_PUBLISH) ||
			!class_trie(c, i, DIRECTION_SUBSCRIBE))
			return false;
		if (c->instances > INSTANCES_MAX)
			return true;
	}
	return true;
}

bool policy_compile(
	const struct policy_spec *spec, struct policy **out, struct errs *errs)
{
	struct compile c = {.spec = spec, .errs = errs};
	size_t before = errs->n;

	policy_check(spec, errs);
	if (errs->n != before)
		return false;
	c.p = calloc(1, sizeof(*c.p));
	if (c.p == NULL || !spec_keep(&c) || !index_names(&c) ||
		!tries_make(&c))
		(void)err_set(
			errs_next(errs), ERR_ENVIRONMENT, "out of memory");
	free(c.list);
	if (errs->n != before) {
		policy_free(&c.p);
		return false;
	}
	*out = c.p;
	return true;
}
