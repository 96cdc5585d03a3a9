/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A meter that is written here as a broker would, the watch and the tail that
 * read it, and clients whose frames are taken apart. Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_TAIL_FIXTURE_H
#define TESTS_SUPPORT_TAIL_FIXTURE_H

#include "core/reason.h"
#include "core/request.h"
#include "feed/stream.h"
#include "feed/tail.h"
#include "feed/watch.h"
#include "tests/support/slot.h"
#include "tests/support/tempdir.h"

#include <cjson/cJSON.h>
#include <inttypes.h>

/* A state directory with a meter, written here as a broker would; a watch; the
 * tail; and their clocks. */
struct rig {
	struct tempdir dir;
	char path[128];
	struct segment s;
	struct watch *w;
	struct tail *t;
	struct tail_now now;
	uint64_t stored; /* events, of this meter */
};

static inline void broker_start(struct rig *r)
{
	char note[512];
	struct err e;

	assert_true(segment_open_write(r->path, &r->s, note, sizeof(note), &e));
	segment_header(&r->s)->generation++;
}

/* The next look after S seconds, and what the tail makes of it. */
static inline void look(struct rig *r, int64_t s)
{
	r->now.s += s;
	r->now.ms += s * 1000;
	(void)tail_read(r->t, r->now);
	(void)watch_look(r->w, r->now.s, r->now.ms);
	while (watch_step(r->w))
		;
	(void)tail_read(r->t, r->now);
	(void)tail_wake(r->t, r->now);
}

static inline int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct err e;

	assert_non_null(r);
	tempdir_make(&r->dir);
	assert_int_equal(mkdir(tempdir_at(&r->dir, "meter"), 0700), 0);
	(void)snprintf(
		r->path, sizeof(r->path), "%s/meter/meter.seg", r->dir.path);
	r->now = (struct tail_now){1800000000, 5000};
	broker_start(r);
	assert_true(watch_open(r->path, 1, &r->w, &e));
	assert_true(tail_new(r->w, &r->t, &e));
	look(r, 0);
	*state = r;
	return 0;
}

static inline int teardown(void **state)
{
	struct rig *r = *state;

	assert_null(r->t->clients);
	tail_free(&r->t);
	assert_null(r->t);
	tail_free(&r->t);
	watch_close(&r->w);
	segment_close(&r->s);
	(void)unlink(r->path);
	assert_int_equal(rmdir(tempdir_at(&r->dir, "meter")), 0);
	assert_int_equal(rmdir(r->dir.path), 0);
	free(r);
	return 0;
}

/* A broker whose meter is another one. */
static inline void broker_begins_anew(struct rig *r)
{
	segment_close(&r->s);
	assert_int_equal(unlink(r->path), 0);
	broker_start(r);
	r->stored = 0;
}

static inline void store(struct rig *r, enum event_type type,
	const char *device, const char *class)
{
	struct event e = {.t_ms = r->now.ms * 10 + (int64_t)r->stored,
		.type = type,
		.action = ACTION_PUBLISH,
		.reason = REASON_NO_RULE,
		.value = r->stored,
		.device = str_from(device),
		.text = STR("a/b")};

	e.class = class[0] == '\0' ? METER_NONE
				   : meter_class_add(r->s.mem, str_from(class));
	event_store(r->s.mem, &e);
	r->stored++;
}

static inline void store_many(struct rig *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		store(r, EVENT_DISCONNECT, "d-1", "pump");
}

static inline struct meter_slot *add_slot(
	struct rig *r, const char *id, const char *class)
{
	return slot_add(&r->s, id, class);
}

/* ------------------------------------------------------------------ a client */

struct socket {
	struct tail_client *c;
	unsigned woken;
	bool busy;
};

static inline void on_wake(void *ctx)
{
	struct socket *s = ctx;

	s->woken++;
}

static inline bool on_busy(void *ctx)
{
	const struct socket *s = ctx;

	return s->busy;
}

static const struct tail_socket SOCKET = {on_wake, on_busy};

static inline struct tail_client *join_by(
	struct rig *r, const char *query, struct socket *s)
{
	static struct ask q;
	struct tail_filter f;
	struct tail_client *c;
	char target[512];
	struct err e;

