/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A meter that is looked at again and again: what the looks find, in which
 * order, and what keys do to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/meter_class.h"
#include "cli/meter_view.h"
#include "cli/top_draw.h"
#include "cli/top_keys.h"
#include "core/seqlock.h"
#include "tests/support/slot.h"
#include "tests/support/tempdir.h"

#include <fcntl.h>

/* A state directory with a meter, which is written here as a broker would. */
struct rig {
	struct tempdir dir;
	struct cli c;
	struct segment s;
	char path[128];
};

static void begin(struct rig *r)
{
	char note[512];
	struct err e;

	assert_true(segment_open_write(r->path, &r->s, note, sizeof(note), &e));
	segment_header(&r->s)->generation++;
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	tempdir_make(&r->dir);
	(void)snprintf(r->c.state, sizeof(r->c.state), "%s", r->dir.path);
	(void)snprintf(r->c.meter, sizeof(r->c.meter), "%s/" SEGMENT_FILE,
		r->dir.path);
	assert_int_equal(mkdir(tempdir_at(&r->dir, "meter"), 0700), 0);
	(void)snprintf(
		r->path, sizeof(r->path), "%s/meter/meter.seg", r->dir.path);
	begin(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	segment_close(&r->s);
	(void)unlink(r->path);
	(void)unlink(tempdir_at(&r->dir, "meter/old"));
	assert_int_equal(rmdir(tempdir_at(&r->dir, "meter")), 0);
	assert_int_equal(rmdir(r->dir.path), 0);
	free(r);
	return 0;
}

static struct meter_slot *add(struct rig *r, const char *id, const char *class)
{
	return slot_add(&r->s, id, class);
}

static void count(
	struct rig *r, struct meter_slot *s, enum counter c, uint64_t n)
{
	count_u64(&s->counter[c], n);
	count_u64(&meter_class_mut(r->s.mem, s->class)->counter[c], n);
}

/* The shown devices' ids, one after the other. */
static const char *order(struct top *t, size_t rows)
{
	static char out[1024];
	char id[DEVICE_ID_MAX + 1];

	top_find(t, rows);
	out[0] = '\0';
	for (size_t i = 0; i < t->shown; i++) {
		(void)meter_slot_id(meter_slot_at(segment_map(&t->w.segment),
					    top_slot(t, i)),
			id);
		(void)snprintf(out + strlen(out), sizeof(out) - strlen(out),
			"%s%s", i != 0 ? " " : "", id);
	}
	return out;
}

/* --------------------------------------------------------------------- looks */

static void test_rates(void **state)
{
	struct rig *r = *state;
	struct meter_slot *a = add(r, "a", "pump"), *b = add(r, "b", "till"),
			  *c;
	struct top t;
	struct err e;

	count(r, a, COUNTER_MESSAGES_IN, 1000);
	count(r, b, COUNTER_MESSAGES_IN, 5);
	assert_true(top_open(&r->c, &t, &e));
	t.view.sort = COUNTER_MESSAGES_IN;
	assert_string_equal(order(&t, 9), "a b");
	assert_true(top_seconds(&t) == 0);
	assert_true(top_value(&t, 0, COUNTER_MESSAGES_IN, true) == 1000);
	assert_true(top_value(&t, 0, COUNTER_MESSAGES_IN, false) == 0);

	/* What grew counts, not what there is; C is new since. */
	count(r, a, COUNTER_MESSAGES_IN, 10);
	count(r, b, COUNTER_MESSAGES_IN, 20);
	c = add(r, "c", "till");
	count(r, c, COUNTER_MESSAGES_IN, 15);
	count(r, c, COUNTER_REFUSED_CONNECTS, 2);
	count(r, c, COUNTER_REFUSED_PUBLISHES, 3);
	top_look(&t);
	t.then.t_ms = t.now.t_ms - 2000;
	assert_string_equal(order(&t, 9), "b c a");
	assert_true(top_seconds(&t) == 2);
	assert_true(top_value(&t, 1, COUNTER_MESSAGES_IN, false) == 10);
	assert_true(top_value(&t, 2, COUNTER_MESSAGES_IN, false) == 7.5);
	assert_true(top_value(&t, 2, METER_REFUSED, false) == 2.5);
	assert_true(top_sum(&t, COUNTER_MESSAGES_IN, false) == 22.5);
	assert_true(top_sum(&t, COUNTER_MESSAGES_IN, true) == 1050);
	t.view.totals = true;
	assert_string_equal(order(&t, 9), "a b c");
	t.view.reverse = true;
	assert_string_equal(order(&t, 9), "c b a");
	top_close(&t);
}

static void test_filters(void **state)
{
	struct rig *r = *state;
	struct top t;
	struct err e;

	count(r, add(r, "pump-1", "pump"), COUNTER_WIRE_BYTES_IN, 7);
	count(r, add(r, "pump-2", "pump"), COUNTER_REFUSED_DELIVERIES, 1);
	count(r, add(r, "till-1", "till"), COUNTER_WIRE_BYTES_IN, 9);
	assert_true(top_open(&r->c, &t, &e));
	t.view.totals = true;
	assert_string_equal(order(&t, 9), "till-1 pump-1 pump-2");
	assert_string_equal(order(&t, 1), "till-1");
	t.view.offset = 1;
	assert_string_equal(order(&t, 1), "pump-1");
	t.view.offset = 77; /* no further than to the last */
	assert_string_equal(order(&t, 2), "pump-1 pump-2");
	assert_int_equal(t.view.offset, 1);
	t.view.offset = 0;
	t.view.refused = true;
	assert_string_equal(order(&t, 9), "pump-2");
	t.view.refused = false;
	(void)snprintf(t.view.device, sizeof(t.view.device), "-1");
	assert_string_equal(order(&t, 9), "till-1 pump-1");
	t.view.one_class = true;
	(void)snprintf(t.view.class_name, sizeof(t.view.class_name), "pump");
	assert_string_equal(order(&t, 9), "pump-1");
	assert_true(top_sum(&t, COUNTER_WIRE_BYTES_IN, true) == 7);
	(void)snprintf(t.view.class_name, sizeof(t.view.class_name), "none");
	assert_string_equal(order(&t, 9), "");
	assert_int_equal(t.fit, 0);
	top_close(&t);
}

/* A hostile or half-written slot: a class that is none, an id of any bytes. */
static void test_hostile(void **state)
{
	struct rig *r = *state;
	struct meter_slot *s = add(r, "x", "pump");
	struct top_frame f = {.columns = 80, .ansi = true};
	char *text = NULL;
	size_t n = 0;
	struct top t;
	struct err e;
	FILE *out;

	words_store(s->id, DEVICE_ID_MAX / 8, STR("\x1b\x07[31m"));
	s->id_len = UINT32_MAX;
	s->class = 4000000000u;
	assert_true(top_open(&r->c, &t, &e));
	/* What contradicts itself is not opened; later it may. */
	segment_header(&r->s)->n_slots = UINT32_MAX;
	segment_header(&r->s)->n_classes = UINT32_MAX;
	top_look(&t);
	top_find(&t, 5);
	out = open_memstream(&text, &n);
	assert_non_null(out);
	top_draw(&t, &f, out);
	assert_int_equal(fclose(out), 0);
	assert_null(memchr(text, 7, n));
	assert_non_null(strstr(text, "??[31m"));
	free(text);
	top_close(&t);
}

/* ------------------------------------------------------------------- watching */

static void test_watch(void **state)
{
	struct rig *r = *state;
	struct meter_device d;
	struct meter_watch w;
	struct meter_slot *s;
	struct err e;

	assert_true(meter_watch_open(r->c.meter, &w, &e));
	assert_int_equal(w.state, BROKER_RUNNING);
	assert_int_equal(meter_watch_look(&w), WATCH_SAME);
	/* It grows. */
	s = add(r, "a", "pump");
	s->connections = 2;
	assert_false(meter_device_find(&w, STR("a"), &d));
	assert_string_equal(d.id, "a");
	assert_int_equal(meter_watch_look(&w), WATCH_SAME);
	assert_true(meter_device_find(&w, STR("a"), &d));
	assert_int_equal(d.connections, 2);
	/* An earlier start's connections are none. */
	segment_header(&r->s)->generation++;
	assert_int_equal(meter_watch_look(&w), WATCH_BROKER);
	assert_true(meter_device_find(&w, STR("a"), &d));
	assert_int_equal(d.connections, 0);
	segment_close(&r->s);
	assert_int_equal(meter_watch_look(&w), WATCH_BROKER);
	assert_int_equal(w.state, BROKER_STOPPED);
	/* Set aside, and begun anew. */
	assert_false(meter_watch_moved(&w));
	assert_int_equal(rename(r->path, tempdir_at(&r->dir, "meter/old")), 0);
	assert_true(meter_watch_moved(&w));
	assert_int_equal(meter_watch_look(&w), WATCH_FILE);
	assert_int_equal(w.state, BROKER_NEVER_RAN);
	assert_false(meter_watch_reads(&w));
	assert_int_equal(meter_watch_look(&w), WATCH_SAME);
	begin(r);
	assert_int_equal(meter_watch_look(&w), WATCH_FILE);
	assert_false(meter_device_find(&w, STR("a"), &d));
	/* Cut short. */
	assert_int_equal(truncate(r->path, 4096), 0);
	assert_false(meter_watch_moved(&w));
	assert_int_equal(meter_watch_look(&w), WATCH_FILE);
	assert_int_equal(w.state, BROKER_UNKNOWN);
	assert_false(meter_watch_need(&r->c, &w, &e));
	assert_int_equal(e.code, ERR_ENVIRONMENT);
	assert_non_null(strstr(e.msg, r->path));
	meter_watch_close(&w);
}

static void test_medians(void **state)
{
	struct rig *r = *state;
	static const uint64_t values[] = {9, 1, 5, UINT64_MAX};
	static const uint64_t medians[] = {9, 5, 5, 7};
	uint64_t out[COUNTERS];
	struct meter_watch w;
	struct err e;

	for (size_t i = 0; i < 4; i++) {
		char id[8];

		(void)snprintf(id, sizeof(id), "d%zu", i);
		add(r, id, "pump")->counter[COUNTER_WILLS] = values[i];
		assert_true(meter_watch_open(r->c.meter, &w, &e));
		meter_medians(&w, 1, out);
		assert_int_equal(out[COUNTER_WILLS], medians[i]);
		assert_int_equal(out[COUNTER_CONNECTS], 0);
		meter_medians(&w, 2, out); /* nobody's */
		assert_int_equal(out[COUNTER_WILLS], 0);
		meter_watch_close(&w);
	}
}

/* ------------------------------------------------------------------------ keys */

static void press(struct top_keys *k, struct top *t, const char *keys)
{
	top_keys_take(k, t, keys, strlen(keys));
}

static void test_keys(void **state)
{
	struct rig *r = *state;
	struct top_keys k = {.quit = false};
	struct top t;
	struct err e;

	(void)add(r, "pump-1", "pump");
	assert_true(top_open(&r->c, &t, &e));
	press(&k, &t, "\x1b[D");
	assert_int_equal(t.view.sort, COUNTER_WIRE_BYTES_IN - 1);
	press(&k, &t, ">\x1bOC");
	assert_int_equal(t.view.sort, COUNTER_WIRE_BYTES_IN + 1);
	for (unsigned i = 0; i < METER_COUNTS; i++)
		press(&k, &t, "<"); /* once round */
	assert_int_equal(t.view.sort, COUNTER_WIRE_BYTES_IN + 1);
	press(&k, &t, "jj\x1b[B\x1b[6~k");
	assert_int_equal(t.view.offset, 22);
	press(&k, &t, "\x1b[5~\x1b[5~\x1b[A");
	assert_int_equal(t.view.offset, 0);
	press(&k, &t, "/a q\x1b[A\x7f\x7f\x08pump\n"); /* no command in it */
	assert_string_equal(t.view.device, "pump");
	assert_false(k.quit);
	press(&k, &t, "cnone\n");
	assert_false(t.view.one_class);
	assert_non_null(strstr(k.told, "'none'"));
	press(&k, &t, "cpump\n");
	assert_true(t.view.one_class);
	assert_string_equal(t.view.class_name, "pump");
	press(&k, &t, "x");
	press(&k, &t, "\x1b");
	assert_false(t.view.one_class || t.view.refused);
	assert_string_equal(t.view.device, "");
	/* Sequences that are none, cut or unknown do nothing. */
	press(&k, &t, "\x1b[");
	press(&k, &t, "\x1b[1;5Z\x1b[99~\x1bO");
	assert_false(k.quit || k.paused || k.help);
	for (size_t i = 0; i < 100; i++)
		press(&k, &t, i == 0 ? "/" : "z");
	press(&k, &t, "\n");
	assert_int_equal(strlen(t.view.device), DEVICE_ID_MAX);
	press(&k, &t, "?q"); /* any key: back */
	assert_false(k.quit || k.help);
	press(&k, &t, " qx");
	assert_true(k.quit && k.paused);
	assert_false(t.view.refused); /* nothing after the end */
	top_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_medians, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
