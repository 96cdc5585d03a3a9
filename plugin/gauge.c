/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/gauge.h"

#include "plugin/guard.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <time.h>

_Static_assert(METER_CLASSES == POLICY_CLASSES_MAX + 1, "a class each");

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value)                                                    \
	atomic_store_explicit(&(field), (value), memory_order_relaxed)

static void *memory(const struct guard *g)
{
	return g->segment.mem;
}

static struct meter_map map_of(const struct guard *g)
{
	return segment_map(&g->segment);
}

/* ------------------------------------------------------------------- rules */

static size_t hash_at(const struct gauge *x, uint64_t hash)
{
	return (size_t)(hash ^ hash >> 32) & (x->cap_by_hash - 1);
}

static void index_rule(struct guard *g, uint32_t rule)
{
	struct gauge *x = &g->gauge;
	uint64_t hash = LOAD(meter_rule_mut(memory(g), rule)->hash);
	size_t i = hash_at(x, hash);

	while (x->by_hash[i] != 0)
		i = (i + 1) & (x->cap_by_hash - 1);
	x->by_hash[i] = rule + 1;
}

static uint32_t find_rule(const struct guard *g, uint64_t hash)
{
	const struct gauge *x = &g->gauge;
	size_t i = hash_at(x, hash);

	for (; x->by_hash[i] != 0; i = (i + 1) & (x->cap_by_hash - 1)) {
		uint32_t rule = x->by_hash[i] - 1;

		if (LOAD(meter_rule_mut(memory(g), rule)->hash) == hash)
			return rule;
	}
	return METER_NONE;
}

/* The rule's entry in the segment; 0 when there is no room for one. */
static uint32_t add_rule(
	struct guard *g, struct meter_rule_key key, uint32_t class)
{
	struct meter_range need;
	uint32_t rule;

	if (!meter_rules_need(memory(g), &need) ||
		!segment_reserve(&g->segment, need))
		return 0;
	rule = meter_rule_add(memory(g), key, class);
	index_rule(g, rule);
	return rule;
}

static struct meter_flow *flow_of(
	struct guard *g, const struct policy *p, uint32_t rule)
{
	const struct policy_class *c = policy_rule_class(p, rule);
	uint32_t list = policy_rule_subscribes(p, rule) ? 1 : 0;
	struct meter_rule_key key = {
		c != NULL ? policy_class_name(c) : (struct str){NULL, 0},
		policy_rule_topic(p, rule), list};
	uint32_t at = find_rule(g, meter_rule_hash(key));

	if (at == METER_NONE)
		at = add_rule(g, key, meter_class_add(memory(g), key.class));
	return &meter_rule_mut(memory(g), at)->flow[list];
}

bool gauge_policy(struct guard *g, const struct policy *p)
{
	struct gauge *x = &g->gauge;
	size_t n_classes = policy_n_classes(p);
	uint32_t n_rules = policy_n_rules(p);
	uint32_t *class_of = calloc(n_classes + 1, sizeof *class_of);
	struct meter_flow **flow =
		calloc(n_rules + 1, sizeof(struct meter_flow *));

	if (class_of == NULL || flow == NULL) {
		free(class_of);
		free(flow);
		return false;
	}
	for (size_t i = 0; i < n_classes; i++)
		class_of[i] = meter_class_add(
			memory(g), policy_class_name(policy_class_at(p, i)));
	for (uint32_t i = 0; i < n_rules; i++)
		flow[i] = flow_of(g, p, i);
	free(x->class_of);
	free(x->flow);
	x->class_of = class_of;
	x->flow = flow;
	return true;
}

uint32_t gauge_class(const struct guard *g, const struct policy_class *c)
{
	return c != NULL ? g->gauge.class_of[policy_class_index(g->policy, c)]
			 : 0;
}

struct meter_flow *gauge_no_rule(const struct guard *g, enum action action)
{
	return &meter_rule_mut(memory(g), 0)->flow[action == ACTION_RECEIVE];
}

