/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_pulse FOLDER N SECONDS [CLASSES]: plays a broker whose N devices are all
 * connected and all say something each second. Makes the meter in FOLDER/meter,
 * says "ready" when they are there, and then counts for each of them once a
 * second, spread over the second, until it is killed or SECONDS have passed.
 *
 * At the end it prints how many rounds there were and what a device was
 * counted for, so that a reader's sums can be held against it.
 */
#include "io/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TURNS 100 /* of a second */

static bool add(struct segment *s, const char *id, uint32_t class)
{
	struct meter_header *h = segment_header(s);
	struct meter_range need[2];
	struct meter_slot *slot;
	uint32_t at;
	size_t n;

	if (!meter_slots_need(s->mem, need, &n))
		return false;
	for (size_t k = 0; k < n; k++) {
		if (!segment_reserve(s, need[k]))
			return false;
	}
	if (n != 0)
		meter_slots_grown(s->mem);
	at = meter_slot_add(s->mem, str_from(id), (int64_t)time(NULL));
	if (at == METER_NONE)
		return false;
	slot = meter_slot_mut(s->mem, at);
	slot->class = class;
	slot->generation = (uint32_t)h->generation;
	slot->connections = 1;
	count_u64(&slot->counter[COUNTER_CONNECTS], 1);
	count_u64(
		&meter_class_mut(s->mem, class)->counter[COUNTER_CONNECTS], 1);
	return true;
}

static bool fill(struct segment *s, uint32_t n, uint32_t classes)
{
	struct meter_header *h = segment_header(s);
	char name[32];

	h->generation++;
	h->started_s = (int64_t)time(NULL);
	for (uint32_t i = 0; i < classes; i++) {
		(void)snprintf(name, sizeof(name), "class-%02" PRIu32, i);
		(void)meter_class_add(s->mem, str_from(name));
	}
	for (uint32_t i = meter_slots(segment_map(s)); i < n; i++) {
		(void)snprintf(name, sizeof(name), "device-%07" PRIu32, i);
		if (!add(s, name, 1 + i % classes))
			return false;
	}
	h->connected = n;
	return true;
}

static void count(
	struct segment *s, struct meter_slot *slot, enum counter c, uint64_t n)
{
	count_u64(&slot->counter[c], n);
	count_u64(&meter_class_mut(s->mem, slot->class)->counter[c], n);
}

/* A message in and one out; of one device in a thousand one refused. */
static void say(struct segment *s, uint32_t i, uint32_t round)
{
	struct meter_slot *slot = meter_slot_mut(s->mem, i);
	uint64_t bytes = 20 + i % 200;

	count(s, slot, COUNTER_MESSAGES_IN, 1);
	count(s, slot, COUNTER_PAYLOAD_BYTES_IN, bytes);
	count(s, slot, COUNTER_MQTT_BYTES_IN, bytes + 20);
	count(s, slot, COUNTER_MESSAGES_QUEUED, 1);
	count(s, slot, COUNTER_PAYLOAD_BYTES_QUEUED, bytes);
	count(s, slot, COUNTER_MQTT_BYTES_QUEUED, bytes + 20);
	count(s, slot, COUNTER_WIRE_BYTES_IN, bytes + 49);
	count(s, slot, COUNTER_WIRE_BYTES_OUT, bytes + 49);
	if ((i + round) % 1000 == 0) {
		const struct request what = {
			.action = ACTION_PUBLISH, .topic = STR("other/topic")};

		count(s, slot, COUNTER_REFUSED_PUBLISHES, 1);
		meter_slot_refuse(
			slot, &what, REASON_NO_RULE, (int64_t)time(NULL));
		count_u64(&slot->reason[meter_reason_index(REASON_NO_RULE)], 1);
		count_u64(
			&meter_class_mut(s->mem, slot->class)
				 ->refused[ACTION_PUBLISH - 1][REASON_NO_RULE],
			1);
	}
}

static void pulse(struct segment *s, uint32_t n, uint32_t round)
{
	const struct timespec pause = {.tv_nsec = 1000000000 / TURNS};

	segment_header(s)->heartbeat_s = (int64_t)time(NULL);
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		uint32_t from = (uint32_t)((uint64_t)n * turn / TURNS);
		uint32_t to = (uint32_t)((uint64_t)n * (turn + 1) / TURNS);

		for (uint32_t i = from; i < to; i++)
			say(s, i, round);
		(void)nanosleep(&pause, NULL);
	}
}

int main(int argc, char **argv)
{
	struct segment s = {0};
	char path[512], note[512];
	uint32_t n, seconds, classes;
	struct err e;

	if (argc < 4 || argc > 5) {
		(void)fputs("usage: bench_pulse FOLDER N SECONDS [CLASSES]\n",
			stderr);
		return 2;
	}
	n = (uint32_t)strtoul(argv[2], NULL, 10);
	seconds = (uint32_t)strtoul(argv[3], NULL, 10);
	classes = argc == 5 ? (uint32_t)strtoul(argv[4], NULL, 10) : 20;
	(void)snprintf(path, sizeof(path), "%s/" SEGMENT_FILE, argv[1]);
	if (classes == 0 ||
		!segment_open_write(path, &s, note, sizeof(note), &e) ||
		!fill(&s, n, classes)) {
		(void)fprintf(stderr, "bench_pulse: %s\n",
			classes == 0 ? "no class" : e.msg);
		return 3;
	}
	(void)puts("ready");
	(void)fflush(stdout);
	for (uint32_t round = 0; round < seconds; round++)
		pulse(&s, n, round);
	(void)printf("%" PRIu32 " rounds\n", seconds);
	segment_close(&s);
	return 0;
}
