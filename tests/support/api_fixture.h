/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A feed with a history that was told: minutes of devices, and events. It is
 * asked without sockets. Asserts with CMocka.
 */
#ifndef TESTS_SUPPORT_API_FIXTURE_H
#define TESTS_SUPPORT_API_FIXTURE_H

#include "feed/feed.h"
#include "feed/route.h"
#include "tests/support/history_fixture.h"
#include "tests/support/rng.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>

#define API_BEGIN_S INT64_C(1699999980)
#define API_MINUTES INT64_C(40)
#define API_TOLD_S  (API_BEGIN_S + API_MINUTES * 60)
#define API_DEVICES 30u
#define API_EVENTS  150u
#define API_TEXT    (1 << 22)

struct world {
	struct history_fixture h;
	struct feed f;
	char registry[128];
};

/* ------------------------------------------------------------------ the history */

static const char *const API_CLASSES[] = {"pump", "till", ""};

static inline void tell_minutes(struct history_fixture *h)
{
	struct history_look look = {.segment = 7};
	int64_t class_no[3], no;
	struct rng r = {9};
	char id[16];

	OK(h, history_begin(h->w, &h->e));
	for (size_t i = 0; i < 3; i++)
		OK(h, history_class_number(h->w, str_from(API_CLASSES[i]),
			      &class_no[i], &h->e));
	for (unsigned i = 0; i < (unsigned)API_MINUTES * API_DEVICES; i++) {
		int64_t minute_s =
			API_BEGIN_S + (int64_t)(i / API_DEVICES) * 60;

		if (rng_below(&r, 3) == 0)
			continue;
		(void)snprintf(id, sizeof(id), "dev-%u", i % API_DEVICES);
		OK(h, history_device_number(h->w, str_from(id), &no, &h->e));
		look.no = no;
		look.class = class_no[i % API_DEVICES % 3];
		/* What it has counted in all: grows from minute to minute. */
		look.counter[COUNTER_MESSAGES_IN] = i + 1;
		look.counter[COUNTER_WIRE_BYTES_IN] = (i + 1) * UINT64_C(999);
		OK(h, history_tell_device(h->w, minute_s, &look, &h->e));
		look.no = look.class;
		OK(h, history_tell_class(h->w, minute_s, &look, &h->e));
	}
	OK(h, history_place_set(h->w,
		      &(struct history_place){7, 0, API_TOLD_S, API_TOLD_S},
		      &h->e));
	OK(h, history_tell_gap(h->w,
		      &(struct history_gap){API_BEGIN_S, API_BEGIN_S + 50},
		      &h->e));
	OK(h, history_commit(h->w, &h->e));
}

static inline void tell_events(struct history_fixture *h)
{
	struct event_copy x = {.text_len = 3};

	OK(h, history_begin(h->w, &h->e));
	for (unsigned i = 0; i < API_EVENTS; i++) {
		int64_t t_ms = API_BEGIN_S * 1000 + i;

		x.e = (struct event){.t_ms = t_ms,
			.type = i % 2 != 0 ? EVENT_REFUSAL : EVENT_CONNECT,
			.action = ACTION_PUBLISH,
			.reason = i % 4 == 1 ? REASON_NO_RULE : REASON_QOS,
			.value = i,
			.device = i % 3 == 0 ? STR("dev-1") : STR("dev-2"),
			.text = STR("a/b")};
		OK(h, history_tell_event(
			      h->w, &x, i % 5 == 0 ? "pump" : "till", &h->e));
		if (i % 50 == 49)
			OK(h, history_tell_lost(h->w, t_ms, i + 7, &h->e));
	}
	OK(h, history_commit(h->w, &h->e));
}

static inline int world_setup(void **state)
{
	struct world *x = calloc(1, sizeof(*x));
	struct err e;

	assert_non_null(x);
	hf_make(&x->h);
	hf_open_writer(&x->h);
	hf_open_reader(&x->h);
	config_default(&x->f.config);
	(void)snprintf(x->f.config.state, sizeof(x->f.config.state), "%s",
		x->h.state.path);
	(void)snprintf(x->f.config.meter, sizeof(x->f.config.meter),
		"%s/meter.seg", x->h.state.path);
	assert_true(watch_open(x->f.config.meter, 1, &x->f.watch, &e));
	(void)snprintf(x->registry, sizeof(x->registry), "%s/" REGISTRY_FILE,
		x->h.state.path);
	assert_true(registry_create(x->registry, "test", 1, &e));
	assert_true(roster_open(x->f.config.state, &x->f.roster, &e));
	tell_minutes(&x->h);
	tell_events(&x->h);
	*state = x;
	return 0;
}

static inline int world_teardown(void **state)
{
	struct world *x = *state;

	assert_int_equal(x->f.pasts, 0);
	watch_close(&x->f.watch);
	roster_close(&x->f.roster);
	history_close(&x->h.r);
	history_writer_close(&x->h.w);
	(void)tempdir_walk(&x->h.usage, 1);
	(void)tempdir_walk(&x->h.state, 1);
	free(x);
	return 0;
}

/* ------------------------------------------------------------------- a request */

/* What A's body has, behind the N bytes of ALL. Returns how many there are. */
static inline size_t api_take(struct answer *a, char *all, size_t n)
{
	assert_false(a->body.failed);
	assert_true(n + a->body.n < API_TEXT);
	for (size_t i = 0; i < a->body.n; i++)
		all[n + i] = a->body.p[i];
	n += a->body.n;
	text_clear(&a->body);
	return n;
}

/* All of an answer, as it is sent: piece by piece. Given: free(). */
static inline char *get(struct world *x, const char *target, unsigned *status)
{
	struct ask *q = calloc(1, sizeof(*q));
	struct answer a = {0};
	enum answer_more more = ANSWER_MORE;
	char *all = calloc(1, API_TEXT);
	size_t n = 0;
	struct err e;

	assert_non_null(q);
	assert_non_null(all);
	if (!ask_parse(str_from(target), q, &e))
		fail_msg("%s: %s", target, e.msg);
	q->method = ASK_GET;
	q->right = RIGHT_READ;
	route_answer(&x->f, q, &a);
	free(q); /* it is gone when the rest of an answer is made */
	n = api_take(&a, all, n);
	while (more == ANSWER_MORE) {
		more = a.more != NULL ? a.more(&a) : ANSWER_END;
		n = api_take(&a, all, n);
	}
	assert_int_equal(more, ANSWER_END);
	*status = a.status != 0 ? a.status : 200;
	answer_free(&a);
	return all;
}

static inline cJSON *get_json(
	struct world *x, const char *target, unsigned want)
{
	unsigned status;
	char *text = get(x, target, &status);
	cJSON *o = cJSON_ParseWithOpts(text, NULL, true);

	if (status != want || o == NULL)
		fail_msg("%s: %u %s", target, status, text);
	free(text);
	return o;
}

static inline const char *text_of(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

static inline int64_t number_of(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

	return cJSON_IsNumber(v) ? (int64_t)v->valuedouble : -1;
}

#endif
