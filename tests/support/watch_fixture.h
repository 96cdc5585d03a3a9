/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A meter in a state directory, written as a broker would, and a watch that
 * looks at it by clocks of its own. Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_WATCH_FIXTURE_H
#define TESTS_SUPPORT_WATCH_FIXTURE_H

#include "feed/watch.h"
#include "tests/support/slot.h"
#include "tests/support/tempdir.h"

#define WATCH_FIXTURE_TOP 3 /* devices that are ranked */

/* A state directory with a meter, which is written here as a broker would, a
 * watch, and its clocks. */
struct rig {
	struct tempdir dir;
	char path[128];
	struct segment s;
	struct watch *w;
	int64_t now_s, now_ms;
};

static inline void rig_begin(struct rig *r)
{
	char note[512];
	struct err e;

	assert_true(segment_open_write(r->path, &r->s, note, sizeof(note), &e));
	segment_header(&r->s)->generation++;
}

static inline int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct err e;

	assert_non_null(r);
	tempdir_make(&r->dir);
	assert_int_equal(mkdir(tempdir_at(&r->dir, "meter"), 0700), 0);
	(void)snprintf(
		r->path, sizeof(r->path), "%s/meter/meter.seg", r->dir.path);
	r->now_s = 1800000000; /* the beginning of a minute */
	r->now_ms = 5000;
	assert_true(watch_open(r->path, WATCH_FIXTURE_TOP, &r->w, &e));
	*state = r;
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	watch_close(&r->w);
	assert_null(r->w);
	watch_close(&r->w);
	segment_close(&r->s);
	(void)unlink(r->path);
	(void)unlink(tempdir_at(&r->dir, "meter/old"));
	assert_int_equal(rmdir(tempdir_at(&r->dir, "meter")), 0);
	assert_int_equal(rmdir(r->dir.path), 0);
	free(r);
	return 0;
}

static inline struct meter_slot *rig_add(
	struct rig *r, const char *id, const char *class)
{
	return slot_add(&r->s, id, class);
}

static inline void rig_add_many(struct rig *r, unsigned n)
{
	char id[16];

	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "d-%u", i);
		(void)rig_add(r, id, "pump");
	}
}

static inline void rig_count(
	struct rig *r, struct meter_slot *s, enum counter c, uint64_t n)
{
	count_u64(&s->counter[c], n);
	count_u64(&meter_class_mut(r->s.mem, s->class)->counter[c], n);
}

/* The next look, whole, AFTER_S seconds after the one before. */
static inline enum watch_change rig_look(struct rig *r, int64_t after_s)
{
	enum watch_change change;

	r->now_s += after_s;
	r->now_ms += after_s * 1000;
	change = watch_look(r->w, r->now_s, r->now_ms);
	while (watch_step(r->w))
		;
	assert_false(watch_busy(r->w));
	return change;
}

/* SLOT has changed in the look that ended last. */
static inline bool rig_changed(const struct rig *r, uint32_t slot)
{
	assert_true(slot < r->w->n);
	return watch_changed(r->w, slot) == r->w->done;
}

#endif