bool gauge_begin(struct guard *g)
{
	struct gauge *x = &g->gauge;
	uint32_t n = meter_rules(map_of(g));

	x->cap_by_hash = 2 * (size_t)METER_RULES;
	x->by_hash = calloc(x->cap_by_hash, sizeof *x->by_hash);
	if (x->by_hash == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++)
		index_rule(g, i);
	/* The first rule: what no other can be counted for. */
	if (n == 0)
		(void)add_rule(
			g, (struct meter_rule_key){{NULL, 0}, {NULL, 0}, 0}, 0);
	return meter_rules(map_of(g)) != 0;
}

bool gauge_fits(const struct segment *fresh)
{
	struct meter_range need;

	return meter_rules_need(fresh->mem, &need) &&
	       segment_reserve(fresh, need);
}

void gauge_again(struct guard *g)
{
	struct gauge *x = &g->gauge;
	size_t n_classes = policy_n_classes(g->policy);
	uint32_t n = meter_rules(map_of(g));

	memset(x->by_hash, 0, x->cap_by_hash * sizeof *x->by_hash);
	for (uint32_t i = 0; i < n; i++)
		index_rule(g, i);
	if (n == 0)
		(void)add_rule(
			g, (struct meter_rule_key){{NULL, 0}, {NULL, 0}, 0}, 0);
	for (size_t i = 0; i < n_classes; i++)
		x->class_of[i] = meter_class_add(memory(g),
			policy_class_name(policy_class_at(g->policy, i)));
	for (uint32_t i = 0; i < policy_n_rules(g->policy); i++)
		x->flow[i] = flow_of(g, g->policy, i);
}

void gauge_end(struct guard *g)
{
	for (struct binding *b = g->bindings.connected.first; b != NULL;
		b = b->next)
		gauge_disconnected(g, b);
}

void gauge_fini(struct gauge *x)
{
	free(x->by_hash);
	free(x->class_of);
	free(x->flow);
	*x = (struct gauge){0};
}

/* ----------------------------------------------------------------- devices */

static struct meter_slot *make_slot(struct guard *g, struct str id)
{
	struct meter_range need[2];
	size_t n, i;
	uint32_t slot;

	if (!meter_slots_need(memory(g), need, &n))
		return NULL;
	/* A full disk is asked once a second: to say no it may take long. */
	if (n != 0 && g->gauge.full_s == g->now_s)
		return NULL;
	for (i = 0; i < n; i++)
		if (!segment_reserve(&g->segment, need[i])) {
			g->gauge.full_s = g->now_s;
			return NULL;
		}
	if (n != 0)
		meter_slots_grown(memory(g));
	slot = meter_slot_add(memory(g), id, g->now_s);
	return slot != METER_NONE ? meter_slot_mut(memory(g), slot) : NULL;
}

static struct meter_slot *find_slot(const struct guard *g, struct str id)
{
	uint32_t slot = meter_slot_find(map_of(g), id);

	return slot != METER_NONE ? meter_slot_mut(memory(g), slot) : NULL;
}

void gauge_device(struct guard *g, struct badge *b)
{
	struct str id = str_from(b->device.id);

	b->slot = find_slot(g, id);
	if (b->slot == NULL)
		b->slot = make_slot(g, id);
	if (b->slot == NULL) {
		b->slot = &g->gauge.nobody;
		count_u64(&g->meter->unmetered, 1);
	}
	gauge_badge_class(g, b);
}

void gauge_badge_class(const struct guard *g, struct badge *b)
{
	uint32_t class = gauge_class(g, b->subject.class);

	if (b->slot == NULL || b->slot == &g->gauge.nobody)
		class = 0;
	else
		STORE(b->slot->class, class);
	b->total = meter_class_mut(memory(g), class);
	b->total_index = class;
}

static void count(struct badge *b, enum counter c, uint64_t n)
{
	count_u64(&b->slot->counter[c], n);
	count_u64(&b->total->counter[c], n);
}

/* ------------------------------------------------------------------- events */

static int64_t unix_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void gauge_event(struct guard *g, struct event *e)
{
	e->t_ms = unix_ms();
	event_store(memory(g), e);
}

