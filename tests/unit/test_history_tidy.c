/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the history keeps and what goes: over weeks, with clocks that are set,
 * and with too little room.
 */
#include "tests/support/history_fixture.h"

#define DAY INT64_C(86400)

#define MINUTES_S (2 * DAY)
#define HOURS_S   (35 * DAY)

#define T0 (20000 * DAY)

static const struct history_limits limits = {
	MINUTES_S, HOURS_S, 731 * DAY, 35 * DAY, UINT64_C(16) << 30};

/* Seven weeks, an hour at a time: minutes, hours and days go when they are old,
 * and all that was ever counted is still there. */
static void weeks_go_by(void **state)
{
	struct history_fixture *f = *state;
	struct history_head head;
	uint64_t a = 0, b = 0;
	int64_t end = T0 + 49 * DAY;

	for (int64_t t = T0; t < end; t += 300) {
		hf_told(f, "a", t, a += 100);
		if (t % 3600 == 0) {
			hf_told(f, "b", t, b += 1000);
			(void)hf_tidy(f, &limits, t + 60);
		}
	}
	(void)hf_tidy(f, &limits, end);
	assert_int_equal(hf_sum(f, "a"), a);
	assert_int_equal(hf_sum(f, "b"), b);
	OK(f, history_head(f->r, &head, &f->e));
	assert_int_equal(head.first_s, T0);
	assert_int_equal(head.reach.purged_s[HISTORY_MINUTE],
		history_floor(HISTORY_HOUR, end - MINUTES_S));
	assert_int_equal(head.reach.purged_s[HISTORY_HOUR],
		history_floor(HISTORY_DAY, end - HOURS_S));
	assert_int_equal(head.reach.purged_s[HISTORY_DAY], 0);
	/* three years on there is nothing left of them */
	hf_told(f, "a", end + INT64_C(1095) * DAY, a + 7);
	(void)hf_tidy(f, &limits, end + INT64_C(1095) * DAY + 60);
	assert_int_equal(hf_sum(f, "a"), 7);
	assert_int_equal(hf_sum(f, "b"), 0);
}

/* A clock that is set back, even before all that is kept, loses nothing. */
static void clocks_are_set(void **state)
{
	struct history_fixture *f = *state;
	static const int64_t times[] = {0, 3600, -3600, 10 * DAY, -1 * DAY,
		30 * DAY, 29 * DAY, -600 * DAY, 31 * DAY, 60, 100 * DAY, 0,
		-20000 * DAY, 1600 * DAY};
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		hf_told(f, "a", T0 + times[i], n += 1000);
		if (i < 11) {
			(void)hf_tidy(f, &limits, T0 + times[i] + 60);
			assert_int_equal(hf_sum(f, "a"), n);
		}
	}
	/* days that are too old are gone; what came after that is not */
	(void)hf_tidy(f, &limits, T0 + 1600 * DAY + 60);
	n = hf_sum(f, "a");
	hf_told(f, "a", 60, 99000);
	assert_int_equal(hf_sum(f, "a"), n + 99000 - 14000);
}

static void room_is_kept(void **state)
{
	struct history_fixture *f = *state;
	struct history_limits small = limits;
	struct history_head head;
	unsigned dropped = 0;
	uint64_t n = 0, most = 0;
	char id[32];

	small.max_bytes = 524288;
	small.minute_s = small.hour_s = 365 * DAY;
	for (int64_t t = T0; t < T0 + 21600; t += 60) {
		OK(f, history_begin(f->w, &f->e));
		n += 100;
		for (unsigned d = 0; d < 100; d++) {
			(void)snprintf(id, sizeof(id), "device-%u", d);
			OK(f, hf_tell_bytes(f->w, id, t, n, &f->e));
		}
		OK(f, history_place_set(f->w,
			      &(struct history_place){9, 1, t + 60, t + 60},
			      &f->e));
		OK(f, history_commit(f->w, &f->e));
		dropped += hf_tidy(f, &small, t + 60);
		if (t % 300 == 0)
			OK(f, history_writer_sync(f->w, &f->e));
		if (history_writer_bytes(f->w) > most)
			most = history_writer_bytes(f->w);
	}
	assert_true(dropped > 0);
	/* an hour's minutes that no hour is made of yet are never dropped */
	assert_true(most < 3 * small.max_bytes);
	assert_int_equal(hf_sum(f, "device-7"), n);
	OK(f, history_head(f->r, &head, &f->e));
	assert_true(head.reach.purged_s[HISTORY_MINUTE] > T0);
	assert_true(head.reach.purged_s[HISTORY_HOUR] == 0);
	/* no room at all: what cannot go stays, and nothing breaks */
	small.max_bytes = 1;
	(void)hf_tidy(f, &small, T0 + 21600);
	assert_int_equal(hf_sum(f, "device-7"), n);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, hf_setup, hf_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(weeks_go_by),
		TEST(clocks_are_set),
		TEST(room_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
