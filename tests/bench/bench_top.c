/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_top FOLDER N: makes a meter of N devices in FOLDER/meter, and prints how
 * long each part of a refresh of weir top takes, the median of 21, in ms of
 * this process's own time. Each device counts something between two looks.
 */
#include "cli/top_draw.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 21
#define ROWS   50

static double cpu_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double v[static ROUNDS])
{
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return v[ROUNDS / 2];
}

static bool fill(struct segment *s, uint32_t n)
{
	uint32_t class = meter_class_add(s->mem, STR("pump"));

	for (uint32_t i = 0; i < n; i++) {
		struct meter_range need[2];
		struct meter_slot *slot;
		char id[32];
		size_t ranges;

		if (!meter_slots_need(s->mem, need, &ranges))
			return false;
		for (size_t k = 0; k < ranges; k++) {
			if (!segment_reserve(s, need[k]))
				return false;
		}
		if (ranges != 0)
			meter_slots_grown(s->mem);
		(void)snprintf(id, sizeof(id), "pump-%06" PRIu32, i);
		slot = meter_slot_mut(
			s->mem, meter_slot_add(s->mem, str_from(id), 1));
		slot->class = class;
	}
	return true;
}

/* As many messages as the device's number scrambled: no order to profit by. */
static void traffic(struct segment *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct meter_slot *slot = meter_slot_mut(s->mem, i);

		count_u64(&slot->counter[COUNTER_WIRE_BYTES_IN],
			i * UINT32_C(2654435761) >> 12);
	}
}

static bool measure(struct segment *s, struct top *t, uint32_t n)
{
	const struct top_frame f = {.columns = 120, .ansi = true};
	double look[ROUNDS], find[ROUNDS], draw[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++) {
		char *text = NULL;
		size_t len = 0;
		FILE *out = open_memstream(&text, &len);
		double start;

		if (out == NULL)
			return false;
		traffic(s, n);
		start = cpu_ms();
		top_look(t);
		look[i] = cpu_ms() - start;
		t->then.t_ms = t->now.t_ms - 1000;
		start = cpu_ms();
		top_find(t, ROWS);
		find[i] = cpu_ms() - start;
		start = cpu_ms();
		top_draw(t, &f, out);
		draw[i] = cpu_ms() - start;
		(void)fclose(out);
		free(text);
	}
	(void)printf("%" PRIu32 " devices: look %.2f ms, find %.2f ms, draw "
		     "%.2f ms\n",
		n, median(look), median(find), median(draw));
	return true;
}

int main(int argc, char **argv)
{
	struct segment s = {0};
	struct cli c = {.args = NULL};
	char path[512], note[512];
	struct top t;
	struct err e;
	uint32_t n;
	bool done;

	if (argc != 3) {
		(void)fputs("usage: bench_top FOLDER N\n", stderr);
		return 2;
	}
	n = (uint32_t)strtoul(argv[2], NULL, 10);
	(void)snprintf(c.state, sizeof(c.state), "%s", argv[1]);
	(void)snprintf(path, sizeof(path), "%s/" SEGMENT_FILE, argv[1]);
	if (!segment_open_write(path, &s, note, sizeof(note), &e) ||
		!fill(&s, n) || !top_open(&c, &t, &e)) {
		(void)fprintf(stderr, "bench_top: %s\n", e.msg);
		return 3;
	}
	done = measure(&s, &t, n);
	top_close(&t);
	segment_close(&s);
	return done ? 0 : 3;
}
