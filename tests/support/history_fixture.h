/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A history in a state directory of its own, for tests: made before each,
 * removed after. Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_HISTORY_FIXTURE_H
#define TESTS_SUPPORT_HISTORY_FIXTURE_H

#include "io/history_writer.h"
#include "tests/support/expect.h"
#include "tests/support/tempdir.h"

#include <string.h>

struct history_fixture {
	struct tempdir state, usage;
	struct history_writer *w;
	struct history *r;
	struct err e;
	char note[512];
};

static inline void hf_open_writer(struct history_fixture *f)
{
	OK(f, history_writer_open(
		      f->state.path, &f->w, f->note, sizeof(f->note), &f->e));
}

static inline void hf_open_reader(struct history_fixture *f)
{
	OK(f, history_open_beside(f->state.path, &f->r, &f->e));
}

static inline void hf_make(struct history_fixture *f)
{
	memset(f, 0, sizeof(*f));
	tempdir_make(&f->state);
	(void)snprintf(f->usage.path, sizeof(f->usage.path), "%.50s/usage",
		f->state.path);
	assert_int_equal(mkdir(f->usage.path, 0750), 0);
}

static inline int hf_setup(void **state)
{
	struct history_fixture *f = malloc(sizeof(*f));

	assert_non_null(f);
	hf_make(f);
	hf_open_writer(f);
	assert_string_equal(f->note, "");
	hf_open_reader(f);
	*state = f;
	return 0;
}

static inline int hf_teardown(void **state)
{
	struct history_fixture *f = *state;

	history_close(&f->r);
	history_writer_close(&f->w);
	(void)tempdir_walk(&f->usage, 1);
	(void)tempdir_walk(&f->state, 1);
	free(f);
	return 0;
}

/* All rows of ASK, at most CAP, in turns of WORK rows. Returns how many. */
static inline size_t hf_ask(struct history_fixture *f,
	const struct history_ask *ask, unsigned work, struct history_row *out,
	size_t cap)
{
	struct history_usage *u;
	enum history_got got = HISTORY_LATER;
	unsigned left = work;
	size_t n = 0;

	OK(f, history_usage_open(f->r, ask, &u, &f->e));
	while (got != HISTORY_END) {
		struct history_row row;

		got = history_usage_next(u, &left, &row, &f->e);
		if (got == HISTORY_FAILED)
			fail_msg("%s", f->e.msg);
		if (got == HISTORY_LATER)
			left = work;
		if (got != HISTORY_ONE)
			continue;
		assert_true(n < cap);
		out[n++] = row;
	}
	history_usage_close(&u);
	return n;
}

/* Tidies until there is nothing to do. Returns how often something went before
 * its time. */
static inline unsigned hf_tidy(struct history_fixture *f,
	const struct history_limits *limits, int64_t now_s)
{
	enum history_tidied done = HISTORY_MADE;
	char note[HISTORY_NOTE];
	unsigned dropped = 0, steps = 0;

	while (done != HISTORY_TIDY) {
		OK(f, history_tidy(f->w, limits, now_s, &done, note, &f->e));
		assert_true(steps++ < 100000);
		dropped += done == HISTORY_DROPPED;
		assert_int_equal(done == HISTORY_DROPPED, note[0] != '\0');
	}
	return dropped;
}

/* ------------------------------------------------------------ what is told */

/* Device ID, which belongs to class "meter", is seen with N bytes in all. */
static inline bool hf_tell_bytes(struct history_writer *w, const char *id,
	int64_t t_s, uint64_t n, struct err *e)
{
	struct history_look look = {.segment = 9};

	look.counter[COUNTER_WIRE_BYTES_IN] = n;
	look.counter[COUNTER_MESSAGES_IN] = n / 100;
	if (!history_device_number(w, str_from(id), &look.no, e) ||
		!history_class_number(w, STR("meter"), &look.class, e) ||
		!history_tell_device(w, t_s, &look, e))
		return false;
	look.no = look.class;
	look.class = 0;
	return history_tell_class(w, t_s, &look, e);
}

static inline void hf_told(
	struct history_fixture *f, const char *id, int64_t t_s, uint64_t n)
{
	OK(f, history_begin(f->w, &f->e));
	OK(f, hf_tell_bytes(f->w, id, t_s, n, &f->e));
	OK(f, history_place_set(f->w,
		      &(struct history_place){9, 1, t_s + 60, t_s + 60},
		      &f->e));
	OK(f, history_commit(f->w, &f->e));
}

/* All that was ever told of device ID, or of class "meter". */
static inline uint64_t hf_sum(struct history_fixture *f, const char *id)
{
	struct history_ask ask = {.what = HISTORY_DEVICE,
		.name = str_from(id),
		.to_s = INT64_C(1) << 40};
	struct history_row row[2];

	if (id == NULL) {
		ask.what = HISTORY_CLASS;
		ask.name = STR("meter");
	}
	return hf_ask(f, &ask, 1000, row, 2) == 0
		       ? 0
		       : row[0].counter[COUNTER_WIRE_BYTES_IN];
}

/* A minute of two devices, an event and a gap, in one transaction. */
static inline bool hf_minute(
	struct history_writer *w, int64_t t_s, uint64_t n, struct err *e)
{
	struct event_copy v = {.e = {.type = EVENT_CONNECT, .t_ms = t_s}};

	if (!history_begin(w, e))
		return false;
	if (hf_tell_bytes(w, "a", t_s, n, e) &&
		hf_tell_bytes(w, "b", t_s, n, e) &&
		history_tell_event(w, &v, "meter", e) &&
		history_tell_gap(w, &(struct history_gap){t_s - 9, t_s}, e) &&
		history_place_set(w,
			&(struct history_place){9, n, t_s + 60, t_s + 60}, e))
		return history_commit(w, e);
	history_rollback(w);
	return false;
}

#endif
