/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer and several readers at once, as the plugin and the commands are:
 * a text, an outcome, a device's id, its last connect and refusal, an event:
 * each is read as it was written once, or not at all, never half of one and
 * half of another; counters only grow. Under TSan, also without a data race.
 */
#include "core/event.h"
#include "core/meter_total.h"
#include "tests/support/meter_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define READERS 3
/* The writer goes on until it has written ROUNDS times and the readers have
 * found something READS times meanwhile: else nothing was tested. */
#define ROUNDS 20000u
#define READS  20000u

static void *segment; /* all that one can grow to */
static atomic_bool over;
static _Atomic uint64_t reads;

struct reader {
	pthread_t id;
	uint64_t torn;
};

static struct meter_header *header(void)
{
	return segment;
}

/* CMocka's assertions belong to the main thread: these only count. */
static int run_readers(struct reader r[static READERS], void *(*reader)(void *),
	void (*write)(void))
{
	atomic_store(&over, false);
	atomic_store(&reads, 0);
	for (size_t i = 0; i < READERS; i++) {
		r[i] = (struct reader){.torn = 0};
		if (pthread_create(&r[i].id, NULL, reader, &r[i]) != 0)
			return -1;
	}
	write();
	atomic_store(&over, true);
	for (size_t i = 0; i < READERS; i++) {
		if (pthread_join(r[i].id, NULL) != 0)
			return -1;
	}
	return 0;
}

static void check_readers(const struct reader r[static READERS])
{
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(r[i].torn, 0);
	assert_true(atomic_load(&reads) >= READS);
}

/* False when the writer may stop. */
static bool go_on(unsigned round)
{
	/* A reader gives up on a writer who is never done. */
	if (round % 64 == 0)
		(void)sched_yield();
	return round < ROUNDS || atomic_load(&reads) < READS;
}

/* ------------------------------------------------------------------- texts */

/* Round I's text: one letter, as often as the letter says, so that a byte or
 * a length of another round shows. */
static size_t text_of(unsigned i, char out[static METER_TEXT])
{
	unsigned letter = i % 26;
	size_t n = 100 + (size_t)letter * 6;

	memset(out, (int)('a' + letter), n);
	return n;
}

static void write_texts(void)
{
	char text[METER_TEXT];

	for (unsigned i = 0; go_on(i); i++) {
		size_t n = text_of(i, text);

		meter_text_store(&header()->load_error, (struct str){text, n});
	}
}

static void *read_texts(void *ctx)
{
	char got[METER_TEXT + 1], want[METER_TEXT];
	struct reader *r = ctx;

	while (!atomic_load(&over)) {
		size_t n = meter_text_load(&header()->load_error, got);

		if (n == 0)
			continue; /* not now */
		atomic_fetch_add(&reads, 1);
		if (got[0] < 'a' || got[0] > 'z' || got[n] != '\0' ||
			text_of((unsigned)(got[0] - 'a'), want) != n ||
			memcmp(got, want, n) != 0)
			r->torn++;
	}
	return NULL;
}

static void test_texts(void **state)
{
	struct reader r[READERS];
	char text[METER_TEXT];
	size_t n = text_of(0, text);

	(void)state;
	meter_text_store(&header()->load_error, (struct str){text, n});
	assert_int_equal(run_readers(r, read_texts, write_texts), 0);
	check_readers(r);
}

/* ---------------------------------------------------------------- outcomes */

/* Two changes that share a slot: what one closed must never be told of the
 * other. */
#define CHANGE_A INT64_C(7)
#define CHANGE_B (CHANGE_A + METER_OUTCOMES)
#define CLOSED_A 1111u
#define CLOSED_B 2222u

static void write_outcomes(void)
{
	for (unsigned i = 0; go_on(i); i++) {
		if (i % 2 == 0)
			meter_outcome_store(
				segment, CHANGE_A, STR("dev-a"), CLOSED_A);
		else
			meter_outcome_store(
				segment, CHANGE_B, STR("dev-b"), CLOSED_B);
	}
}

static void *read_outcomes(void *ctx)
{
	struct reader *r = ctx;

	while (!atomic_load(&over)) {
		uint32_t a = 0, b = 0;

		if (meter_outcome_load(segment, CHANGE_A, &a)) {
			atomic_fetch_add(&reads, 1);
			r->torn += a != CLOSED_A;
		}
		if (meter_outcome_load(segment, CHANGE_B, &b)) {
			atomic_fetch_add(&reads, 1);
			r->torn += b != CLOSED_B;
		}
	}
	return NULL;
}

static void test_outcomes(void **state)
{
	struct reader r[READERS];

	(void)state;
	assert_int_equal(run_readers(r, read_outcomes, write_outcomes), 0);
	check_readers(r);
}

