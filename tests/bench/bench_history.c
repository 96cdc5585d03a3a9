/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_history STATE DEVICES MINUTES: makes a history in STATE/usage of so
 * many devices that all count something in every minute, in transactions of
 * 256 as weir-feed does, and prints what a device's minute takes on the disk and
 * in time; then what hours, answers and dropping take. The counters of a minute
 * are those of a device that sends once a second or so and is sent little.
 */
#include "io/history_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLICE 256
#define T0    INT64_C(1800000000)

static double ms(clockid_t clock)
{
	struct timespec t = {0};

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* How long something took: of this process, and the longest step by the clock
 * on the wall. */
struct timed {
	double cpu_ms, worst_ms, cpu_begun, begun;
};

static void begin(struct timed *t)
{
	t->cpu_begun = ms(CLOCK_PROCESS_CPUTIME_ID);
	t->begun = ms(CLOCK_MONOTONIC);
}

static void end(struct timed *t)
{
	double took = ms(CLOCK_MONOTONIC) - t->begun;

	t->cpu_ms += ms(CLOCK_PROCESS_CPUTIME_ID) - t->cpu_begun;
	if (took > t->worst_ms)
		t->worst_ms = took;
}

static _Noreturn void give_up(const struct err *e)
{
	(void)fprintf(stderr, "bench_history: %s\n", e->msg);
	exit(3); // NOLINT(concurrency-mt-unsafe): one thread
}

/* What device D has counted by minute M: a bit more or less each minute. */
static void counters(uint64_t out[static COUNTERS], uint64_t d, uint64_t m)
{
	uint64_t n = (m + 1) * (50 + d % 20) + m * d % 7;

	out[COUNTER_MESSAGES_IN] = n;
	out[COUNTER_PAYLOAD_BYTES_IN] = n * 120;
	out[COUNTER_MQTT_BYTES_IN] = n * 150;
	out[COUNTER_MESSAGES_QUEUED] = n / 20;
	out[COUNTER_PAYLOAD_BYTES_QUEUED] = n * 5;
	out[COUNTER_MQTT_BYTES_QUEUED] = n * 7;
	out[COUNTER_WIRE_BYTES_IN] = n * 190;
	out[COUNTER_WIRE_BYTES_OUT] = n * 40;
}

static void number_all(struct history_writer *w, unsigned devices)
{
	struct err e;
	char id[32];

	if (!history_begin(w, &e))
		give_up(&e);
	for (unsigned d = 0; d < devices; d++) {
		int64_t no;

		(void)snprintf(id, sizeof(id), "device-%06u", d);
		if (!history_device_number(w, str_from(id), &no, &e))
			give_up(&e);
	}
	if (!history_commit(w, &e))
		give_up(&e);
}

static void tell_slice(
	struct history_writer *w, unsigned from, unsigned to, unsigned minute)
{
	struct history_look look = {.segment = 1};
	struct err e;

	if (!history_begin(w, &e) ||
		!history_class_number(w, STR("pump"), &look.class, &e))
		give_up(&e);
	for (unsigned d = from; d < to; d++) {
		look.no = (int64_t)d + 1;
		counters(look.counter, d, minute);
		if (!history_tell_device(
			    w, T0 + INT64_C(60) * minute, &look, &e))
			give_up(&e);
	}
	if (!history_commit(w, &e))
		give_up(&e);
}

static void set_told(struct history_writer *w, unsigned minute)
{
	int64_t told_s = T0 + INT64_C(60) * (minute + 1);
	struct err e;

	if (!history_begin(w, &e) ||
		!history_place_set(
			w, &(struct history_place){1, 0, told_s, told_s}, &e) ||
		!history_commit(w, &e))
		give_up(&e);
}

static void tidy(struct history_writer *w, const struct history_limits *keep,
	int64_t now_s, struct timed *t)
{
	enum history_tidied done = HISTORY_MADE;
	char note[HISTORY_NOTE];
	struct err e;

	while (done != HISTORY_TIDY) {
		begin(t);
		if (!history_tidy(w, keep, now_s, &done, note, &e))
			give_up(&e);
		end(t);
	}
}

static unsigned answer(
	struct history *h, const struct history_ask *ask, struct timed *t)
{
	enum history_got got = HISTORY_LATER;
	struct history_usage *u;
	unsigned rows = 0;
	struct err e;

	if (!history_usage_open(h, ask, &u, &e))
		give_up(&e);
	while (got != HISTORY_END) {
		unsigned work = HISTORY_WORK;

		begin(t);
		do {
			struct history_row row;

			got = history_usage_next(u, &work, &row, &e);
			rows += got == HISTORY_ONE;
		} while (got == HISTORY_ONE);
		end(t);
		if (got == HISTORY_FAILED)
			give_up(&e);
	}
	history_usage_close(&u);
	return rows;
}

static void print(const char *what, const struct timed *t, double n)
{
	(void)printf(
		"%-44s %8.2f us  %8.1f ms in all, a step %5.1f ms at most\n",
		what, t->cpu_ms * 1e3 / n, t->cpu_ms, t->worst_ms);
}

static void read_all(const char *state, unsigned devices, unsigned minutes)
{
	struct history_ask ask = {.what = HISTORY_DEVICE,
		.name = STR("device-000077"),
		.to_s = T0 + INT64_C(60) * minutes,
		.series = true};
	struct timed t = {0};
	struct history *h;
	struct err e;

	if (!history_open_beside(state, &h, &e))
		give_up(&e);
	print("a device's minutes, each", &t, answer(h, &ask, &t));
	memset(&t, 0, sizeof(t));
	ask.what = HISTORY_TOP;
	ask.name = (struct str){NULL, 0};
	ask.series = false;
	ask.top = 10;
	(void)answer(h, &ask, &t);
	print("the 10 devices with the most, a device", &t, devices);
	memset(&t, 0, sizeof(t));
	ask.what = HISTORY_EACH;
	print("an export, a row", &t, answer(h, &ask, &t));
	history_close(&h);
}

/* All minutes but the first, which makes the file. */
static void tell_all(
	struct history_writer *w, unsigned devices, unsigned minutes)
{
	struct timed told = {0}, synced = {0};
	double n = (double)devices * (minutes - 1);
	uint64_t before;
	struct err e;

	number_all(w, devices);
	tell_slice(w, 0, devices, 0);
	before = history_writer_used(w);
	for (unsigned m = 1; m < minutes; m++) {
		for (unsigned d = 0; d < devices; d += SLICE) {
			begin(&told);
			tell_slice(w, d,
				devices - d < SLICE ? devices : d + SLICE, m);
			end(&told);
		}
		set_told(w, m);
		begin(&synced);
		if (!history_writer_sync(w, &e))
			give_up(&e);
		end(&synced);
	}
	(void)printf("%-44s %8.1f bytes\n", "a device's minute, on the disk",
		(double)(history_writer_used(w) - before) / n);
	print("a device's minute, told", &told, n);
	print("a device's minute, to the disk (own thread)", &synced, n);
}

static void roll(struct history_writer *w, const struct history_limits *keep,
	unsigned devices, unsigned minutes)
{
	unsigned whole = minutes / 60;
	double hours = (double)devices * whole;
	uint64_t before = history_writer_used(w);
	struct timed rolled = {0};

	tidy(w, keep, T0 + INT64_C(60) * minutes, &rolled);
	if (whole == 0)
		return;
	print("a device's hour, made of its minutes", &rolled, hours);
	(void)printf("%-44s %8.1f bytes\n", "a device's hour, on the disk",
		(double)(history_writer_used(w) - before) / hours);
}

static void drop(struct history_writer *w, struct history_limits *keep,
	unsigned devices, unsigned minutes)
{
	unsigned whole = minutes / 60 * 60;
	struct timed dropped = {0};

	keep->minute_s = 1;
	tidy(w, keep, T0 + INT64_C(60) * minutes + 3600, &dropped);
	if (whole != 0)
		print("a device's minute, dropped", &dropped,
			(double)devices * whole);
}

int main(int argc, char **argv)
{
	struct history_limits keep = {INT64_C(1) << 40, INT64_C(1) << 40,
		INT64_C(1) << 40, INT64_C(1) << 40, UINT64_C(1) << 50};
	struct history_writer *w;
	unsigned devices, minutes;
	char note[512];
	struct err e;

	if (argc != 4)
		return 2;
	devices = (unsigned)strtoul(argv[2], NULL, 10);
	minutes = (unsigned)strtoul(argv[3], NULL, 10);
	if (devices == 0 || minutes < 2)
		return 2;
	if (!history_writer_open(argv[1], &w, note, sizeof(note), &e))
		give_up(&e);
	tell_all(w, devices, minutes);
	roll(w, &keep, devices, minutes);
	read_all(argv[1], devices, minutes);
	drop(w, &keep, devices, minutes);
	history_writer_close(&w);
	return 0;
}