/* IPv6 as it is, IPv4 mapped (RFC 4291 §2.5.5.2); zero: neither. */
static void address_bytes(const char *text, uint8_t out[static 16])
{
	struct in_addr v4;

	memset(out, 0, 16);
	if (inet_pton(AF_INET6, text, out) == 1)
		return;
	memset(out, 0, 16);
	if (inet_pton(AF_INET, text, &v4) != 1)
		return;
	out[10] = out[11] = 0xFF;
	memcpy(out + 12, &v4, 4);
}

static void binding_event(struct guard *g, const struct binding *b,
	enum event_type type, uint64_t value)
{
	struct event e = {
		.type = type,
		.action = ACTION_CONNECT,
		.reason = REASON_ALLOWED,
		.value = value,
		.class = b->badge != NULL ? b->badge->total_index : METER_NONE,
		.device = str_from(b->device_id),
		.text = str_from(b->client_id),
	};

	address_bytes(b->address, e.address);
	gauge_event(g, &e);
}

/* -------------------------------------------------------------- connections */

void gauge_is_connected(struct guard *g, const struct binding *b)
{
	struct meter_slot *s = b->badge->slot;
	uint32_t generation = (uint32_t)LOAD(g->meter->generation);
	uint8_t address[16];

	address_bytes(b->address, address);
	meter_slot_connect(
		s, b->badge->certificate.fingerprint, address, b->since_s);
	/* What a broker before this one counted has ended with it. */
	if (LOAD(s->generation) != generation) {
		STORE(s->connections, 0);
		STORE(s->generation, generation);
	}
	STORE(s->connections, LOAD(s->connections) + 1);
	STORE(s->last_seen_s, g->now_s);
	count_i64(&g->meter->connected, 1);
}

void gauge_connected(struct guard *g, struct binding *b)
{
	b->since_s = g->now_s;
	gauge_is_connected(g, b);
	count(b->badge, COUNTER_CONNECTS, 1);
	binding_event(g, b, EVENT_CONNECT, 0);
}

void gauge_disconnected(struct guard *g, const struct binding *b)
{
	struct meter_slot *s = b->badge->slot;
	int64_t lasted_s = g->now_s > b->since_s ? g->now_s - b->since_s : 0;

	if (LOAD(s->connections) != 0)
		STORE(s->connections, LOAD(s->connections) - 1);
	STORE(s->last_seen_s, g->now_s);
	count(b->badge, COUNTER_DISCONNECTS, 1);
	count(b->badge, COUNTER_CONNECTED_S, (uint64_t)lasted_s);
	count_i64(&g->meter->connected, -1);
	binding_event(g, b, EVENT_DISCONNECT, (uint64_t)lasted_s);
}

void gauge_takeover(struct guard *g, const struct binding *old)
{
	count(old->badge, COUNTER_TAKEOVERS, 1);
	binding_event(g, old, EVENT_TAKEOVER, 0);
}

/* ----------------------------------------------------------------- refusals */

static enum counter counter_of(enum action a)
{
	switch (a) {
	case ACTION_PUBLISH:
		return COUNTER_REFUSED_PUBLISHES;
	case ACTION_SUBSCRIBE:
		return COUNTER_REFUSED_SUBSCRIBES;
	case ACTION_RECEIVE:
		return COUNTER_REFUSED_DELIVERIES;
	case ACTION_NONE:
	case ACTION_CONNECT:
		break;
	}
	return COUNTER_REFUSED_CONNECTS;
}

static struct str text_of(const struct refusal *r)
{
	return r->topic.n != 0 || r->client_id == NULL ? r->topic
						       : str_from(r->client_id);
}

/* Events are bounded as lines are, but more generously. */
static void refusal_event(
	struct guard *g, const struct badge *badge, const struct refusal *r)
{
	struct event e = {
		.type = r->observed ? EVENT_OBSERVED : EVENT_REFUSAL,
		.action = (uint8_t)r->action,
		.reason = (uint8_t)r->reason,
		.qos = r->qos,
		.class = badge != NULL ? badge->total_index : 0,
		.device = str_from(r->device),
		.text = text_of(r),
	};
	uint32_t suppressed;

