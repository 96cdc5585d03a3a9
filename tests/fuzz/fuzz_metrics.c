/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of metrics out of a hostile meter: a good one of a few classes and
 * devices, written into before the first look and between two looks a minute
 * apart. The first byte says how many patches of { area 1, offset 2, length 1,
 * bytes } come before the first look.
 *
 * Oracle: a second reader of the format takes every line, no series comes
 * twice, no label has anything but a name; the classes' sums are those of a
 * plain addition of what is in the meter, and the devices of the last minute
 * add up to what all devices did.
 */
#define _GNU_SOURCE /* open file description locks */
#include "feed/metrics_text.h"
#include "tests/support/check.h"
#include "tests/support/prom_oracle.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE    (METER_SLOTS_AT + METER_SLOTS_STEP * sizeof(struct meter_slot))
#define PATCHES 32
#define NOW_S   INT64_C(1800000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/weir-fuzz-metrics-XXXXXX", path[128];
static unsigned char *meter; /* as its writer has it */

/* What the last input wrote over, to be put back. */
static struct {
	size_t at, len;
	unsigned char was[256];
} patched[PATCHES];
static size_t n_patched;

static struct config_metrics config = {
	.top = 3,
	.n_devices = 2,
	.device = {"dev-1", "nobody"},
};

/* ---------------------------------------------------------------- the meter */

static void fill(void)
{
	static const char *const classes[] = {"pump", "till", "car"};
	struct meter_header *h = (void *)meter;
	struct meter_range need[2];
	char id[16];
	size_t n;

	meter_format(meter);
	h->generation = 1;
	CHECK(meter_slots_need(meter, need, &n));
	meter_slots_grown(meter);
	for (unsigned i = 0; i < 6; i++) {
		uint32_t class =
			meter_class_add(meter, str_from(classes[i % 3]));
		struct meter_slot *s;

		(void)snprintf(id, sizeof(id), "dev-%u", i);
		s = meter_slot_mut(
			meter, meter_slot_add(meter, str_from(id), 1));
		s->class = class;
		s->generation = 1;
		s->connections = i % 2;
		for (unsigned k = 0; k < COUNTERS; k++) {
			s->counter[k] = i + k;
			count_u64(&meter_class_mut(meter, class)->counter[k],
				i + k);
		}
	}
}

static void remove_all(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

/* A file, because that is what a watch looks at; locked, as by a broker. */
static void make(void)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	if (meter != NULL)
		return;
	CHECK(mkdtemp(dir) != NULL);
	CHECK(atexit(remove_all) == 0);
	(void)snprintf(path, sizeof(path), "%s/meter.seg", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, SIZE) == 0);
	CHECK(fcntl(fd, F_OFD_SETLK, &whole) == 0);
	meter = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(meter != MAP_FAILED);
	fill();
}

static void undo(void)
{
	while (n_patched != 0) {
		n_patched--;
		memcpy(meter + patched[n_patched].at, patched[n_patched].was,
			patched[n_patched].len);
	}
}

/* Takes one patch off *P. False: there is none. */
static bool patch(const uint8_t **p, size_t *n)
{
	static const size_t base[] = {0, METER_CLASSES_AT, METER_SLOTS_AT,
		METER_INDEX_AT,
		METER_CLASSES_AT + 64 * sizeof(struct meter_class),
		SIZE - 0x10000};
	size_t at, len;

	if (*n < 4 || n_patched == PATCHES)
		return false;
	at = base[(*p)[0] % 6] + ((size_t)(*p)[1] << 8 | (*p)[2]);
	len = (*p)[3];
	*p += 4;
	*n -= 4;
	if (len > *n)
		len = *n;
	if (len > SIZE - at)
		len = SIZE - at;
	patched[n_patched].at = at;
	patched[n_patched].len = len;
	memcpy(patched[n_patched++].was, meter + at, len);
	memcpy(meter + at, *p, len);
	*p += len;
	*n -= len;
	return true;
}

/* ------------------------------------------------------------------- oracle */

static void look(struct watch *w, int64_t after_s)
{
	(void)watch_look(w, NOW_S + after_s, (1 + after_s) * 1000);
	while (watch_step(w))
		;
}

/* Of all classes that the meter may have, as a plain reader adds them up. */
static uint64_t sum_of_classes(const struct watch *w, unsigned counter)
{
	uint32_t n = meter_classes(segment_map(&w->meter.segment));
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct meter_class c;

		memcpy(&c, meter + METER_CLASSES_AT + i * sizeof(c), sizeof(c));
		sum += c.counter[counter];
	}
	return sum;
}

static void check_sums(const struct watch *w, struct str page)
{
	static const char *const labels[] = {"direction=\"in\"",
		"direction=\"queued\"", "direction=\"sent\"",
		"direction=\"out\""};

	for (unsigned i = 0; i < COUNTERS; i++) {
		const char *family = counter_family((enum counter)i);

		if (family[0] != '\0')
			CHECK(prom_sum(page, family,
				      counter_labels((enum counter)i)) ==
				sum_of_classes(w, i));
	}
	if (!w->minute.full)
		return;
	for (unsigned k = 0; k < 4; k++) {
		uint64_t want = 0;

		for (unsigned i = 0; i < MINUTE_REFUSED; i++)
			if (strcmp(counter_labels((enum counter)i),
				    labels[k]) == 0 &&
				strcmp(counter_family((enum counter)i),
					"weir_wire_bytes_total") == 0)
				want += w->minute.all[i];
		CHECK(prom_sum(page, "weir_last_minute_wire_bytes",
			      labels[k]) == want);
	}
	CHECK(prom_sum(page, "weir_last_minute_refused_requests", "") ==
		w->minute.all[MINUTE_REFUSED]);
}

static void check_page(const struct watch *w, size_t least)
{
	struct metrics_place at = {0};
	struct text out = {0};
	struct scrape *s;
	struct str where, page;
	const char *why;
	struct err e;

	CHECK(scrape_take(w, &config, NOW_S, &s, &e));
	while (metrics_text(s, &at, least, &out))
		;
	scrape_free(&s);
	CHECK(!out.failed);
	page = (struct str){out.p, out.n};
	why = prom_problem(page, &where);
	if (why != NULL)
		(void)fprintf(stderr, "%s: %.*s\n", why, STR_ARG(where));
	CHECK(why == NULL);
	CHECK(out.n < (size_t)8 << 20);
	if (meter_watch_reads(&w->meter))
		check_sums(w, page);
	text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch *w;
	size_t before;
	struct err e;

	make();
	if (size < 1)
		return 0;
	before = data[0] % 8;
	data++;
	size--;
	while (before-- != 0 && patch(&data, &size))
		;
	CHECK(watch_open(path, config.top, &w, &e));
	look(w, 0);
	CHECK(meter_watch_reads(&w->meter) || n_patched != 0);
	while (patch(&data, &size))
		;
	look(w, 60);
	check_page(w, 1);
	look(w, 120);
	check_page(w, 65536);
	watch_close(&w);
	undo();
	return 0;
}
