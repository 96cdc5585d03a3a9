/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A detector beside a meter, its watch and their clocks (watch_fixture.h), for
 * tests: made before each, removed after. Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_DETECTOR_FIXTURE_H
#define TESTS_SUPPORT_DETECTOR_FIXTURE_H

#include "feed/detector.h"
#include "tests/support/watch_fixture.h"

#include <stdlib.h>

#define DF_MIB (UINT64_C(1) << 20)

struct detector_fixture {
	struct rig *r;
	struct detector_limits limits;
	struct detector *d;
};

static inline int df_setup(void **state)
{
	struct detector_fixture *b = calloc(1, sizeof(*b));
	void *rig = NULL;
	struct err e;

	assert_non_null(b);
	assert_int_equal(rig_setup(&rig), 0);
	b->r = rig;
	detector_limits_default(&b->limits);
	assert_true(detector_open(&b->limits, &b->d, &e));
	rig_begin(b->r);
	*state = b;
	return 0;
}

static inline int df_teardown(void **state)
{
	struct detector_fixture *b = *state;
	void *rig = b->r;

	detector_close(&b->d);
	assert_null(b->d);
	detector_close(&b->d);
	free(b);
	return rig_teardown(&rig);
}

/* A look, and what follows from it. */
static inline void df_look(struct detector_fixture *b, int64_t after_s)
{
	(void)rig_look(b->r, after_s);
	detector_second(b->d, b->r->w);
	while (detector_step(b->d, b->r->w))
		;
}

/* The end of a minute. */
static inline void df_minute(struct detector_fixture *b)
{
	df_look(b, 60);
}

/* N devices NAME-0 … of CLASS, which do nothing. Returns the first's slot. */
static inline uint32_t df_add(struct detector_fixture *b, const char *name,
	const char *class, unsigned n)
{
	uint32_t first = segment_header(&b->r->s)->n_slots;
	char id[32];

	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "%s-%u", name, i);
		(void)rig_add(b->r, id, class);
	}
	return first;
}

static inline void df_count(
	struct detector_fixture *b, uint32_t slot, enum counter c, uint64_t n)
{
	rig_count(b->r, meter_slot_mut(b->r->s.mem, slot), c, n);
}

/* The N slots from FIRST move BYTES each. */
static inline void df_move(
	struct detector_fixture *b, uint32_t first, unsigned n, uint64_t bytes)
{
	for (uint32_t i = first; i < first + n; i++) {
		df_count(b, i, COUNTER_WIRE_BYTES_IN, bytes / 2);
		df_count(b, i, COUNTER_WIRE_BYTES_OUT, bytes - bytes / 2);
	}
}

static inline const struct finding *df_open_of(const struct detector_fixture *b,
	const char *device, enum finding_kind k)
{
	for (uint32_t i = 0; i < b->d->n_open; i++) {
		const struct finding *f = &b->d->open[i];

		if (f->kind == k && strcmp(f->device, device) == 0)
			return f;
	}
	return NULL;
}

/* One device and nine others of a class, in these slots: df_setup_ten. */
#define DF_ONE    0u
#define DF_OTHERS 1u
#define DF_N      9u

static inline int df_setup_ten(void **state)
{
	struct detector_fixture *b;

	(void)df_setup(state);
	b = *state;
	assert_int_equal(df_add(b, "one", "meter", 1), DF_ONE);
	assert_int_equal(df_add(b, "other", "meter", DF_N), DF_OTHERS);
	df_minute(b);
	return 0;
}

/* A minute in which each of the others moves EACH bytes, and the one ONES. */
static inline void df_minute_of(
	struct detector_fixture *b, uint64_t each, uint64_t ones)
{
	df_move(b, DF_OTHERS, DF_N, each);
	df_move(b, DF_ONE, 1, ones);
	df_minute(b);
}

#endif
