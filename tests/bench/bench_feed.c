/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_feed FOLDER look|mark|find|page CALLS: what weir-feed does each second,
 * each minute (the look, then the findings) and for each page of metrics, CALLS
 * times over: a meter of 16,384 devices, which all count between two looks. For
 * callgrind.
 */
#include "feed/detector.h"
#include "feed/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define N       WATCH_STEP
#define CLASSES 20u
#define TOP     20u

/* What is counted by callgrind. */
void watched(struct watch *w) __attribute__((noinline));
void found(struct detector *d, const struct watch *w) __attribute__((noinline));
void paged(const struct watch *w, struct text *out) __attribute__((noinline));

static bool fill(struct segment *s)
{
	char name[32];

	for (uint32_t i = 0; i < CLASSES; i++) {
		(void)snprintf(name, sizeof(name), "class-%02" PRIu32, i);
		(void)meter_class_add(s->mem, str_from(name));
	}
	for (uint32_t i = 0; i < N; i++) {
		struct meter_range need[2];
		struct meter_slot *slot;
		size_t n;

		if (!meter_slots_need(s->mem, need, &n))
			return false;
		for (size_t k = 0; k < n; k++) {
			if (!segment_reserve(s, need[k]))
				return false;
		}
		if (n != 0)
			meter_slots_grown(s->mem);
		(void)snprintf(name, sizeof(name), "device-%07" PRIu32, i);
		slot = meter_slot_mut(
			s->mem, meter_slot_add(s->mem, str_from(name), 1));
		slot->class = 1 + i % CLASSES;
	}
	return true;
}

/* As many bytes as the device's number scrambled: no order to profit by. */
static void traffic(struct segment *s)
{
	for (uint32_t i = 0; i < N; i++) {
		struct meter_slot *slot = meter_slot_mut(s->mem, i);
		uint64_t bytes = i * UINT32_C(2654435761) >> 12;

		for (unsigned k = 0; k <= COUNTER_WIRE_BYTES_OUT; k++) {
			count_u64(&slot->counter[k], bytes);
			count_u64(&meter_class_mut(s->mem, slot->class)
					   ->counter[k],
				bytes);
		}
	}
}

void watched(struct watch *w)
{
	while (watch_step(w))
		;
}

void found(struct detector *d, const struct watch *w)
{
	detector_second(d, w);
	while (detector_step(d, w))
		;
}

void paged(const struct watch *w, struct text *out)
{
	static const struct config_metrics none = {.top = TOP};
	struct metrics_place at = {0};
	struct scrape *s;
	struct err e;

	if (!scrape_take(w, &none, 1, &s, &e))
		abort();
	while (metrics_text(s, &at, SIZE_MAX / 2, out))
		;
	scrape_free(&s);
}

/* Each minute has its look. */
static void find(struct segment *s, struct watch *w, int calls)
{
	struct detector_limits limits;
	struct detector *d;
	struct err e;

	detector_limits_default(&limits);
	if (!detector_open(&limits, &d, &e))
		abort();
	for (int64_t i = 0; i < calls; i++) {
		(void)watch_look(w, 180 + i * 60, 180000 + i * 60000);
		watched(w);
		found(d, w);
		traffic(s);
	}
	if (d->minutes == 0)
		abort();
	detector_close(&d);
}

static void run(struct segment *s, struct watch *w, const char *what, int calls)
{
	int64_t second = strcmp(what, "mark") == 0 ? 60 : 0;
	struct text out = {0};

	/* A first look finds all to be new; then there is a full minute. */
	for (int64_t i = 0; i < 3; i++) {
		(void)watch_look(w, i * 60, i * 60000);
		while (watch_step(w))
			;
		traffic(s);
	}
	if (strcmp(what, "find") == 0) {
		find(s, w, calls);
		return;
	}
	for (int64_t i = 0; i < calls; i++) {
		text_clear(&out);
		if (strcmp(what, "page") == 0) {
			paged(w, &out);
			continue;
		}
		(void)watch_look(
			w, 120 + i * second, 120000 + i * second * 1000);
		watched(w);
		traffic(s);
	}
	if (out.n != 0)
		(void)printf("%zu bytes\n", out.n);
	text_free(&out);
}

int main(int argc, char **argv)
{
	struct segment s = {0};
	char path[512], note[512];
	struct watch *w;
	struct err e;

	if (argc != 4) {
		(void)fputs(
			"usage: bench_feed FOLDER look|mark|find|page CALLS\n",
			stderr);
		return 2;
	}
	(void)snprintf(path, sizeof(path), "%s/" SEGMENT_FILE, argv[1]);
	if (!segment_open_write(path, &s, note, sizeof(note), &e) ||
		!fill(&s) || !watch_open(path, TOP, &w, &e)) {
		(void)fprintf(stderr, "bench_feed: %s\n", e.msg);
		return 3;
	}
	run(&s, w, argv[2], (int)strtol(argv[3], NULL, 10));
	watch_close(&w);
	segment_close(&s);
	return 0;
}