	if (!refusal_admit(&g->event_limit, r, g->now_ms, &suppressed))
		return;
	e.value = suppressed;
	address_bytes(r->address != NULL ? r->address : "", e.address);
	gauge_event(g, &e);
}

static void count_refusal(
	struct guard *g, struct badge *badge, const struct refusal *r)
{
	struct request what = {
		.action = r->action,
		.qos = r->qos,
		.payload_len = r->bytes,
		.topic = r->topic,
	};
	uint32_t reason = meter_reason_index(r->reason);
	struct meter_class *total =
		badge != NULL ? badge->total : meter_class_mut(memory(g), 0);
	struct badge stranger = {.slot = &g->gauge.nobody, .total = total};
	struct badge *whose = badge != NULL ? badge : &stranger;

	count(whose, counter_of(r->action), 1);
	if (r->action == ACTION_PUBLISH)
		count(whose, COUNTER_REFUSED_PUBLISH_BYTES,
			packet_bytes(request_remaining(&what) + r->v5));
	if (r->action != ACTION_NONE)
		count_u64(&total->refused[r->action - 1][r->reason], 1);
	if (reason < METER_REASONS)
		count_u64(&whose->slot->reason[reason], 1);
	what.topic = text_of(r);
	meter_slot_refuse(whose->slot, &what, r->reason, g->now_s);
	count_u64(&g->meter->refused, 1);
}

void gauge_refusal(
	struct guard *g, struct badge *badge, const struct refusal *r)
{
	if (badge != NULL && badge->slot == NULL)
		badge = NULL;
	if (r->observed && badge != NULL)
		count(badge, COUNTER_OBSERVED, 1);
	else if (!r->observed)
		count_refusal(g, badge, r);
	refusal_event(g, badge, r);
}

void gauge_will(struct badge *badge)
{
	count(badge, COUNTER_WILLS, 1);
}

/* ------------------------------------------------------------------- limits */

static const enum limit rates[METER_RATES] = {LIMIT_MESSAGES_PER_S,
	LIMIT_BYTES_PER_S, LIMIT_CONNECTS_PER_MIN, LIMIT_SUBSCRIBES_PER_S};

void gauge_usage_load(
	const struct guard *g, const struct badge *b, struct usage *u)
{
	const struct meter_slot *s = b->slot;

	/* All without a slot share one: what is there is another's. */
	if (s == &g->gauge.nobody)
		return;
	for (size_t i = 0; i < METER_RATES; i++) {
		int64_t until_ns = LOAD(s->spent_until_ns[i]);

		u->spent_until_ns[rates[i]] =
			until_ns > g->ahead_ns ? until_ns - g->ahead_ns : 0;
	}
	u->bucket = LOAD(s->day_bucket);
	u->day_bytes = 0;
	for (size_t i = 0; i < METER_DAY; i++) {
		u->bytes[i] = LOAD(s->day_bytes[i]);
		u->day_bytes += u->bytes[i];
	}
}

void gauge_usage_store(
	const struct guard *g, struct badge *b, const struct usage *u)
{
	struct meter_slot *s = b->slot;

	for (size_t i = 0; i < METER_RATES; i++)
		STORE(s->spent_until_ns[i],
			u->spent_until_ns[rates[i]] + g->ahead_ns);
	STORE(s->day_bucket, u->bucket);
	for (size_t i = 0; i < METER_DAY; i++)
		STORE(s->day_bytes[i], u->bytes[i]);
}

/* ------------------------------------------------------------------ stashes */

static void slot_stale(struct meter_slot *s, int64_t change)
{
	if (LOAD(s->qos2) != 0)
		STORE(s->stale_change, change != 0 ? change : 1);
}

void gauge_stale(struct guard *g, struct str device_id, int64_t change)
{
	struct meter_slot *s = find_slot(g, device_id);

	if (s != NULL)
		slot_stale(s, change);
}

void gauge_all_stale(struct guard *g, int64_t change)
{
	uint32_t n = meter_slots(map_of(g));

	for (uint32_t i = 0; i < n; i++)
		slot_stale(meter_slot_mut(memory(g), i), change);
}