	(void)snprintf(target, sizeof(target), "/api/v1/tail%s", query);
	memset(&q, 0, sizeof(q));
	assert_true(ask_parse(str_from(target), &q, &e));
	assert_true(tail_filter_parse(&q, &f, &e));
	*s = (struct socket){0};
	c = s->c = tail_join(r->t, &f, r->now, &SOCKET, s);
	assert_non_null(c);
	return c;
}

static inline struct tail_client *join(struct rig *r, const char *query)
{
	static struct socket s;

	return join_by(r, query, &s);
}

/* What came, parsed: an array of messages. */
struct got {
	cJSON *list, *next;
};

static inline void take_frames(struct got *g, struct str in)
{
	while (in.n != 0) {
		const unsigned char *p = (const unsigned char *)in.p;
		size_t head = 2, n;
		cJSON *o;

		assert_true(in.n >= 4);
		assert_int_equal(p[0], 0x81); /* final, text */
		n = p[1];
		if (n == 126) {
			n = (size_t)p[2] << 8 | p[3];
			head = 4;
			assert_true(n > 125);
		}
		assert_true(n < 65536 && in.n >= head + n);
		o = cJSON_ParseWithLength(in.p + head, n);
		assert_non_null(o);
		assert_true(cJSON_AddItemToArray(g->list, o));
		in = (struct str){in.p + head + n, in.n - head - n};
	}
}

/* All that C gets now, as often as its turn comes. */
static inline struct got get(struct rig *r, struct tail_client *c)
{
	struct got g = {cJSON_CreateArray(), NULL};
	struct text out = {0};

	do {
		(void)tail_wake(r->t, r->now);
		text_clear(&out);
		tail_next(c, r->now, &out);
		assert_false(out.failed);
		assert_true(out.n <= TAIL_TURN_BYTES + 2 * TAIL_MESSAGE_MAX);
		take_frames(&g, (struct str){out.p, out.n});
	} while (out.n != 0);
	text_free(&out);
	g.next = g.list->child;
	return g;
}

/* The next message, which must be of that type. */
static inline const cJSON *message(struct got *g, const char *type)
{
	const cJSON *m = g->next;
	char *text;

	if (m == NULL) {
		fail_msg("there is no %s", type);
		return NULL;
	}
	text = cJSON_PrintUnformatted(m);
	if (strcmp(cJSON_GetObjectItem(m, "type")->valuestring, type) != 0)
		fail_msg("not %s: %s", type, text);
	cJSON_free(text);
	g->next = m->next;
	return m;
}

static inline void no_more(struct got *g)
{
	if (g->next != NULL)
		fail_msg("more: %s", cJSON_PrintUnformatted(g->next));
	cJSON_Delete(g->list);
	*g = (struct got){0};
}

static inline double number(const cJSON *m, const char *key)
{
	const cJSON *x = cJSON_GetObjectItem(m, key);

	if (!cJSON_IsNumber(x))
		fail_msg("%s is no number", key);
	return x->valuedouble;
}

static inline const char *text(const cJSON *m, const char *key)
{
	const cJSON *x = cJSON_GetObjectItem(m, key);

	if (!cJSON_IsString(x))
		fail_msg("%s is no text", key);
	return x->valuestring;
}

static inline bool is_null(const cJSON *m, const char *key)
{
	return cJSON_IsNull(cJSON_GetObjectItem(m, key));
}

/* The next is the event of that number. */
static inline const cJSON *event(struct got *g, uint64_t n)
{
	const cJSON *m = message(g, "event"), *e;
	char cursor[TAIL_CURSOR_TEXT];

	e = cJSON_GetObjectItem(m, "event");
	assert_int_equal(number(e, "value"), n);
	(void)snprintf(cursor, sizeof(cursor), "-%" PRIu64, n);
	assert_string_equal(text(m, "cursor") + 16, cursor);
	return m;
}

static inline void events(struct got *g, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		(void)event(g, from);
}

/* The next tells what became of the broker. */
static inline const cJSON *broker(
	struct got *g, const char *state, bool new_meter)
{
	const cJSON *m = message(g, "broker");

	assert_string_equal(text(m, "state"), state);
	assert_int_equal(
		cJSON_IsTrue(cJSON_GetObjectItem(m, "new_meter")), new_meter);
	return m;
}

#endif