/* ------------------------------------------------------------------- slots */

#define SLOTS 5000u /* five steps, four tables of the index */

/* A reader may see slots before the header's size has grown. */
static struct meter_map map_of(void)
{
	return (struct meter_map){segment, METER_SIZE_MAX};
}

static struct str id_of(unsigned i, char out[static 24])
{
	return (struct str){
		out, (size_t)snprintf(out, 24, "device-%u-%u", i, i)};
}

static void write_slots(void)
{
	char id[24];

	for (unsigned i = 0; go_on(i); i++) {
		if (i < SLOTS)
			(void)meter_fixture_slot(segment, id_of(i, id));
		count_u64(&meter_slot_mut(segment, 0)->counter[0], 1);
	}
}

/* A slot that may be read has its whole id, and is found by it. */
static void *read_slots(void *ctx)
{
	struct reader *r = ctx;
	unsigned at = 0;
	uint64_t before = 0;

	while (!atomic_load(&over)) {
		uint32_t n = meter_slots(map_of());
		char own[DEVICE_ID_MAX + 1], want[24];
		struct str id;
		uint64_t now;

		if (n == 0)
			continue;
		at = (at + 101) % n;
		id = id_of(at, want);
		if (meter_slot_id(meter_slot_at(map_of(), at), own) != id.n ||
			memcmp(own, want, id.n) != 0 ||
			meter_slot_find(map_of(), id) != at)
			r->torn++;
		now = atomic_load_explicit(
			&meter_slot_at(map_of(), 0)->counter[0],
			memory_order_relaxed);
		r->torn += now < before;
		before = now;
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

static void test_slots(void **state)
{
	struct reader r[READERS];

	(void)state;
	assert_int_equal(run_readers(r, read_slots, write_slots), 0);
	check_readers(r);
	assert_int_equal(meter_slots(map_of()), SLOTS);
}

/* ----------------------------------------------------- last connect, refusal */

static void write_lasts(void)
{
	struct meter_slot *s = meter_slot_mut(segment, 0);
	uint8_t credential[FINGERPRINT_LEN];
	char topic[80];

	for (unsigned i = 0; go_on(i); i++) {
		uint8_t b = (uint8_t)(1 + i % 200);
		struct request what = {.action = ACTION_PUBLISH,
			.qos = (uint8_t)(b % 3),
			.topic = {topic, 10 + b % 60u}};

		memset(credential, b, sizeof credential);
		memset(topic, b, sizeof topic);
		meter_slot_connect(s, credential, credential, b);
		meter_slot_refuse(s, &what, REASON_NO_RULE, b);
	}
}

static bool connect_torn(const struct meter_connect *c)
{
	uint8_t b = (uint8_t)c->t_s;

	for (size_t i = 0; i < sizeof c->credential; i++)
		if (c->credential[i] != b)
			return true;
	for (size_t i = 0; i < sizeof c->address; i++)
		if (c->address[i] != b)
			return true;
	return false;
}

static bool refusal_torn(const struct meter_refusal *f)
{
	uint8_t b = (uint8_t)f->t_s;
	size_t kept = f->topic_len < METER_TOPIC ? f->topic_len : METER_TOPIC;

	for (size_t i = 0; i < kept; i++)
		if ((uint8_t)f->topic[i] != b)
			return true;
	return f->qos != b % 3 || f->topic_len != 10 + b % 60u ||
	       f->action != ACTION_PUBLISH || f->reason != REASON_NO_RULE;
}

static void *read_lasts(void *ctx)
{
	struct reader *r = ctx;

	while (!atomic_load(&over)) {
		const struct meter_slot *s = meter_slot_at(map_of(), 0);
		struct meter_connect c;
		struct meter_refusal f;

		meter_slot_last_connect(s, &c);
		meter_slot_last_refusal(s, &f);
		if (c.t_s != 0) {
			r->torn += connect_torn(&c);
			atomic_fetch_add(&reads, 1);
		}
		if (f.t_s != 0) {
			r->torn += refusal_torn(&f);
			atomic_fetch_add(&reads, 1);
		}
	}
	return NULL;
}

static void test_lasts(void **state)
{
	struct reader r[READERS];

	(void)state;
	assert_int_equal(meter_fixture_slot(segment, STR("dev")), 0);
	assert_int_equal(run_readers(r, read_lasts, write_lasts), 0);
	check_readers(r);
}

/* ------------------------------------------------------------------ events */

/* Event N says N in all its fields. */
static void event_of(uint64_t n, struct event *e, char text[static EVENT_TEXT])
{
	size_t len = 1 + n % EVENT_TEXT;

	memset(text, (int)('a' + n % 26), EVENT_TEXT);
	*e = (struct event){.t_ms = (int64_t)n,
		.type = (enum event_type)(1 + n % (EVENT_TYPES - 1)),
		.qos = (uint8_t)(n % 3),
		.value = ~n,
		.class = (uint32_t)n,
		.device = {text, len < DEVICE_ID_MAX ? len : DEVICE_ID_MAX},
		.text = {text, len}};
	memset(e->address, (int)(n & 0xFF), sizeof e->address);
}

static void write_events(void)
{
	char text[EVENT_TEXT];
	struct event e;

	for (unsigned i = 0; go_on(i); i++) {
		event_of(i, &e, text);
		event_store(segment, &e);
	}
}

static bool event_torn(uint64_t n, const struct event *got)
{
	char text[EVENT_TEXT];
	struct event e;

	event_of(n, &e, text);
	return got->t_ms != e.t_ms || got->type != e.type ||
	       got->qos != e.qos || got->value != e.value ||
	       got->class != e.class || !str_eq(got->device, e.device) ||
	       !str_eq(got->text, e.text) ||
	       memcmp(got->address, e.address, sizeof e.address) != 0;
}

/* Whatever is lost is told, and what is told is whole. */
static void *read_events(void *ctx)
{
	struct reader *r = ctx;
	uint64_t cursor = 0, told = 0;

	while (!atomic_load(&over)) {
		struct event_copy c;
		uint64_t lost = 0, n = cursor;

		switch (event_load(map_of(), &cursor, &c, &lost)) {
		case EVENT_READ_ONE:
			r->torn += event_torn(n, &c.e);
			told++;
			atomic_fetch_add(&reads, 1);
			break;
		case EVENT_READ_LOST:
			told += lost;
			break;
		case EVENT_READ_NONE:
			break;
		}
		r->torn += told != cursor;
	}
	return NULL;
}

static void test_events(void **state)
{
	struct reader r[READERS];

	(void)state;
	assert_int_equal(run_readers(r, read_events, write_events), 0);
	check_readers(r);
}

/* ------------------------------------------------------------------ totals */

#define RULES 3000u /* three steps */

/* Rule I, named by its number, of the class of that number. */
static struct meter_rule_key key_of(
	unsigned i, char name[static 24], char topic[static 24])
{
	return (struct meter_rule_key){
		{name, (size_t)snprintf(name, 24, "class-%u",
			       1 + i % (METER_CLASSES - 1))},
		{topic, (size_t)snprintf(topic, 24, "t/%u", i)}, i % 2};
}

static void write_totals(void)
{
	char name[24], topic[24];

	for (unsigned i = 0; go_on(i); i++) {
		struct meter_rule_key k = key_of(i, name, topic);
		struct meter_range need;

		if (i >= RULES || !meter_rules_need(segment, &need))
			continue;
		meter_fixture_reserve(segment, need);
		(void)meter_rule_add(
			segment, k, meter_class_add(segment, k.class));
	}
}

static bool rule_torn(uint32_t i)
{
	char name[24], topic[24], got[METER_RULE_TOPIC + 1],
		class[CLASS_NAME_MAX + 1];
	struct meter_rule_key k = key_of(i, name, topic);
	const struct meter_rule *r = meter_rule_at(map_of(), i);
	uint32_t c = atomic_load(&r->class);

	if (c >= meter_classes(map_of()) || atomic_load(&r->list) != k.list ||
		atomic_load(&r->hash) != meter_rule_hash(k))
		return true;
	return meter_class_name(meter_class_at(map_of(), c), class) !=
		       k.class.n ||
	       strcmp(class, name) != 0 ||
	       meter_rule_topic(r, got) != k.topic.n || strcmp(got, topic) != 0;
}

static void *read_totals(void *ctx)
{
	struct reader *r = ctx;
	unsigned at = 0;

	while (!atomic_load(&over)) {
		uint32_t n = meter_rules(map_of());

		if (n == 0)
			continue;
		/* The newest and any other. */
		at = (at + 101) % n;
		r->torn += rule_torn(n - 1) + rule_torn(at);
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

static void test_totals(void **state)
{
	struct reader r[READERS];

	(void)state;
	assert_int_equal(run_readers(r, read_totals, write_totals), 0);
	check_readers(r);
	assert_int_equal(meter_rules(map_of()), RULES);
	assert_int_equal(meter_classes(map_of()), METER_CLASSES);
}

static int setup(void **state)
{
	(void)state;
	segment = meter_fixture();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	meter_fixture_free(segment);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_texts),
		TEST(test_outcomes),
		TEST(test_slots),
		TEST(test_lasts),
		TEST(test_events),
		TEST(test_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
